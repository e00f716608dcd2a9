"""Diffusion over x0: the cosine schedule and the deterministic DDIM sampler.

    paper            here
    alpha_bar_k      signal      share of the variance that is signal at noise level k
    epsilon          noise
    x_0, x_k         clean, noisy

Noise level 0 is clean and level ``levels`` is noise alone (Nichol and Dhariwal 2021, eq. 17; Song et al. 2021,
eq. 12 with sigma = 0).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ["CosineSchedule"]

_OFFSET = 0.008
"""s of eq. 17: keeps the first levels from being too fine."""


@dataclass(frozen=True)
class CosineSchedule:
    """``alpha_bar_k = f(k) / f(0)`` with ``f(k) = cos^2((k / K + s) / (1 + s) * pi / 2)``, K = ``levels``."""

    levels: int

    def signal(self, level: Int64[Tensor, " B"]) -> Float[Tensor, " B"]:
        """alpha_bar at each noise level."""
        share = (level.double() / self.levels + _OFFSET) / (1.0 + _OFFSET)
        start = math.cos(_OFFSET / (1.0 + _OFFSET) * math.pi / 2.0) ** 2
        return (torch.cos(share * math.pi / 2.0).square() / start).clamp(0.0, 1.0).float()

    def add_noise(
        self, clean: Float[Tensor, "B T A"], noise: Float[Tensor, "B T A"], level: Int64[Tensor, " B"]
    ) -> Float[Tensor, "B T A"]:
        """``x_k = sqrt(alpha_bar_k) x_0 + sqrt(1 - alpha_bar_k) epsilon``."""
        signal = self.signal(level)[:, None, None]
        return signal.sqrt() * clean + (1.0 - signal).sqrt() * noise

    def sample(
        self,
        predict_clean: Callable[[Float[Tensor, "B T A"], Int64[Tensor, " B"]], Float[Tensor, "B T A"]],
        noise: Float[Tensor, "B T A"],
        *,
        steps: int,
    ) -> Float[Tensor, "B T A"]:
        """DDIM from pure noise to x_0 in ``steps`` calls of ``predict_clean(noisy, level)``."""
        levels = torch.linspace(self.levels, 0, steps + 1).round().long().to(noise.device)
        noisy = noise
        for level, following in pairwise(levels):
            batch = level.expand(len(noisy))
            clean = predict_clean(noisy, batch)
            signal = self.signal(batch)[:, None, None]
            implied = (noisy - signal.sqrt() * clean) / (1.0 - signal).sqrt()
            noisy = self.add_noise(clean, implied, following.expand(len(noisy)))
        return noisy
