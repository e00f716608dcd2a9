"""Log-mel to waveform without a network: pseudo-inverse mel filters, then Griffin-Lim for the phase."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from multigen_core.spectrogram import HOP, N_FFT, mel_filters

__all__ = ["vocode"]

_MOMENTUM = 0.99
"""Fast Griffin-Lim (Perraudin, Balazs and Sondergaard 2013)."""
_TINY = 1e-9


@cache
def _inverse_filters() -> Float[Tensor, "bins mels"]:
    return torch.linalg.pinv(mel_filters())


def vocode(
    log_mel: Float[Tensor, "batch mels frames"], *, iterations: int, seed: int
) -> Float[Tensor, "batch samples"]:
    """Waveforms of ``frames * 256`` samples whose log-mel is near the given one.

    The first phase is drawn from ``seed``; every item of the batch gets the same draw, so an item's sound does not
    depend on its neighbours.
    """
    target = (_inverse_filters().to(log_mel.device) @ 10.0**log_mel).clamp(min=0.0)
    # Frame k of the log-mel is centred at sample 256 k + 128. One repeated frame at each end covers the two half hops
    # that lie outside the first and last centre.
    target = torch.cat([target[..., :1], target, target[..., -1:]], dim=-1)
    samples = (target.shape[-1] - 1) * HOP
    window = torch.hann_window(N_FFT, device=log_mel.device)

    def to_waveform(spectrum: Tensor) -> Tensor:
        return torch.istft(spectrum, N_FFT, HOP, window=window, length=samples)

    def to_spectrum(waveform: Tensor) -> Tensor:
        return torch.stft(waveform, N_FFT, HOP, window=window, return_complex=True)

    generator = torch.Generator().manual_seed(seed)
    angle = 2.0 * torch.pi * torch.rand(target.shape[1:], generator=generator)
    phase = torch.polar(torch.ones_like(angle), angle).to(target.device)
    before = torch.zeros_like(target, dtype=phase.dtype)
    for _ in range(iterations):
        rebuilt = to_spectrum(to_waveform(target * phase))
        phase = rebuilt - before * (_MOMENTUM / (1.0 + _MOMENTUM))
        phase = phase / (phase.abs() + _TINY)
        before = rebuilt
    return to_waveform(target * phase)[..., HOP // 2 : samples - HOP // 2]
