from pathlib import Path

import mujoco
import numpy as np
import pytest

from multigen_core.errors import UserError
from multigen_core.simulation.gen3 import (
    FLANGE_BODY,
    HOME_RAD,
    JOINT_NAMES,
    JOINT_SPEED_RAD_S,
    JOINTS,
    TOOL_BODY,
    add_gen3,
    gen3_model,
)
from multigen_core.simulation.gen3_shapes import MESH_FILES


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return gen3_model()


def _settled(model: mujoco.MjModel, start_rad: np.ndarray, command_rad: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:], data.ctrl[:] = start_rad, command_rad
    mujoco.mj_step(model, data, 1000)
    return data


def test_flange_of_the_zero_pose_is_where_the_data_sheet_says(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert data.body(FLANGE_BODY).xpos[2] == pytest.approx(1.1874, abs=1e-4)


def test_tool_of_the_home_pose_is_where_kinova_says_and_looks_forward(model):
    data = mujoco.MjData(model)
    data.qpos[:] = HOME_RAD
    mujoco.mj_forward(model, data)
    assert data.body(TOOL_BODY).xpos == pytest.approx((0.577, 0.001, 0.434), abs=1e-3)
    x, y, z = data.body(TOOL_BODY).xmat.reshape(3, 3).T
    assert x == pytest.approx((0.0, 1.0, 0.0), abs=1e-6)
    assert y == pytest.approx((0.0, 0.0, 1.0), abs=1e-6)
    assert z == pytest.approx((1.0, 0.0, 0.0), abs=1e-6)


def test_seven_servos_bear_the_names_of_the_joints(model):
    assert [model.actuator(k).name for k in range(model.nu)] == list(JOINT_NAMES)
    assert model.nq == len(JOINT_SPEED_RAD_S) == 7


def test_arm_weighs_what_its_links_and_gripper_do(model):
    assert model.body_mass.sum() == pytest.approx(1.697 + sum(j.link.mass_kg for j in JOINTS) + 0.90)


def test_servos_hold_the_home_pose_against_gravity(model):
    data = _settled(model, HOME_RAD, HOME_RAD)
    assert np.abs(data.qpos - HOME_RAD).max() < 1e-4


def test_servos_reach_a_command_within_their_torque(model):
    command = HOME_RAD + np.array([0.3, -0.2, 0.3, 0.2, 0.3, -0.3, 0.4])
    data = _settled(model, HOME_RAD, command)
    assert np.abs(data.qpos - command).max() < 2e-3
    assert np.all(model.actuator_forcerange[:, 1] == [joint.torque_nm for joint in JOINTS])


@pytest.mark.parametrize("number", [k for k, joint in enumerate(JOINTS) if joint.limit_rad is not None])
def test_limited_joints_stop_at_their_limit(model, number):
    limit_rad = JOINTS[number].limit_rad
    command = HOME_RAD.copy()
    command[number] = np.sign(HOME_RAD[number]) * (limit_rad + 0.5)
    data = _settled(model, HOME_RAD, command)
    assert abs(data.qpos[number]) == pytest.approx(limit_rad, abs=0.02)


@pytest.mark.parametrize("number", [k for k, joint in enumerate(JOINTS) if joint.limit_rad is None])
def test_continuous_joints_turn_past_half_a_turn(model, number):
    command = HOME_RAD.copy()
    command[number] += 4.0
    data = _settled(model, HOME_RAD, command)
    assert data.qpos[number] == pytest.approx(command[number], abs=0.01)


def _write_brick(file: Path) -> None:
    """Binary STL of a box of 4 x 6 x 8 cm: a header, the number of triangles, and each with normal and corners."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * (0.02, 0.03, 0.04)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    triangle = np.dtype([("normal", "<3f4"), ("corners", "<(3,3)f4"), ("attribute", "<u2")])
    rows = np.zeros(len(faces), triangle)
    rows["corners"] = corners[np.array(faces)]
    file.write_bytes(bytes(80) + np.uint32(len(faces)).tobytes() + rows.tobytes())


def _arm_of(meshes: Path) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    add_gen3(spec, color=(0.9, 0.9, 0.9), grip_width_m=0.08, meshes=meshes)
    return spec.compile()


def test_an_arm_of_meshes_moves_and_weighs_like_one_of_tubes(model, tmp_path):
    for name in MESH_FILES.values():
        _write_brick(tmp_path / name)
    arm = _arm_of(tmp_path)
    assert arm.nmesh == 1 + len(JOINTS)
    assert arm.body_mass == pytest.approx(model.body_mass)
    assert (arm.jnt_range == model.jnt_range).all()
    size = arm.geom_size[arm.geom_dataid == 0]
    assert sorted(size[0]) == pytest.approx([0.02, 0.03, 0.04], abs=1e-4)


def test_a_missing_mesh_is_named(tmp_path):
    with pytest.raises(UserError, match=r"arm_meshes: there is no base_link\.stl"):
        _arm_of(tmp_path)
