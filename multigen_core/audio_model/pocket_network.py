"""The network of the pocket audio model: a small transformer over log-mel tokens.

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

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.audio_model.conditioning import CONDITIONS, PITCH
from multigen_core.spectrogram import FRAME_RATE_HZ, MELS

__all__ = [
    "FRAMES_PER_TOKEN",
    "TOKEN_RATE_HZ",
    "PocketConfig",
    "PocketTransformer",
    "Sight",
    "mel_to_tokens",
    "token_times_s",
    "tokens_to_mel",
]

FRAMES_PER_TOKEN = 2
TOKEN_RATE_HZ = FRAME_RATE_HZ / FRAMES_PER_TOKEN
"""31.25 tokens per second."""
_WAVE_OCTAVES = 4
_LINEAR_FILTERS = 3
_LEAST_LOG_SPREAD = -4.0


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
    """How far the shape of the spectrum is pushed beyond what the condition asks for; see ``pocket.guided``."""
    loudness_guidance: float
    vocoder_iterations: int

    @property
    def reach(self) -> int:
        """Tokens that attention sees to either side."""
        return round(self.window_s * TOKEN_RATE_HZ / 2)


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
