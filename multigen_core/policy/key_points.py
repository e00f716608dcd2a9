"""Where in a picture something is: spatial softmax beside plain averages."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["KeyPoints"]


class KeyPoints(nn.Module):
    """Per channel the mean place under a softmax of its map, from -1 to 1 (Finn et al. 2016), and its mean."""

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3C"]:
        down, across = (torch.linspace(-1.0, 1.0, size, device=maps.device) for size in maps.shape[-2:])
        attention = maps.flatten(2).softmax(dim=2).view_as(maps)
        where_down = attention.sum(dim=3) @ down  # (B, C)
        where_across = attention.sum(dim=2) @ across
        return torch.cat([where_down, where_across, maps.relu().mean(dim=(2, 3))], dim=1)
