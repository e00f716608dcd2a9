"""Finds in a recording when liquid pours."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft
from scipy.ndimage import median_filter
from scipy.signal import get_window

from multigen_core.acoustics.tracker import track_resonance
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["PourInterval", "find_pour"]

_N_FFT, _HOP = 512, 160
_FRAMES_AT_ONCE = 8192
"""A recording may last hours."""
_BAND_HZ = (700.0, 7400.0)
_SMOOTH_FRAMES = 15
_THRESHOLD = 0.35
"""Between the quiet and the loud level."""
_LARGEST_GAP_S = 0.8
_SHORTEST_S = 0.5
_LEAST_CONTRAST_DB = 6.0
_CLEAR_CONTRAST_DB = 12.0
_LEAST_SALIENCE_DB = 9.0
"""Noise reaches 6 to 7 dB, pours 10 to 17 dB."""
_LEAST_RISE = 1.05
"""From the first to the second half of a pour, whatever the cup."""
_LEAST_LEVEL_DBFS = -75.0
_LEAST_BREADTH = 0.5
_RAISED_DB = 3.0


@dataclass(frozen=True)
class PourInterval:
    """When it pours, and how clearly that is heard."""

    start_s: float
    stop_s: float
    contrast_db: float
    """Level of the pour over the quiet parts, mean over 700-7400 Hz."""
    breadth: float
    """Share of that band that is louder than in the quiet parts: 1 for rushing liquid, near 0 for a tone."""


def find_pour(waveform: Float[np.ndarray, " samples"]) -> PourInterval | None:
    """The longest pour in mono sound at 16 kHz, or None.

    A pour is broad-band sound that stays above 35 % of the way from the quiet to the loud level (mean dB over
    700-7400 Hz, 5th and 95th percentile) for half a second; gaps under 0.8 s belong to it. A recording without a quiet
    part is one pour from end to end when a rising resonance stands out of it.
    """
    if len(waveform) < SAMPLE_RATE_HZ * _SHORTEST_S:
        return None
    times_s, levels_db = _band_levels(waveform)
    level_db = median_filter(levels_db.mean(axis=1), _SMOOTH_FRAMES, mode="nearest")  # a lone clatter is no pour
    quiet_db, loud_db = np.percentile(level_db, (5.0, 95.0))
    contrast_db = float(loud_db - quiet_db)
    if _rms_dbfs(waveform) < _LEAST_LEVEL_DBFS:
        return None
    if contrast_db < _CLEAR_CONTRAST_DB and _resonates(waveform):
        return PourInterval(0.0, len(waveform) / SAMPLE_RATE_HZ, contrast_db, breadth=1.0)
    if contrast_db < _LEAST_CONTRAST_DB:
        return None
    above = _without_gaps(level_db > quiet_db + _THRESHOLD * contrast_db)
    start, stop = _longest_run(above)
    if (stop - start) * _HOP < _SHORTEST_S * SAMPLE_RATE_HZ:
        return None
    calm = levels_db[level_db <= np.percentile(level_db, 10.0)].mean(axis=0)
    breadth = float(np.mean(levels_db[start:stop].mean(axis=0) > calm + _RAISED_DB))
    if breadth < _LEAST_BREADTH:
        return None
    half_hop_s = _HOP / SAMPLE_RATE_HZ / 2.0
    return PourInterval(
        start_s=max(float(times_s[start]) - half_hop_s, 0.0),
        stop_s=min(float(times_s[stop - 1]) + half_hop_s, len(waveform) / SAMPLE_RATE_HZ),
        contrast_db=contrast_db,
        breadth=breadth,
    )


def _band_levels(
    waveform: Float[np.ndarray, " samples"],
) -> tuple[Float[np.ndarray, " frames"], Float[np.ndarray, "frames bins"]]:
    """Times [s] and levels [dB] of the band."""
    hz = np.fft.rfftfreq(_N_FFT, 1.0 / SAMPLE_RATE_HZ)
    inside = (hz >= _BAND_HZ[0]) & (hz <= _BAND_HZ[1])
    # This window leaks 92 dB less than it lets through: a loud tone must not look like rushing noise.
    window = get_window("blackmanharris", _N_FFT)
    window = (window / window.sum()).astype(np.float32)
    frames = sliding_window_view(np.asarray(waveform, np.float32), _N_FFT)[::_HOP]
    levels_db = np.concatenate(
        [
            10.0 * np.log10(np.abs(rfft(frames[start : start + _FRAMES_AT_ONCE] * window)[:, inside]) ** 2 + 1e-14)
            for start in range(0, len(frames), _FRAMES_AT_ONCE)
        ]
    )
    return (np.arange(len(frames)) * _HOP + _N_FFT / 2) / SAMPLE_RATE_HZ, levels_db


def _without_gaps(above: Bool[np.ndarray, " frames"]) -> Bool[np.ndarray, " frames"]:
    """Fills gaps shorter than 0.8 s between two stretches."""
    filled = above.copy()
    ones = np.flatnonzero(above)
    for before, after in pairwise(ones):
        if (after - before) * _HOP < _LARGEST_GAP_S * SAMPLE_RATE_HZ:
            filled[before:after] = True
    return filled


def _longest_run(flags: Bool[np.ndarray, " frames"]) -> tuple[int, int]:
    """Start and stop (exclusive) of the longest stretch of True; (0, 0) without one."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(int)))
    starts, stops = edges[::2], edges[1::2]
    if len(starts) == 0:
        return 0, 0
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])


def _resonates(waveform: Float[np.ndarray, " samples"]) -> bool:
    """Whether a cup's resonance stands out and rises; a tone stands out and stays."""
    track = track_resonance(waveform)
    if len(track.f0_hz) < 2:
        return False
    first_hz, last_hz = (float(np.median(part)) for part in np.array_split(track.f0_hz, 2))
    return last_hz > _LEAST_RISE * first_hz and float(np.median(track.salience_db)) > _LEAST_SALIENCE_DB


def _rms_dbfs(waveform: Float[np.ndarray, " samples"]) -> float:
    return float(10.0 * np.log10(np.mean(np.square(waveform, dtype=float)) + 1e-14))
