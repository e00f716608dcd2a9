"""First prompts where nobody has clicked any: a box and a point on what the pocket U-Net takes for the object."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from scipy.ndimage import distance_transform_edt, label

from multigen_core.masks.contract import MaskProvider
from multigen_core.masks.prompts import OBJECTS, Prompt
from multigen_core.palette import Palette

__all__ = ["AutomaticPrompts", "prompts_from_masks"]

_LEAST_AREA = 0.002
"""Of the picture, for an object to be there."""


class AutomaticPrompts:
    """Completes the prompts of a clip."""

    def __init__(self, masks: MaskProvider) -> None:
        self._masks = masks

    def completed(
        self, clip_id: str, frames: UInt8[np.ndarray, "T H W 3"], given: Sequence[Prompt]
    ) -> tuple[Prompt, ...]:
        """What is given, and a prompt for every other object that is seen."""
        named = {prompt.object for prompt in given}
        if named >= set(OBJECTS):
            return tuple(given)
        found = prompts_from_masks(self._masks.annotate(clip_id, frames))
        return (*given, *(prompt for prompt in found if prompt.object not in named))


def prompts_from_masks(masks: UInt8[np.ndarray, "T H W"]) -> tuple[Prompt, ...]:
    """One prompt for each object that some frame shows.

    Vessels are taken from the frame in which they are of their usual size, liquid from the frame that shows most of it.
    """
    prompts = []
    for name in OBJECTS:
        inside = masks == Palette[name.upper()]
        areas = inside.mean(axis=(1, 2))
        if areas.max() < _LEAST_AREA:
            continue
        usual = np.median(areas[areas >= _LEAST_AREA])
        frame = int(np.argmax(areas) if name == "liquid" else np.argmin(np.abs(areas - usual)))
        prompts.append(_prompt(name, frame, inside[frame]))
    return tuple(prompts)


def _prompt(name: str, frame: int, inside: Bool[np.ndarray, "H W"]) -> Prompt:
    """The box around the largest piece, and the pixel of it that is farthest from its edge."""
    pieces, _ = label(inside)
    piece = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    rows, columns = np.flatnonzero(piece.any(axis=1)), np.flatnonzero(piece.any(axis=0))
    depth = distance_transform_edt(np.pad(piece, 1))[1:-1, 1:-1]
    down, right = np.unravel_index(int(np.argmax(depth)), piece.shape)
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return Prompt(name, frame, points=((float(right), float(down)),), labels=(1,), box=box)  # type: ignore[arg-type]
