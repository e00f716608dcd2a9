"""What a real arm would have touched is seen, although nothing collides."""

import mujoco
import numpy as np
import pytest

from multigen_core.containers import frustum
from multigen_core.simulation.clearance import FAR_M, Clearance, distance_m
from multigen_core.simulation.gen3 import HOME_RAD
from multigen_core.simulation.placement import mouth_centre_m
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.scene import build_scene
from multigen_core.simulation.vessels import LIP_SITE

SETUP = draw_setup(3, TRAINING_RANGES)


@pytest.fixture(scope="module")
def scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = build_scene(SETUP)
    return model, mujoco.MjData(model)


def least_m(scene: tuple[mujoco.MjModel, mujoco.MjData], joints_rad: np.ndarray) -> float:
    model, data = scene
    data.qpos[:] = joints_rad
    mujoco.mj_forward(model, data)
    return Clearance(model, data, SETUP).least_m()


def test_the_home_pose_is_free(scene: tuple[mujoco.MjModel, mujoco.MjData]) -> None:
    assert 0.02 < least_m(scene, HOME_RAD) <= FAR_M


def test_a_hand_in_the_table_is_seen(scene: tuple[mujoco.MjModel, mujoco.MjData]) -> None:
    """The shoulder bends forward until the pitcher has gone through the table."""
    low = HOME_RAD.copy()
    low[1] += np.radians(60.0)
    assert least_m(scene, low) < 0.0


def test_a_folded_arm_touches_itself(scene: tuple[mujoco.MjModel, mujoco.MjData]) -> None:
    folded = np.radians([0.0, 0.0, 180.0, -147.0, 0.0, -120.0, 90.0])
    assert least_m(scene, folded) < 0.0


def test_distance_shrinks_by_as_much_as_the_pitcher_comes_down(scene: tuple[mujoco.MjModel, mujoco.MjData]) -> None:
    """Over the middle of the receiver, the pitcher's body is what comes near it first."""
    model, data = scene
    from multigen_core.simulation.arm_motion import ArmMotion, LipPose, Workspace

    mouth = mouth_centre_m(SETUP)
    workspace = Workspace(x_m=mouth[0], y_m=(-1.0, 1.0), z_m=(0.0, 1.0), least_tilt_rad=lambda y_m, z_m: 0.0)
    tilt_rad = np.radians(89.0)
    seen = []
    for above_m in (0.03, 0.02):
        start = LipPose(float(mouth[1]), float(mouth[2] + above_m), tilt_rad)
        arm = ArmMotion(model, data, workspace, start)
        assert data.site(LIP_SITE).xpos[2] == pytest.approx(mouth[2] + above_m, abs=1e-3)
        assert arm.tilt_rad == pytest.approx(tilt_rad, abs=0.01)
        seen.append(Clearance(model, data, SETUP).least_m())
    assert seen[0] - seen[1] == pytest.approx(0.01, abs=2e-3)


def test_distances_from_a_cylinder_are_those_of_geometry() -> None:
    mug = frustum(
        "mug",
        bottom_radius_m=0.03,
        top_radius_m=0.03,
        height_m=0.1,
        material="ceramic",
        opaque=True,
        color=(1.0, 1.0, 1.0),
        wall_m=0.002,
    )
    points = np.array(
        [(0.042, 0.0, 0.05), (0.0, 0.0, 0.11), (0.0, 0.031, 0.05), (0.035, 0.0, 0.104), (0.0, 0.0, -0.01)]
    )
    expected = [0.01, 0.01, -0.001, np.hypot(0.003, 0.004), 0.008]
    assert distance_m(mug, points) == pytest.approx(expected, abs=1e-9)
