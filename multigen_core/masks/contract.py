"""What a mask provider is, and the list of the members of the family."""

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import UInt8

from multigen_core.experiment import Experiment

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["PROVIDERS", "MaskProvider", "open_provider"]


class MaskProvider(Protocol):
    """Draws the masks of one clip after the other."""

    def annotate(self, clip_id: str, frames: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T H W"]:
        """Palette indices for every pixel of the clip's RGB frames."""
        ...


PROVIDERS: dict[str, str] = {
    "unet": "multigen_core.masks.unet:open_unet",
    "sam2": "multigen_core.masks.sam2:open_sam2",
}
"""The values of ``masks.provider`` and the opener (``module:function``) of each.

An opener gets the experiment, the stage's inputs and the clip ids, and raises MissingExtra or MissingInput for
whatever it will lack, before any clip is touched.
"""


def open_provider(experiment: Experiment, inputs: "Inputs", clip_ids: Sequence[str]) -> MaskProvider:
    """The provider that ``masks.provider`` names, ready for these clips."""
    module, function = PROVIDERS[experiment.masks.provider].split(":")
    opener: Callable[[Experiment, Inputs, Sequence[str]], MaskProvider] = getattr(
        importlib.import_module(module), function
    )
    return opener(experiment, inputs, clip_ids)
