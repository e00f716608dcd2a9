"""How well the air column can be heard: the tracked resonance of a measured cup against the level it must have had."""

import numpy as np
from jaxtyping import Float

from multigen_core.acoustics.resonance import air_column_from_hz
from multigen_core.acoustics.tracker import track_resonance
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["air_column_error_m", "shuffled_error_m"]

_EDGE_S = 0.3
"""Left out at both ends, where the stream sets in and off."""
_BLOCK_S = 1.0


def air_column_error_m(waveform: Float[np.ndarray, " samples"], *, height_m: float, radius_m: float) -> float:
    """Median ``|l - l_linear|`` of a recording in which a straight cup is filled at a constant flow.

    It is empty at the first sample and full at the last; ``height_m`` and ``radius_m`` are those of its inside. Not a
    number for less than a second of sound.
    """
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    track = track_resonance(waveform)
    inside = (track.times_s > _EDGE_S) & (track.times_s < duration_s - _EDGE_S)
    if duration_s < 1.0 or not inside.any():
        return float("nan")
    heard_m = air_column_from_hz(track.f0_hz[inside].astype(float), radius_m)
    linear_m = height_m * (1.0 - track.times_s[inside] / duration_s)
    return float(np.median(np.abs(heard_m - linear_m)))


def shuffled_error_m(
    waveform: Float[np.ndarray, " samples"], *, height_m: float, radius_m: float, seed: int = 0, shuffles: int = 5
) -> float:
    """The smallest error of the same recording with its seconds in random order: what must be beaten to have heard.

    Every pour rises, so a tracker that only follows its own preference for rising would score well too.
    """
    rng = np.random.default_rng(seed)
    blocks = np.array_split(waveform, max(int(len(waveform) / SAMPLE_RATE_HZ / _BLOCK_S), 2))
    orders = (rng.permutation(len(blocks)) for _ in range(shuffles))
    mixed = (np.concatenate([blocks[k] for k in order]) for order in orders)
    return min(air_column_error_m(sound, height_m=height_m, radius_m=radius_m) for sound in mixed)
