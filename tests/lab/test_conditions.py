"""The lab shares nothing with training: the table of results would mean little otherwise."""

from dataclasses import fields, replace

import numpy as np
import pytest

from multigen_core.acoustics.sound_scene import TRAINING_SOUND_RANGES
from multigen_core.containers import Container
from multigen_core.lab.conditions import LAB_LIQUIDS, LAB_PITCHERS, LAB_RANGES, LAB_SOUND_RANGES
from multigen_core.lab.receivers import LAB_RECEIVERS
from multigen_core.simulation.randomisation import (
    TRAINING_LIQUIDS,
    TRAINING_PITCHERS,
    TRAINING_RANGES,
    TRAINING_RECEIVERS,
    draw_setup,
)
from multigen_core.simulation.textures import TEXTURES


def _size(cup: Container) -> tuple[float, float, float]:
    return cup.profile[0][1], cup.mouth_radius_m, cup.height_m


def _apart(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[1] < second[0] or second[1] < first[0]


@pytest.mark.parametrize("cup", LAB_RECEIVERS, ids=lambda cup: cup.name)
def test_every_cup_is_unlike_every_training_cup(cup: Container) -> None:
    jitter = TRAINING_RANGES.receiver_jitter
    for known in TRAINING_RECEIVERS:
        ratios = [mine / theirs for mine, theirs in zip(_size(cup), _size(known), strict=True)]
        assert any(ratio > 1.08 * (1 + jitter) or ratio < 0.92 * (1 - jitter) for ratio in ratios), known.name


@pytest.mark.parametrize("opaque", [True, False])
def test_four_cups_of_each_kind_span_a_factor_of_three(opaque: bool) -> None:
    capacities = [cup.capacity_ml for cup in LAB_RECEIVERS if cup.opaque == opaque]
    assert len(capacities) == 4
    assert max(capacities) / min(capacities) > 3.0


def test_the_rows_of_the_papers_table_are_there() -> None:
    opaque = {cup.name for cup in LAB_RECEIVERS if cup.opaque}
    assert opaque == {"red_cup", "metal_thermos", "ceramic_mug", "black_tumbler"}


def test_names_are_new() -> None:
    for mine, theirs in (
        (LAB_RECEIVERS, TRAINING_RECEIVERS),
        (LAB_PITCHERS, TRAINING_PITCHERS),
        (LAB_LIQUIDS, TRAINING_LIQUIDS),
    ):
        assert not {item.name for item in mine} & {item.name for item in theirs}


def test_liquids_have_new_colors() -> None:
    for mine in LAB_LIQUIDS:
        for theirs in TRAINING_LIQUIDS:
            distance = max(abs(a - b) for a, b in zip(mine.color, theirs.color, strict=True))
            assert distance > TRAINING_RANGES.color_jitter, (mine.name, theirs.name)


@pytest.mark.parametrize("name", ["table_textures", "wall_textures"])
def test_surfaces_are_of_other_families(name: str) -> None:
    known = {*TRAINING_RANGES.table_textures, *TRAINING_RANGES.wall_textures}
    assert set(getattr(LAB_RANGES, name)) <= set(TEXTURES) - known


@pytest.mark.parametrize("name", ["texture_seeds", "light_kelvin", "camera_distance_m"])
def test_ranges_do_not_overlap(name: str) -> None:
    assert _apart(getattr(LAB_RANGES, name), getattr(TRAINING_RANGES, name))


@pytest.mark.parametrize("name", ["room_rt60_s", "background_dbfs", "hum_hz", "hum_dbfs"])
def test_sound_ranges_do_not_overlap(name: str) -> None:
    assert name in {field.name for field in fields(LAB_SOUND_RANGES)}
    assert _apart(getattr(LAB_SOUND_RANGES, name), getattr(TRAINING_SOUND_RANGES, name))


def test_cups_ring_otherwise() -> None:
    materials = {cup.material for cup in LAB_RECEIVERS}
    assert materials == set(LAB_SOUND_RANGES.q)
    for material in materials:
        assert _apart(LAB_SOUND_RANGES.q[material], TRAINING_SOUND_RANGES.q[material])


@pytest.mark.parametrize("cup", LAB_RECEIVERS, ids=lambda cup: cup.name)
def test_every_cup_can_be_set_up_for_the_largest_goal(cup: Container) -> None:
    ranges = replace(LAB_RANGES, receivers=(cup,), goal_fraction=(0.9, 0.9))
    for seed in range(4):
        setup = draw_setup(seed, ranges)
        assert setup.initial_ml >= setup.goal_ml + ranges.surplus_ml[0]
        np.testing.assert_allclose(setup.receiver.profile, cup.profile)
