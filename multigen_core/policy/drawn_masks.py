"""What the pipeline's own segmenter draws on a policy's frames, in training and in trials alike.

A policy that learnt from the simulator's exact masks would meet worse ones in front of a real camera.
"""

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from multigen_core.dataset.windows import Recording
from multigen_core.experiment import Policy, Precision
from multigen_core.masks.unet import UNetProvider, load_unet
from multigen_core.progress import Progress
from multigen_core.storage import replace_bytes
from multigen_core.trainer import lightning_precision

__all__ = ["SEGMENTER", "MaskDrawer", "drawer_for"]

SEGMENTER = "segmenter"
"""Value of ``policy.image_encoder`` for an eye that is shown masks; also the stage that trains what draws them."""
_KEPT = Path(".multigen/drawn_masks")
"""Beside the stages' outputs: whoever needs a mask again finds it here, or draws the same."""


class MaskDrawer:
    """Draws masks of recordings, once for all that show the same frames: dubbing changes the sound alone."""

    def __init__(self, segmenter: UNetProvider, precision: Precision, kept: Path) -> None:
        """``kept`` is the folder of what was drawn before, made when it is not there."""
        self.segmenter = segmenter
        self._rounded = lightning_precision(precision) == "bf16-mixed"
        self._kept = kept
        self._origin = _digest(segmenter, self._rounded)

    def draw(self, recordings: Sequence[Recording], progress: Progress) -> list[Recording]:
        """The recordings, with masks."""
        drawn = []
        for number, recording in enumerate(recordings, start=1):
            drawn.append(dataclasses.replace(recording, masks=self._masks_of(recording.rgb)))
            progress.update(number, len(recordings), "recordings segmented")
        return drawn

    def _masks_of(self, rgb: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T H W"]:
        path = self._kept / (hashlib.sha256(self._origin + rgb.tobytes()).hexdigest() + ".npz")
        if path.is_file():
            with np.load(path) as archive:
                kept: UInt8[np.ndarray, "T H W"] = archive["masks"]
            return kept
        device = next(self.segmenter.network.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._rounded):
            drawn = self.segmenter.annotate("frames", rgb)
        archive_bytes = io.BytesIO()
        np.savez_compressed(archive_bytes, masks=drawn)
        self._kept.mkdir(parents=True, exist_ok=True)
        replace_bytes(path, archive_bytes.getvalue())
        return drawn


def drawer_for(policy: Policy, segmenter: Path, root: Path) -> MaskDrawer | None:
    """None unless the eye is shown masks; ``segmenter`` is that stage's folder, ``root`` the project's.

    Raises MissingInput when the stage had nothing to train.
    """
    if policy.image_encoder != SEGMENTER:
        return None
    return MaskDrawer(load_unet(segmenter), policy.precision, root / _KEPT)


def _digest(segmenter: UNetProvider, rounded: bool) -> bytes:
    """Of all that decides what is drawn on a frame."""
    digest = hashlib.sha256(f"{segmenter.image_px} {rounded}".encode())
    for name, weights in segmenter.network.state_dict().items():
        digest.update(name.encode() + weights.cpu().numpy().tobytes())
    return digest.digest()
