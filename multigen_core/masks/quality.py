"""Whether the masks of a clip may be trusted: the audio model learns a clip with bad ones from its sound alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import median_filter

from multigen_core.palette import Palette

__all__ = ["MaskQuality", "judge", "steadied"]

_LEAST_AREA = 0.01
"""Of the image, for a receiver to be there."""
_LEAST_SEEN = 0.9
"""Of the frames, with a receiver."""
_LEAST_LIQUID = 0.2
"""Of the frames, with liquid."""
_SPECK = 2e-4
"""Of the image: less liquid than this is none."""
_LARGEST_JUMP = 0.35
"""Change of the receiver's place or size from frame to frame, in receiver widths."""
_ALLOWED_JUMPS = 0.05
"""Of the frames."""


@dataclass(frozen=True)
class MaskQuality:
    """The verdict and the figures behind it; shares are of all frames."""

    usable: bool
    receiver_seen: float
    liquid_seen: float
    pourer_seen: float
    receiver_area: float
    """Median, as a share of the image; liquid inside counts."""
    jumps: float
    """Share of the frames in which the vessel has leapt."""


def steadied(masks: UInt8[np.ndarray, "T H W"], *, frames: int = 3) -> UInt8[np.ndarray, "T H W"]:
    """The most frequent class of each pixel over ``frames`` neighbouring frames (odd); ties keep the middle frame's."""
    votes = np.zeros((len(Palette), *masks.shape), np.int8)
    reach = frames // 2
    padded = np.pad(masks, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    for shift in range(frames):
        weight = 2 if shift != reach else 3
        for label in Palette:
            votes[label] += np.int8(weight) * (padded[shift : shift + len(masks)] == label)
    return votes.argmax(0).astype(np.uint8)


def judge(masks: UInt8[np.ndarray, "T H W"]) -> MaskQuality:
    """Usable when a receiver stands still in nearly every frame and liquid is seen in a fair part of them."""
    pixels = masks.shape[1] * masks.shape[2]
    receiver, liquid, pourer = (
        (masks == label).sum((1, 2)) / pixels for label in (Palette.RECEIVER, Palette.LIQUID, Palette.POURER)
    )
    leaps = _leaps(masks == Palette.RECEIVER)
    quality = {
        "receiver_seen": float(np.mean(receiver > _LEAST_AREA)),
        "liquid_seen": float(np.mean(liquid > _SPECK)),
        "pourer_seen": float(np.mean(pourer > _LEAST_AREA)),
        "receiver_area": float(np.median(receiver)),
        "jumps": float(np.mean(leaps > _LARGEST_JUMP)),
    }
    usable = (
        quality["receiver_seen"] >= _LEAST_SEEN
        and quality["liquid_seen"] >= _LEAST_LIQUID
        and quality["jumps"] <= _ALLOWED_JUMPS
    )
    return MaskQuality(usable=usable, **quality)


def _leaps(receiver: Bool[np.ndarray, "T H W"]) -> Float[np.ndarray, " T"]:
    """Distance of the receiver's middle column and width from their running median, in median widths; 0 without one."""
    across = np.any(receiver, axis=1)
    seen = np.any(across, axis=1)
    if not seen.any():
        return np.zeros(len(receiver))
    left = across.argmax(1)
    right = across.shape[1] - 1 - across[:, ::-1].argmax(1)
    middle, width = (left + right)[seen] / 2.0, (right - left + 1.0)[seen]
    calm_middle, calm_width = (median_filter(values, 9, mode="nearest") for values in (middle, width))
    leaps = np.zeros(len(receiver))
    leaps[seen] = np.maximum(abs(middle - calm_middle), abs(width - calm_width)) / np.median(width)
    return leaps
