"""Diffusion Policy (Chi et al. 2023): a chunk of actions denoised under the features of one observation.

The network predicts the clean chunk (x0) under a cosine schedule; DDIM makes a decision in a few steps. An
auxiliary head tells fill fraction, flow and air column from the same features: only training uses it, and it is
what makes the features follow the liquid.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.dataset.sound_window import window_log_mel, window_samples
from multigen_core.dataset.windows import AUXILIARY, WindowBatch
from multigen_core.policy.encoders import ObservationEncoder
from multigen_core.policy.normaliser import Normaliser
from multigen_core.policy.schedule import CosineSchedule
from multigen_core.policy.unet import ConditionalUnet
from multigen_core.records import ActionSpec, Observation
from multigen_core.storage import write_json

__all__ = ["CONFIG", "WEIGHTS", "DiffusionConfig", "DiffusionNetwork", "DiffusionPolicy", "Losses"]

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
_DRAWS = 4
"""Noise levels per observation in training: the denoiser is cheap beside the eye and the ear."""


@dataclass(frozen=True)
class DiffusionConfig:
    """Everything but weights and scales that makes a trained policy what it is."""

    ablation: str
    uses_sound: bool
    spec: ActionSpec
    image_px: int
    audio_window_s: float
    chunk: int
    executed: int
    diffusion_steps: int
    sampling_steps: int
    sampling_noise: float = 1.0
    """Scale of the noise that :meth:`DiffusionPolicy.act` denoises. With a draw of its own at every decision a policy
    that is unsure when to stop will sooner or later draw the stop: at 1 it poured 0.4 of the goal too little, at 0 it
    stops when stopping is the likelier half."""
    features: int = 96
    width: int = 32

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "DiffusionConfig":
        spec = values["spec"]
        action_spec = ActionSpec(
            names=tuple(spec["names"]), units=tuple(spec["units"]), frame=spec["frame"], rate_hz=spec["rate_hz"]
        )
        return cls(**{**values, "spec": action_spec})


@dataclass(frozen=True)
class Losses:
    """Of one batch, both in normalised units."""

    diffusion: Float[Tensor, ""]
    auxiliary: Float[Tensor, ""]


class DiffusionNetwork(nn.Module):
    """Encoder, denoiser and auxiliary head, with the scales between physical units and theirs."""

    def __init__(self, config: DiffusionConfig, normaliser: Normaliser) -> None:
        super().__init__()
        actions = len(config.spec.names)
        self.config = config
        self.normaliser = normaliser
        self.schedule = CosineSchedule(config.diffusion_steps)
        self.encoder = ObservationEncoder(uses_sound=config.uses_sound, features=config.features)
        self.denoiser = ConditionalUnet(actions=actions, features=config.features, width=config.width)
        self.auxiliary = nn.Linear(config.features, len(AUXILIARY))

    def encode(self, batch: WindowBatch) -> Float[Tensor, "B features"]:
        """Features of the observations of a batch."""
        return self.encoder(
            batch.rgb.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1.0,
            self.normaliser.log_mel.normalise(batch.log_mel[..., None])[..., 0],
            self.normaliser.joints.normalise(batch.joints_rad),
            self.normaliser.joint_speeds.normalise(batch.joint_speeds_rad_s),
            self.normaliser.goal.normalise(batch.goal_fraction),
        )

    def losses(self, batch: WindowBatch, noise: Float[Tensor, "D T A"], level: Tensor) -> Losses:
        """Mean squared errors of the clean chunk and of the auxiliary head.

        ``noise`` and ``level`` hold ``draws`` = D / B noisy versions of every chunk, whole batch after whole batch.
        """
        features = self.encode(batch)
        draws = len(noise) // len(features)
        clean = self.normaliser.actions.normalise(batch.actions).repeat(draws, 1, 1)
        noisy = self.schedule.add_noise(clean, noise, level)
        predicted = self._predict_clean(noisy, level, features.repeat(draws, 1))
        told = self.auxiliary(features)
        return Losses(
            diffusion=functional.mse_loss(predicted, clean),
            auxiliary=functional.mse_loss(told, self.normaliser.auxiliary.normalise(batch.auxiliary)),
        )

    def random_losses(self, batch: WindowBatch) -> Losses:
        """:meth:`losses` at random noise and levels, from torch's default generator."""
        count = _DRAWS * len(batch.actions)
        noise = torch.randn(count, *batch.actions.shape[1:], device=batch.actions.device)
        level = torch.randint(1, self.config.diffusion_steps + 1, (count,), device=noise.device)
        return self.losses(batch, noise, level)

    def decide(
        self, batch: WindowBatch, noise: Float[Tensor, "B T A"]
    ) -> tuple[Float[Tensor, "B T A"], Float[Tensor, "B 3"]]:
        """Chunks of actions, and what the auxiliary head tells, both in physical units."""
        features = self.encode(batch)

        def predict(noisy: Tensor, level: Tensor) -> Tensor:
            return self.normaliser.clamp_actions(self._predict_clean(noisy, level, features))

        clean = self.schedule.sample(predict, noise, steps=self.config.sampling_steps)
        told = self.normaliser.auxiliary.restore(self.auxiliary(features))
        return self.normaliser.actions.restore(clean), told

    def _predict_clean(self, noisy: Tensor, level: Tensor, features: Tensor) -> Tensor:
        out: Tensor = self.denoiser(noisy, level.float() / self.config.diffusion_steps, features)
        return out


class DiffusionPolicy:
    """A trained network as a :class:`multigen_core.policy.contract.Policy`."""

    def __init__(self, network: DiffusionNetwork) -> None:
        self.network = network.eval()
        self.config = network.config

    @property
    def spec(self) -> ActionSpec:
        return self.config.spec

    @property
    def uses_sound(self) -> bool:
        return self.config.uses_sound

    @property
    def executed(self) -> int:
        return self.config.executed

    @property
    def audio_window_s(self) -> float:
        return self.config.audio_window_s

    @torch.inference_mode()
    def act(self, observation: Observation, seed: int) -> Float32[np.ndarray, "chunk 3"]:
        """Raises ValueError when image or sound are not of the size the policy was trained with."""
        self._check(observation)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, self.config.chunk, len(self.spec.names), generator=generator)
        noise *= self.config.sampling_noise
        actions, _ = self.network.decide(_batch_of(observation), noise)
        return actions[0].numpy()

    def save(self, folder: Path) -> None:
        """Writes ``config.json`` (with the scales) and ``weights.safetensors``."""
        values = asdict(self.config) | {"normaliser": self.network.normaliser.to_json()}
        write_json(folder / CONFIG, {"family": "diffusion"} | values)
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> "DiffusionPolicy":
        """The policy that :meth:`save` wrote."""
        values = json.loads((folder / CONFIG).read_text())
        del values["family"]
        normaliser = Normaliser.from_json(values.pop("normaliser"))
        network = DiffusionNetwork(DiffusionConfig.from_json(values), normaliser)
        network.load_state_dict(load_file(folder / WEIGHTS))
        return cls(network)

    def _check(self, observation: Observation) -> None:
        side, samples = self.config.image_px, window_samples(self.audio_window_s)
        if observation.rgb.shape != (side, side, 3):
            raise ValueError(f"image is {observation.rgb.shape}: this policy was trained on {(side, side, 3)}")
        if len(observation.waveform) != samples:
            raise ValueError(f"waveform has {len(observation.waveform)} samples: this policy hears {samples}")


def _batch_of(observation: Observation) -> WindowBatch:
    """A batch of one, with nothing to predict."""
    return WindowBatch(
        rgb=torch.from_numpy(observation.rgb)[None],
        log_mel=window_log_mel(torch.from_numpy(observation.waveform))[None],
        joints_rad=torch.from_numpy(observation.joints_rad)[None],
        joint_speeds_rad_s=torch.from_numpy(observation.joint_speeds_rad_s)[None],
        goal_fraction=torch.tensor([[observation.goal_fraction]], dtype=torch.float32),
        actions=torch.empty(1, 0, 3),
        auxiliary=torch.empty(1, 0),
    )
