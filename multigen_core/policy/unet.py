"""The denoiser: a one-dimensional U-Net over the chunk of actions (Chi et al. 2023, section III-A), two levels deep."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ConditionalUnet"]

_GROUPS = 8


class _Block(nn.Module):
    """Two convolutions with a residual; the condition scales and shifts the features between them (FiLM)."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.first_norm = nn.GroupNorm(_GROUPS, outputs)
        self.film = nn.Linear(condition, 2 * outputs)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1)
        self.second_norm = nn.GroupNorm(_GROUPS, outputs)
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Float[Tensor, "B C T"], condition: Float[Tensor, "B D"]) -> Float[Tensor, "B E T"]:
        scale, shift = self.film(condition)[:, :, None].chunk(2, dim=1)
        hidden = functional.silu(self.first_norm(self.first(x)) * (1.0 + scale) + shift)
        hidden = functional.silu(self.second_norm(self.second(hidden)))
        out: Tensor = self.skip(x) + hidden
        return out


class ConditionalUnet(nn.Module):
    """Predicts the clean chunk from a noisy one, its noise level and the features of the observation."""

    def __init__(self, *, actions: int, features: int, width: int) -> None:
        super().__init__()
        self._embedding = width
        self.level = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        condition = features + width
        self.enter = nn.Conv1d(actions, width, 3, padding=1)
        self.down = _Block(width, width, condition)
        self.halve = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.middle_in = _Block(width, 2 * width, condition)
        self.middle_out = _Block(2 * width, 2 * width, condition)
        self.up = _Block(3 * width, width, condition)
        self.leave = nn.Conv1d(width, actions, 1)

    def forward(
        self, noisy: Float[Tensor, "B T A"], level: Float[Tensor, " B"], features: Float[Tensor, "B F"]
    ) -> Float[Tensor, "B T A"]:
        """``level`` in [0, 1], 1 is noise alone; any chunk length T."""
        condition = torch.cat([features, self.level(_sinusoids(level, self._embedding))], dim=1)
        fine = self.down(self.enter(noisy.transpose(1, 2)), condition)  # (B, C, T)
        coarse = self.middle_out(self.middle_in(self.halve(fine), condition), condition)  # (B, 2C, ceil(T / 2))
        wide = functional.interpolate(coarse, size=fine.shape[-1])
        out: Tensor = self.leave(self.up(torch.cat([wide, fine], dim=1), condition))
        return out.transpose(1, 2)


def _sinusoids(level: Float[Tensor, " B"], dims: int) -> Float[Tensor, "B dims"]:
    """Sines and cosines of the noise level at geometrically spaced frequencies, 1 to 1,000 rad."""
    rates = torch.exp(torch.linspace(0.0, math.log(1000.0), dims // 2, device=level.device))
    angles = level[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
