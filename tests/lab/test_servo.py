"""The plan of one pour: what becomes of the policy's twists, and of its silence."""

import numpy as np
import pytest

from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.conditions import LAB_RANGES
from multigen_core.lab.safety import Measured
from multigen_core.lab.servo import Servo, ServoOptions
from multigen_core.simulation.randomisation import draw_setup
from multigen_core.simulation.setup import PourSetup

TILT = np.array([0.0, 0.0, 0.3])


class Bench:
    """A servo at an ideal pace, with an arm that is wherever its gate believes it to be, or ``off_rad`` beside it."""

    def __init__(self, setup: PourSetup) -> None:
        self.options = ServoOptions(arm_latency_s=0.0)
        self.servo, self.body = Servo(setup, self.options), ArmBody(setup.pitcher)
        self.now_s = 0.0
        self.off_rad = np.zeros(7)

    def run(self, seconds: float, twist: np.ndarray | None) -> None:
        for _ in range(round(seconds / self.options.limits.cycle_s)):
            self.now_s += self.options.limits.cycle_s
            if twist is not None:
                self.servo.hear(self.now_s, self.now_s, twist)
            self.servo.gate.advance(self.now_s)
            measured = Measured(self.now_s, self.servo.gate.posture_rad + self.off_rad)
            before = self.servo.gate.posture_rad
            self.servo.correct(measured)
            self.off_rad -= self.servo.gate.posture_rad - before
            verdict = self.servo.speeds(self.now_s, Measured(self.now_s, self.servo.gate.posture_rad + self.off_rad))
            self.servo.sent(self.now_s, np.zeros(7))
            assert verdict.fault is None

    @property
    def tilt_rad(self) -> float:
        return self.body.tilt_rad(self.servo.gate.posture_rad)

    @property
    def rests(self) -> bool:
        return bool(np.abs(self.servo.gate.speeds_rad_s).max() < 1e-3)


@pytest.fixture
def bench() -> Bench:
    return Bench(draw_setup(3, LAB_RANGES))


def test_a_kept_twist_tilts_at_its_rate(bench: Bench) -> None:
    bench.run(1.0, TILT)
    began_rad = bench.tilt_rad
    bench.run(1.0, TILT)
    assert bench.tilt_rad - began_rad == pytest.approx(0.3, rel=0.03)


def test_before_the_first_action_the_arm_waits_as_long_as_it_takes(bench: Bench) -> None:
    bench.run(5.0, None)
    np.testing.assert_allclose(bench.servo.gate.posture_rad, bench.servo.start_rad, atol=1e-3)


def test_a_silent_policy_is_braked_then_tilted_back_and_never_obeyed_again(bench: Bench) -> None:
    began_rad = bench.tilt_rad
    bench.run(2.0, TILT)
    tilted_rad = bench.tilt_rad
    bench.run(0.9, None)
    assert bench.rests
    assert bench.tilt_rad >= tilted_rad
    bench.run(4.0, None)
    assert bench.rests
    assert bench.tilt_rad < began_rad + 0.1
    bench.run(1.0, TILT)
    assert bench.rests


@pytest.mark.parametrize("words", [np.full(3, np.nan), np.zeros(4), np.array([0.0, np.inf, 0.0])])
def test_a_policy_that_talks_nonsense_is_not_asked_again(bench: Bench, words: np.ndarray) -> None:
    bench.run(1.0, TILT)
    bench.servo.hear(bench.now_s, bench.now_s, words)
    bench.run(5.0, TILT)
    assert bench.rests


def test_the_end_is_rest_whatever_is_heard(bench: Bench) -> None:
    bench.run(1.0, TILT)
    bench.servo.end()
    bench.run(1.0, TILT)
    assert bench.rests


def test_the_plan_gives_way_to_what_is_measured(bench: Bench) -> None:
    off_rad = np.radians([0.0, 2.0, 0.0, -1.0, 0.0, 0.0, 0.0])
    bench.off_rad = off_rad.copy()
    bench.run(1.0, None)
    # One time constant.
    np.testing.assert_allclose(bench.off_rad, off_rad * np.exp(-1.0), atol=1e-3)
