"""The newest sound as a log-mel that is the same in training and on the robot.

A frame of the log-mel looks at 1,024 samples around its place, so the outermost frames of a window reach beyond it.
Those ``EDGE_FRAMES`` on each side are dropped. What is left depends only on samples inside the window, wherever the
window is cut from a longer recording: training can slice one log-mel per episode instead of computing one per
sample (1,500 steps of 64 windows: 1 s instead of 60 s on two cores), and it hears nothing of the future.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.spectrogram import HOP, N_FFT, log_mel

__all__ = ["EDGE_FRAMES", "kept_frames", "long_log_mel", "window_log_mel", "window_samples"]

EDGE_FRAMES = -(-(N_FFT - HOP) // 2 // HOP)
"""Frames on each side whose analysis window reaches beyond the sound: 2."""


def window_samples(window_s: float) -> int:
    """Samples of an observation's waveform."""
    return round(window_s * SAMPLE_RATE_HZ)


def kept_frames(window_s: float) -> int:
    """Log-mel frames of an observation. Raises ValueError when the window is too short to keep any."""
    frames = window_samples(window_s) // HOP - 2 * EDGE_FRAMES
    if frames < 8:
        raise ValueError(f"audio_window_s is {window_s}: it must be at least 0.2 s")
    return frames


def window_log_mel(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch mels frames"]:
    """Log-mel of a window that ends now, without its edge frames."""
    whole = waveform[..., waveform.shape[-1] % HOP :]
    return log_mel(whole)[..., EDGE_FRAMES:-EDGE_FRAMES]


def long_log_mel(waveform: Float32[np.ndarray, " samples"], *, silence: int) -> Float32[np.ndarray, "frames mels"]:
    """Log-mel of a recording with ``silence`` frames of digital silence before it, time first.

    Rows ``n - k + EDGE_FRAMES`` to ``n - EDGE_FRAMES`` are :func:`window_log_mel` of the k hops that end
    ``(n - silence) * HOP`` samples after the recording's start.
    """
    padded = np.concatenate([np.zeros(silence * HOP, np.float32), waveform])
    return log_mel(torch.from_numpy(padded)).T.contiguous().numpy()
