"""Statistics of a feature as LeRobot writes them: per dimension, per episode and over the whole set."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8

__all__ = ["QUANTILES", "image_statistics", "statistics_of"]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_MOST_FRAMES = 64
"""Images are summarised from at most this many evenly spaced frames."""

_SHADES = 256

Statistics = dict[str, Any]


def statistics_of(values: Float[np.ndarray, "rows *dims"]) -> Statistics:
    """Minimum, maximum, mean, standard deviation, quantiles and count over the rows, as nested lists.

    A scalar feature, shape (rows,), gives lists of one.
    """
    table = values.reshape(len(values), -1).astype(np.float64) if values.ndim == 1 else values.astype(np.float64)
    figures = {
        "min": table.min(axis=0),
        "max": table.max(axis=0),
        "mean": table.mean(axis=0),
        "std": table.std(axis=0),
        **{name: np.quantile(table, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {**{name: figure.tolist() for name, figure in figures.items()}, "count": [len(table)]}


def image_statistics(frames: UInt8[np.ndarray, "T H W *channels"]) -> Statistics:
    """The same per colour channel in [0, 1], each figure of shape (3, 1, 1); gray counts as three equal channels."""
    shown = frames[:: max(1, len(frames) // _MOST_FRAMES)]
    channels = shown.reshape(-1, shown.shape[3] if shown.ndim == 4 else 1).T  # (channels, pixels)
    each = [_shades(np.bincount(channel, minlength=_SHADES)) for channel in channels]
    nested = {name: [[[one[name]]] for one in (each if len(each) == 3 else 3 * each)] for name in each[0]}
    return {**nested, "count": [len(shown)]}


def _shades(count: Int64[np.ndarray, " shades"]) -> dict[str, float]:
    """Figures of bytes of which so many have each value: no need to sort a million pixels of 256 shades."""
    value, pixels = np.arange(_SHADES) / (_SHADES - 1), count.sum()
    present = value[count > 0]
    mean = float(count @ value / pixels)
    return {
        "min": float(present[0]),
        "max": float(present[-1]),
        "mean": mean,
        "std": float(np.sqrt(count @ (value - mean) ** 2 / pixels)),
        **{name: _quantile(value, count, share * (pixels - 1)) for name, share in QUANTILES.items()},
    }


def _quantile(value: Float[np.ndarray, " shades"], count: Int64[np.ndarray, " shades"], place: float) -> float:
    """The value at a place among the sorted pixels, between two of them in proportion."""
    whole = int(place)
    low, high = value[np.searchsorted(count.cumsum(), [whole, math.ceil(place)], side="right")]
    return float(low + (place - whole) * (high - low))
