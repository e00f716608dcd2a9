"""The tilt that the driver plans for a script of twists: its kinematics and its gate at an ideal pace, without a wire.

The gate's acceleration limit turns every step of the twist into a ramp, so the arm goes further than the twists' sum.
"""

import math
from collections.abc import Sequence

import numpy as np

from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.safety import Limits, Measured, SafetyGate
from multigen_core.simulation.arm_motion import LipKinematics
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.world import pour_workspace, start_lip_pose

__all__ = ["planned_tilts_rad"]

_CLEAR_RAD = math.radians(1.0)


def planned_tilts_rad(setup: PourSetup, script: Sequence[tuple[np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Times [s] and tilts [rad] while each twist of the script is kept for so many seconds."""
    limits, body = Limits(), ArmBody(setup.pitcher)
    margin_rad = limits.joint_margin_rad + _CLEAR_RAD
    turns = np.where(np.isfinite(body.limits_rad), body.limits_rad, np.inf)
    body.model.jnt_range[:] *= 1.0 - margin_rad / turns.reshape(7, 1)
    kinematics = LipKinematics(
        body.model, pour_workspace(setup), start_lip_pose(setup), joint_speed_rad_s=limits.joint_speed_rad_s
    )
    gate = SafetyGate(limits, body, kinematics.posture_rad)
    times_s, tilts_rad = [], []
    ends_s = np.cumsum([seconds for _, seconds in script])
    for cycle in range(round(ends_s[-1] / limits.cycle_s)):
        now_s = cycle * limits.cycle_s
        twist = script[int(np.searchsorted(ends_s, now_s, side="right"))][0]
        gate.advance(now_s)
        kinematics.place(gate.posture_rad)
        braking_s = float(np.abs(gate.speeds_rad_s).max()) / limits.acceleration_rad_s2
        wanted = kinematics.careful_speeds_rad_s(twist, limits.cycle_s, ahead_s=0.5 * braking_s + limits.cycle_s)
        gate.check(now_s, wanted, commanded_s=now_s, measured=Measured(now_s, gate.posture_rad, False))
        times_s.append(now_s)
        tilts_rad.append(body.tilt_rad(gate.posture_rad))
    return np.array(times_s), np.array(tilts_rad)
