"""Diffusion Policy (Chi et al. 2023): a chunk of actions denoised under the features of one observation.

The denoiser predicts the clean chunk (x0) under a cosine schedule; DDIM makes a decision in a few steps.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.policy.config import PolicyConfig
from multigen_core.policy.normaliser import Normaliser
from multigen_core.policy.schedule import CosineSchedule
from multigen_core.policy.unet import ConditionalUnet

__all__ = ["DiffusionHead"]


class DiffusionHead(nn.Module):
    """A member of the family of heads (contract: ``policy.network.Head``)."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.schedule = CosineSchedule(config.diffusion_steps)
        self.denoiser = ConditionalUnet(actions=len(config.spec.names), features=config.features, width=config.width)
        self._diffusion_steps, self._sampling_steps = config.diffusion_steps, config.sampling_steps

    def loss(
        self,
        clean: Float[Tensor, "B T A"],
        features: Float[Tensor, "B F"],
        *,
        draws: int,
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        """Mean squared error of the clean chunk, told from ``draws`` noisy versions of each at random levels."""
        place = generator.device if generator else clean.device
        count = draws * len(clean)
        noise = torch.randn(count, *clean.shape[1:], generator=generator, device=place).to(clean.device)
        level = torch.randint(1, self._diffusion_steps + 1, (count,), generator=generator, device=place)
        level = level.to(clean.device)
        repeated = clean.repeat(draws, 1, 1)
        noisy = self.schedule.add_noise(repeated, noise, level)
        return functional.mse_loss(self._predict_clean(noisy, level, features.repeat(draws, 1)), repeated)

    def choose(
        self, features: Float[Tensor, "B F"], noise: Float[Tensor, "B T A"], normaliser: Normaliser
    ) -> Float[Tensor, "B T A"]:
        def predict(noisy: Tensor, level: Tensor) -> Tensor:
            return normaliser.clamp_actions(self._predict_clean(noisy, level, features))

        return self.schedule.sample(predict, noise, steps=self._sampling_steps)

    def _predict_clean(self, noisy: Tensor, level: Tensor, features: Tensor) -> Tensor:
        out: Tensor = self.denoiser(noisy, level.float() / self._diffusion_steps, features)
        return out
