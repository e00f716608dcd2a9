import json
from dataclasses import replace

import numpy as np
import pytest

from multigen_core.errors import UserError
from multigen_core.simulation.placement import clear_tilt_rad
from multigen_core.simulation.randomisation import (
    REFERENCE_RANGES,
    TRAINING_PITCHERS,
    TRAINING_RANGES,
    TRAINING_RECEIVERS,
    draw_setup,
)
from multigen_core.simulation.textures import TEXTURES
from multigen_core.simulation.tilted import held_ml

SETUPS = [draw_setup(seed, TRAINING_RANGES) for seed in range(60)]


def test_same_seed_same_setup():
    assert draw_setup(5, TRAINING_RANGES) == SETUPS[5]
    assert SETUPS[5] != SETUPS[6]


def test_training_cups_are_mixed_enough():
    capacities_ml = [cup.capacity_ml for cup in TRAINING_RECEIVERS]
    assert max(capacities_ml) > 3.0 * min(capacities_ml)
    assert np.mean([cup.opaque for cup in TRAINING_RECEIVERS]) >= 0.4
    assert len({cup.material for cup in TRAINING_RECEIVERS}) >= 4
    assert len({cup.name for cup in TRAINING_RECEIVERS}) == len(TRAINING_RECEIVERS)


def test_shapes_are_of_every_kind():
    """Straight, tapered, flared, bulged and narrowing receivers, some with a handle; pitchers with a neck too."""
    slopes = [np.sign(np.diff([round(r, 4) for _, r in cup.profile])) for cup in TRAINING_RECEIVERS]
    assert any((slope == 0).all() for slope in slopes)
    assert any((slope > 0).all() for slope in slopes)
    assert any((slope < 0).any() and (slope > 0).any() for slope in slopes)
    assert any((slope < 0).all() for slope in slopes)
    assert any(cup.handle for cup in TRAINING_RECEIVERS)
    widest = [max(r for _, r in pitcher.profile) / pitcher.mouth_radius_m for pitcher in TRAINING_PITCHERS]
    assert sum(ratio > 1.2 for ratio in widest) >= 2


@pytest.mark.parametrize("setup", SETUPS[:20], ids=lambda setup: str(setup.seed))
def test_pitcher_holds_the_goal_and_is_dry_at_the_start(setup):
    surplus_ml = setup.initial_ml - setup.goal_ml
    low, high = TRAINING_RANGES.surplus_ml
    assert low - 1e-6 <= surplus_ml <= high + 1e-6
    start_tilt_rad = clear_tilt_rad(setup)
    assert start_tilt_rad <= np.radians(TRAINING_RANGES.start_tilt_max_deg)
    assert setup.initial_ml < held_ml(setup.pitcher, start_tilt_rad)


def test_an_amount_may_be_asked_for_instead_of_a_fraction():
    for seed in range(10):
        asked = draw_setup(seed, TRAINING_RANGES, goal_ml=90.0)
        assert asked.goal_ml == pytest.approx(90.0)
        assert (asked.receiver, asked.liquid, asked.scene) == (
            SETUPS[seed].receiver,
            SETUPS[seed].liquid,
            SETUPS[seed].scene,
        )
    with pytest.raises(UserError, match="the goal is 2000 ml"):
        draw_setup(0, TRAINING_RANGES, goal_ml=2000.0)


def test_a_camera_sensor_moves_no_other_draw():
    perfect = replace(TRAINING_RANGES, camera_exposure_ev=(0.0, 0.0), camera_blur=(0.0, 0.0), camera_noise=(0.0, 0.0))
    for seed, setup in enumerate(SETUPS[:10]):
        other = draw_setup(seed, perfect)
        camera = replace(
            other.scene.camera,
            exposure_ev=setup.scene.camera.exposure_ev,
            blur=setup.scene.camera.blur,
            noise=setup.scene.camera.noise,
        )
        assert replace(other, scene=replace(other.scene, camera=camera)) == setup
    exposures = {setup.scene.camera.exposure_ev for setup in SETUPS}
    assert len(exposures) == len(SETUPS)


def test_draws_stay_in_their_ranges():
    for setup in SETUPS:
        original = next(cup for cup in TRAINING_RECEIVERS if cup.name == setup.receiver.name)
        for ratio in (
            setup.receiver.height_m / original.height_m,
            setup.receiver.profile[0][1] / original.profile[0][1],
            setup.receiver.mouth_radius_m / original.mouth_radius_m,
        ):
            assert abs(ratio - 1.0) <= TRAINING_RANGES.receiver_jitter + 1e-9
        assert setup.receiver.opaque == original.opaque
        low, high = TRAINING_RANGES.goal_fraction
        assert low <= setup.goal_fraction <= high
        assert setup.scene.table.texture in TRAINING_RANGES.table_textures
        assert setup.scene.lights[0].shadow and not any(light.shadow for light in setup.scene.lights[1:])


def test_draws_reach_across_their_ranges():
    assert len({setup.receiver.name for setup in SETUPS}) >= 12
    assert len({setup.liquid.name for setup in SETUPS}) >= 8
    assert np.ptp([setup.goal_fraction for setup in SETUPS]) > 0.5
    assert np.ptp([setup.lip_offset[0] for setup in SETUPS]) > 0.025


def test_texture_families_exist_and_some_are_left_for_the_lab():
    used = set(TRAINING_RANGES.table_textures) | set(TRAINING_RANGES.wall_textures)
    assert used < set(TEXTURES)
    assert len(set(TEXTURES) - used) >= 3


def test_reference_receivers_are_clear():
    assert not any(draw_setup(seed, REFERENCE_RANGES).receiver.opaque for seed in range(10))


def test_scene_is_plain_json():
    scene = SETUPS[0].scene.to_json()
    assert json.loads(json.dumps(scene))["camera"]["field_m"] == SETUPS[0].scene.camera.field_m


def test_too_small_pitchers_are_named():
    small = replace(TRAINING_RANGES, pitchers=(TRAINING_RECEIVERS[0],))
    with pytest.raises(UserError, match=r"ranges\.pitchers.*add a larger pitcher"):
        draw_setup(0, small)
