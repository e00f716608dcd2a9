"""A toy pour whose truth is known: a rectangular cup that fills, and noise that resonates with its air column."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import istft, stft

SAMPLE_RATE_HZ = 16_000
FIELD_M = 0.34
"""Width of the image at the cup."""
BOTTOM = 0.32
"""What shows of the cup below the liquid, in radii: about what the renderer shows in all of rim and bottom."""


@dataclass(frozen=True)
class Pour:
    """Masks at ``fps``, sound, and the resonance behind it."""

    masks: np.ndarray
    waveform: np.ndarray
    fps: float
    f0_hz: np.ndarray
    """Per frame."""
    flowing: np.ndarray
    """Per frame."""
    level_px: np.ndarray
    height_px: float


def pour(generator: np.random.Generator, *, duration_s: float = 6.0, fps: float = 10.0, size_px: int = 96) -> Pour:
    """One random pour: sizes, start, stop and flow are drawn."""
    frames = round(duration_s * fps)
    time_s = np.arange(frames) / fps
    height_m, radius_m = generator.uniform(0.07, 0.14), generator.uniform(0.028, 0.045)
    start_s, stop_s = generator.uniform(0.04, 0.15) * duration_s, generator.uniform(0.6, 0.95) * duration_s
    flowing = (time_s >= start_s) & (time_s < stop_s)
    rate = flowing * np.exp(gaussian_filter1d(generator.standard_normal(frames), fps) * 1.5)
    volume = np.cumsum(rate)
    fill = generator.uniform(0.4, 0.9) * volume / volume[-1]
    f0_hz = 343.0 / 4.0 / (height_m * (1.0 - fill) + 0.62 * radius_m)
    scale = size_px / FIELD_M
    return Pour(
        masks=_draw(generator, height_m * scale, radius_m * scale, fill, flowing, size_px),
        waveform=_sound(generator, f0_hz, rate / max(rate.max(), 1e-9), fps),
        fps=fps,
        f0_hz=f0_hz,
        flowing=flowing,
        level_px=fill * height_m * scale,
        height_px=height_m * scale,
    )


def _draw(generator, height_px, radius_px, fill, flowing, size_px):
    """Half-covered pixels belong to the class, as a renderer that samples pixel centres has it."""
    rows, columns = np.mgrid[:size_px, :size_px] + 0.5
    middle, bottom = size_px / 2 + generator.uniform(-6, 6), size_px * 0.9 + generator.uniform(-3, 3)
    sag = 0.12 * np.sqrt(np.clip(radius_px**2 - (columns - middle) ** 2, 0.0, None))
    across = abs(columns - middle) < radius_px
    cup = across & (rows < bottom + sag + BOTTOM * radius_px) & (rows > bottom - height_px - sag)
    masks = np.zeros((len(fill), size_px, size_px), np.uint8)
    for frame, share in enumerate(fill):
        masks[frame][cup] = 2
        if share > 0.0:
            masks[frame][across & (rows < bottom + sag) & (rows > bottom - share * height_px - sag)] = 3
        if flowing[frame]:
            masks[frame][(abs(columns - middle) < 1.5) & (rows < bottom - share * height_px) & (rows > 12)] = 3
        masks[frame, 4:16, int(middle) : int(middle) + 24] = 1
    return masks


def _sound(generator, f0_hz, loudness, fps):
    samples = round(len(f0_hz) / fps * SAMPLE_RATE_HZ)
    frequency_hz, time_s, spectrum = stft(
        generator.standard_normal(samples), SAMPLE_RATE_HZ, nperseg=1024, noverlap=768
    )
    frames_s = np.arange(len(f0_hz)) / fps
    f0 = np.interp(time_s, frames_s, f0_hz)
    gain = 0.15 + sum(
        weight / np.sqrt(1.0 + ((frequency_hz[:, None] - partial * f0) / (0.04 * partial * f0)) ** 2)
        for partial, weight in ((1, 1.0), (3, 0.5), (5, 0.25))
    )
    level = 0.003 + 0.3 * np.interp(time_s, frames_s, gaussian_filter1d(loudness, 0.5))
    _, waveform = istft(spectrum * gain * level, SAMPLE_RATE_HZ, nperseg=1024, noverlap=768)
    return np.asarray(waveform[:samples], np.float32)
