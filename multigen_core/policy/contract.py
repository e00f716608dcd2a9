"""What every policy can do, and the list of families a saved policy may belong to."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from multigen_core.errors import ConfigError, MissingInput
from multigen_core.policy.diffusion import CONFIG, DiffusionPolicy
from multigen_core.records import ActionSpec, Observation

__all__ = ["FAMILIES", "Policy", "load_policy"]


class Policy(Protocol):
    """Decides what to do next from one observation."""

    @property
    def spec(self) -> ActionSpec:
        """What the numbers of an action mean."""

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


FAMILIES: Mapping[str, Callable[[Path], Policy]] = {"diffusion": DiffusionPolicy.load}
"""Family, as ``config.json`` names it -> what loads a folder of it."""


def load_policy(folder: Path) -> Policy:
    """The policy that the training stage wrote.

    Raises MissingInput when there is none, ConfigError when its family is unknown.
    """
    if not (folder / CONFIG).is_file():
        raise MissingInput(f"{folder} holds no policy ({CONFIG} is missing): run the stage `policy` first")
    family = json.loads((folder / CONFIG).read_text())["family"]
    if family not in FAMILIES:
        raise ConfigError(f"{folder / CONFIG}: family is {family!r}; known families: {', '.join(FAMILIES)}")
    return FAMILIES[family](folder)
