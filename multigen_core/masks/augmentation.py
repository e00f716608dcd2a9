"""Makes simulator frames look like all kinds of recordings, so that the U-Net has a chance on real ones."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

__all__ = ["augment", "jpeg_like"]

_BLOCK = 8
"""Side of a JPEG block."""


@dataclass(frozen=True)
class _Draw:
    """Uniform draws, one per image of a batch."""

    generator: torch.Generator
    batch: int

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(self.batch, *shape, generator=self.generator)

    def chance(self, probability: float, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, generator=self.generator) < probability


def augment(
    images: Float[Tensor, "batch 3 H W"], masks: Int[Tensor, "batch H W"], *, generator: torch.Generator
) -> tuple[Float[Tensor, "batch 3 H W"], Int[Tensor, "batch H W"]]:
    """Random framing, paint, light, blur, compression and noise; images in [0, 1].

    Masks follow the framing; where a random patch hides the scene, they are background.
    """
    draw = _Draw(generator, len(images))
    images, masks = _framed(images, masks, draw)
    images, masks = _hidden(images, masks, draw)
    images = _painted(images, draw)
    blurred = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    images = torch.lerp(images, blurred, draw.between(-0.5, 1.0, 1, 1, 1).clamp(min=0.0))
    coarseness = draw.between(0.0, 0.08, 1, 1, 1)
    images = torch.where(draw.chance(0.5, 1, 1, 1), jpeg_like(images, coarseness), images)
    images = images + draw.between(0.0, 0.03, 1, 1, 1) * torch.randn(images.shape, generator=generator)
    return images.clamp(0.0, 1.0), masks


def _framed(images: Tensor, masks: Tensor, draw: _Draw) -> tuple[Tensor, Tensor]:
    """Mirror, zoom, stretch, turn and shift; what comes in from outside is black, as in a letterbox."""
    zoom = torch.exp(draw.between(-0.5, 0.15))
    stretch = torch.exp(draw.between(-0.15, 0.15))
    angle = draw.between(-0.14, 0.14)
    mirror = torch.where(draw.chance(0.5), -1.0, 1.0)
    across = torch.stack([mirror * angle.cos() * zoom * stretch, -angle.sin() * zoom, draw.between(-0.2, 0.2)], dim=-1)
    along = torch.stack([mirror * angle.sin() * zoom, angle.cos() * zoom / stretch, draw.between(-0.2, 0.2)], dim=-1)
    grid = functional.affine_grid(torch.stack([across, along], dim=1), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, align_corners=False)
    labels = functional.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)
    return moved, labels[:, 0].round().to(masks.dtype)


def _hidden(images: Tensor, masks: Tensor, draw: _Draw) -> tuple[Tensor, Tensor]:
    """A quarter of the images get a patch of one colour in front: a hand, a bottle, an edge of a box."""
    rows = torch.linspace(0.0, 1.0, images.shape[2])[None, :, None]
    columns = torch.linspace(0.0, 1.0, images.shape[3])[None, None]
    down, right = draw.between(0.0, 1.0, 1, 1), draw.between(0.0, 1.0, 1, 1)
    tall, wide = draw.between(0.03, 0.1, 1, 1), draw.between(0.03, 0.1, 1, 1)
    inside = ((rows - down) / tall) ** 2 + ((columns - right) / wide) ** 2 < 1.0
    inside = inside & draw.chance(0.25, 1, 1)
    color = draw.between(0.0, 1.0, 3, 1, 1)
    return torch.where(inside[:, None], color, images), masks.masked_fill(inside, 0)


def _painted(images: Tensor, draw: _Draw) -> Tensor:
    """Saturation, colour cast, gamma, contrast and brightness."""
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * draw.between(0.3, 1.4, 1, 1, 1)
    images = images * draw.between(0.85, 1.15, 3, 1, 1)
    images = images.clamp(1e-3, 1.0) ** torch.exp(draw.between(-0.3, 0.3, 1, 1, 1))
    middle = images.mean((1, 2, 3), keepdim=True)
    return middle + (images - middle) * draw.between(0.7, 1.3, 1, 1, 1) + draw.between(-0.08, 0.08, 1, 1, 1)


def jpeg_like(
    images: Float[Tensor, "batch 3 H W"], coarseness: Float[Tensor, "batch 1 1 1"]
) -> Float[Tensor, "batch 3 H W"]:
    """Rounds the cosine transform of 8 x 8 blocks, fine detail more coarsely; sides must be multiples of 8."""
    place = torch.arange(_BLOCK)
    basis = torch.cos(torch.pi / _BLOCK * (place[None] + 0.5) * place[:, None]) * (2.0 / _BLOCK) ** 0.5
    basis[0] /= 2.0**0.5  # rows are orthonormal
    batch, channels, height, width = images.shape
    grid = (batch, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    blocks = images.reshape(grid).transpose(3, 4)  # (B, 3, h, w, 8, 8)
    step = (1.0 + place[:, None] + place[None]) * coarseness[..., None, None].clamp(min=1e-4)
    spectrum = torch.round(basis @ blocks @ basis.T / step) * step
    return (basis.T @ spectrum @ basis).transpose(3, 4).reshape(images.shape)
