"""Plain behaviour cloning: the chunk in one pass, with the expert's mean where the expert is undecided."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.policy.config import PolicyConfig
from multigen_core.policy.normaliser import Normaliser

__all__ = ["CloningHead"]

_HIDDEN = 256


class CloningHead(nn.Module):
    """A member of the family of heads (contract: ``policy.network.Head``); it leaves nothing to chance."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self._shape = (config.chunk, len(config.spec.names))
        self.layers = nn.Sequential(
            nn.Linear(config.features, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, config.chunk * len(config.spec.names))
        )

    def loss(
        self,
        clean: Float[Tensor, "B T A"],
        features: Float[Tensor, "B F"],
        *,
        draws: int,
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        """Mean squared error of the chunk."""
        return functional.mse_loss(self._predict(features), clean)

    def choose(
        self, features: Float[Tensor, "B F"], noise: Float[Tensor, "B T A"], normaliser: Normaliser
    ) -> Float[Tensor, "B T A"]:
        return normaliser.clamp_actions(self._predict(features))

    def _predict(self, features: Tensor) -> Tensor:
        out: Tensor = self.layers(features)
        return out.view(-1, *self._shape)
