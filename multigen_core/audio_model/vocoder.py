"""Log-mel to waveform without a network: pseudo-inverse mel filters, then Griffin-Lim for the phase."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from multigen_core.spectrogram import HOP, N_FFT, mel_filters

__all__ = ["vocode"]

_MOMENTUM = 0.99
"""Fast Griffin-Lim (Perraudin, Balazs and Sondergaard 2013)."""
_TINY = 1e-12
_OVERLAP = N_FFT // HOP
_PAD = (N_FFT - HOP) // 2
"""As in :mod:`multigen_core.spectrogram`: frame ``k`` covers the samples from ``256 k - 384`` on."""


@cache
def _inverse_filters() -> Float[Tensor, "mels bins"]:
    return torch.linalg.pinv(mel_filters()).T.contiguous()


def vocode(
    log_mel: Float[Tensor, "batch frames mels"], *, iterations: int, seed: int
) -> Float[Tensor, "batch samples"]:
    """Waveforms of ``frames * 256`` samples whose log-mel is near the given one.

    The first phase is drawn from ``seed``; every item of the batch gets the same draw, so an item's sound does not
    depend on its neighbours.
    """
    target = (10.0**log_mel @ _inverse_filters().to(log_mel.device)).clamp(min=0.0)  # (B, frames, bins)
    generator = torch.Generator().manual_seed(seed)
    angle = (2.0 * torch.pi * torch.rand(target.shape[1:], generator=generator)).to(target.device)
    phase = torch.polar(torch.ones_like(target), angle.expand_as(target))
    window = torch.hann_window(N_FFT, device=target.device)
    norm = _overlap_add((window**2).expand(1, target.shape[1], -1)).clamp(min=1e-3)

    def padded_waveform(spectrum: Tensor) -> Tensor:
        return _overlap_add(torch.fft.irfft(spectrum) * window) / norm

    before = torch.zeros_like(phase)
    for _ in range(iterations):
        rebuilt = torch.fft.rfft(padded_waveform(target * phase).unfold(-1, N_FFT, HOP) * window)
        phase = rebuilt - before * (_MOMENTUM / (1.0 + _MOMENTUM))
        phase = phase * torch.rsqrt(phase.real**2 + phase.imag**2 + _TINY)
        before = rebuilt
    return padded_waveform(target * phase)[..., _PAD:-_PAD]


def _overlap_add(frames: Float[Tensor, "batch frames window"]) -> Float[Tensor, "batch samples"]:
    """Adds windows that start every ``HOP`` samples; several times faster than ``torch.istft``."""
    blocks = frames.reshape(*frames.shape[:2], _OVERLAP, HOP)
    total = frames.new_zeros(frames.shape[0], frames.shape[1] + _OVERLAP - 1, HOP)
    for part in range(_OVERLAP):
        total[:, part : part + frames.shape[1]] += blocks[:, :, part]
    return total.flatten(1)
