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
    """Uniform draws, one per image of a batch, pulled towards what changes nothing by the image's strength."""

    generator: torch.Generator
    strength: Float[Tensor, " batch"]
    """0 leaves an image as it is, 1 uses the whole ranges."""

    @classmethod
    def for_batch(cls, batch: int, generator: torch.Generator) -> "_Draw":
        # Most of the clips look like the simulator's frames: a third of the images stay, few become wild.
        strength = (1.4 * torch.rand(batch, generator=generator) - 0.4).clamp(min=0.0)
        return cls(generator, strength)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """The whole range whatever the strength."""
        return low + (high - low) * torch.rand(len(self.strength), *shape, generator=self.generator)

    def near(self, neutral: float, low: float, high: float, *shape: int) -> Tensor:
        """In the range, pulled towards ``neutral``."""
        strength = self.strength.reshape(-1, *[1] * len(shape))
        return neutral + strength * (self.uniform(low, high, *shape) - neutral)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """True with at most this probability."""
        return self.uniform(0.0, 1.0, *shape) < probability * self.strength.reshape(-1, *[1] * len(shape))


def augment(
    images: Float[Tensor, "batch 3 H W"], masks: Int[Tensor, "batch H W"], *, generator: torch.Generator
) -> tuple[Float[Tensor, "batch 3 H W"], Int[Tensor, "batch H W"]]:
    """Random framing, paint, light, blur, compression and noise, each image more or less; images in [0, 1].

    Masks follow the framing; where a random patch hides the scene, they are background.
    """
    draw = _Draw.for_batch(len(images), generator)
    images, masks = _framed(images, masks, draw)
    images, masks = _hidden(images, masks, draw)
    images = _painted(images, draw)
    blurred = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    images = torch.lerp(images, blurred, draw.near(0.0, 0.0, 1.0, 1, 1, 1))
    images = jpeg_like(images, draw.near(0.0, 0.0, 0.1, 1, 1, 1))
    images = images + draw.near(0.0, 0.0, 0.05, 1, 1, 1) * torch.randn(images.shape, generator=generator)
    return images.clamp(0.0, 1.0), masks


def _framed(images: Tensor, masks: Tensor, draw: _Draw) -> tuple[Tensor, Tensor]:
    """Mirror, zoom, stretch, turn and shift; what comes in from outside is black, as in a letterbox."""
    zoom = torch.exp(draw.near(0.0, -0.6, 0.2))
    stretch = torch.exp(draw.near(0.0, -0.15, 0.15))
    angle = draw.near(0.0, -0.15, 0.15)
    mirror = torch.where(draw.uniform(0.0, 1.0) < 0.5, -1.0, 1.0)
    shift = draw.near(0.0, -0.25, 0.25, 2)
    across = torch.stack([mirror * angle.cos() * zoom * stretch, -angle.sin() * zoom, shift[:, 0]], dim=-1)
    along = torch.stack([mirror * angle.sin() * zoom, angle.cos() * zoom / stretch, shift[:, 1]], dim=-1)
    grid = functional.affine_grid(torch.stack([across, along], dim=1), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, align_corners=False)
    labels = functional.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)
    return moved, labels[:, 0].round().to(masks.dtype)


def _hidden(images: Tensor, masks: Tensor, draw: _Draw) -> tuple[Tensor, Tensor]:
    """Some images get a patch of one colour in front: a hand, a bottle, an edge of a box."""
    rows = torch.linspace(0.0, 1.0, images.shape[2])[None, :, None]
    columns = torch.linspace(0.0, 1.0, images.shape[3])[None, None]
    down, right = draw.uniform(0.0, 1.0, 1, 1), draw.uniform(0.0, 1.0, 1, 1)
    tall, wide = draw.uniform(0.03, 0.12, 1, 1), draw.uniform(0.03, 0.12, 1, 1)
    inside = ((rows - down) / tall) ** 2 + ((columns - right) / wide) ** 2 < 1.0
    inside = inside & draw.chance(0.5, 1, 1)
    color = draw.uniform(0.0, 1.0, 3, 1, 1)
    return torch.where(inside[:, None], color, images), masks.masked_fill(inside, 0)


def _painted(images: Tensor, draw: _Draw) -> Tensor:
    """Saturation, colour cast, gamma, contrast and brightness."""
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * draw.near(1.0, 0.0, 1.5, 1, 1, 1)
    images = images * draw.near(1.0, 0.75, 1.25, 3, 1, 1)
    images = images.clamp(1e-3, 1.0) ** torch.exp(draw.near(0.0, -0.5, 0.5, 1, 1, 1))
    middle = images.mean((1, 2, 3), keepdim=True)
    return middle + (images - middle) * draw.near(1.0, 0.6, 1.4, 1, 1, 1) + draw.near(0.0, -0.12, 0.12, 1, 1, 1)


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
