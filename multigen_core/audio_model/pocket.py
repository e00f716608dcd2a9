"""The pocket audio model: masks in, waveforms out, by flow matching on log-mel; ``pocket_network`` has the notation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from multigen_core.audio_model.conditioning import (
    CONDITIONS,
    FALL_S,
    PITCH,
    features_at,
    foot_height,
    in_room,
    mask_features,
    pouring,
    with_stream,
)
from multigen_core.audio_model.contract import CONFIG
from multigen_core.audio_model.pocket_network import (
    FRAMES_PER_TOKEN,
    PocketConfig,
    PocketTransformer,
    mel_to_tokens,
    token_times_s,
    tokens_to_mel,
)
from multigen_core.audio_model.ruler import Ruler, in_octaves
from multigen_core.audio_model.vocoder import vocode
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.spectrogram import HOP, MELS

__all__ = ["Normaliser", "PocketAudioModel", "guided", "load_pocket"]

WEIGHTS = "weights.safetensors"
_ROOM = CONDITIONS.index("room_level")
_ODDEST_ROOM = 2.0
"""Standard deviations."""
_FARTHEST, _FARTHEST_PITCH = 4.0, 2.0
"""Standard deviations. Of a hundred moments at which clips pour, two lie beyond the latter."""
_KNEE = 0.8
"""Of full scale."""
_BROAD_BANDS = 21
"""About an octave and a half where pours resonate: wider than any resonance, so that those count as shape."""


@dataclass(frozen=True)
class Normaliser:
    """Means and deviations over the training clips, so that the network sees and makes values of unit size."""

    mel_mean: Float[Tensor, " mels"]
    mel_std: Float[Tensor, " mels"]
    feature_mean: Float[Tensor, " conditions"]
    feature_std: Float[Tensor, " conditions"]

    def features(self, values: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch features"]:
        # Far outside what was seen in training a feature says no more than "large": nearly full cups, whose pitch no
        # clip has, would get any resonance.
        farthest = torch.full_like(self.feature_mean, _FARTHEST)
        farthest[PITCH] = _FARTHEST_PITCH
        normalised = (values - self.feature_mean) / self.feature_std
        return torch.minimum(torch.maximum(normalised, -farthest), farthest)

    def mel(self, log_mel: Float[Tensor, "*batch frames mels"]) -> Float[Tensor, "*batch frames mels"]:
        return (log_mel - self.mel_mean) / self.mel_std

    def mel_inverse(self, values: Float[Tensor, "*batch frames mels"]) -> Float[Tensor, "*batch frames mels"]:
        return values * self.mel_std + self.mel_mean


def guided(
    seen: Float[Tensor, "batch tokens channels"],
    blind: Float[Tensor, "batch tokens channels"],
    *,
    shape: float,
    loudness: float,
) -> Float[Tensor, "batch tokens channels"]:
    """Classifier-free guidance ``v(none) + g (v(c) - v(none))`` (Ho and Salimans 2022), apart for shape and loudness.

    The difference is split into its running mean over ``_BROAD_BANDS`` bands and the rest. One g for both would have
    to choose: what makes a resonance stand out makes a pour too loud, and its pauses too quiet.
    """
    difference = tokens_to_mel(seen - blind)
    broad = functional.avg_pool1d(
        difference, _BROAD_BANDS, stride=1, padding=_BROAD_BANDS // 2, count_include_pad=False
    )
    pushed = (shape - 1.0) * (difference - broad) + (loudness - 1.0) * broad
    return seen + mel_to_tokens(pushed)


def _advanced(
    xt: Float[Tensor, "batch tokens channels"],
    velocity: Float[Tensor, "batch tokens channels"],
    expected: Float[Tensor, "batch tokens channels"],
    sigma: Float[Tensor, "batch tokens channels"],
    *,
    start: float,
    stop: float,
) -> Float[Tensor, "batch tokens channels"]:
    """xt at flow time ``stop`` from that at ``start``, exact for what is expected; only F counts as constant between.

    With ``theta = atan2(t sigma, 1 - t)`` the velocity of the network reads ``d/dtheta ((xt - t mu) / s) = F``. An
    Euler step would halve the fluctuations of a quiet room, in which sigma is a few hundredths.
    """
    scale, next_scale = (torch.hypot(t * sigma, torch.full_like(sigma, 1.0 - t)) for t in (start, stop))
    angle, next_angle = (torch.atan2(t * sigma, torch.full_like(sigma, 1.0 - t)) for t in (start, stop))
    open_part = xt - start * expected
    drift = (start * sigma.square() - (1.0 - start)) / scale.square()
    answer = (velocity - expected - drift * open_part) * scale / sigma
    return stop * expected + next_scale * (open_part / scale + (next_angle - angle) * answer)


class PocketAudioModel:
    """A trained network with its normaliser: masks in, waveforms out."""

    def __init__(self, network: PocketTransformer, normaliser: Normaliser, ruler: Ruler) -> None:
        self.network = network.eval()
        self.normaliser = normaliser
        self.ruler = ruler

    def generate(
        self,
        masks: Sequence[UInt8[np.ndarray, "T H W"]],
        *,
        fps: float,
        seeds: Sequence[int],
        rgb: Sequence[UInt8[np.ndarray, "T H W 3"]] | None = None,
    ) -> list[Float32[np.ndarray, " S"]]:
        """See :class:`multigen_core.audio_model.contract.AudioModel`; ``rgb`` is not looked at."""
        return [self._one(pour, fps, seed) for pour, seed in zip(masks, seeds, strict=True)]

    def _one(self, masks: UInt8[np.ndarray, "T H W"], fps: float, seed: int) -> Float32[np.ndarray, " S"]:
        samples = round(len(masks) / fps * SAMPLE_RATE_HZ)
        tokens = -(-samples // (HOP * FRAMES_PER_TOKEN))
        seen = in_octaves(mask_features(masks, fps=fps), self.ruler.scale(foot_height(masks)))
        features = features_at(seen, token_times_s(tokens) - FALL_S, fps=fps)
        features = in_room(with_stream(features, pouring(features)), self._room_level(seed))
        mel = self.sample(torch.from_numpy(features), seed=seed)
        waveform = vocode(mel[None], iterations=self.network.config.vocoder_iterations, seed=seed)[0, :samples]
        return _within_full_scale(waveform.numpy())

    def _room_level(self, seed: int) -> float:
        """Of a room that the seed draws from those of the training clips."""
        deviation = np.clip(np.random.default_rng(seed).standard_normal(), -_ODDEST_ROOM, _ODDEST_ROOM)
        return float(self.normaliser.feature_mean[_ROOM] + deviation * self.normaliser.feature_std[_ROOM])

    @torch.inference_mode()
    def sample(self, features: Float[Tensor, "tokens conditions"], *, seed: int) -> Float[Tensor, "frames mels"]:
        """Log-mel of one pour: steps from noise to data along the guided velocity."""
        config = self.network.config
        device = next(self.network.parameters()).device
        generator = torch.Generator().manual_seed(seed)
        xt = torch.randn(1, len(features), FRAMES_PER_TOKEN * MELS, generator=generator).to(device)
        pair = self.normaliser.features(features)[None].expand(2, -1, -1).to(device)
        sight = self.network.sight(pair, torch.tensor([True, False], device=device))
        for step in range(config.sampling_steps):
            start, stop = step / config.sampling_steps, (step + 1) / config.sampling_steps
            seen, blind = self.network(xt.expand(2, -1, -1), torch.full((2,), start, device=device), sight).chunk(2)
            velocity = guided(seen, blind, shape=config.guidance, loudness=config.loudness_guidance)
            xt = _advanced(xt, velocity, sight.expected[:1], sight.spread[:1], start=start, stop=stop)
        return self.normaliser.mel_inverse(tokens_to_mel(xt[0]).cpu())

    def save(self, folder: Path) -> None:
        """Writes weights with the normaliser (safetensors) and the config (JSON)."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"normaliser.{name}": value for name, value in vars(self.normaliser).items()}
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, folder / WEIGHTS)
        config = {"backend": "pocket", "conditions": list(CONDITIONS), "network": asdict(self.network.config)}
        config["ruler"] = asdict(self.ruler)
        (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def load_pocket(folder: Path) -> PocketAudioModel:
    """The model that :meth:`PocketAudioModel.save` wrote; on the GPU when there is one."""
    saved = json.loads((folder / CONFIG).read_text())
    config = PocketConfig(**saved["network"])
    tensors = load_file(folder / WEIGHTS)
    network = PocketTransformer(config)
    network.load_state_dict(_below(tensors, "network."))
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    return PocketAudioModel(network, Normaliser(**_below(tensors, "normaliser.")), Ruler(**saved["ruler"]))


def _within_full_scale(waveform: Float32[np.ndarray, " S"]) -> Float32[np.ndarray, " S"]:
    """Peaks above ``_KNEE`` are rounded off, as a microphone's amplifier does; the rest is as it was."""
    over = np.maximum(np.abs(waveform) - _KNEE, 0.0)
    rounded = _KNEE + (1.0 - _KNEE) * np.tanh(over / (1.0 - _KNEE))
    return np.where(over > 0.0, np.sign(waveform) * rounded, waveform).astype(np.float32)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
