"""An eye that is shown masks instead of the picture: outlines have no colour, so no new cup or room is strange."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.palette import Palette
from multigen_core.policy.seen import Seen

__all__ = ["MaskEncoder"]

SHOWN = (Palette.POURER, Palette.RECEIVER, Palette.LIQUID)
_PICTURE = 12
"""Cells along each side of the whole picture: where everything is."""
_WINDOW = 24
"""Cells along each side of a window of half the picture's side about the cup: the level."""


class MaskEncoder(nn.Module):
    """Shares of pourer, receiver and liquid in the cells of the picture and of a window about the cup, to features."""

    channels = 0
    """It tells nothing of where things are: that is what it is given."""

    def __init__(self, *, features: int, image_px: int) -> None:
        super().__init__()
        self.leave = nn.Linear(len(SHOWN) * (_PICTURE**2 + _WINDOW**2) + 2, features)

    def forward(self, masks: Float[Tensor, "B H W"]) -> Seen:
        """``masks`` are palette indices."""
        each = torch.stack([masks == index for index in SHOWN], dim=1).float()  # (B, 3, H, W)
        fine = functional.adaptive_avg_pool2d(each, 2 * _WINDOW)
        middle = _middle(fine[:, SHOWN.index(Palette.RECEIVER) :].sum(dim=1))
        window = functional.grid_sample(fine, _places(middle), padding_mode="zeros", align_corners=False)
        picture = functional.adaptive_avg_pool2d(fine, _PICTURE)
        return Seen(self.leave(torch.cat([picture.flatten(1), window.flatten(1), middle], dim=1)), None)


def _middle(shares: Float[Tensor, "B h w"]) -> Float[Tensor, "B 2"]:
    """Centre of mass, across and down, each from -1 to 1; the picture's own centre when nothing is there."""
    height, width = shares.shape[1:]
    across = (torch.arange(width, device=shares.device) + 0.5) * 2.0 / width - 1.0
    down = (torch.arange(height, device=shares.device) + 0.5) * 2.0 / height - 1.0
    total = shares.sum(dim=(1, 2)).clamp(min=1e-6)
    return torch.stack([shares.sum(dim=1) @ across / total, shares.sum(dim=2) @ down / total], dim=1)


def _places(middle: Float[Tensor, "B 2"]) -> Float[Tensor, "B n n 2"]:
    """Where a window's cells lie, as ``grid_sample`` counts: half the picture wide."""
    steps = (torch.arange(_WINDOW, device=middle.device) + 0.5) / _WINDOW - 0.5
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    return middle[:, None, None, :] + torch.stack([across, down], dim=2)
