"""The nouns that cross borders between stages.

Units stand in the names; shapes stand under each field. ``T`` is the number of control steps of an episode,
``H`` and ``W`` the image size, ``S`` the number of sound samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.containers import Container

__all__ = [
    "ACTION_SPEC",
    "SAMPLE_RATE_HZ",
    "ActionSpec",
    "Episode",
    "Json",
    "Liquid",
    "Observation",
    "Outcome",
    "Soundtrack",
    "Summary",
    "Trial",
]

SAMPLE_RATE_HZ = 16_000
"""All sound in the project is mono float32 in [-1, 1] at this rate."""

Json = float | int | str | bool | None | list["Json"] | dict[str, "Json"]
"""Plain values."""

Summary = dict[str, Json]
"""The figures a stage returns; written to ``summary.json`` of its output folder. Flat but for the report's."""

Outcome = Literal["stopped", "never_started", "never_stopped", "pitcher_empty", "sense_lost", "aborted"]
"""How a trial ended."""


@dataclass(frozen=True)
class Liquid:
    """What is poured."""

    name: str
    color: tuple[float, float, float]
    """RGB in [0, 1]."""
    opacity: float
    """0 clear to 1 opaque."""
    viscosity: float
    """XSPH coefficient of the particle solver, 0.02 (water) to 0.3 (thick)."""


@dataclass(frozen=True)
class ActionSpec:
    """What the numbers of an action mean; saved with every policy.

    An action is the twist of the pouring lip in the vertical pouring plane: the two velocities of the lip
    and the rate of tilt about it. Differential inverse kinematics turns it into joint speeds, so a policy
    does not depend on the arm (docs/decisions/action_space.md).
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    frame: str
    rate_hz: float


ACTION_SPEC = ActionSpec(
    names=("lip_velocity_y", "lip_velocity_z", "tilt_rate"),
    units=("m/s", "m/s", "rad/s"),
    frame="base",
    rate_hz=10.0,
)


@dataclass(frozen=True)
class Episode:
    """One silent simulated pour at the control rate; step ``t`` is the state in which action ``t`` is chosen."""

    episode_id: str
    seed: int
    rate_hz: float
    rgb: UInt8[np.ndarray, "T H W 3"]
    masks_plain: UInt8[np.ndarray, "T H W"]
    """Palette indices as the camera sees them: 0 background, 1 pourer, 2 receiver, 3 liquid."""
    masks_amodal: UInt8[np.ndarray, "T H W"]
    """The same, with the liquid inside the receiver shown whatever the cup is made of."""
    joints_rad: Float32[np.ndarray, "T 7"]
    actions: Float32[np.ndarray, "T 3"]
    """Units as in ``ACTION_SPEC``."""
    tilt_rad: Float32[np.ndarray, " T"]
    """Tilt of the pitcher from upright."""
    poured_ml: Float32[np.ndarray, " T"]
    """Liquid inside the receiver."""
    spilled_ml: Float32[np.ndarray, " T"]
    flow_ml_s: Float32[np.ndarray, " T"]
    """Rate at which liquid arrives in the receiver, averaged over the step before ``t``."""
    level_m: Float32[np.ndarray, " T"]
    """Height of the liquid above the receiver's inner bottom."""
    fall_height_m: Float32[np.ndarray, " T"]
    """From the pouring lip down to the liquid."""
    goal_fraction: float
    """What was asked for, as a fraction of the receiver's capacity."""
    receiver: Container
    pitcher: Container
    liquid: Liquid
    scene: Mapping[str, object]
    """Every draw of the domain randomisation, for lineage; plain JSON values."""

    @property
    def steps(self) -> int:
        return len(self.actions)

    @property
    def target_ml(self) -> float:
        return self.goal_fraction * self.receiver.capacity_ml

    @property
    def fill_fraction(self) -> Float32[np.ndarray, " T"]:
        """Poured amount over capacity."""
        return (self.poured_ml / self.receiver.capacity_ml).astype(np.float32)

    @property
    def air_column_m(self) -> Float32[np.ndarray, " T"]:
        """Height of the air above the liquid in the receiver."""
        return (self.receiver.height_m - self.level_m).astype(np.float32)


@dataclass(frozen=True)
class Soundtrack:
    """The sound of one episode."""

    episode_id: str
    waveform: Float32[np.ndarray, " S"]
    """Mono at ``SAMPLE_RATE_HZ``; S = steps * SAMPLE_RATE_HZ / rate_hz. Step ``t`` ends at sample
    ``t * SAMPLE_RATE_HZ / rate_hz``: what is heard up to the moment in which action ``t`` is chosen."""
    origin: Literal["generated", "noise", "physical"]


@dataclass(frozen=True)
class Observation:
    """What a policy knows when it decides."""

    rgb: UInt8[np.ndarray, "H W 3"]
    waveform: Float32[np.ndarray, " S"]
    """The newest sound, oldest sample first, ending now; S = audio window * SAMPLE_RATE_HZ."""
    joints_rad: Float32[np.ndarray, " 7"]
    joint_speeds_rad_s: Float32[np.ndarray, " 7"]
    """Mean over the last control step: setting out and going back look alike in a still."""
    goal_fraction: float


@dataclass(frozen=True)
class Trial:
    """One closed-loop pour of a policy in a lab: a row of the evaluation table."""

    trial: int
    ablation: str
    lab: str
    container: str
    opaque: bool
    goal_fraction: float
    target_ml: float
    capacity_ml: float
    poured_ml: float
    spilled_ml: float
    in_pitcher_ml: float
    duration_s: float
    outcome: Outcome
    seed: int

    @property
    def error(self) -> float:
        """|poured - target| / target: the trial's share of NMAE."""
        return abs(self.poured_ml - self.target_ml) / self.target_ml

    @property
    def error_of_capacity(self) -> float:
        """|poured - target| / capacity."""
        return abs(self.poured_ml - self.target_ml) / self.capacity_ml
