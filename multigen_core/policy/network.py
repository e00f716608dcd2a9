"""What is trained: senses fused into features, a head that turns them into a chunk of actions, and an auxiliary one.

The auxiliary head tells fill fraction, flow and air column from the same features, and every sense does by itself: only
training compares them with the truth, and they are what makes the features follow the liquid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.dataset.sound_window import kept_frames
from multigen_core.dataset.windows import AUXILIARY, WindowBatch
from multigen_core.policy.cloning import CloningHead
from multigen_core.policy.config import PolicyConfig
from multigen_core.policy.diffusion import DiffusionHead
from multigen_core.policy.encoders import IMAGE_ENCODERS, SOUND_ENCODERS, Encoded, ObservationEncoder
from multigen_core.policy.normaliser import Normaliser

__all__ = ["FAMILIES", "Head", "Losses", "PolicyNetwork"]


class Head(Protocol):
    """From features to a chunk of actions; all in normalised units."""

    def __init__(self, config: PolicyConfig) -> None: ...

    def loss(
        self,
        clean: Float[Tensor, "B T A"],
        features: Float[Tensor, "B F"],
        *,
        draws: int,
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        """Distance to the expert's chunks; ``draws`` and ``generator`` are for what the head leaves to chance."""

    def choose(
        self, features: Float[Tensor, "B F"], noise: Float[Tensor, "B T A"], normaliser: Normaliser
    ) -> Float[Tensor, "B T A"]:
        """Chunks within the expert's limits; ``noise`` is what a head that samples begins with."""


FAMILIES: Mapping[str, type[nn.Module]] = {"diffusion": DiffusionHead, "behaviour_cloning": CloningHead}
"""``policy.family`` -> its head."""


@dataclass(frozen=True)
class Losses:
    """Of one batch."""

    actions: Float[Tensor, ""]
    """In normalised units."""
    auxiliary: Float[Tensor, ""]
    """In normalised units: of what all features tell, and of what every sense tells by itself."""


class PolicyNetwork(nn.Module):
    """Encoder and heads, with the scales between physical units and theirs."""

    def __init__(self, config: PolicyConfig, normaliser: Normaliser) -> None:
        super().__init__()
        self.config = config
        self.normaliser = normaliser
        eye, ear = IMAGE_ENCODERS[config.image_encoder], SOUND_ENCODERS[config.sound_encoder]
        frames = kept_frames(config.audio_window_s)
        self.encoder = ObservationEncoder(
            image=eye(features=config.features, image_px=config.image_px) if config.uses_sight else None,
            sound=ear(features=config.features, frames=frames) if config.uses_sound else None,
            features=config.features,
        )
        self.head: Any = FAMILIES[config.family](config)
        self.auxiliary = nn.Linear(config.features, len(AUXILIARY))

    def encode(self, batch: WindowBatch) -> Encoded:
        """The observations of a batch."""
        out: Encoded = self.encoder(
            batch.masks if self.config.sees_masks else _normalised(batch.rgb),
            self.normaliser.log_mel.normalise(batch.log_mel[..., None])[..., 0],
            self.normaliser.joints.normalise(batch.joints_rad),
            self.normaliser.joint_speeds.normalise(batch.joint_speeds_rad_s),
            self.normaliser.goal.normalise(batch.goal_fraction),
        )
        return out

    def losses(self, batch: WindowBatch, *, draws: int = 1, generator: torch.Generator | None = None) -> Losses:
        """Of the chunk, as the head counts it, and of what is told (mean squared errors, added up).

        Without ``generator`` chance is torch's default one.
        """
        features, told = self.encode(batch)
        clean = self.normaliser.actions.normalise(batch.actions)
        truth = self.normaliser.auxiliary.normalise(batch.auxiliary)
        errors = [functional.mse_loss(one, truth) for one in (self.auxiliary(features), *told.values())]
        return Losses(
            actions=self.head.loss(clean, features, draws=draws, generator=generator),
            auxiliary=torch.stack(errors).sum(),
        )

    def decide(
        self, batch: WindowBatch, noise: Float[Tensor, "B T A"]
    ) -> tuple[Float[Tensor, "B T A"], Float[Tensor, "B 3"]]:
        """Chunks of actions, and what the auxiliary head tells, both in physical units.

        One draw of noise per observation, or many for a single one: then that many chunks.
        """
        features, _ = self.encode(batch)
        clean = self.head.choose(features.expand(len(noise), -1), noise, self.normaliser)
        told = self.normaliser.auxiliary.restore(self.auxiliary(features))
        return self.normaliser.actions.restore(clean), told


def _normalised(rgb: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
    return rgb.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1.0
