"""What an eye tells, and what its maps are compared with in training: where the cup and the liquid are.

A level is a few pixels of a small picture. Told only what to do and how full the cup is, an eye learns nothing of it
(joints and goal tell nearly as much, see docs/study.md); told where the liquid is, it does. The simulator knows.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.palette import Palette

__all__ = ["SHOWN", "Seen", "WhereThingsAre", "shares"]

SHOWN = (Palette.RECEIVER, Palette.LIQUID)
"""What an eye learns to find."""
_RARITY = (5.0, 20.0)
"""How much more a cell with each of them weighs than one without: they fill a small part of the picture."""


class Seen(NamedTuple):
    """What an image encoder makes of a batch of images."""

    features: Float[Tensor, "B features"]
    maps: Float[Tensor, "B channels h w"]
    """Of whatever size; what is in a cell is told from its place in the image."""


def shares(masks: UInt8[Tensor, "B H W"], size: tuple[int, int]) -> Float[Tensor, "B 2 h w"]:
    """Of each cell of a coarse grid, what share shows the cup and what share the liquid, in the order of ``SHOWN``."""
    each = torch.stack([masks == index for index in SHOWN], dim=1).float()
    return functional.adaptive_avg_pool2d(each, size)


class WhereThingsAre(nn.Module):
    """From an eye's maps to shares of cells; only training uses it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tell = nn.Conv2d(channels, len(SHOWN), 1)

    def loss(self, maps: Float[Tensor, "B channels h w"], masks: UInt8[Tensor, "B H W"]) -> Float[Tensor, ""]:
        """Cross entropy of the shares [nat per cell], cells with something weighing more."""
        told = self.tell(maps).float()
        truth = shares(masks, (maps.shape[2], maps.shape[3]))
        rarity = told.new_tensor(_RARITY)[:, None, None]
        return functional.binary_cross_entropy_with_logits(told, truth, pos_weight=rarity)
