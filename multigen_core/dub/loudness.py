"""The figures that both dubbing stages report."""

from collections.abc import Sequence

import numpy as np

from multigen_core.records import SAMPLE_RATE_HZ, Soundtrack, Summary

__all__ = ["loudness_summary"]


def loudness_summary(soundtracks: Sequence[Soundtrack]) -> Summary:
    """Number and length of the soundtracks, and the median and lowest RMS level [dB full scale]."""
    levels_dbfs = [
        float(10.0 * np.log10(np.mean(np.square(track.waveform, dtype=float)) + 1e-12)) for track in soundtracks
    ]
    return {
        "episodes": len(soundtracks),
        "sound_s": round(sum(len(track.waveform) for track in soundtracks) / SAMPLE_RATE_HZ, 2),
        "level_dbfs_median": round(float(np.median(levels_dbfs)), 2),
        "level_dbfs_min": round(min(levels_dbfs), 2),
    }
