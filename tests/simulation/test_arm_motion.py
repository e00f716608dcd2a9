"""The arm follows twists of the lip: precisely, within its limits, and without moving what was not asked for."""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from multigen_core.errors import UserError
from multigen_core.simulation.arm_motion import (
    MAX_JOINT_SPEED_RAD_S,
    MAX_TILT_RATE_RAD_S,
    TICK_S,
    ArmMotion,
    LipPose,
    Workspace,
)
from multigen_core.simulation.gen3 import JOINT_SPEED_RAD_S, JOINTS, SERVO_LAG_S
from multigen_core.simulation.placement import mouth_centre_m, start_lip_position_m
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.scene import build_scene

START_TILT_RAD = np.radians(40.0)


def anywhere(y_m: float, z_m: float) -> float:
    """No receiver in the way: the pitcher may be upright wherever its lip is."""
    return 0.0


def motion(
    seed: int = 0, least_tilt_rad: Callable[[float, float], float] = anywhere, servo_lag_s: float = SERVO_LAG_S
) -> tuple[ArmMotion, Workspace]:
    setup = draw_setup(seed, TRAINING_RANGES)
    model = build_scene(setup, servo_lag_s=servo_lag_s)
    mouth, lip = mouth_centre_m(setup), start_lip_position_m(setup)
    workspace = Workspace(
        x_m=float(mouth[0]),
        y_m=(float(mouth[1]) - 0.1, float(mouth[1]) + 0.1),
        z_m=(float(mouth[2]) + 0.005, float(mouth[2]) + 0.15),
        least_tilt_rad=least_tilt_rad,
    )
    start = LipPose(float(lip[1]), float(lip[2]), START_TILT_RAD)
    return ArmMotion(model, mujoco.MjData(model), workspace, start), workspace


def run(arm: ArmMotion, twist: list[float], seconds: float) -> None:
    for _ in range(round(seconds / TICK_S)):
        arm.tick(np.array(twist))


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_tilting_leaves_the_lip_in_place(seed: int) -> None:
    arm, _ = motion(seed)
    lip = arm.lip_position_m
    for _ in range(8):
        run(arm, [0.0, 0.0, np.radians(20.0)], 0.4)
        assert np.abs(arm.lip_position_m - lip).max() < 5e-4
    run(arm, [0.0, 0.0, 0.0], 0.3)
    assert arm.tilt_rad == pytest.approx(START_TILT_RAD + np.radians(64.0), abs=np.radians(0.5))


@pytest.mark.parametrize("lag_s", [0.035, 0.1])
def test_at_a_steady_speed_the_pitcher_is_as_late_as_the_servos(lag_s: float) -> None:
    arm, _ = motion(servo_lag_s=lag_s)
    rate_rad_s = np.radians(15.0)
    run(arm, [0.0, 0.0, rate_rad_s], 1.5)
    behind_rad = START_TILT_RAD + 1.5 * rate_rad_s - arm.tilt_rad
    assert behind_rad / rate_rad_s == pytest.approx(lag_s, abs=0.01)


def test_the_lip_moves_as_far_as_it_was_told() -> None:
    arm, workspace = motion()
    lip = arm.lip_position_m
    run(arm, [0.03, 0.02, 0.0], 1.0)
    run(arm, [0.0, 0.0, 0.0], 0.3)
    assert arm.lip_position_m - lip == pytest.approx([0.0, 0.03, 0.02], abs=1e-3)
    assert arm.tilt_rad == pytest.approx(START_TILT_RAD, abs=np.radians(0.3))
    assert arm.lip_position_m[0] == pytest.approx(workspace.x_m, abs=5e-4)


def test_the_lip_stays_in_its_workspace_and_comes_back_at_once() -> None:
    arm, workspace = motion()
    run(arm, [0.0, -0.1, 0.0], 3.0)
    assert arm.lip_position_m[2] == pytest.approx(workspace.z_m[0], abs=1e-3)
    run(arm, [0.0, 0.1, 0.0], 0.3)
    assert arm.lip_position_m[2] > workspace.z_m[0] + 0.015


def test_wild_actions_stay_below_the_joints_speed() -> None:
    arm, _ = motion()
    rng = np.random.default_rng(0)
    before = arm.joints_rad.astype(float)
    for _ in range(100):
        arm.tick(rng.normal(size=3) * 10.0)
        now = arm.joints_rad.astype(float)
        assert (np.abs(now - before) / TICK_S < 1.5 * MAX_JOINT_SPEED_RAD_S).all()
        before = now


def test_speeds_torques_and_angles_stay_within_the_data_sheet() -> None:
    """In a whole pour of wild actions, at every step of the physics that is seen."""
    setup = draw_setup(2, TRAINING_RANGES)
    model = build_scene(setup)
    data = mujoco.MjData(model)
    mouth, lip = mouth_centre_m(setup), start_lip_position_m(setup)
    workspace = Workspace(
        x_m=float(mouth[0]),
        y_m=(float(mouth[1]) - 0.12, float(mouth[1]) + 0.12),
        z_m=(float(mouth[2]) + 0.005, float(mouth[2]) + 0.15),
        least_tilt_rad=anywhere,
    )
    arm = ArmMotion(model, data, workspace, LipPose(float(lip[1]), float(lip[2]), START_TILT_RAD))
    rng = np.random.default_rng(1)
    torques_nm = np.array([joint.torque_nm for joint in JOINTS])
    limits_rad = np.array([joint.limit_rad or np.inf for joint in JOINTS])
    for _ in range(40):
        twist = rng.uniform([-0.3, -0.3, -1.0], [0.3, 0.3, 1.5])
        for _ in range(5):
            arm.tick(twist)
            assert (np.abs(data.qvel) <= JOINT_SPEED_RAD_S).all()
            assert (np.abs(data.actuator_force) <= torques_nm).all()
            assert (np.abs(data.qpos) <= limits_rad + 1e-3).all()


def test_tilt_is_no_faster_than_its_limit_and_not_below_the_least() -> None:
    arm, _ = motion(least_tilt_rad=lambda y_m, z_m: np.radians(30.0))
    run(arm, [0.0, 0.0, 5.0], 1.0)
    assert arm.tilt_rad - START_TILT_RAD < 1.05 * MAX_TILT_RATE_RAD_S
    run(arm, [0.0, 0.0, -5.0], 3.0)
    assert arm.tilt_rad == pytest.approx(np.radians(30.0), abs=np.radians(0.5))


def test_a_lip_pushed_towards_the_receiver_waits_for_the_tilt_instead_of_forcing_it() -> None:
    """A wall that demands 20 degrees more for every centimetre further down."""
    setup = draw_setup(0, TRAINING_RANGES)
    top_m = float(start_lip_position_m(setup)[2])
    arm, _ = motion(least_tilt_rad=lambda y_m, z_m: START_TILT_RAD + np.radians(2000.0) * (top_m - z_m))
    run(arm, [0.0, -0.1, 0.0], 1.0)
    assert arm.tilt_rad == pytest.approx(START_TILT_RAD, abs=np.radians(1.0))
    assert arm.lip_position_m[2] == pytest.approx(top_m, abs=2e-3)
    run(arm, [0.0, -0.1, np.radians(20.0)], 1.0)
    assert arm.tilt_rad == pytest.approx(START_TILT_RAD + np.radians(20.0), abs=np.radians(2.0))
    assert arm.lip_position_m[2] == pytest.approx(top_m - 0.01, abs=2e-3)


def test_a_place_out_of_reach_is_refused() -> None:
    setup = draw_setup(0, TRAINING_RANGES)
    model = build_scene(setup)
    far = Workspace(x_m=3.0, y_m=(-0.1, 0.1), z_m=(0.1, 0.3), least_tilt_rad=anywhere)
    with pytest.raises(UserError, match=r"cannot hold the lip at x = 3\.00.*move the receiver"):
        ArmMotion(model, mujoco.MjData(model), far, LipPose(0.0, 0.2, 0.5))
