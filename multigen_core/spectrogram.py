"""The one log-mel spectrogram: in training, in generation and on the robot.

MMAudio's 16 kHz front end: 80 Slaney mel bands over 0-8 kHz, Hann window of 1,024 samples, hop 256, reflect
padding of (n_fft - hop) / 2 on both sides so that S samples give exactly S // hop frames, magnitude (not power),
log10 with floor 1e-5.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["FLOOR", "FRAME_RATE_HZ", "HOP", "MELS", "N_FFT", "log_mel", "magnitude", "mel_filters"]

MELS = 80
N_FFT = 1024
HOP = 256
FLOOR = 1e-5
FRAME_RATE_HZ = SAMPLE_RATE_HZ / HOP
"""62.5 frames per second."""


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    linear = hz * 3.0 / 200.0
    return np.where(hz < 1000.0, linear, 15.0 + 27.0 * np.log(np.maximum(hz, 1e-9) / 1000.0) / np.log(6.4))


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))


@cache
def mel_filters() -> Float[Tensor, "mels bins"]:
    """Triangular filters of equal area, shape (80, 513)."""
    bins_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, N_FFT // 2 + 1)
    top_mel = _hz_to_mel(np.array(SAMPLE_RATE_HZ / 2))
    edges_hz = _mel_to_hz(np.linspace(0.0, float(top_mel), MELS + 2))
    rising = (bins_hz[None] - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falling = (edges_hz[2:, None] - bins_hz[None]) / np.diff(edges_hz)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return torch.from_numpy((triangles * area[:, None]).astype(np.float32))


@cache
def _window() -> Tensor:
    return torch.hann_window(N_FFT)


def magnitude(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch bins frames"]:
    """Short-time spectrum, frames = samples // hop; needs more than 384 samples."""
    pad = (N_FFT - HOP) // 2
    flat = waveform.reshape(-1, waveform.shape[-1])
    padded = torch.nn.functional.pad(flat.unsqueeze(1), (pad, pad), mode="reflect").squeeze(1)
    window = _window().to(flat.device)
    spectrum = torch.stft(padded, N_FFT, HOP, window=window, center=False, return_complex=True).abs()
    return spectrum.reshape(*waveform.shape[:-1], *spectrum.shape[-2:])


def log_mel(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch mels frames"]:
    """Waveform at 16 kHz to log10 mel magnitudes, frames = samples // 256, values from -5 up."""
    mel = mel_filters().to(waveform.device) @ magnitude(waveform)
    return torch.log10(mel.clamp(min=FLOOR))
