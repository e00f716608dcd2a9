"""Statistics of a feature as LeRobot writes them: per dimension, per episode and over the whole set."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["QUANTILES", "image_statistics", "statistics_of"]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_MOST_FRAMES = 64
"""Images are summarised from at most this many evenly spaced frames."""

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
    pixels = shown.reshape(-1, shown.shape[3] if shown.ndim == 4 else 1) / 255.0  # (pixels, channels)
    figures = statistics_of(np.broadcast_to(pixels, (len(pixels), 3)))
    nested = {name: [[[value]] for value in figure] for name, figure in figures.items() if name != "count"}
    return {**nested, "count": [len(shown)]}
