"""Low-rank adaptation of a network's linear layers: W + U D with W held, U (out, rank) and D (rank, in) learned.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), arXiv 2106.09685, section 4.1, alpha = rank.
U begins at zero: at first the network is the one that is adapted.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["adapt", "merge"]


class _LowRank(nn.Module):
    def __init__(self, outputs: int, inputs: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, weight: Float[Tensor, "outputs inputs"]) -> Float[Tensor, "outputs inputs"]:
        return weight + self.up @ self.down


def adapt(network: nn.Module, rank: int) -> None:
    """Holds all that the network has and gives every linear layer a learned part of this rank."""
    network.requires_grad_(False)
    for layer in _linear_layers(network):
        outputs, inputs = layer.weight.shape
        parametrize.register_parametrization(layer, "weight", _LowRank(outputs, inputs, min(rank, outputs, inputs)))


def merge(network: nn.Module) -> None:
    """Adds the learned parts to the weights, under the names that these had before :func:`adapt`."""
    for layer in _linear_layers(network):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _linear_layers(network: nn.Module) -> Iterator[nn.Linear]:
    return (layer for layer in list(network.modules()) if isinstance(layer, nn.Linear))
