"""An eye that is shown masks instead of the picture: outlines have no colour, so no new cup or room is strange."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.palette import Palette

__all__ = ["MaskEncoder"]

_SHOWN = (Palette.POURER, Palette.RECEIVER, Palette.LIQUID)
_PICTURE = 12
"""Cells along each side of the whole picture: where everything is."""
_CUP = 16
"""Cells along each side of the box about the cup. It is as large as the cup is: a level of a half is the same row in
every cup."""
_STRAY = 0.02
"""Share of the cup's pixels that may lie beyond each side of its box."""


class MaskEncoder(nn.Module):
    """Shares of pourer, receiver and liquid in the cells of the picture and of the box about the cup, to features."""

    def __init__(self, *, features: int, image_px: int) -> None:
        super().__init__()
        self.leave = nn.Linear(len(_SHOWN) * (_PICTURE**2 + _CUP**2) + 4, features)

    def forward(self, masks: UInt8[Tensor, "B H W"]) -> Float[Tensor, "B features"]:
        """``masks`` are palette indices."""
        each = torch.stack([masks == index for index in _SHOWN], dim=1).float()  # (B, 3, H, W)
        receiver = each[:, _SHOWN.index(Palette.RECEIVER)]
        left, right = _extent(receiver.sum(dim=1))
        top, bottom = _extent(receiver.sum(dim=2))
        cup = functional.grid_sample(each, _cells(left, right, top, bottom), align_corners=False)
        picture = functional.adaptive_avg_pool2d(each, _PICTURE)
        box = torch.stack([left, right, top, bottom], dim=1)
        out: Tensor = self.leave(torch.cat([picture.flatten(1), cup.flatten(1), box], dim=1))
        return out


def _extent(profile: Float[Tensor, "B n"]) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """First and last place that belong to the thing, -1 and 1 at the picture's edges, which they are without one."""
    share = profile.cumsum(dim=1) / profile.sum(dim=1, keepdim=True).clamp(min=1.0)
    first = (share < _STRAY).sum(dim=1) % profile.shape[1]
    last = (share < 1.0 - _STRAY).sum(dim=1).clamp(max=profile.shape[1] - 1)
    return 2.0 * first / profile.shape[1] - 1.0, 2.0 * (last + 1) / profile.shape[1] - 1.0


def _cells(
    left: Float[Tensor, " B"], right: Float[Tensor, " B"], top: Float[Tensor, " B"], bottom: Float[Tensor, " B"]
) -> Float[Tensor, "B n n 2"]:
    """Centres of the box's cells, as ``grid_sample`` counts."""
    steps = (torch.arange(_CUP, device=left.device) + 0.5) / _CUP
    across = left[:, None] + (right - left)[:, None] * steps
    down = top[:, None] + (bottom - top)[:, None] * steps
    shape = (len(left), _CUP, _CUP)
    return torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=3)
