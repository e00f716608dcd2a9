"""What the pipeline's own segmenter draws on a policy's frames, in training and in trials alike.

A policy that learnt from the simulator's exact masks would meet worse ones in front of a real camera.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from multigen_core.dataset.windows import Recording
from multigen_core.experiment import Policy, Precision
from multigen_core.masks.unet import UNetProvider, load_unet
from multigen_core.progress import Progress
from multigen_core.trainer import lightning_precision

__all__ = ["SEGMENTER", "MaskDrawer", "drawer_for"]

SEGMENTER = "segmenter"
"""Value of ``policy.image_encoder`` for an eye that is shown masks; also the stage that trains what draws them."""


class MaskDrawer:
    """Draws masks of recordings, once for all that show the same frames: dubbing changes the sound alone."""

    def __init__(self, segmenter: UNetProvider, precision: Precision) -> None:
        self.segmenter = segmenter
        self._rounded = lightning_precision(precision) == "bf16-mixed"
        self._drawn: dict[bytes, UInt8[np.ndarray, "T H W"]] = {}

    def draw(self, recordings: Sequence[Recording], progress: Progress) -> list[Recording]:
        """The recordings with drawn masks in place of the simulator's."""
        drawn = []
        for number, recording in enumerate(recordings, start=1):
            drawn.append(dataclasses.replace(recording, masks=self._masks_of(recording.rgb)))
            progress.update(number, len(recordings), "recordings segmented")
        return drawn

    def _masks_of(self, rgb: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T H W"]:
        digest = hashlib.sha256(rgb.tobytes()).digest()
        if digest not in self._drawn:
            device = next(self.segmenter.network.parameters()).device.type
            with torch.autocast(device, torch.bfloat16, enabled=self._rounded):
                self._drawn[digest] = self.segmenter.annotate("frames", rgb)
        return self._drawn[digest]


def drawer_for(policy: Policy, segmenter: Path) -> MaskDrawer | None:
    """None unless the eye is shown masks. Raises MissingInput when the stage ``segmenter`` had nothing to train."""
    if policy.image_encoder != SEGMENTER:
        return None
    return MaskDrawer(load_unet(segmenter), policy.precision)
