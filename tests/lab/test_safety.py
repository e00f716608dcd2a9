"""Each rule of the gate by itself, then all of them under random streams of actions."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multigen_core.errors import UserError
from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.conditions import LAB_PITCHERS
from multigen_core.lab.safety import REST_S, Box, Limits, Measured, Reason, SafetyGate, retreat_twist
from multigen_core.simulation.gen3 import HOME_RAD

BODY = ArmBody(LAB_PITCHERS[0])
LIMITS = Limits()
CYCLE_S = LIMITS.cycle_s
FREE = replace(LIMITS, boxes={})


class Stream:
    """An arm that does exactly what it is told, cycle after cycle."""

    def __init__(self, limits: Limits = LIMITS, posture: np.ndarray = HOME_RAD) -> None:
        self.gate = SafetyGate(limits, BODY, posture)
        self.now_s = 100.0
        self.sent = [np.zeros(7)]

    def run(
        self,
        wanted: Sequence[float] | np.ndarray,
        cycles: int = 1,
        *,
        command_age_s: float = 0.0,
        feedback_age_s: float = 0.0,
        posture: np.ndarray | None = None,
        faulty: bool = False,
        cycle_s: float = CYCLE_S,
    ) -> None:
        for _ in range(cycles):
            self.now_s += cycle_s
            self.gate.advance(self.now_s)
            self.verdict = self.gate.check(
                self.now_s,
                wanted,
                commanded_s=self.now_s - command_age_s,
                measured=Measured(
                    self.now_s - feedback_age_s, self.gate.posture_rad if posture is None else posture, faulty
                ),
            )
            self.sent.append(self.verdict.speeds_rad_s)

    def accelerations(self) -> np.ndarray:
        return np.abs(np.diff(np.array(self.sent), axis=0)) / CYCLE_S


def joint(number: int, speed: float) -> np.ndarray:
    wanted = np.zeros(7)
    wanted[number] = speed
    return wanted


def moving() -> Stream:
    stream = Stream()
    stream.run(joint(6, 0.3), 30)
    assert stream.verdict.reason is None
    assert stream.verdict.speeds_rad_s[6] == pytest.approx(0.3)
    return stream


def cycles_to_rest(stream: Stream) -> int:
    moving = [bool(sent.any()) for sent in stream.sent]
    return len(moving) - moving[::-1].index(True) if any(moving) else 0


FAULTS: dict[Reason, dict[str, object]] = {
    "stale_feedback": {"feedback_age_s": 0.11},
    "arm_fault": {"faulty": True},
    "joint_count": {"posture": np.zeros(6)},
    "astray": {"posture": HOME_RAD + math.radians(20.0)},
    "not_a_number": {"wanted": joint(2, math.nan)},
    "wrong_unit": {"wanted": joint(2, 20.0)},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_brakes_latches_and_is_at_rest_in_time(fault: Reason) -> None:
    stream = moving()
    before = len(stream.sent)
    stream.run(**{"wanted": joint(6, 0.3), **FAULTS[fault]})  # type: ignore[arg-type]
    assert stream.verdict.fault == fault
    # All is well again, but nobody has looked.
    stream.run(joint(6, 0.3), 60)
    assert stream.verdict.fault == fault
    assert not stream.verdict.speeds_rad_s.any()
    assert (cycles_to_rest(stream) - before) * CYCLE_S <= REST_S
    assert stream.accelerations().max() <= LIMITS.acceleration_rad_s2 + 1e-9


def test_a_lost_connection_latches() -> None:
    stream = moving()
    stream.gate.lose_connection()
    stream.run(joint(6, 0.3), 30)
    assert stream.verdict.fault == "connection_lost"
    assert not stream.verdict.speeds_rad_s.any()


def test_only_an_operator_clears_and_only_at_rest() -> None:
    stream = moving()
    stream.run(joint(6, 0.3), faulty=True)
    with pytest.raises(UserError, match="still moves"):
        stream.gate.clear("Ada")
    stream.run(joint(6, 0.3), 30)
    with pytest.raises(UserError, match="operator's name"):
        stream.gate.clear(" ")
    stream.gate.clear("Ada")
    stream.run(joint(6, 0.3), 30)
    assert stream.verdict.fault is None
    assert stream.verdict.speeds_rad_s[6] == pytest.approx(0.3)


def test_the_first_fault_is_the_one_that_is_told() -> None:
    stream = moving()
    stream.run(joint(6, 0.3), faulty=True)
    stream.run(joint(6, 0.3), feedback_age_s=1.0)
    assert stream.verdict.fault == "arm_fault"


def test_a_stale_command_brakes_and_a_fresh_one_goes_on() -> None:
    stream = moving()
    stream.run(joint(6, 0.3), command_age_s=LIMITS.action_s + LIMITS.stale_command_s - 0.01)
    assert stream.verdict.reason is None
    before = len(stream.sent)
    stream.run(joint(6, 0.3), 40, command_age_s=LIMITS.action_s + LIMITS.stale_command_s + 0.01)
    assert stream.verdict.reason == "stale_command" and stream.verdict.fault is None
    assert (cycles_to_rest(stream) - before) * CYCLE_S <= REST_S
    stream.run(joint(6, 0.3), 40)
    assert stream.verdict.speeds_rad_s[6] == pytest.approx(0.3)


def test_speed_is_clamped_as_a_whole_and_counted() -> None:
    stream = Stream()
    wanted = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -0.5])
    stream.run(wanted, 20)
    assert stream.verdict.reason == "speed"
    assert stream.verdict.speeds_rad_s[4] == pytest.approx(LIMITS.joint_speed_rad_s)
    assert stream.verdict.speeds_rad_s[6] == pytest.approx(-0.5 * LIMITS.joint_speed_rad_s)
    assert stream.gate.clamps["speed"] == 20


def test_repeated_clamps_abort() -> None:
    stream = Stream()
    stream.run(joint(4, 1.0), LIMITS.clamps_to_abort - 1)
    assert stream.verdict.fault is None
    stream.run(joint(4, 1.0), 2)
    assert stream.verdict.fault == "clamped_too_long"


def test_clamps_now_and_then_do_not() -> None:
    stream = Stream()
    for _ in range(10):
        stream.run(joint(4, 0.6), 20)
        stream.run(joint(4, -0.1), 1)
    assert stream.verdict.fault is None


def test_acceleration_is_limited() -> None:
    stream = Stream()
    stream.run(joint(6, 0.4), 40)
    stream.run(joint(6, -0.4), 40)
    assert stream.accelerations().max() <= LIMITS.acceleration_rad_s2 + 1e-9
    assert stream.accelerations().max() == pytest.approx(LIMITS.acceleration_rad_s2)


@pytest.mark.parametrize("number", [1, 3, 5])
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_a_joint_brakes_before_its_margin(number: int, direction: float) -> None:
    stream = Stream(replace(FREE, clamps_to_abort=10_000, tilt_rate_rad_s=10.0))
    stream.run(joint(number, direction * 0.4), 1200)
    end = BODY.limits_rad[number] - LIMITS.joint_margin_rad
    assert stream.gate.posture_rad[number] * direction == pytest.approx(end, abs=math.radians(1.5))
    assert stream.gate.posture_rad[number] * direction <= end + 1e-9
    assert stream.gate.clamps["joint_margin"] > 0
    stream.run(joint(number, -direction * 0.4), 40)
    assert stream.gate.posture_rad[number] * direction < end - math.radians(5.0)


@pytest.mark.parametrize("part", ["tool", "rim", "elbow"])
def test_every_part_stays_in_its_box(part: str) -> None:
    at_home = BODY.points_m(HOME_RAD)[part]
    box = Box(tuple(at_home - 0.05), tuple(at_home + 0.05))
    stream = Stream(replace(LIMITS, boxes={part: box}, clamps_to_abort=10_000, tilt_rate_rad_s=10.0))
    for number in (0, 1, 3):
        for direction in (1.0, -1.0):
            for _ in range(100):
                stream.run(joint(number, direction * 0.4))
                assert box.outside_m(BODY.points_m(stream.gate.posture_rad)[part]) < 1e-6
    assert stream.gate.clamps["workspace"] > 0


def test_the_pitcher_tilts_no_faster_than_allowed() -> None:
    stream = Stream(replace(FREE, joint_speed_rad_s=2.0, acceleration_rad_s2=20.0))
    before = BODY.tilt_rad(stream.gate.posture_rad)
    stream.run(joint(6, 1.5), 20)
    assert stream.verdict.reason == "tilt_rate"
    after = BODY.tilt_rad(stream.gate.posture_rad)
    assert abs(after - before) / (20 * CYCLE_S) <= LIMITS.tilt_rate_rad_s + 1e-6


def test_an_arm_that_stands_outside_does_not_start() -> None:
    with pytest.raises(UserError, match="outside its workspace"):
        SafetyGate(LIMITS, BODY, np.zeros(7))


def test_retreat_tilts_back_before_it_lifts() -> None:
    tilt = math.radians(90.0)
    lifted = []
    for _ in range(100):
        twist = retreat_twist(tilt, math.radians(20.0))
        assert not (twist[2] and twist[:2].any())
        tilt += twist[2] * 0.1
        lifted.append(bool(twist[1] > 0.0))
    assert tilt == pytest.approx(math.radians(20.0), abs=math.radians(5.0))
    first = lifted.index(True)
    assert first > 20 and all(lifted[first:])


SPEEDS = st.one_of(
    st.floats(-1.0, 1.0),
    st.sampled_from([0.0, 0.44, -0.44, 2.9, -2.9, 1e9, math.inf, math.nan]),
)
ACTIONS = st.lists(
    st.tuples(
        st.lists(SPEEDS, min_size=7, max_size=7),
        st.integers(1, 40),  # cycles for which it is wanted
        st.sampled_from([0.0, 0.0, 0.0, 0.3]),  # age of the command [s]
        st.floats(-0.02, 0.02),  # error of the measured posture [rad]
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_no_stream_of_actions_breaks_a_limit(actions: list[tuple[list[float], int, float, float]]) -> None:
    """Speed, acceleration, margin, boxes and tilt rate in every cycle; faults end at rest and stay there."""
    stream = Stream(replace(LIMITS, clamps_to_abort=100_000))
    least = BODY.limits_rad - LIMITS.joint_margin_rad
    faulted_at: int | None = None
    for wanted, cycles, age_s, error in actions:
        for _ in range(cycles):
            tilt = BODY.tilt_rad(stream.gate.posture_rad)
            stream.run(wanted, command_age_s=age_s, posture=stream.gate.posture_rad + error)
            posture, speeds = stream.gate.posture_rad, stream.verdict.speeds_rad_s
            assert np.isfinite(speeds).all()
            assert np.abs(speeds).max() <= LIMITS.joint_speed_rad_s + 1e-9
            assert stream.accelerations()[-1].max() <= LIMITS.acceleration_rad_s2 + 1e-6
            assert (np.abs(posture) <= least + 1e-9).all()
            points = BODY.points_m(posture)
            assert max(box.outside_m(points[name]) for name, box in LIMITS.boxes.items()) <= 1e-4
            assert abs(BODY.tilt_rad(posture) - tilt) / CYCLE_S <= LIMITS.tilt_rate_rad_s * 1.02 + 1e-3
            if stream.verdict.fault and faulted_at is None:
                faulted_at = len(stream.sent)
            if faulted_at is not None and (len(stream.sent) - faulted_at) * CYCLE_S >= REST_S:
                assert not speeds.any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-0.45, 0.45), min_size=7, max_size=7), min_size=1, max_size=8), st.data())
def test_late_cycles_eat_into_the_margin_but_never_reach_the_end(
    speeds: list[list[float]], data: st.DataObject
) -> None:
    stream = Stream(replace(FREE, clamps_to_abort=100_000))
    for wanted in speeds:
        for _ in range(60):
            stream.run(wanted, cycle_s=data.draw(st.sampled_from([0.02, 0.025, 0.025, 0.05, 0.08])))
        assert (np.abs(stream.gate.posture_rad) < BODY.limits_rad).all()
