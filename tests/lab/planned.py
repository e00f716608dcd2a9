"""The tilt that a servo plans for a script of twists at an ideal pace, on an arm that obeys at once.

The gate's acceleration limit turns every step of the twist into a ramp, so the arm goes further than the twists' sum.
"""

from collections.abc import Sequence

import numpy as np

from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.safety import Measured
from multigen_core.lab.servo import Servo, ServoOptions
from multigen_core.simulation.setup import PourSetup

__all__ = ["planned_tilts_rad"]


def planned_tilts_rad(setup: PourSetup, script: Sequence[tuple[np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Times [s] and tilts [rad] while each twist of the script is kept for so many seconds."""
    options = ServoOptions()
    servo, body, cycle_s = Servo(setup, options), ArmBody(setup.pitcher), options.limits.cycle_s
    times_s, tilts_rad = [], []
    ends_s = np.cumsum([seconds for _, seconds in script])
    for cycle in range(round(ends_s[-1] / cycle_s)):
        now_s = cycle * cycle_s
        twist = script[int(np.searchsorted(ends_s, now_s, side="right"))][0]
        servo.hear(now_s, now_s, twist)
        servo.gate.advance(now_s)
        servo.speeds(now_s, Measured(now_s, servo.gate.posture_rad))
        times_s.append(now_s)
        tilts_rad.append(body.tilt_rad(servo.gate.posture_rad))
    return np.array(times_s), np.array(tilts_rad)
