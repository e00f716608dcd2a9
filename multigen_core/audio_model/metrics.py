"""How true and how varied generated sound is, without any pretrained network.

Each figure means something only beside its controls (another episode's sound, another seed, noise): every pour rises,
so a plain correlation flatters. None of them is the FD, KL, IB or DeSync of the literature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from scipy.ndimage import uniform_filter1d

from multigen_core.acoustics.tracker import CANDIDATES_HZ, salience_map, track_resonance
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.spectrogram import FRAME_RATE_HZ, MELS, log_mel

__all__ = [
    "PourTruth",
    "band_sdr_db",
    "diversity",
    "lag_s",
    "loudness_bias_db",
    "matched_track_contrast_db",
    "offset_lag_s",
    "onset_lag_s",
    "pairwise_distance",
    "pitch_error_octaves",
    "sound_statistics",
]

Waveform = Float32[np.ndarray, " S"]

_BANDS = 16
_POOLED_FRAMES = 8
"""0.13 s: fine enough for the envelope, coarse enough that two noises of the same pour agree."""
_LARGEST_LAG_S = 1.0
_ON_THRESHOLD = 0.35
"""Of the way from the quiet to the loud level [dB]."""


@dataclass(frozen=True)
class PourTruth:
    """What physics says about a pour, once per control step; step ``t`` is heard at ``t / rate_hz``."""

    rate_hz: float
    flow_ml_s: Float[np.ndarray, " T"]
    f0_hz: Float[np.ndarray, " T"]
    """Lowest resonance of the air column."""

    @property
    def flowing(self) -> Bool[np.ndarray, " T"]:
        """Steps with more than a tenth of the strongest flow."""
        return self.flow_ml_s > max(0.1 * float(self.flow_ml_s.max()), 1.0)

    def at(self, times_s: Float[np.ndarray, " N"]) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
        """Resonance [Hz] and whether it pours, at any times within the pour."""
        steps_s = np.arange(len(self.f0_hz)) / self.rate_hz
        nearest = np.clip(np.round(times_s * self.rate_hz).astype(int), 0, len(steps_s) - 1)
        return np.interp(times_s, steps_s, self.f0_hz), self.flowing[nearest] & (times_s <= steps_s[-1])


def _levels(waveform: Waveform) -> Float[np.ndarray, "frames mels"]:
    return log_mel(torch.from_numpy(np.ascontiguousarray(waveform))).T.numpy()


def _band_amplitudes(waveform: Waveform) -> Float[np.ndarray, "blocks bands"]:
    """Root of the energy in 16 bands and blocks of 0.13 s."""
    energy = 10.0 ** (2.0 * _levels(waveform).astype(float))
    blocks = len(energy) // _POOLED_FRAMES
    pooled = energy[: blocks * _POOLED_FRAMES].reshape(blocks, _POOLED_FRAMES, _BANDS, MELS // _BANDS).mean((1, 3))
    return np.sqrt(pooled)


def band_sdr_db(waveform: Waveform, reference: Waveform) -> float:
    """Scale-invariant signal-to-distortion ratio of band amplitudes over the common length.

    ``10 log10(|a r|^2 / |a r - x|^2)`` with ``a = <x, r> / <r, r>`` (Le Roux et al. 2019), on amplitudes in time and
    band instead of samples: two noises of the same pour are alike, though no sample agrees. It hardly sees pitch.
    """
    samples = min(len(waveform), len(reference))
    x, r = _band_amplitudes(waveform[:samples]), _band_amplitudes(reference[:samples])
    wanted = np.sum(x * r) / max(float(np.sum(r * r)), 1e-12) * r
    return float(10.0 * np.log10(np.sum(wanted**2) / max(float(np.sum((wanted - x) ** 2)), 1e-12) + 1e-12))


def pitch_error_octaves(waveform: Waveform, truth: PourTruth) -> float | None:
    """Median ``|log2(f_tracked / f_physics)|`` while it pours; None when too little of the pour can be heard."""
    track = track_resonance(waveform)
    f0_hz, flowing = truth.at(track.times_s.astype(float))
    if not flowing.any():
        return None
    return float(np.median(np.abs(np.log2(track.f0_hz[flowing] / f0_hz[flowing]))))


def matched_track_contrast_db(waveform: Waveform, truth: PourTruth) -> float | None:
    """How far the comb score along the true resonance stands out of its mean over all frequencies, while it pours."""
    if len(waveform) < SAMPLE_RATE_HZ // 4:
        return None
    times_s, salience = salience_map(waveform)
    f0_hz, flowing = truth.at(times_s)
    if not flowing.any():
        return None
    bins = np.interp(np.log2(f0_hz), np.log2(CANDIDATES_HZ), np.arange(len(CANDIDATES_HZ))).round().astype(int)
    along = salience[np.arange(len(bins)), bins]
    return float(np.mean((along - salience.mean(axis=1))[flowing]))


def _loudness_db(waveform: Waveform) -> Float[np.ndarray, " frames"]:
    """Level per mel frame above 700 Hz, below which rooms hum."""
    levels = _levels(waveform)[:, 11:]
    return uniform_filter1d(20.0 * levels.mean(axis=1).astype(float), 5, mode="nearest")


def loudness_bias_db(waveform: Waveform, reference: Waveform, truth: PourTruth) -> float | None:
    """How much louder than the reference it is while it pours, in the mean of the levels above 700 Hz.

    Absolute, unlike all other figures: who learns how much flows from how loud it is needs it right.
    """
    samples = min(len(waveform), len(reference))
    levels = [_loudness_db(sound[:samples]) for sound in (waveform, reference)]
    _, flowing = truth.at(np.arange(len(levels[0])) / FRAME_RATE_HZ)
    if not flowing.any():
        return None
    return float(levels[0][flowing].mean() - levels[1][flowing].mean())


def onset_lag_s(waveform: Waveform, truth: PourTruth) -> float | None:
    """First loud moment less the first step with flow; negative when the sound comes first; None without flow."""
    if not truth.flowing.any():
        return None
    heard_s = float(np.argmax(_loud(waveform))) / FRAME_RATE_HZ
    return heard_s - float(np.argmax(truth.flowing)) / truth.rate_hz


def offset_lag_s(waveform: Waveform, truth: PourTruth) -> float | None:
    """Last loud moment less the last step with flow; positive when the sound lasts longer; None without flow."""
    if not truth.flowing.any():
        return None
    loud = _loud(waveform)
    heard_s = float(len(loud) - np.argmax(loud[::-1])) / FRAME_RATE_HZ
    return heard_s - float(len(truth.flowing) - 1 - np.argmax(truth.flowing[::-1])) / truth.rate_hz


def _loud(waveform: Waveform) -> Bool[np.ndarray, " frames"]:
    level = _loudness_db(waveform)
    quiet, loud = np.percentile(level, (5.0, 95.0))
    return np.asarray(level > quiet + _ON_THRESHOLD * (loud - quiet))


def lag_s(waveform: Waveform, truth: PourTruth) -> float:
    """Shift of at most 1 s at which the loudness correlates best with the flow; positive when the sound is late."""
    level = _loudness_db(waveform)
    times_s = np.arange(len(level)) / FRAME_RATE_HZ
    steps_s = np.arange(len(truth.flow_ml_s)) / truth.rate_hz
    # Loudness goes with a power of the flow well below 1.
    flow = np.interp(times_s, steps_s, np.sqrt(np.maximum(truth.flow_ml_s, 0.0)))
    level, flow = level - level.mean(), flow - flow.mean()
    scores = np.correlate(level, flow, mode="full")
    shifts_s = (np.arange(len(scores)) - (len(flow) - 1)) / FRAME_RATE_HZ
    scores[np.abs(shifts_s) > _LARGEST_LAG_S] = -np.inf
    return float(shifts_s[int(np.argmax(scores))])


def sound_statistics(waveform: Waveform) -> Float[np.ndarray, " figures"]:
    """What a sound is like, whatever happens when: band levels and spreads [dB], modulation spectrum, transients."""
    levels = 20.0 * _levels(waveform).astype(float).reshape(-1, _BANDS, MELS // _BANDS).mean(axis=2)
    level = levels.mean(axis=1)
    modulation = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level)))) / len(level)
    rates_hz = np.fft.rfftfreq(len(level), 1.0 / FRAME_RATE_HZ)
    edges_hz = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 31.0)
    by_rate = [
        20.0 * np.log10(modulation[(rates_hz >= low) & (rates_hz < high)].mean() + 1e-6)
        for low, high in pairwise(edges_hz)
    ]
    rise = np.diff(level)
    transients = np.mean(rise > 6.0) * FRAME_RATE_HZ
    return np.concatenate([levels.mean(axis=0), levels.std(axis=0), by_rate, [transients]])


def pairwise_distance(
    statistics: Sequence[Float[np.ndarray, " figures"]], scale: Float[np.ndarray, " figures"]
) -> float:
    """Mean distance between two different sounds of a set, every figure in units of ``scale``; 0 for fewer than two."""
    table = np.stack(list(statistics)) / scale
    distances = np.linalg.norm(table[:, None] - table[None], axis=2)
    count = len(table)
    return float(distances.sum() / max(count * (count - 1), 1))


def diversity(waveforms: Sequence[Waveform], reference: Sequence[Waveform]) -> float:
    """Pairwise distance of a set's sound statistics over that of the reference set: 1 is as varied as physics."""
    of_reference = [sound_statistics(waveform) for waveform in reference]
    # Less than 1 dB, or one transient per second, is no difference that anybody hears.
    scale = np.maximum(np.std(of_reference, axis=0), 1.0)
    distance = pairwise_distance([sound_statistics(waveform) for waveform in waveforms], scale)
    return distance / max(pairwise_distance(of_reference, scale), 1e-9)
