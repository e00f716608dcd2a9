"""What a pour sounds like, in a few figures: bands, modulation, transients, and how its resonance stands out.

For putting a synthetic pour beside a real one. Every figure is taken while it pours.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d
from scipy.optimize import least_squares
from scipy.signal import stft

from multigen_core.acoustics.pour_detection import find_pour
from multigen_core.acoustics.tracker import track_resonance
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["BANDS_HZ", "Character", "character_of"]

BANDS_HZ = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 7500.0)
"""Edges of the bands whose levels are told."""
_FAST_FFT, _FAST_HOP = 256, 64
"""4 ms between frames: fine enough for clicks."""
_FINE_FFT, _FINE_HOP = 4096, 256
"""3.9 Hz between bins: fine enough for a quality of 60 at 700 Hz."""
_TREND_S = 0.5
_RATES_HZ = (1.0, 20.0)
_RISE_DB, _RISE_FRAMES, _DEAD_FRAMES = 6.0, 2, 5
_STEADY_FRAMES = 31
"""0.5 s of the track."""
_BEST_FRAMES = 0.5
"""Share of the frames, those with the clearest resonance, that its shape is read from."""
_RATIOS = 2.0 ** (np.arange(-96, 241) / 96.0)
"""Frequency over f0, from half to 5.7 times."""
_FLOOR = (0.7, 1.35)
"""Ratios between which the first resonance stands; its floor is read just outside."""


@dataclass(frozen=True)
class Character:
    """One pour in figures."""

    pour_s: float
    band_db: tuple[float, ...]
    """Level of every band of ``BANDS_HZ``, less that of the whole."""
    band_spread_db: tuple[float, ...]
    """Standard deviation over 4 ms frames, slow changes taken out."""
    tilt_db_per_octave: float
    """Of the spectrum between 500 Hz and 7.5 kHz."""
    modulation_peak_hz: float
    """The rate, from 1 to 20 Hz, at which the level swells most."""
    transients_hz: float
    """Rises by 6 dB within 8 ms above 2 kHz, per second."""
    q: float
    """Of the first resonance."""
    partials_db: tuple[float, ...]
    """First, third and fifth partial over the floor beside the first."""


def character_of(waveform: Float[np.ndarray, " samples"]) -> Character | None:
    """The figures of the longest pour in mono sound at 16 kHz; None when there is none, or less than a second."""
    pour = find_pour(waveform)
    if pour is None or pour.stop_s - pour.start_s < 1.0:
        return None
    sound = waveform[round(pour.start_s * SAMPLE_RATE_HZ) : round(pour.stop_s * SAMPLE_RATE_HZ)]
    hz, power = _power(sound, _FAST_FFT, _FAST_HOP)
    bands = [power[(hz >= low) & (hz < high)].mean(axis=0) for low, high in pairwise(BANDS_HZ)]
    whole = float(
        np.sum([band.mean() * (high - low) for band, (low, high) in zip(bands, pairwise(BANDS_HZ), strict=True)])
    )
    q, partials_db = _resonance(sound)
    return Character(
        pour_s=pour.stop_s - pour.start_s,
        band_db=tuple(
            _db(band.mean() * (high - low) / whole) for band, (low, high) in zip(bands, pairwise(BANDS_HZ), strict=True)
        ),
        band_spread_db=tuple(float(np.std(_without_trend(_decibels(band)))) for band in bands),
        tilt_db_per_octave=_tilt(sound),
        modulation_peak_hz=_modulation_peak_hz(_decibels(power[(hz >= 500.0) & (hz < 7500.0)].mean(axis=0))),
        transients_hz=_transients_hz(_decibels(power[hz >= 2000.0].mean(axis=0))),
        q=q,
        partials_db=partials_db,
    )


def _power(
    waveform: Float[np.ndarray, " samples"], n_fft: int, hop: int
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, "bins frames"]]:
    hz, _, spectrum = stft(waveform, SAMPLE_RATE_HZ, nperseg=n_fft, noverlap=n_fft - hop, boundary=None, padded=False)
    return hz, np.abs(spectrum) ** 2 + 1e-16


def _decibels(power: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    return 10.0 * np.log10(power)


def _db(ratio: float) -> float:
    return float(10.0 * np.log10(ratio))


def _without_trend(level_db: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    return level_db - uniform_filter1d(level_db, round(_TREND_S * SAMPLE_RATE_HZ / _FAST_HOP), mode="nearest")


def _tilt(waveform: Float[np.ndarray, " samples"]) -> float:
    """Slope of a line through third-octave levels per hertz."""
    hz, power = _power(waveform, 2048, 512)
    edges_hz = 500.0 * 2.0 ** (np.arange(13) / 3.0)
    edges_hz = edges_hz[edges_hz <= 7600.0]
    mean = power.mean(axis=1)
    levels = [_db(mean[(hz >= low) & (hz < high)].mean()) for low, high in pairwise(edges_hz)]
    return float(np.polyfit(np.arange(len(levels)) / 3.0, levels, 1)[0])


def _modulation_peak_hz(level_db: Float[np.ndarray, " frames"]) -> float:
    swing = _without_trend(level_db) * np.hanning(len(level_db))
    rates_hz = np.fft.rfftfreq(len(swing), _FAST_HOP / SAMPLE_RATE_HZ)
    # Over half an octave: a single bin of noise would win.
    spectrum = np.abs(np.fft.rfft(swing)) ** 2
    centres_hz = np.geomspace(*_RATES_HZ, 40)
    strength = [spectrum[(rates_hz >= f / 2**0.25) & (rates_hz < f * 2**0.25)].mean() * f for f in centres_hz]
    return float(centres_hz[int(np.nanargmax(strength))])


def _transients_hz(level_db: Float[np.ndarray, " frames"]) -> float:
    rise = level_db[_RISE_FRAMES:] - level_db[:-_RISE_FRAMES]
    count, free = 0, 0
    for frame in np.flatnonzero(rise > _RISE_DB).tolist():
        if frame >= free:
            count, free = count + 1, frame + _DEAD_FRAMES
    return count / (len(level_db) * _FAST_HOP / SAMPLE_RATE_HZ)


def _resonance(waveform: Float[np.ndarray, " samples"]) -> tuple[float, tuple[float, ...]]:
    """Quality of the first partial, and the partials' heights, from spectra that are laid upon each other by f / f0."""
    hz, power = _power(waveform, _FINE_FFT, _FINE_HOP)
    track = track_resonance(waveform)
    middles_s = (np.arange(power.shape[1]) * _FINE_HOP + _FINE_FFT / 2) / SAMPLE_RATE_HZ
    # The tracker follows each frame's noise a little, and spectra laid upon its peaks would look sharper than they are.
    steady = np.exp(uniform_filter1d(np.log(track.f0_hz.astype(float)), _STEADY_FRAMES, mode="nearest"))
    f0_hz = np.interp(middles_s, track.times_s, steady)
    clear = np.interp(middles_s, track.times_s, track.salience_db)
    frames = np.flatnonzero(clear >= np.quantile(clear, 1.0 - _BEST_FRAMES))
    aligned = []
    for frame in frames:
        shape = np.interp(f0_hz[frame] * _RATIOS, hz, power[:, frame], right=np.nan)
        beside = ((_RATIOS > 0.55) & (_FLOOR[0] > _RATIOS)) | ((_FLOOR[1] < _RATIOS) & (_RATIOS < 1.8))
        aligned.append(shape / np.nanmean(shape[beside]))
    mean = np.nanmean(aligned, axis=0)
    heights = tuple(_db(np.nanmax(mean[np.abs(np.log2(_RATIOS / partial)) < 0.08])) for partial in (1, 3, 5))
    return _quality(mean), heights


def _quality(shape: Float[np.ndarray, " ratios"]) -> float:
    """Q of the resonator over a floor that fits the first peak best.

    ``P(r) = a + b / (1 + (2 Q (r / r0 - 1))^2)`` within a third of an octave: half the peak's height would be read
    where noise happens to cross it, nearer to the middle than the resonance is wide.
    """
    near = np.abs(np.log2(_RATIOS)) < 1.0 / 3.0

    def misfit(values: Float[np.ndarray, " 4"]) -> Float[np.ndarray, " near"]:
        floor, height, q, middle = values
        return floor + height / (1.0 + (2.0 * q * (_RATIOS[near] / middle - 1.0)) ** 2) - shape[near]

    start = (1.0, max(float(shape[near].max()) - 1.0, 0.1), 15.0, 1.0)
    fitted = least_squares(misfit, start, bounds=((0.0, 0.0, 2.0, 0.95), (np.inf, np.inf, 100.0, 1.05)))
    return float(fitted.x[2])
