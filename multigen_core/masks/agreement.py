"""How well two masks agree."""

import numpy as np
from jaxtyping import UInt8

from multigen_core.palette import Palette

__all__ = ["intersection_over_union"]


def intersection_over_union(
    predicted: UInt8[np.ndarray, "T H W"], true: UInt8[np.ndarray, "T H W"]
) -> dict[str, float | None]:
    """Per class over all frames together, by lower-case name; None where neither mask has the class."""
    scores: dict[str, float | None] = {}
    for label in Palette:
        found, wanted = predicted == label, true == label
        union = np.count_nonzero(found | wanted)
        scores[label.name.lower()] = int(np.count_nonzero(found & wanted)) / int(union) if union else None
    return scores
