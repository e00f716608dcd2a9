"""The contract of a lab: an arm that holds a filled pitcher, a cup, a camera, a microphone and a scale."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from multigen_core.containers import Container
from multigen_core.records import Observation

__all__ = ["Lab", "Readings", "Task"]


@dataclass(frozen=True)
class Task:
    """One pour that is asked for."""

    receiver: Container
    goal_fraction: float
    """Of the receiver's capacity."""
    seed: int
    """Decides everything that the lab leaves to chance, and the policy's own noise."""


@dataclass(frozen=True)
class Readings:
    """What the lab's instruments say: encoders and scales. The judge reads them; a policy never does."""

    time_s: float
    """Since the start of the trial."""
    tilt_rad: float
    """Of the pitcher from upright."""
    least_tilt_rad: float
    """Tilted less where its lip is now, the pitcher would touch the cup."""
    poured_ml: float
    """Inside the receiver."""
    flow_ml_s: float
    """Rate at which that rose during the last control step."""
    spilled_ml: float
    in_pitcher_ml: float
    halted: bool = False
    """The arm has stopped for good: an operator has to look at it."""


class Lab(Protocol):
    """Used in this order: start, then observe and act in turn, then finish; start again for the next trial."""

    @property
    def name(self) -> str:
        """As in ``evaluation.lab``."""

    @property
    def rate_hz(self) -> float:
        """Actions per second."""

    @property
    def arm_latency_s(self) -> float:
        """From sending an action to the arm's motion."""

    def start(self, task: Task) -> Readings:
        """Sets cup and filled pitcher up: the pitcher's lip near the cup, tilted so little that it is dry."""

    def observe(self) -> Observation:
        """What the sensors have delivered by now."""

    def act(self, action: Float32[np.ndarray, " 3"]) -> Readings:
        """Sends one action (units as in ``ACTION_SPEC``) and waits for one control step."""

    def finish(self) -> Readings:
        """Holds still until nothing drips any more and weighs."""
