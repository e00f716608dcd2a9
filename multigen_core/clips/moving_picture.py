"""Whether a clip shows one scene in which something moves: a still image and a cut film teach nothing about pouring."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["continuity", "motion"]

_BLOCK_PX = 8
_MOVING_SHARE = 0.02
"""Of the picture, at least, must move: a stream and what it fills are small."""
_LEAST_TEXTURE = 4.0
"""Standard deviation of the blocks [of 255]; a picture with less says nothing about its scene."""
_CHANGED = 8.0
"""Levels of 255 by which a block must change to count."""
_CHANGED_SHARE = 0.5
"""Of the picture, that changes at a cut."""


def motion(frames: Sequence[UInt8[np.ndarray, "H W 3"]]) -> float:
    """How far the 2 % of the picture that change most range over the clip, in levels of 255.

    Means over blocks of 8 x 8 pixels, so that the noise of camera and coder does not count: below 1 for a still image.
    """
    blocks = _blocks(frames)
    return float(np.quantile(np.ptp(blocks, axis=0), 1.0 - _MOVING_SHARE))


def continuity(frames: Sequence[UInt8[np.ndarray, "H W 3"]]) -> float:
    """The least correlation between the blocks of two neighbouring frames: near 1 for one take, near 0 at a cut.

    Brightness and contrast do not matter, nor does what moves through less than half of the picture. A frame that is
    broken by itself is no cut: the frames before and after it are compared too, and the higher correlation counts. 1
    for fewer than four frames.
    """
    blocks = _blocks(frames)
    if len(blocks) < 4:
        return 1.0
    near = _correlation(blocks[1:-2], blocks[2:-1])
    across = _correlation(blocks[:-3], blocks[3:])
    return float(np.maximum(near, across).min())


def _blocks(frames: Sequence[UInt8[np.ndarray, "H W 3"]]) -> Float[np.ndarray, "T blocks"]:
    """Mean brightness of whole blocks of every frame."""
    rows, columns = (side // _BLOCK_PX for side in frames[0].shape[:2])
    means = []
    for pixels in frames:
        inside = pixels[: rows * _BLOCK_PX, : columns * _BLOCK_PX].mean(axis=2)
        means.append(inside.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).mean(axis=(1, 3)).ravel())
    return np.array(means)


def _correlation(one: Float[np.ndarray, "T blocks"], other: Float[np.ndarray, "T blocks"]) -> Float[np.ndarray, " T"]:
    """Per row; 1 where a picture has no texture, or where most of it stays as it is but for its brightness."""
    change = other - one
    changed = np.abs(change - np.median(change, axis=1, keepdims=True)) > _CHANGED
    one, other = (values - values.mean(axis=1, keepdims=True) for values in (one, other))
    spread = one.std(axis=1), other.std(axis=1)
    telling = (np.minimum(*spread) >= _LEAST_TEXTURE) & (changed.mean(axis=1) > _CHANGED_SHARE)
    product = np.where(telling, spread[0] * spread[1], 1.0)
    return np.where(telling, (one * other).mean(axis=1) / product, 1.0)
