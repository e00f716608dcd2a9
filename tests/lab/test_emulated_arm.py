"""The emulated arm by itself: published poses, and the manners of a high-level controller."""

import math

import numpy as np
import pytest

from multigen_core.lab.emulated_arm import RAMP_RAD_S2, EmulatedArm, Refusal
from multigen_core.lab.kortex.calls import (
    GRIPPER_POSITION,
    GRIPPER_SPEED,
    LOW_LEVEL,
    SINGLE_LEVEL,
    ActionEvent,
    ArmState,
    SubCode,
    TwistFrame,
)
from multigen_core.simulation.gen3 import HOME_RAD

HOME_DEG = {joint: float(angle) for joint, angle in enumerate(np.degrees(HOME_RAD))}


def all_joints(**speeds: float) -> dict[int, float]:
    return {joint: speeds.get(f"j{joint}", 0.0) for joint in range(7)}


def refused(sub_code: SubCode) -> "pytest.RaisesExc[Refusal]":
    return pytest.raises(Refusal, check=lambda refusal: refusal.sub_code == sub_code)


def test_home_is_where_kinova_says() -> None:
    place, angles = EmulatedArm().pose
    assert place == pytest.approx([0.577, 0.001, 0.434], abs=1e-3)
    assert angles == pytest.approx([90.0, 0.0, 90.0], abs=0.1)


def test_angles_are_reported_from_0_to_360() -> None:
    assert EmulatedArm().angles_deg == pytest.approx([0.0, 15.0, 180.0, 230.0, 0.0, 55.0, 90.0])


def test_a_speed_goes_on_for_ever() -> None:
    arm = EmulatedArm()
    arm.drive_joints(all_joints(j6=10.0))
    for _ in range(20):
        arm.advance(1.0)
    assert arm.speeds_deg_s[6] == pytest.approx(10.0, abs=0.1)
    assert arm.angles_deg[6] == pytest.approx((90.0 + 200.0) % 360.0, abs=1.5)


def test_speed_ramps_up_and_down() -> None:
    arm = EmulatedArm()
    arm.drive_joints(all_joints(j0=40.0))
    arm.advance(0.02)
    assert 0.0 < abs(arm.speeds_deg_s[0]) < math.degrees(RAMP_RAD_S2 * 0.02) + 1.0
    arm.advance(0.5)
    assert arm.speeds_deg_s[0] == pytest.approx(40.0, abs=0.5)
    arm.stop()
    arm.advance(0.01)
    assert arm.speeds_deg_s[0] > 20.0
    arm.advance(0.6)
    assert arm.at_rest


def test_a_joint_that_is_not_listed_keeps_its_speed() -> None:
    arm = EmulatedArm()
    arm.drive_joints(all_joints(j0=10.0))
    arm.drive_joints({6: 5.0})
    arm.advance(1.0)
    assert arm.speeds_deg_s[[0, 6]] == pytest.approx([10.0, 5.0], abs=0.2)


def test_commands_take_effect_after_the_latency() -> None:
    arm = EmulatedArm(command_latency_s=0.18)
    arm.drive_joints(all_joints(j6=10.0))
    arm.advance(0.17)
    assert abs(arm.speeds_deg_s[6]) < 1e-6
    arm.advance(0.2)
    assert arm.speeds_deg_s[6] == pytest.approx(10.0, abs=1.0)


def test_running_into_a_limit_trips_the_arm() -> None:
    arm = EmulatedArm()
    arm.drive_joints(all_joints(j5=40.0))
    for _ in range(3):
        arm.advance(1.0)
    assert arm.state == ArmState.FAULT
    assert arm.fault_banks[5]
    assert arm.at_rest
    assert arm.angles_deg[5] <= 120.3 + 0.1
    with refused(SubCode.IN_FAULT):
        arm.drive_joints(all_joints(j5=-10.0))
    arm.clear_faults()
    with refused(SubCode.JOINT_LIMIT):
        arm.drive_joints(all_joints(j5=10.0))
    arm.drive_joints(all_joints(j5=-10.0))
    arm.advance(0.5)
    assert arm.state == ArmState.READY


def test_the_emergency_stop_stays_until_cleared() -> None:
    arm = EmulatedArm()
    arm.drive_joints(all_joints(j6=30.0))
    arm.advance(0.5)
    arm.emergency_stop()
    arm.advance(0.5)
    assert arm.at_rest and arm.state == ArmState.FAULT
    with refused(SubCode.EMERGENCY_STOPPED):
        arm.drive_joints(all_joints(j6=30.0))
    arm.clear_faults()
    assert arm.state == ArmState.READY


@pytest.mark.parametrize(
    ("speeds", "sub_code"),
    [
        ({}, SubCode.INVALID_PARAM),
        ({7: 1.0}, SubCode.INVALID_PARAM),
        ({0: math.nan}, SubCode.INVALID_PARAM),
        ({0: math.inf}, SubCode.INVALID_PARAM),
        ({0: 81.0}, SubCode.LARGE_SPEED),
        ({6: -71.0}, SubCode.LARGE_SPEED),
    ],
)
def test_bad_speeds_are_refused_and_change_nothing(speeds: dict[int, float], sub_code: SubCode) -> None:
    arm = EmulatedArm()
    arm.drive_joints(all_joints(j4=7.0))
    with refused(sub_code):
        arm.drive_joints(speeds)
    arm.advance(0.5)
    assert arm.speeds_deg_s[4] == pytest.approx(7.0, abs=0.2)


def test_a_posture_is_reached_the_short_way_and_told() -> None:
    arm = EmulatedArm()
    goal = {**HOME_DEG, 0: 340.0, 5: 40.0}
    arm.reach(goal, speed_deg_s=20.0)
    assert arm.state == ArmState.PLAYING
    with refused(SubCode.MOVEMENT_IN_PROGRESS):
        arm.drive_joints(all_joints(j0=1.0))
    arm.advance(0.5)
    assert arm.angles_deg[0] > 350.0
    for _ in range(3):
        arm.advance(1.0)
    assert arm.angles_deg[[0, 5]] == pytest.approx([340.0, 40.0], abs=0.2)
    assert arm.take_events() == [ActionEvent.START, ArmState.PLAYING, ActionEvent.END, ArmState.READY]


def test_a_posture_takes_the_time_it_is_given() -> None:
    arm = EmulatedArm()
    arm.reach({**HOME_DEG, 6: 100.0}, duration_s=3.0)
    arm.advance(1.0)
    arm.advance(1.0)
    assert arm.state == ArmState.PLAYING
    arm.advance(1.0)
    arm.advance(0.2)
    assert arm.state == ArmState.READY


@pytest.mark.parametrize("end", [EmulatedArm.stop, EmulatedArm.stop_action, EmulatedArm.emergency_stop])
def test_a_motion_can_be_aborted(end: "object") -> None:
    arm = EmulatedArm()
    arm.reach({**HOME_DEG, 6: 200.0})
    arm.advance(0.5)
    end(arm)  # type: ignore[operator]
    arm.advance(1.0)
    assert arm.at_rest
    assert ActionEvent.ABORT in arm.take_events()


@pytest.mark.parametrize(
    ("goal", "sub_code"),
    [
        ({0: 10.0}, SubCode.INVALID_PARAM),
        ({**HOME_DEG, 3: math.nan}, SubCode.INVALID_PARAM),
        ({**HOME_DEG, 3: 150.0}, SubCode.JOINT_LIMIT),
    ],
)
def test_impossible_postures_are_refused(goal: dict[int, float], sub_code: SubCode) -> None:
    with refused(sub_code):
        EmulatedArm().reach(goal)


def test_low_level_servoing_takes_no_high_level_commands() -> None:
    arm = EmulatedArm()
    arm.drive_joints(all_joints(j6=10.0))
    arm.advance(0.5)
    arm.set_mode(LOW_LEVEL)
    arm.advance(0.5)
    assert arm.at_rest and arm.state == ArmState.LOW_LEVEL
    with refused(SubCode.WRONG_MODE):
        arm.drive_joints(all_joints(j6=10.0))
    arm.set_mode(SINGLE_LEVEL)
    assert arm.state == ArmState.READY
    with refused(SubCode.INVALID_PARAM):
        arm.set_mode(1)


@pytest.mark.parametrize(
    ("frame", "axis", "expected"),
    [
        (TwistFrame.BASE, 2, (0.0, 0.0, 0.05)),
        (TwistFrame.MIXED, 1, (0.0, 0.05, 0.0)),
        # At home the tool looks along the base's x.
        (TwistFrame.TOOL, 2, (0.05, 0.0, 0.0)),
    ],
)
def test_a_twist_moves_the_tool_in_its_frame(
    frame: TwistFrame, axis: int, expected: tuple[float, float, float]
) -> None:
    arm = EmulatedArm()
    before, _ = arm.pose
    twist = np.zeros(6)
    twist[axis] = 0.05
    arm.drive_tool(frame, twist)
    arm.advance(1.0)
    after, angles = arm.pose
    assert after - before == pytest.approx(expected, abs=6e-3)
    assert angles == pytest.approx([90.0, 0.0, 90.0], abs=2.0)


def test_the_gripper_closes() -> None:
    arm = EmulatedArm()
    arm.drive_gripper(GRIPPER_POSITION, 0.6)
    arm.advance(1.0)
    assert arm.gripper == pytest.approx(0.6)
    arm.drive_gripper(GRIPPER_SPEED, 1.0)
    arm.advance(1.0)
    assert arm.gripper == 0.0
    with refused(SubCode.INVALID_PARAM):
        arm.drive_gripper(GRIPPER_POSITION, 1.5)


def test_the_same_calls_give_the_same_motion() -> None:
    ends = []
    for _ in range(2):
        arm = EmulatedArm()
        arm.drive_joints(all_joints(j1=5.0, j6=-20.0))
        for _ in range(10):
            arm.advance(0.037)
        ends.append(arm.angles_deg)
    np.testing.assert_array_equal(*ends)
