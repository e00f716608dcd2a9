"""The embedded mask provider: a small U-Net (Ronneberger et al. 2015) trained on simulator frames."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment
from multigen_core.palette import Palette

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["Letterbox", "PocketUNet", "UNetProvider", "load_unet", "open_unet", "save_unet"]

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
_BATCH = 32


def _convolutions(inner: int, outer: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inner, outer):
        layers += [nn.Conv2d(channels, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
    return nn.Sequential(*layers)


class PocketUNet(nn.Module):
    """Four scales from half the image size down; sides must be multiples of 16.

    The first layer sees 2 x 2 pixels at once and the last one writes as many, so that no layer runs at full size. The
    finest scale is as wide as the next one: it draws four outlines per place, and the wall of a filled glass is one
    pixel wide.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        widths = [2 * width, 2 * width, 4 * width, 8 * width]
        self.down = nn.ModuleList(
            _convolutions(inner, outer) for inner, outer in zip([12, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(_convolutions(widths[level + 1] + widths[level], widths[level]) for level in (2, 1, 0))
        self.leave = nn.Conv2d(widths[0], 4 * len(Palette), 1)

    def forward(self, images: Float[Tensor, "batch 3 H W"]) -> Float[Tensor, "batch 4 H W"]:
        """RGB in [0, 1] to logits per class."""
        x = functional.pixel_unshuffle(images - 0.5, 2)
        skips = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0), skip], dim=1))
        return functional.pixel_shuffle(self.leave(x), 2)


@dataclass(frozen=True)
class Letterbox:
    """An image of any shape in the middle of a black square, and the way back."""

    height_px: int
    width_px: int
    square_px: int

    @property
    def _inside(self) -> tuple[int, int, int, int]:
        """Top, left, height and width of the image in the square."""
        scale = self.square_px / max(self.height_px, self.width_px)
        height, width = max(1, round(self.height_px * scale)), max(1, round(self.width_px * scale))
        return (self.square_px - height) // 2, (self.square_px - width) // 2, height, width

    def fit(self, images: Float[Tensor, "batch 3 H W"]) -> Float[Tensor, "batch 3 square square"]:
        top, left, height, width = self._inside
        small = functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
        return functional.pad(small, (left, self.square_px - left - width, top, self.square_px - top - height))

    def restore(self, values: Float[Tensor, "batch 4 square square"]) -> Float[Tensor, "batch 4 H W"]:
        """Bilinear, so that what is compared per pixel afterwards has smooth outlines."""
        top, left, height, width = self._inside
        inside = values[..., top : top + height, left : left + width]
        return functional.interpolate(inside, (self.height_px, self.width_px), mode="bilinear")


class UNetProvider:
    """Segments every frame on its own."""

    def __init__(self, network: PocketUNet, *, image_px: int) -> None:
        # Channels last: convolutions of a single frame, of which policies decide, are somewhat faster so on a CPU.
        self.network: PocketUNet = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.image_px = image_px

    @torch.inference_mode()
    def annotate(self, clip_id: str, frames: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T H W"]:
        """See :class:`multigen_core.masks.contract.MaskProvider`."""
        device = next(self.network.parameters()).device
        letterbox = Letterbox(height_px=frames.shape[1], width_px=frames.shape[2], square_px=self.image_px)
        masks = []
        for start in range(0, len(frames), _BATCH):
            images = torch.from_numpy(frames[start : start + _BATCH]).to(device).permute(0, 3, 1, 2) / 255.0
            logits = letterbox.restore(self.network(letterbox.fit(images)))
            masks.append(logits.argmax(1).to(torch.uint8).cpu().numpy())
        return np.concatenate(masks)


def save_unet(network: PocketUNet, folder: Path, *, image_px: int) -> None:
    """Writes weights (safetensors) and config (JSON)."""
    save_file({name: value.cpu().contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)
    config = {"width": network.width, "image_px": image_px, "classes": [name.name.lower() for name in Palette]}
    (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def load_unet(folder: Path) -> UNetProvider:
    """What :func:`save_unet` wrote; on the GPU when there is one.

    Raises MissingInput when the folder holds no weights.
    """
    if not (folder / WEIGHTS).is_file():
        raise MissingInput(
            f"{folder} holds no U-Net: run `python -m multigen_core segmenter` with masks.provider set to unet"
        )
    config = json.loads((folder / CONFIG).read_text())
    network = PocketUNet(config["width"])
    network.load_state_dict(load_file(folder / WEIGHTS))
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    return UNetProvider(network, image_px=config["image_px"])


def open_unet(experiment: Experiment, inputs: "Inputs", clip_ids: Sequence[str]) -> UNetProvider:
    """The U-Net of the ``segmenter`` stage; it needs nothing per clip."""
    return load_unet(inputs.one("segmenter"))
