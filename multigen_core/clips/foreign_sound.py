"""Sounds that a pour does not make: overdriven microphones, speech and music.

Speech and music are heard by two small rules, not by a trained model. Both look at what stands out of the clip's own
background, so that a hum or a fan that runs all the time is neither, and both count time: the figure is the share of
the clip's frames. They are meant to let a doubtful clip pass; a quiet voice behind a loud pour is not found.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft

from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["clipped_share", "music_share", "speech_share"]

_FULL_SCALE = 0.985
"""A sample above it was cut off by the recorder, or nearly."""
_HOP = 512

_VOICE_FFT = 1024
_PITCHES_HZ = np.geomspace(80.0, 400.0, 57)
"""Every 24th of an octave."""
_PARTIALS = np.arange(1, 9)
_HIGHEST_PARTIAL_HZ = 2500.0
_LEAST_COMB_DB = 11.0
"""Partials over the gaps between them; noise reaches 8 dB by chance, a voice 15 dB and more."""
_LARGEST_COMB_DB = 20.0
"""One loud tone must not stand for a row of partials."""
_LEAST_LOUDER_DB = 6.0
"""Of a voiced frame over the clip's quiet frames."""
_VOICED_FRAMES = 3
"""A voiced sound lasts a tenth of a second."""
_LARGEST_GLIDE = 2
"""Of a voice's pitch, in steps per frame."""
_LEAST_GLIDE = 1
"""Within one voiced sound, in steps: a machine keeps its pitch."""

_MUSIC_FFT = 2048
_HIGHEST_TONE_HZ = 5000.0
_FOOT_BINS = (3, 4)
"""Distance at which a tone must have fallen off; the resonance of a cup is broader."""
_LEAST_TONE_DB = 10.0
_TONE_FRAMES = 8
"""A note lasts a quarter of a second at one frequency."""
_TONES_AT_ONCE = 3


def clipped_share(waveform: Float[np.ndarray, " samples"]) -> float:
    """Share of the samples at full scale."""
    return float(np.mean(np.abs(waveform) >= _FULL_SCALE)) if len(waveform) else 0.0


def speech_share(waveform: Float[np.ndarray, " samples"]) -> float:
    """Share of the frames in which a voice sounds: a row of partials under 2.5 kHz whose pitch, 80-400 Hz, moves."""
    level_db = _levels_db(waveform, _VOICE_FFT)
    if len(level_db) < _VOICED_FRAMES:
        return 0.0
    total_db = 10.0 * np.log10(np.sum(10.0 ** (level_db / 10.0), axis=1))
    loud = total_db > np.percentile(total_db, 10.0) + _LEAST_LOUDER_DB
    combs_db = _combs_db(level_db - np.percentile(level_db, 10.0, axis=0))
    pitch = combs_db.argmax(axis=1)
    voiced = loud & (combs_db.max(axis=1) > _LEAST_COMB_DB)
    return _share_in_voices(voiced, pitch)


def music_share(waveform: Float[np.ndarray, " samples"]) -> float:
    """Share of the frames in which three narrow tones or more are held for a quarter of a second."""
    level_db = _levels_db(waveform, _MUSIC_FFT)
    if len(level_db) < _TONE_FRAMES:
        return 0.0
    level_db = level_db - np.percentile(level_db, 20.0, axis=0)
    reach = _FOOT_BINS[-1]
    padded = np.pad(level_db, ((0, 0), (reach, reach)), constant_values=0.0)
    width = level_db.shape[1]
    feet = [padded[:, reach + side * far : reach + side * far + width] for far in _FOOT_BINS for side in (-1, 1)]
    tone = level_db > np.maximum.reduce(feet) + _LEAST_TONE_DB
    # A tone between two bins changes places: it is held when it is in a bin or beside it.
    near = tone | np.pad(tone, ((0, 0), (1, 0)))[:, :-1] | np.pad(tone, ((0, 0), (0, 1)))[:, 1:]
    held = np.all(sliding_window_view(near, _TONE_FRAMES, axis=0), axis=-1)  # (starts, bins)
    sounding = np.zeros_like(tone)
    for shift in range(_TONE_FRAMES):
        sounding[shift : shift + len(held)] |= held
    starts = sounding & ~np.pad(sounding, ((0, 0), (1, 0)))[:, :-1]
    return float(np.mean(starts.sum(axis=1) >= _TONES_AT_ONCE))


def _levels_db(waveform: Float[np.ndarray, " samples"], n_fft: int) -> Float[np.ndarray, "frames bins"]:
    """Power spectrum [dB] every 32 ms, up to the highest frequency that is looked at."""
    if len(waveform) < n_fft:
        return np.zeros((0, 0))
    frames = sliding_window_view(np.asarray(waveform, np.float32), n_fft)[::_HOP]
    highest = round((_HIGHEST_TONE_HZ if n_fft == _MUSIC_FFT else 1.1 * _HIGHEST_PARTIAL_HZ) * n_fft / SAMPLE_RATE_HZ)
    power = np.abs(rfft(frames * np.hanning(n_fft).astype(np.float32))[:, :highest]) ** 2
    return 10.0 * np.log10(power + 1e-6)


def _combs_db(level_db: Float[np.ndarray, "frames bins"]) -> Float[np.ndarray, "frames pitches"]:
    """Mean over the partials of a pitch of how far each stands over the gaps on both sides of it."""
    combs = np.empty((len(level_db), len(_PITCHES_HZ)))
    for k, pitch_hz in enumerate(_PITCHES_HZ):
        partials = _PARTIALS[_PARTIALS * pitch_hz <= _HIGHEST_PARTIAL_HZ]
        peak, below, above = (
            level_db[:, np.round((partials + shift) * pitch_hz * _VOICE_FFT / SAMPLE_RATE_HZ).astype(int)]
            for shift in (0.0, -0.5, 0.5)
        )
        combs[:, k] = np.clip(peak - 0.5 * (below + above), -_LARGEST_COMB_DB, _LARGEST_COMB_DB).mean(axis=1)
    return combs


def _share_in_voices(voiced: Bool[np.ndarray, " frames"], pitch: Int[np.ndarray, " frames"]) -> float:
    """Frames in stretches that last and whose pitch glides without leaping, over all frames."""
    inside, start = 0, 0
    for frame in range(1, len(voiced) + 1):
        goes_on = (
            frame < len(voiced)
            and voiced[frame]
            and voiced[frame - 1]
            and abs(int(pitch[frame]) - int(pitch[frame - 1])) <= _LARGEST_GLIDE
        )
        if goes_on:
            continue
        stretch = pitch[start:frame]
        if voiced[start] and len(stretch) >= _VOICED_FRAMES and np.ptp(stretch) >= _LEAST_GLIDE:
            inside += len(stretch)
        start = frame
    return inside / len(voiced)
