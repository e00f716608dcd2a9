from itertools import pairwise

import numpy as np
import pytest

from multigen_core.simulation.randomisation import TRAINING_PITCHERS
from multigen_core.simulation.tilted import (
    held_ml,
    lip_height_m,
    overflow_tilt_rad,
    surface_height_m,
    tilted_body,
    volume_below_ml,
)
from tests.simulation.solids import enclosed_volume_m3

every_pitcher = pytest.mark.parametrize("pitcher", TRAINING_PITCHERS, ids=lambda pitcher: pitcher.name)


@every_pitcher
def test_upright_it_is_the_container_itself(pitcher):
    assert held_ml(pitcher, 0.0) == pytest.approx(pitcher.capacity_ml)
    level_m = 0.4 * pitcher.height_m
    nearly = volume_below_ml(pitcher, tilt_rad=0.01, height_m=level_m)
    assert nearly == pytest.approx(pitcher.volume_at(level_m) * 1e6, rel=0.01)


@every_pitcher
def test_it_holds_less_the_further_it_tilts(pitcher):
    held = [held_ml(pitcher, tilt) for tilt in np.radians(np.arange(0.0, 120.0, 5.0))]
    assert all(b <= a + 1e-6 for a, b in pairwise(held))
    assert held[-1] < 0.01 * held[0]


def test_half_a_cylinder_tilted_over_its_bottom_edge_is_half_full():
    jug = next(pitcher for pitcher in TRAINING_PITCHERS if pitcher.name == "steel_jug")
    tilt = np.arctan2(jug.height_m, 2.0 * jug.mouth_radius_m)
    assert held_ml(jug, tilt) == pytest.approx(0.5 * jug.capacity_ml, rel=1e-3)


@every_pitcher
@pytest.mark.parametrize("tilt_rad", [0.0, 0.3, 0.9, 1.5])
def test_surface_height_inverts_the_volume(pitcher, tilt_rad):
    volume_ml = 0.6 * held_ml(pitcher, tilt_rad)
    height_m = surface_height_m(pitcher, tilt_rad=tilt_rad, volume_ml=volume_ml)
    assert height_m <= lip_height_m(pitcher, tilt_rad)
    back = volume_below_ml(pitcher, tilt_rad=tilt_rad, height_m=height_m)
    assert back == pytest.approx(volume_ml, rel=1e-3, abs=1e-3)


@every_pitcher
def test_overflow_begins_where_it_holds_just_the_volume(pitcher):
    for volume_ml in (50.0, 200.0, 400.0):
        assert held_ml(pitcher, overflow_tilt_rad(pitcher, volume_ml)) == pytest.approx(volume_ml, rel=1e-3)


@pytest.mark.parametrize("tilt_rad", [0.0, 0.2, 0.8, 1.3])
def test_drawn_body_has_the_volume_it_stands_for(tilt_rad):
    pitcher = TRAINING_PITCHERS[2]
    volume_ml = 0.8 * held_ml(pitcher, tilt_rad)
    mesh = tilted_body(pitcher, tilt_rad=tilt_rad, volume_ml=volume_ml, pose_container_to_world=np.eye(4))
    assert enclosed_volume_m3(mesh.vertices, mesh.faces) * 1e6 == pytest.approx(volume_ml, rel=0.05)
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_nothing_is_drawn_of_an_empty_pitcher():
    pitcher = TRAINING_PITCHERS[0]
    mesh = tilted_body(pitcher, tilt_rad=0.5, volume_ml=0.0, pose_container_to_world=np.eye(4))
    assert len(mesh.faces) == 0
