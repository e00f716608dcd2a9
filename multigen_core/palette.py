"""The four mask classes, by index and by colour."""

from enum import IntEnum

import numpy as np
from jaxtyping import UInt8

__all__ = ["COLORS", "Palette", "colorize"]


class Palette(IntEnum):
    """Index of a class in every mask of the project."""

    BACKGROUND = 0
    POURER = 1
    RECEIVER = 2
    LIQUID = 3


COLORS: UInt8[np.ndarray, "4 3"] = np.array([(24, 24, 27), (245, 158, 11), (148, 163, 184), (56, 189, 248)], np.uint8)
"""RGB of each index, for people."""


def colorize(masks: UInt8[np.ndarray, "*batch H W"]) -> UInt8[np.ndarray, "*batch H W 3"]:
    """Palette indices as a picture."""
    return COLORS[masks]
