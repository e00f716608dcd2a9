import mujoco
import numpy as np
import pytest

from multigen_core.simulation.gen3 import HOME_RAD, JOINT_NAMES
from multigen_core.simulation.placement import lip_in_pitcher, receiver_position_m
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.scene import CAMERA, POURING_PLACE_M, build_scene
from multigen_core.simulation.vessels import (
    LIP_SITE,
    LIQUID_FACES,
    LIQUID_GEOM,
    LIQUID_VERTICES,
    PITCHER_BODY,
    RECEIVER_BODY,
    RECEIVER_GEOM,
    RECEIVER_GROUP,
)

SETUP = draw_setup(1, TRAINING_RANGES)


@pytest.fixture(scope="module")
def scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = build_scene(SETUP)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    return model, data


def test_only_the_arm_moves(scene):
    model, _ = scene
    assert model.nq == model.nu == len(JOINT_NAMES)


def test_pitcher_is_upright_at_home_and_its_lip_is_marked(scene):
    _, data = scene
    assert data.qpos == pytest.approx(HOME_RAD)
    pitcher = data.body(PITCHER_BODY)
    assert pitcher.xmat.reshape(3, 3) == pytest.approx(np.eye(3), abs=1e-6)
    assert data.site(LIP_SITE).xpos == pytest.approx(pitcher.xpos + lip_in_pitcher(SETUP.pitcher), abs=1e-6)


def test_receiver_stands_at_its_place(scene):
    _, data = scene
    assert data.body(RECEIVER_BODY).xpos == pytest.approx(receiver_position_m(SETUP))


def test_camera_looks_back_at_the_arm_from_slightly_above(scene):
    model, data = scene
    camera = data.cam(CAMERA)
    forward = -camera.xmat.reshape(3, 3)[:, 2]
    assert camera.xpos[0] > POURING_PLACE_M[0] and forward[0] < -0.9
    draw = SETUP.scene.camera
    assert forward[2] == pytest.approx(-np.sin(np.radians(draw.elevation_deg)))
    width_m = 2.0 * draw.distance_m * np.tan(np.radians(model.cam(CAMERA).fovy[0]) / 2.0)
    assert width_m == pytest.approx(draw.field_m)


def test_liquid_has_room_and_the_receiver_its_own_group(scene):
    model, _ = scene
    mesh = model.geom(LIQUID_GEOM).dataid[0]
    assert (model.mesh_vertnum[mesh], model.mesh_facenum[mesh]) == (LIQUID_VERTICES, LIQUID_FACES)
    alone = [model.geom(k).name for k in range(model.ngeom) if model.geom_group[k] == RECEIVER_GROUP]
    assert alone == [RECEIVER_GEOM]


def test_nothing_collides(scene):
    model, data = scene
    assert not model.geom_contype.any() and data.ncon == 0
