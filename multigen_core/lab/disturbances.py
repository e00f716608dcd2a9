"""What may go wrong with the senses of a lab: noise, darkness, a covered camera, a dead or a deceived microphone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.acoustics.filters import BlockConvolver, tilted_noise_response
from multigen_core.lab.robot import Task
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["DISTURBANCES", "Disturbance", "DisturbedSenses", "Played", "Sounding"]

_LIGHT_LEFT = 0.08
"""Of the picture's brightness when the lights are off: a window at dusk."""
_DARK_NOISE = 2.5
"""Spread [of 255] of a sensor's noise at the gain that darkness asks for."""
_COVERED_NOISE = 0.6
_CHATTER_TILT_DB_PER_OCTAVE = -6.0
_SYLLABLES_HZ = 4.0
_SYLLABLE_DB = 4.0
"""Spread of the level of chatter, which follows its syllables."""


@dataclass(frozen=True)
class Disturbance:
    """By default nothing is wrong."""

    chatter_snr_db: float | None = None
    """Level of a typical pour in this room (30 ml/s from 0.1 m) over people talking beside it."""
    lights_off: bool = False
    camera_covered: bool = False
    microphone_dead: bool = False
    pour_muted: bool = False
    """The room is heard, the pour is not."""


DISTURBANCES: Mapping[str, Disturbance] = {
    "none": Disturbance(),
    "chatter_20_db": Disturbance(chatter_snr_db=20.0),
    "chatter_10_db": Disturbance(chatter_snr_db=10.0),
    "chatter_5_db": Disturbance(chatter_snr_db=5.0),
    "chatter_0_db": Disturbance(chatter_snr_db=0.0),
    "lights_off": Disturbance(lights_off=True),
    "camera_covered": Disturbance(camera_covered=True),
    "microphone_dead": Disturbance(microphone_dead=True),
    "pour_muted": Disturbance(pour_muted=True),
}
"""The values of ``evaluation.disturbance``."""


Sounding = tuple[float, float, float]
"""What a pour's sound comes from: flow [ml/s], air column [m] and fall height [m]."""


@dataclass(frozen=True)
class Played:
    """The sound of another trial, played instead of the pour's own."""

    task: Task
    """Whose room and cup it was."""
    steps: tuple[Sounding, ...]
    """Of that trial; at least one."""

    def at(self, step: int) -> Sounding:
        """In a control step, the first is 1; nothing flows before it and after the last one."""
        _, air_column_m, fall_m = still = self.steps[min(max(step, 1), len(self.steps)) - 1]
        return still if 1 <= step <= len(self.steps) else (0.0, air_column_m, fall_m)


class DisturbedSenses:
    """The disturbance at work in one trial; the same seed gives the same noise."""

    def __init__(self, disturbance: Disturbance, *, pour_level_dbfs: float, samples_per_step: int, seed: int) -> None:
        self._disturbance = disturbance
        self._rng = np.random.default_rng([seed, 2])
        self._convolver = BlockConvolver(tilted_noise_response(_CHATTER_TILT_DB_PER_OCTAVE), samples_per_step)
        self._syllable_db = 0.0
        if disturbance.chatter_snr_db is not None:
            self._amplitude = 10.0 ** ((pour_level_dbfs - disturbance.chatter_snr_db) / 20.0)

    def seen(self, rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """What the camera makes of a view."""
        if self._disturbance.camera_covered:
            light, noise = 0.0, _COVERED_NOISE
        elif self._disturbance.lights_off:
            light, noise = _LIGHT_LEFT, _DARK_NOISE
        else:
            return rgb
        grain = self._rng.normal(0.0, noise, rgb.shape)
        return (light * rgb + grain).clip(0.0, 255.0).astype(np.uint8)

    def heard(self, block: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
        """What the microphone makes of a control step's sound."""
        if self._disturbance.microphone_dead:
            return np.zeros_like(block)
        if self._disturbance.chatter_snr_db is None:
            return block
        return np.tanh(block + self._chatter(len(block))).astype(np.float32)

    def _chatter(self, samples: int) -> Float32[np.ndarray, " samples"]:
        noise = self._convolver.filter(self._rng.standard_normal(samples))
        step_s = samples / SAMPLE_RATE_HZ
        memory = np.exp(-2.0 * np.pi * _SYLLABLES_HZ * step_s / 4.0)
        before = self._syllable_db
        kick = _SYLLABLE_DB * np.sqrt(1.0 - memory**2) * self._rng.standard_normal()
        self._syllable_db = memory * before + kick
        gain = 10.0 ** (np.linspace(before, self._syllable_db, samples) / 20.0)
        return (self._amplitude * gain * noise).astype(np.float32)
