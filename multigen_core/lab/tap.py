"""How much later than the sound the picture comes, measured from one recording of somebody tapping a cup.

At a tap something that moved stands still, and at the same moment there is a click. The picture's *stopping* (fall of
the mean change between frames) is correlated with the sound's *onset* (rise of its energy), both on one fine grid.
"""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float

from multigen_core.errors import UserError
from multigen_core.media import read_sound
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["TapOffset", "measure_tap_offset"]

_GRID_HZ = 200.0
_LONGEST_S = 0.6
_SMOOTH_S = 0.03
_CLEAR = 4.0
"""The best offset's correlation over the median of all: less is no answer."""


@dataclass(frozen=True)
class TapOffset:
    """The result."""

    picture_after_sound_s: float
    """Add it to the microphone's latency to get the camera's."""
    clearness: float
    """Peak of the correlation over its median magnitude."""


def measure_tap_offset(recording: Path) -> TapOffset:
    """Raises UserError when the recording has no picture, no sound, or no clear taps."""
    stopping, times_s = _stopping(recording)
    sound = read_sound(recording)
    if len(sound) < SAMPLE_RATE_HZ:
        raise UserError(f"{recording} has no second of sound: record picture and sound together")
    seconds = min(float(times_s[-1]), len(sound) / SAMPLE_RATE_HZ)
    grid = np.arange(0.0, seconds, 1.0 / _GRID_HZ)
    seen = _smooth(np.interp(grid, times_s, stopping))
    heard = _smooth(_onset(sound, len(grid)))
    seen, heard = seen - seen.mean(), heard - heard.mean()
    reach = round(_LONGEST_S * _GRID_HZ)
    if len(grid) < 4 * reach:
        raise UserError(f"{recording} lasts {seconds:.1f} s: tap for at least {4 * _LONGEST_S:.0f} s")
    lags = np.arange(-reach, reach + 1)
    inner = heard[reach:-reach]
    match = np.array([inner @ seen[reach + lag : len(seen) - reach + lag] for lag in lags])
    best = int(np.argmax(match))
    clearness = float(match[best] / max(np.median(np.abs(match)), 1e-12))
    if clearness < _CLEAR or not 0 < best < len(lags) - 1:
        raise UserError(f"{recording} shows no clear taps: tap a cup with a spoon, six times, well in view")
    before, here, after = match[best - 1 : best + 2]
    bend = before - 2.0 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return TapOffset(float((lags[best] + shift) / _GRID_HZ), clearness)


def _stopping(recording: Path) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Fall of the change between frames, and when."""
    changes, times = [], []
    with av.open(str(recording)) as container:
        if not container.streams.video:
            raise UserError(f"{recording} has no picture: record picture and sound together")
        before: Float[np.ndarray, "H W"] | None = None
        for frame in container.decode(video=0):
            gray = frame.to_ndarray(format="gray").astype(float)
            changes.append(0.0 if before is None else float(np.abs(gray - before).mean()))
            times.append(float(frame.time or 0.0))
            before = gray
    if len(times) < 10:
        raise UserError(f"{recording} has only {len(times)} pictures: record a few seconds")
    change = np.array(changes)
    change[0] = change[1]
    fall = np.maximum(-np.diff(change, append=change[-1]), 0.0)
    # Between this frame, the last that changed, and the next, in the middle, the thing has stopped.
    middle = 0.5 * float(np.median(np.diff(times)))
    return fall, np.array(times) - middle


def _onset(sound: Float[np.ndarray, " S"], ticks: int) -> Float[np.ndarray, " ticks"]:
    """Rise of the sound's level per tick [dB], none below a floor."""
    hop = round(SAMPLE_RATE_HZ / _GRID_HZ)
    padded = np.zeros(ticks * hop)
    padded[: min(len(sound), len(padded))] = sound[: len(padded)]
    power = (padded.reshape(ticks, hop) ** 2).mean(axis=1)
    level = 10.0 * np.log10(power + np.quantile(power, 0.5) + 1e-9)
    return np.maximum(np.diff(level, prepend=level[0]), 0.0)


def _smooth(values: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    width = round(3 * _SMOOTH_S * _GRID_HZ)
    bell = np.exp(-0.5 * (np.arange(-width, width + 1) / (_SMOOTH_S * _GRID_HZ)) ** 2)
    return np.convolve(values, bell / bell.sum(), mode="same")
