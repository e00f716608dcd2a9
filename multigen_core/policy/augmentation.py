"""What training changes at random in what is seen and heard, so that a policy does not lean on it."""

import math

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from multigen_core.dataset.windows import WindowBatch
from multigen_core.spectrogram import FLOOR

__all__ = ["augmented", "jittered_sound", "recolored"]

SHIFT_SHARE = 0.04
"""Largest shift of an image, as a share of its side."""
BRIGHTNESS = 0.15
"""Largest change of brightness, of the full range."""
CONTRAST = 0.25
COLOR_MIXING = 0.15
"""Spread of a random 3 x 3 matrix about the identity: a policy meets cups of colours that it never saw."""
GAIN_DB = 10.0
TILT_DB = 8.0
"""Largest change of level of the highest band against the lowest, half at each end."""
NOISE_FLOOR_DB = (-85.0, -25.0)
"""Level, of full-scale magnitude, of the room and the microphone's hiss in the lowest band."""
NOISE_FLOOR_TILT_DB = (-40.0, 5.0)
"""How much lower that noise is in the highest band: rooms rumble."""
HILLS, HILL_DB, HILL_BANDS = 3, (-10.0, 10.0), (5.0, 25.0)
"""Of the noise's spectrum: how many, how high, and how wide each is (standard deviation)."""
TONES, TONE_DB, TONE_BANDS = 3, (0.0, 30.0), (0.4, 1.2)
"""At most so many hums, of which each is there half of the time. An empty room's must not pass for a cup's resonance:
that one rises."""
NOISE_FLUTTER = 0.15
"""Spread of the noise from cell to cell, in units of the log10 magnitude."""
MASKED_BANDS = 8
MASKED_FRAMES = 12
"""Most bands, and most frames, that one mask covers (SpecAugment, Park et al. 2019)."""

_MIDDLE_GRAY = 127.5
_DECADE_DB = 20.0
"""One unit of the log10 magnitude."""
_TWO_NATS = 2.0 * math.log(10.0)
"""From log10 magnitude to the natural logarithm of power."""
_LOWEST = math.log10(FLOOR)


def augmented(batch: WindowBatch, rng: np.random.Generator, *, images: bool = True, sound: bool = True) -> WindowBatch:
    """The batch with image and sound changed, and the masks moved with the image; what is to be predicted stays.

    Without ``images`` or ``sound`` those are left alone, for policies without; the others change alike.
    """
    moving, painting, sounding = rng.spawn(3)
    corners = _corners(moving, batch.rgb)
    if batch.masks.numel():
        batch = batch._replace(masks=_moved(batch.masks, corners))
    if images:
        batch = batch._replace(rgb=recolored(_moved(batch.rgb, corners), painting))
    return batch._replace(log_mel=jittered_sound(batch.log_mel, sounding)) if sound else batch


def recolored(rgb: UInt8[Tensor, "B H W 3"], rng: np.random.Generator) -> UInt8[Tensor, "B H W 3"]:
    """With brightness, contrast and colours changed."""
    count = len(rgb)
    contrast = _uniform(rng, 1.0 - CONTRAST, 1.0 + CONTRAST, count)
    brightness = 255.0 * _uniform(rng, -BRIGHTNESS, BRIGHTNESS, count)
    shades = rgb.flatten(1).float().sub_(_MIDDLE_GRAY).mul_(contrast).add_(_MIDDLE_GRAY + brightness)
    mixed = torch.eye(3) + torch.from_numpy(rng.normal(0.0, COLOR_MIXING, (count, 3, 3)).astype(np.float32))
    colored = torch.bmm(shades.view(count, -1, 3), mixed)  # (B, H W, 3)
    return colored.clamp_(0.0, 255.0).to(torch.uint8).view_as(rgb)


def jittered_sound(
    log_mel: Float32[Tensor, "B mels frames"], rng: np.random.Generator
) -> Float32[Tensor, "B mels frames"]:
    """Level and tilt changed, a room's noise added, then a stripe of bands and one of frames left to the noise.

    Noise adds in power, so that a quiet pour drowns in a loud room as it does in front of a microphone. Its spectrum is
    any room's, hums included, and stands still.
    """
    count, mels, frames = log_mel.shape
    gain = _decades(rng, -GAIN_DB, GAIN_DB, count)
    tilt = _decades(rng, -TILT_DB, TILT_DB, count) * torch.linspace(-0.5, 0.5, mels)[:, None]
    level = _decades(rng, *NOISE_FLOOR_DB, count)
    slope = _decades(rng, *NOISE_FLOOR_TILT_DB, count) * torch.linspace(0.0, 1.0, mels)[:, None]
    hills = _bumps(rng, count, mels, HILLS, HILL_DB, HILL_BANDS)
    tones = _bumps(rng, count, mels, TONES, TONE_DB, TONE_BANDS, share=0.5)
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))  # half a million draws: Torch's are faster
    flutter = NOISE_FLUTTER * torch.randn(log_mel.shape, generator=generator)
    noise = (level + slope + hills + tones + flutter).clamp_(min=_LOWEST)
    # Above the smallest float by far, so that no logaddexp is needed.
    power = (_TWO_NATS * (log_mel + (gain + tilt))).exp_().add_((_TWO_NATS * noise).exp_())
    heard = power.log_().div_(_TWO_NATS)
    bands = _stripe(rng, count, mels, MASKED_BANDS)[:, :, None]
    moments = _stripe(rng, count, frames, MASKED_FRAMES)[:, None, :]
    return torch.where(bands | moments, noise, heard)


def _moved(
    pixels: UInt8[Tensor, "B H W *channels"], corners: Int64[np.ndarray, "B 2"]
) -> UInt8[Tensor, "B H W *channels"]:
    """The window whose top left corner stands there in each picture, once a margin of its edges is about it."""
    height, width = pixels.shape[1:3]
    margin = _margin(pixels)
    margins = ((0, 0), (margin, margin), (margin, margin), (0, 0))[: pixels.ndim]
    padded = torch.from_numpy(np.pad(pixels.numpy(), margins, mode="edge"))
    places = zip(padded, corners.tolist(), strict=True)
    return torch.stack([picture[top : top + height, left : left + width] for picture, (top, left) in places])


def _margin(pixels: UInt8[Tensor, "B H W *channels"]) -> int:
    return round(SHIFT_SHARE * max(pixels.shape[1:3]))


def _corners(rng: np.random.Generator, pixels: UInt8[Tensor, "B H W *channels"]) -> Int64[np.ndarray, "B 2"]:
    return rng.integers(0, 2 * _margin(pixels), (len(pixels), 2), endpoint=True)


def _bumps(
    rng: np.random.Generator,
    count: int,
    mels: int,
    most: int,
    height_db: tuple[float, float],
    width: tuple[float, float],
    *,
    share: float = 1.0,
) -> Float32[Tensor, "B mels 1"]:
    """The sum of bell curves over the bands, of which each is there with a chance of ``share``; widths in bands."""
    middle = rng.uniform(0.0, mels, (count, most, 1))
    narrow, wide = map(math.log, width)
    spread = np.exp(rng.uniform(narrow, wide, (count, most, 1)))
    height = rng.uniform(*height_db, (count, most, 1)) / _DECADE_DB * (rng.random((count, most, 1)) < share)
    bells = height * np.exp(-0.5 * ((np.arange(mels) - middle) / spread) ** 2)  # (B, most, mels)
    return torch.from_numpy(bells.sum(axis=1).astype(np.float32))[:, :, None]


def _decades(rng: np.random.Generator, low_db: float, high_db: float, count: int) -> Float32[Tensor, "B 1 1"]:
    """Uniform in decibels, given in units of the log10 magnitude."""
    return _uniform(rng, low_db / _DECADE_DB, high_db / _DECADE_DB, count)[:, None]


def _uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Float32[Tensor, "B 1"]:
    return torch.from_numpy(rng.uniform(low, high, (count, 1)).astype(np.float32))


def _stripe(rng: np.random.Generator, count: int, size: int, widest: int) -> Tensor:
    """Boolean (B, size): a run of up to ``widest`` places."""
    width = rng.integers(0, widest, (count, 1), endpoint=True)
    start = rng.integers(0, size, (count, 1))
    place = np.arange(size)
    return torch.from_numpy((place >= start) & (place < start + width))
