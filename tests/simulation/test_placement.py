from dataclasses import replace

import numpy as np
import pytest

from multigen_core.simulation.placement import (
    clear_tilt_rad,
    lip_in_pitcher,
    mouth_centre_m,
    pitcher_pose,
    receiver_position_m,
    start_lip_position_m,
)
from multigen_core.simulation.randomisation import TRAINING_PITCHERS, TRAINING_RANGES, draw_setup

PITCHER = TRAINING_PITCHERS[2]


@pytest.mark.parametrize("tilt_rad", [0.0, 0.4, 1.3, 2.0])
def test_lip_stays_where_it_is_asked_to_be(tilt_rad):
    lip_m = np.array([0.5, 0.03, 0.2])
    pose = pitcher_pose(PITCHER, lip_position_m=lip_m, tilt_rad=tilt_rad)
    assert pose[:3, :3] @ lip_in_pitcher(PITCHER) + pose[:3, 3] == pytest.approx(lip_m)
    assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3))


def test_tilting_leans_the_pitcher_towards_minus_y():
    pose = pitcher_pose(PITCHER, lip_position_m=np.zeros(3), tilt_rad=0.5)
    assert pose[:3, 2] == pytest.approx((0.0, -np.sin(0.5), np.cos(0.5)))


def test_receiver_stands_on_the_table_and_the_lip_starts_above_its_rim():
    setup = draw_setup(3, TRAINING_RANGES)
    assert receiver_position_m(setup)[2] == setup.receiver.wall_m
    offset = start_lip_position_m(setup) - mouth_centre_m(setup)
    assert offset == pytest.approx((0.0, *setup.lip_offset))


def test_a_lip_further_out_or_higher_needs_less_tilt():
    setup = replace(draw_setup(3, TRAINING_RANGES), pitcher=PITCHER)
    out = [clear_tilt_rad(setup, lip_offset=(y, 0.05)) for y in (-0.01, 0.01, 0.03, 0.06)]
    up = [clear_tilt_rad(setup, lip_offset=(0.0, z)) for z in (0.02, 0.04, 0.08)]
    assert out == sorted(out, reverse=True) and out[0] > out[-1]
    assert up == sorted(up, reverse=True) and up[0] > up[-1]


def test_at_the_clear_tilt_the_pitcher_is_outside_receiver_and_table():
    for seed in range(10):
        setup = draw_setup(seed, TRAINING_RANGES)
        receiver, pitcher = setup.receiver, setup.pitcher
        pose = pitcher_pose(pitcher, lip_position_m=start_lip_position_m(setup), tilt_rad=clear_tilt_rad(setup))
        heights = np.linspace(0.0, pitcher.height_m, 50)
        wall = np.array([(0.0, -pitcher.radius_at(h) - pitcher.wall_m, h) for h in heights])
        points = wall @ pose[:3, :3].T + pose[:3, 3] - receiver_position_m(setup)
        for _, y, z in points:
            assert z > -receiver.wall_m
            assert z > receiver.height_m or y > receiver.radius_at(z) + receiver.wall_m
