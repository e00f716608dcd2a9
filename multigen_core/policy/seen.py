"""Where an eye sees cup and liquid: shares of the cells of a coarse grid, learnt from the simulator's masks.

A level is a few pixels of a small picture. Told only what to do and how full the cup is, an eye learnt no more of it
than joints and goal tell; told where cup and liquid are, somewhat more (docs/study.md has the figures).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from multigen_core.palette import Palette

__all__ = ["GRID", "SHOWN", "Seen", "shares", "shares_loss"]

SHOWN = (Palette.RECEIVER, Palette.LIQUID)
"""What an eye learns to find."""
GRID = 12
"""Cells along each side of the image."""
_RARITY = (5.0, 20.0)
"""How much more a cell with each of them weighs than one without: they fill a small part of the picture."""


class Seen(NamedTuple):
    """What an image encoder makes of a batch of images."""

    features: Float[Tensor, "B features"]
    maps: Float[Tensor, "B channels h w"] | None
    """Of whatever size; what is in a cell is told from its place in the image. None for an eye that is given that."""


def shares(masks: UInt8[Tensor, "B H W"]) -> Float[Tensor, "B 2 grid grid"]:
    """Of each cell, what share shows the cup and what share the liquid, in the order of ``SHOWN``."""
    each = torch.stack([masks == index for index in SHOWN], dim=1).float()
    return functional.adaptive_avg_pool2d(each, GRID)


def shares_loss(told: Float[Tensor, "B 2 grid grid"], masks: UInt8[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Cross entropy [nat per cell] of shares told as logits; cells with something in them weigh more."""
    rarity = told.new_tensor(_RARITY)[:, None, None]
    return functional.binary_cross_entropy_with_logits(told, shares(masks), pos_weight=rarity)
