"""One pour of an arm that takes joint speeds: the policy's twist becomes speeds within every limit. No wire here."""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.safety import Limits, Measured, SafetyGate, Verdict, retreat_twist
from multigen_core.simulation.arm_motion import LipKinematics
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.world import pour_workspace, start_lip_pose

__all__ = ["Servo", "ServoOptions"]

_CLEAR_RAD = math.radians(1.0)
_ABANDONED_S = 1.0
"""A policy that has been silent so long is not waited for: the pitcher is tilted back."""
_HISTORY_S = 1.0


@dataclass(frozen=True)
class ServoOptions:
    """How the plan follows the policy and the arm."""

    limits: Limits = field(default_factory=Limits)
    arm_latency_s: float = 0.18
    """From a command to its motion, for comparing where the arm is with where it was sent."""
    correction_s: float = 1.0
    """Time constant with which the plan gives way to what is measured."""


class Servo:
    """Plans with the same inverse kinematics as in simulation, and lets a safety gate of its own have the last word.

    Every cycle: ``advance``, ``correct`` with what was measured, ``speeds``, and ``sent`` with what went out.
    Raises UserError when the pour's start is beyond a limit.
    """

    def __init__(self, setup: PourSetup, options: ServoOptions) -> None:
        self._options, self._body, workspace = options, ArmBody(setup.pitcher), pour_workspace(setup)
        limits = options.limits
        # The plan keeps clear of what the gate would stop.
        turns = np.where(np.isfinite(self._body.limits_rad), self._body.limits_rad, np.inf).reshape(7, 1)
        self._body.model.jnt_range[:] *= 1.0 - (limits.joint_margin_rad + _CLEAR_RAD) / turns
        self._kinematics = LipKinematics(
            self._body.model, workspace, start_lip_pose(setup), joint_speed_rad_s=limits.joint_speed_rad_s
        )
        self._least_tilt_rad = workspace.least_tilt_rad
        self.start_rad = self._kinematics.posture_rad
        """(7,) joint angles with the lip where the pour starts."""
        self.gate = SafetyGate(limits, self._body, self.start_rad)
        self.action_s = 0.0
        """When the newest action was sent, on the policy's side."""
        self._twist = np.zeros(3)
        self._heard_s = math.inf
        self.abandoned = False
        """Whether the policy was given up, for silence or nonsense."""
        self._ending = False
        self._sent: deque[tuple[float, float, Float[np.ndarray, 7]]] = deque()
        """(from, until, speeds) of the last second."""

    def stand(self, posture_rad: Float[np.ndarray, "7"]) -> None:
        """The arm stands here: the plan goes on from it."""
        self.gate = SafetyGate(self._options.limits, self._body, posture_rad)

    def hear(self, now_s: float, action_s: float, twist: Float[np.ndarray, "3"]) -> None:
        """Takes the policy's newest twist (lip velocity y, z [m/s], tilt rate [rad/s]), sent at ``action_s``.

        One that is malformed or not finite is not obeyed, and its policy is not asked again.
        """
        if self.abandoned or self._ending:
            return
        if twist.shape != (3,) or not np.isfinite(twist).all():
            self.abandoned = True
            return
        # Before the first action the arm waits for as long as it takes.
        self._twist, self.action_s, self._heard_s = twist.astype(float), action_s, now_s

    def end(self) -> None:
        """Brakes to rest, whatever is heard."""
        self._ending = True

    def correct(self, measured: Measured) -> None:
        """The plan gives way to what is measured: the arm is where it was seen, plus what it has not yet done."""
        since_s = measured.at_s - self._options.arm_latency_s
        under_way = np.zeros(7)
        for begin_s, end_s, speeds in self._sent:
            under_way += speeds * max(end_s - max(begin_s, since_s), 0.0)
        limits = self._options.limits
        off = np.asarray(measured.posture_rad) + under_way - self.gate.posture_rad
        share = limits.cycle_s / self._options.correction_s
        self.gate.shift(share * np.clip(off, -limits.astray_rad, limits.astray_rad))

    def speeds(self, now_s: float, measured: Measured) -> Verdict:
        """Joint speeds for the newest twist, or for tilting back when none has come any more."""
        limits = self._options.limits
        if now_s - self._heard_s > limits.action_s + limits.stale_command_s + _ABANDONED_S:
            self.abandoned = True
        self._kinematics.place(self.gate.posture_rad)
        if self._ending:
            twist = np.zeros(3)
        elif self.abandoned:
            twist = self._back()
        else:
            twist = self._twist
        braking_s = float(np.abs(self.gate.speeds_rad_s).max()) / limits.acceleration_rad_s2
        wanted = self._kinematics.careful_speeds_rad_s(twist, limits.cycle_s, ahead_s=0.5 * braking_s + limits.cycle_s)
        own = self.abandoned or self._ending
        return self.gate.check(
            now_s, wanted, commanded_s=now_s if own else min(self._heard_s, now_s), measured=measured
        )

    def sent(self, now_s: float, speeds_rad_s: Float[np.ndarray, "7"]) -> None:
        """These speeds went out, and hold until others do."""
        if self._sent:
            begin_s, _, before = self._sent[-1]
            self._sent[-1] = (begin_s, now_s, before)
        self._sent.append((now_s, now_s + self._options.limits.cycle_s, speeds_rad_s))
        while self._sent[0][1] < now_s - _HISTORY_S:
            self._sent.popleft()

    def _back(self) -> Float[np.ndarray, "3"]:
        """Un-tilts in place, and then stays."""
        lip = self._kinematics.lip()
        twist = retreat_twist(lip.tilt_rad, self._least_tilt_rad(lip.y_m, lip.z_m))
        return twist if twist[2] < 0.0 else np.zeros(3)
