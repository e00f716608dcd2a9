"""What every policy can do."""

from typing import Protocol

import numpy as np
from jaxtyping import Float32

from multigen_core.records import ActionSpec, Observation

__all__ = ["Policy"]


class Policy(Protocol):
    """Decides what to do next from one observation."""

    @property
    def spec(self) -> ActionSpec:
        """What the numbers of an action mean."""

    @property
    def uses_sight(self) -> bool:
        """Whether ``Observation.rgb`` matters."""

    @property
    def uses_sound(self) -> bool:
        """Whether ``Observation.waveform`` matters."""

    @property
    def executed(self) -> int:
        """Actions of a chunk to carry out before the next decision."""

    @property
    def audio_window_s(self) -> float:
        """Length of ``Observation.waveform``."""

    def act(self, observation: Observation, seed: int) -> Float32[np.ndarray, "chunk 3"]:
        """The next actions, in the units of ``spec``; the same observation and seed give the same actions."""
