"""A trained network as a :class:`multigen_core.policy.contract.Policy`, and its folder on disk."""

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from safetensors.torch import load_file, save_file

from multigen_core.dataset.sound_window import window_log_mel, window_samples
from multigen_core.dataset.windows import WindowBatch
from multigen_core.errors import ConfigError, MissingInput
from multigen_core.masks.unet import UNetProvider, load_unet, save_unet
from multigen_core.policy.config import PolicyConfig
from multigen_core.policy.drawn_masks import SEGMENTER
from multigen_core.policy.network import FAMILIES, PolicyNetwork
from multigen_core.policy.normaliser import Normaliser
from multigen_core.records import ActionSpec, Observation
from multigen_core.storage import write_json

__all__ = ["CONFIG", "WEIGHTS", "TrainedPolicy", "load_policy"]

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"


class TrainedPolicy:
    """Decides with a network of any family."""

    def __init__(self, network: PolicyNetwork, segmenter: UNetProvider | None = None) -> None:
        """``segmenter`` draws what the network sees if that is masks. Raises ValueError when it is missing then."""
        if network.config.sees_masks and segmenter is None:
            raise ValueError("this policy sees masks: it needs the segmenter that draws them")
        self.network = network.eval()
        self.config = network.config
        self._segmenter = segmenter if network.config.sees_masks else None

    @property
    def spec(self) -> ActionSpec:
        return self.config.spec

    @property
    def uses_sight(self) -> bool:
        return self.config.uses_sight

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
        """The middle one, by its mean tilt rate, of ``config.samples`` chunks, in the units of ``spec``.

        Where the expert either pours on or turns back, a single draw sooner or later draws the rarer of both, and their
        mean stands still. The middle one is of the likelier kind.
        Raises ValueError when image or sound are not of the size the policy was trained with.
        """
        self._check(observation)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.config.samples, self.config.chunk, len(self.spec.names), generator=generator)
        chunks, _ = self.network.decide(self._batch_of(observation), noise)
        by_tilt = chunks[:, :, self.spec.names.index("tilt_rate")].mean(dim=1).argsort()
        return chunks[by_tilt[len(by_tilt) // 2]].numpy()

    @torch.inference_mode()
    def believe(self, observation: Observation) -> Float32[np.ndarray, " 3"]:
        """What the auxiliary head tells of the liquid: ``dataset.windows.AUXILIARY``, in its units."""
        self._check(observation)
        features, _ = self.network.encode(self._batch_of(observation))
        told = self.network.auxiliary(features)
        believed: Float32[np.ndarray, " 3"] = self.network.normaliser.auxiliary.restore(told)[0].numpy()
        return believed

    def save(self, folder: Path) -> None:
        """Writes ``config.json`` (with the scales), ``weights.safetensors`` and, where there is one, the segmenter."""
        write_json(folder / CONFIG, self.config.to_json() | {"normaliser": self.network.normaliser.to_json()})
        weights = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        if self._segmenter is not None:
            (folder / SEGMENTER).mkdir(exist_ok=True)
            save_unet(self._segmenter.network, folder / SEGMENTER, image_px=self._segmenter.image_px)

    def _batch_of(self, observation: Observation) -> WindowBatch:
        """A batch of one, with nothing to predict."""
        rgb = observation.rgb[None]
        masks = np.empty((1, 0, 0), np.uint8) if self._segmenter is None else self._segmenter.annotate("frame", rgb)
        return WindowBatch(
            rgb=torch.from_numpy(rgb),
            masks=torch.from_numpy(masks),
            log_mel=window_log_mel(torch.from_numpy(observation.waveform))[None],
            joints_rad=torch.from_numpy(observation.joints_rad)[None],
            joint_speeds_rad_s=torch.from_numpy(observation.joint_speeds_rad_s)[None],
            goal_fraction=torch.tensor([[observation.goal_fraction]], dtype=torch.float32),
            actions=torch.empty(1, 0, 3),
            auxiliary=torch.empty(1, 0),
        )

    def _check(self, observation: Observation) -> None:
        side, samples = self.config.image_px, window_samples(self.audio_window_s)
        if observation.rgb.shape != (side, side, 3):
            raise ValueError(f"image is {observation.rgb.shape}: this policy was trained on {(side, side, 3)}")
        if len(observation.waveform) != samples:
            raise ValueError(f"waveform has {len(observation.waveform)} samples: this policy hears {samples}")


def load_policy(folder: Path) -> TrainedPolicy:
    """The policy that :meth:`TrainedPolicy.save` wrote.

    Raises MissingInput when there is none, ConfigError when its family is unknown or its weights do not fit.
    """
    if not (folder / CONFIG).is_file():
        raise MissingInput(f"{folder} holds no policy ({CONFIG} is missing): run the stage `policy` first")
    values = json.loads((folder / CONFIG).read_text())
    if values["family"] not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConfigError(f"{folder / CONFIG}: family is {values['family']!r}; known families: {known}")
    normaliser = Normaliser.from_json(values.pop("normaliser"))
    config = PolicyConfig.from_json(values)
    network = PolicyNetwork(config, normaliser)
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError as error:
        raise ConfigError(
            f"{folder / WEIGHTS} was made by a version with other networks: train the policy again"
        ) from error
    return TrainedPolicy(network, load_unet(folder / SEGMENTER) if config.sees_masks else None)
