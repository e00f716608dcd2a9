"""The pocket audio model: flow matching on log-mel frames with a small transformer.

Notation, after Lipman et al. 2023 (arXiv 2210.02747) and MMAudio (arXiv 2412.15322)::

    x0  noise                x1  normalised log-mel, two frames per token
    t   flow time, 0 noise to 1 data
    xt  (1 - t) x0 + t x1    v   x1 - x0, what the network predicts
    c   mask features at the token's time and the room's level, or a learned vector where they are dropped
    mu, sigma  mean and deviation of the log-mel expected for c, found by regression; 0 and 1 where c is dropped
    s   sqrt(t^2 sigma^2 + (1 - t)^2), the deviation of xt around t mu

The flow only has to add what the expectation leaves open (as the decoder of Grad-TTS does, Popov et al. 2021, arXiv
2105.06337). Where the resonance stands is thereby learnt from every token at once, not through the noise. And silence
is silent: before a pour sigma is a twentieth of what it is in one, and noise that was left over would be heard to pour.

Attention is banded: a token sees half a training window to either side, by relative position (RoPE). A pour of any
length is therefore sampled in one piece, and there are no windows whose seams could be heard.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.audio_model.conditioning import (
    CONDITIONS,
    FALL_S,
    PITCH,
    STREAM,
    features_at,
    foot_height,
    in_room,
    mask_features,
    with_stream,
)
from multigen_core.audio_model.contract import CONFIG
from multigen_core.audio_model.ruler import Ruler, in_octaves
from multigen_core.audio_model.vocoder import vocode
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.spectrogram import FRAME_RATE_HZ, HOP, MELS

__all__ = [
    "FRAMES_PER_TOKEN",
    "TOKEN_RATE_HZ",
    "Normaliser",
    "PocketAudioModel",
    "PocketConfig",
    "PocketTransformer",
    "guided",
    "load_pocket",
    "mel_to_tokens",
    "token_times_s",
    "tokens_to_mel",
]

FRAMES_PER_TOKEN = 2
TOKEN_RATE_HZ = FRAME_RATE_HZ / FRAMES_PER_TOKEN
"""31.25 tokens per second."""
WEIGHTS = "weights.safetensors"
_WAVE_OCTAVES = 4
_LINEAR_FILTERS = 3
_ROOM = CONDITIONS.index("room_level")
_ODDEST_ROOM = 2.0
"""Standard deviations."""
_FARTHEST, _FARTHEST_PITCH = 4.0, 2.0
"""Standard deviations. Of a hundred moments at which clips pour, two lie beyond the latter."""
_LEAST_LOG_SPREAD = -4.0
_KNEE = 0.8
"""Of full scale."""
_BROAD_BANDS = 21
"""About an octave and a half where pours resonate: wider than any resonance, so that those count as shape."""


@dataclass(frozen=True)
class PocketConfig:
    """Size of the network and how it is sampled; saved beside the weights."""

    hidden: int
    depth: int
    heads: int
    window_s: float
    """Length of the training crops; a token attends to half of it on either side."""
    sampling_steps: int
    guidance: float
    """How far the shape of the spectrum is pushed beyond what the condition asks for; see :func:`guided`."""
    loudness_guidance: float
    vocoder_iterations: int

    @property
    def reach(self) -> int:
        """Tokens that attention sees to either side."""
        return round(self.window_s * TOKEN_RATE_HZ / 2)


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


def mel_to_tokens(mel: Float[Tensor, "*batch frames mels"]) -> Float[Tensor, "*batch tokens channels"]:
    """Two neighbouring frames side by side; the number of frames must be even."""
    return mel.reshape(*mel.shape[:-2], mel.shape[-2] // FRAMES_PER_TOKEN, FRAMES_PER_TOKEN * mel.shape[-1])


def tokens_to_mel(tokens: Float[Tensor, "*batch tokens channels"]) -> Float[Tensor, "*batch frames mels"]:
    """The inverse of :func:`mel_to_tokens`."""
    return tokens.reshape(*tokens.shape[:-2], tokens.shape[-2] * FRAMES_PER_TOKEN, MELS)


def token_times_s(tokens: int) -> Float[np.ndarray, " tokens"]:
    """Middle of every token."""
    return (np.arange(tokens) + 0.5) / TOKEN_RATE_HZ


class _Block(nn.Module):
    """Attention and MLP, scaled, shifted and gated by flow time (adaLN-zero, Peebles and Xie 2023).

    The MLP is also scaled and shifted per token by what the token sees. That part does not depend on the flow time,
    so that sampling computes it once for all steps.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.by_time = nn.Linear(hidden, 6 * hidden)
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.project = nn.Linear(hidden, hidden)
        self.mlp = nn.Sequential(nn.Linear(hidden, 3 * hidden), nn.SiLU(), nn.Linear(3 * hidden, hidden))
        nn.init.zeros_(self.by_time.weight)
        nn.init.zeros_(self.by_time.bias)

    def forward(self, x: Tensor, time: Tensor, sight: Tensor, rotation: Tensor, band: Tensor) -> Tensor:
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.by_time(time)[:, None].chunk(6, dim=-1)
        seen_shift, seen_scale = sight.chunk(2, dim=-1)
        y = self.norm(x) * (1.0 + scale) + shift
        parts = self.query_key_value(y).reshape(*y.shape[:2], 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # (B, h, N, d)
        y = functional.scaled_dot_product_attention(_rotate(q, rotation), _rotate(k, rotation), v, attn_mask=band)
        x = x + gate * self.project(y.transpose(1, 2).flatten(2))
        y = self.norm(x) * (1.0 + mlp_scale + seen_scale) + (mlp_shift + seen_shift)
        return x + mlp_gate * self.mlp(y)


@dataclass(frozen=True)
class Sight:
    """What the tokens see: computed once, whatever the flow time."""

    expected: Float[Tensor, "batch tokens channels"]
    """mu."""
    spread: Float[Tensor, "batch tokens channels"]
    """sigma."""
    entrance: Float[Tensor, "batch tokens hidden"]
    blocks: tuple[Float[Tensor, "batch tokens two_hidden"], ...]
    """Shift and scale for the MLP of every block."""


class PocketTransformer(nn.Module):
    """Predicts the velocity v(xt, t, c)."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.config = config
        channels = FRAMES_PER_TOKEN * MELS
        self.enter = nn.Linear(channels, hidden)
        self.enter_expected = nn.Linear(2 * channels, hidden)
        self.watch = _watching(hidden)
        self.expect = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 2 * channels))
        self.watch_to_expect = _watching(hidden)
        self.understand = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden))
        self.blind = nn.Parameter(torch.zeros(hidden))
        self.time = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(hidden, config.heads) for _ in range(config.depth))
        self.by_sight = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(config.depth))
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.leave = nn.Linear(hidden, channels)
        # Neighbouring frames overlap: a linear filter finds much of the noise, and is learnt within a few steps.
        self.linear = nn.Conv1d(channels, _LINEAR_FILTERS * channels, kernel_size=3, padding=1)
        self.linear_mix = nn.Linear(hidden, _LINEAR_FILTERS)
        for weights in (*self.leave.parameters(), *self.linear.parameters(), *self.expect[-1].parameters()):
            nn.init.zeros_(weights)

    def sight(self, features: Float[Tensor, "batch tokens conditions"], conditioned: Bool[Tensor, " batch"]) -> Sight:
        """``features`` are normalised; items that are not ``conditioned`` get a learned vector and expect nothing."""
        waves, kept = _waves(features).transpose(1, 2), conditioned[:, None, None]
        # Brought to unit size twice: at first the sight would be a whisper beside the noise, and go unheard for long.
        watched = self.watch(waves).transpose(1, 2)
        seen = self.understand(functional.layer_norm(watched, watched.shape[-1:]))
        seen = functional.layer_norm(seen, seen.shape[-1:])
        c = torch.where(kept, seen, self.blind)  # (B, N, D)
        active = functional.silu(c)
        expected, log_spread = (self.expect(self.watch_to_expect(waves).transpose(1, 2)) * kept).chunk(2, dim=-1)
        return Sight(
            expected=expected,
            spread=log_spread.clamp(min=_LEAST_LOG_SPREAD).exp(),
            entrance=c,
            blocks=tuple(layer(active) for layer in self.by_sight),
        )

    def forward(
        self, xt: Float[Tensor, "batch tokens channels"], t: Float[Tensor, " batch"], sight: Sight
    ) -> Float[Tensor, "batch tokens channels"]:
        """Velocity, preconditioned for what is expected (Karras et al. 2022, for straight paths).

        ``v = mu + (t sigma^2 - (1 - t)) / s^2 (xt - t mu) + sigma / s F`` is exact for white data with F = 0, and
        leaves the network F a target of unit variance at every t. The noise need not pass through its narrow middle.
        The regression of mu and sigma is left to its own loss.
        """
        expected, sigma = sight.expected.detach(), sight.spread.detach()
        share = t[:, None, None]
        variance = (share * sigma).square() + (1.0 - share).square()
        open_part = xt - share * expected
        noisy = open_part * variance.rsqrt()
        x = self.enter(noisy) + self.enter_expected(torch.cat([expected, sigma.log()], dim=-1)) + sight.entrance
        time = self.time(_time_embedding(t, self.config.hidden))
        rotation = _rotation(xt.shape[1], self.config.hidden // self.config.heads).to(xt.device)
        position = torch.arange(xt.shape[1], device=xt.device)
        band = (position[:, None] - position[None]).abs() <= self.config.reach
        for block, seen in zip(self.blocks, sight.blocks, strict=True):
            x = block(x, time, seen, rotation, band)
        filters = self.linear(noisy.transpose(1, 2)).reshape(len(xt), _LINEAR_FILTERS, xt.shape[2], xt.shape[1])
        filtered = torch.einsum("bkcn,bk->bnc", filters, self.linear_mix(time))
        skip = (share * sigma.square() - (1.0 - share)) / variance
        return expected + skip * open_part + (filtered + self.leave(self.norm(x))) * sigma * variance.rsqrt()


def _watching(hidden: int) -> nn.Conv1d:
    """Looks at a short stretch of features around the token: a quarter of a second tells rates from levels."""
    channels = len(CONDITIONS) + 2 * _WAVE_OCTAVES
    return nn.Conv1d(channels, hidden, kernel_size=9, padding=4, padding_mode="replicate")


def _waves(features: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch waves"]:
    """The features, and sines and cosines of the one that sets the pitch: fine differences are easier to read so."""
    angles = [features[..., PITCH, None] * (torch.pi / 4.0 * 2.0**octave) for octave in range(_WAVE_OCTAVES)]
    return torch.cat([features, *(angle.sin() for angle in angles), *(angle.cos() for angle in angles)], dim=-1)


def _time_embedding(t: Float[Tensor, " batch"], size: int) -> Float[Tensor, "batch size"]:
    frequency = torch.exp(-np.log(10_000.0) * torch.arange(size // 2, device=t.device) / (size // 2))
    angle = 1000.0 * t[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def _rotation(tokens: int, size: int) -> Float[Tensor, "tokens size 2"]:
    """Angles of RoPE (Su et al. 2021): cosines and sines, each pair of channels turning at its own speed."""
    speed = 10_000.0 ** (-torch.arange(size // 2) / (size // 2))
    angle = torch.arange(tokens)[:, None] * speed
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def _rotate(x: Tensor, rotation: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    cos, sin = rotation[..., 0], rotation[..., 1]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


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
        features = in_room(with_stream(features, features[:, STREAM] > 0.5), self._room_level(seed))
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
