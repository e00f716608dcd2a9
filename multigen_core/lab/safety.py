"""What may reach the arm: the rules between whoever decides and the joints.

Every cycle the gate gets the wanted joint speeds and hands out the ones to send. Its one way to be careful is to
*brake*: all joints slow down in proportion, the fastest by ``acceleration * cycle``. With V the fastest joint's speed,
T = V / acceleration and R the reaction time, an arm at q with speeds v comes to rest on the line from q to

    stop(q, v) = q + v (R + T / 2)

and no point of that line that lies ahead may break a joint's margin or leave a box. Braking keeps to the line already
granted, so it is always allowed: what was safe in one cycle stays safe in the next. Starting values of all limits are
our own, not Kinova's. None of this replaces the emergency stop: a frozen computer leaves the arm at its last speed.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float

from multigen_core.errors import UserError

__all__ = ["REST_S", "Body", "Box", "Limits", "Measured", "Reason", "SafetyGate", "Verdict", "retreat_twist"]

Reason = Literal[
    "stale_command",
    "speed",
    "tilt_rate",
    "joint_margin",
    "workspace",
    "not_a_number",
    "wrong_unit",
    "stale_feedback",
    "astray",
    "arm_fault",
    "joint_count",
    "clamped_too_long",
    "connection_lost",
]
"""Why the arm does not get what was wanted. The first five clamp; those from "not_a_number" on are latched faults."""

_PARTS = (1.0, 0.5, 0.25, 0.125)
"""Between braking and what was wanted, if not all of it is safe."""
_AHEAD = (0.35, 0.7, 1.0)
"""Places on the way to rest that are looked at."""
_PROBE_S = 1e-3
_ABSURD_RAD_S = 3.0
"""No joint of this arm turns half as fast: the figure must be in degrees."""


@dataclass(frozen=True)
class Box:
    """Room for one part of the arm, in the frame of the base."""

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]

    def outside_m(self, point_m: Float[np.ndarray, "3"]) -> float:
        """How far beyond its walls; 0 inside."""
        beyond = np.maximum(np.subtract(self.low_m, point_m), np.subtract(point_m, self.high_m))
        return float(max(beyond.max(), 0.0))


_BOXES = {
    "tool": Box((0.30, -0.45, 0.03), (0.85, 0.45, 0.75)),
    "rim": Box((0.45, -0.35, 0.03), (0.85, 0.35, 0.65)),
    "elbow": Box((-0.35, -0.55, 0.20), (0.60, 0.55, 0.95)),
}


@dataclass(frozen=True)
class Limits:
    """All figures of the rules."""

    joint_speed_rad_s: float = math.radians(25.0)
    acceleration_rad_s2: float = math.radians(60.0)
    joint_margin_rad: float = math.radians(5.0)
    """Kept free before a joint's end."""
    tilt_rate_rad_s: float = math.radians(30.0)
    boxes: Mapping[str, Box] = field(default_factory=lambda: dict(_BOXES))
    cycle_s: float = 0.025
    reaction_s: float = 0.05
    """Two cycles: one may be late."""
    action_s: float = 0.1
    """An action is meant for one control step of the policy,"""
    stale_command_s: float = 0.1
    """and so long after it the arm is braked."""
    stale_feedback_s: float = 0.1
    astray_rad: float = math.radians(6.0)
    """Furthest that a joint may be from where it was sent."""
    clamps_to_abort: int = 40
    """Clamped cycles in a row: a second."""


REST_S = Limits.joint_speed_rad_s / Limits.acceleration_rad_s2 + Limits.cycle_s
"""After any fault no speed is commanded any more within this time."""


class Body(Protocol):
    """Kinematics that the rules need (``arm_body.ArmBody``)."""

    @property
    def limits_rad(self) -> Float[np.ndarray, "7"]:
        """Symmetric joint limits."""

    def points_m(self, posture_rad: Float[np.ndarray, "7"]) -> Mapping[str, Float[np.ndarray, "3"]]:
        """Parts of the arm by name."""

    def tilt_rad(self, posture_rad: Float[np.ndarray, "7"]) -> float:
        """Of the held pitcher."""


@dataclass(frozen=True)
class Measured:
    """The newest feedback."""

    at_s: float
    """When the arm was so; the clock of all times here."""
    posture_rad: Sequence[float] | Float[np.ndarray, " joints"]
    faulty: bool = False
    """The arm reports a fault or is not in the state in which it takes commands."""


@dataclass(frozen=True)
class Verdict:
    """What may be sent."""

    speeds_rad_s: Float[np.ndarray, "7"]
    reason: Reason | None
    """Why it is not what was wanted; None also while speed is only being taken up."""
    fault: Reason | None
    """Latched: nothing but zero follows until an operator clears it."""


class SafetyGate:
    """One arm's gate; it remembers speed, posture, faults and clamps."""

    def __init__(self, limits: Limits, body: Body, posture_rad: Float[np.ndarray, "7"]) -> None:
        """``posture_rad``: where the arm is, at rest. Raises UserError when no motion could start there."""
        self.limits = limits
        self._body = body
        self._least = np.where(np.isfinite(body.limits_rad), body.limits_rad - limits.joint_margin_rad, np.inf)
        self.posture_rad = np.array(posture_rad, float)
        """Where the arm will be when it has carried out what was sent so far."""
        self.speeds_rad_s = np.zeros(7)
        self.fault: Reason | None = None
        self.clamps: Counter[Reason] = Counter()
        self._streak = 0
        self._checked_s: float | None = None
        self._elapsed_s = 0.0
        if self._excess(self.posture_rad) > 0.0:
            raise UserError(
                "the arm stands outside its workspace or too near to a joint's end: move it home by hand or with"
                " Kinova's own page first"
            )

    def check(
        self,
        now_s: float,
        wanted_rad_s: Sequence[float] | Float[np.ndarray, " joints"],
        *,
        commanded_s: float,
        measured: Measured,
    ) -> Verdict:
        """The speeds to send now. ``commanded_s``: when the action behind ``wanted_rad_s`` came."""
        self.advance(now_s)
        step = self.limits.acceleration_rad_s2 * min(self._elapsed_s, self.limits.cycle_s)
        self._latch_from(now_s, wanted_rad_s, measured)
        reason: Reason | None = self.fault
        target = np.zeros(7)
        if self.fault is None:
            if now_s - commanded_s > self.limits.action_s + self.limits.stale_command_s:
                reason = "stale_command"
            else:
                target, reason = self._clamped(np.asarray(wanted_rad_s, float))
        self.speeds_rad_s, braked = self._towards(target, step)
        reason = reason or braked
        self._count(reason)
        return Verdict(self.speeds_rad_s.copy(), reason, self.fault)

    def advance(self, now_s: float) -> None:
        """The arm has gone on with the speeds sent last."""
        if now_s != self._checked_s:
            self._elapsed_s = 0.0 if self._checked_s is None else max(now_s - self._checked_s, 0.0)
            self._checked_s = now_s
            self.posture_rad = self.posture_rad + self.speeds_rad_s * self._elapsed_s

    def lose_connection(self) -> None:
        """Nothing reaches the arm any more."""
        self._latch("connection_lost")

    def halt(self, posture_rad: Float[np.ndarray, "7"]) -> None:
        """The arm was stopped by other means, there."""
        self.speeds_rad_s = np.zeros(7)
        self.posture_rad = np.array(posture_rad, float)

    def shift(self, by_rad: Float[np.ndarray, "7"]) -> None:
        """The arm turns out to be elsewhere by so much."""
        self.posture_rad = self.posture_rad + by_rad

    def clear(self, operator: str) -> None:
        """An operator has looked and takes responsibility. Raises UserError without a name or while moving."""
        if not operator.strip():
            raise UserError("a latched fault is cleared by a person: give the operator's name")
        if self.speeds_rad_s.any():
            raise UserError("the arm still moves: wait until it is at rest before the fault is cleared")
        self.fault, self._streak = None, 0

    def _latch_from(
        self, now_s: float, wanted_rad_s: Sequence[float] | Float[np.ndarray, " joints"], measured: Measured
    ) -> None:
        posture = np.asarray(measured.posture_rad, float)
        wanted = np.asarray(wanted_rad_s, float)
        if posture.shape != (7,):
            self._latch("joint_count")
        elif now_s - measured.at_s > self.limits.stale_feedback_s or not np.isfinite(posture).all():
            self._latch("stale_feedback")
        elif np.abs(posture - self.posture_rad).max() > self.limits.astray_rad + self._lag_rad():
            self._latch("astray")
        if measured.faulty:
            self._latch("arm_fault")
        if wanted.shape != (7,) or not np.isfinite(wanted).all():
            self._latch("not_a_number")
        elif np.abs(wanted).max() > _ABSURD_RAD_S:
            self._latch("wrong_unit")

    def _lag_rad(self) -> float:
        """The arm may be late by a fraction of a second."""
        return 0.3 * float(np.abs(self.speeds_rad_s).max())

    def _latch(self, reason: Reason) -> None:
        """The first fault stays."""
        self.fault = self.fault or reason

    def _clamped(self, wanted: Float[np.ndarray, "7"]) -> tuple[Float[np.ndarray, "7"], Reason | None]:
        """Slowed down as a whole, so that its direction stays."""
        fastest = float(np.abs(wanted).max())
        reason: Reason | None = None
        if fastest > self.limits.joint_speed_rad_s:
            wanted, reason = wanted * (self.limits.joint_speed_rad_s / fastest), "speed"
        rate = self._tilt_rate_rad_s(wanted)
        if rate > self.limits.tilt_rate_rad_s:
            wanted, reason = wanted * (self.limits.tilt_rate_rad_s / rate), "tilt_rate"
        return wanted, reason

    def _towards(self, target: Float[np.ndarray, "7"], step: float) -> tuple[Float[np.ndarray, "7"], Reason | None]:
        """The speeds nearest to ``target`` within one step that leave a safe way to rest."""
        brake = _shrunk(self.speeds_rad_s, step)
        change = target - self.speeds_rad_s
        largest = float(np.abs(change).max())
        candidate = target if largest <= step else self.speeds_rad_s + change * (step / largest)
        spare = self._excess_on_the_way(brake)
        reason: Reason | None = None
        for part in _PARTS:
            speeds = brake + part * (candidate - brake)
            why = self._unsafe(speeds, spare)
            if why is None:
                return speeds, reason
            reason = reason or why
        return brake, reason

    def _unsafe(self, speeds: Float[np.ndarray, "7"], spare: tuple[float, float]) -> Reason | None:
        """What is wrong with these speeds; what braking could not avoid either is no objection."""
        joints, room = self._excess_on_the_way(speeds)
        if joints > spare[0] + 1e-12:
            return "joint_margin"
        if room > spare[1] + 1e-12:
            return "workspace"
        if self._tilt_rate_rad_s(speeds) > self.limits.tilt_rate_rad_s + 1e-9:
            return "tilt_rate"
        return None

    def _excess_on_the_way(self, speeds: Float[np.ndarray, "7"]) -> tuple[float, float]:
        """Furthest beyond joint margins [rad] and out of boxes [m] until the arm has come to rest."""
        time_s = self.limits.reaction_s + float(np.abs(speeds).max()) / self.limits.acceleration_rad_s2 / 2.0
        stop = self.posture_rad + speeds * time_s
        joints = float(max((np.abs(stop) - self._least).max(), 0.0))
        room = max(self._room_excess(self.posture_rad + speeds * time_s * part) for part in _AHEAD)
        return joints, room

    def _excess(self, posture: Float[np.ndarray, "7"]) -> float:
        return max(float((np.abs(posture) - self._least).max()), self._room_excess(posture), 0.0)

    def _room_excess(self, posture: Float[np.ndarray, "7"]) -> float:
        points = self._body.points_m(posture)
        return max((box.outside_m(points[name]) for name, box in self.limits.boxes.items()), default=0.0)

    def _tilt_rate_rad_s(self, speeds: Float[np.ndarray, "7"]) -> float:
        ahead = self._body.tilt_rad(self.posture_rad + speeds * _PROBE_S)
        turned = ahead - self._body.tilt_rad(self.posture_rad - speeds * _PROBE_S)
        return abs((turned + math.pi) % (2.0 * math.pi) - math.pi) / (2.0 * _PROBE_S)

    def _count(self, reason: Reason | None) -> None:
        if reason is None or reason == "stale_command":
            self._streak = 0
            if reason:
                self.clamps[reason] += 1
            return
        self.clamps[reason] += 1
        self._streak += 1
        if self._streak >= self.limits.clamps_to_abort:
            self._latch("clamped_too_long")


def _shrunk(speeds: Float[np.ndarray, "7"], step: float) -> Float[np.ndarray, "7"]:
    """All slower in proportion, the fastest by ``step``."""
    fastest = float(np.abs(speeds).max())
    return np.zeros(7) if fastest <= step else speeds * (1.0 - step / fastest)


def retreat_twist(
    tilt_rad: float, least_tilt_rad: float, *, tilt_rate_rad_s: float = math.radians(25.0), lift_m_s: float = 0.05
) -> Float[np.ndarray, "3"]:
    """The way out of a pour that went wrong: first tilt back where the lip is, only then lift; units as in
    ``ACTION_SPEC``."""
    if tilt_rad > least_tilt_rad + math.radians(2.0):
        return np.array([0.0, 0.0, -tilt_rate_rad_s])
    return np.array([0.0, lift_m_s, 0.0])
