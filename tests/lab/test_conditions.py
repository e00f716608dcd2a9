"""Neither lab shares anything with training, nor its cups with the other: the results would mean little otherwise."""

from dataclasses import fields, replace

import numpy as np
import pytest

from multigen_core.acoustics.sound_scene import TRAINING_SOUND_RANGES
from multigen_core.containers import Container
from multigen_core.lab.conditions import CONDITIONS, Conditions
from multigen_core.lab.receivers import LAB_RECEIVERS, VALIDATION_RECEIVERS
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


BOTH = pytest.mark.parametrize("lab", CONDITIONS.values(), ids=CONDITIONS)
CUPS = pytest.mark.parametrize("cup", LAB_RECEIVERS + VALIDATION_RECEIVERS, ids=lambda cup: cup.name)


def _apart(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[1] < second[0] or second[1] < first[0]


@CUPS
def test_every_cup_is_unlike_every_training_cup(cup: Container) -> None:
    jitter = TRAINING_RANGES.receiver_jitter
    for known in TRAINING_RECEIVERS:
        ratios = [mine / theirs for mine, theirs in zip(_size(cup), _size(known), strict=True)]
        assert any(ratio > 1.08 * (1 + jitter) or ratio < 0.92 * (1 - jitter) for ratio in ratios), known.name


@pytest.mark.parametrize("cup", VALIDATION_RECEIVERS, ids=lambda cup: cup.name)
def test_choices_are_made_on_other_cups_than_the_table(cup: Container) -> None:
    for other in LAB_RECEIVERS:
        ratios = [mine / theirs for mine, theirs in zip(_size(cup), _size(other), strict=True)]
        assert any(abs(ratio - 1.0) > 0.05 for ratio in ratios), other.name


@BOTH
@pytest.mark.parametrize("opaque", [True, False])
def test_four_cups_of_each_kind_span_a_factor_of_three(lab: Conditions, opaque: bool) -> None:
    capacities = [cup.capacity_ml for cup in lab.receivers if cup.opaque == opaque]
    assert len(capacities) == 4
    assert max(capacities) / min(capacities) > 3.0


def test_the_rows_of_the_papers_table_are_there() -> None:
    opaque = {cup.name for cup in LAB_RECEIVERS if cup.opaque}
    assert opaque == {"red_cup", "metal_thermos", "ceramic_mug", "black_tumbler"}


@BOTH
def test_names_are_new(lab: Conditions) -> None:
    for mine, theirs in (
        (lab.receivers, TRAINING_RECEIVERS),
        (lab.ranges.pitchers, TRAINING_PITCHERS),
        (lab.ranges.liquids, TRAINING_LIQUIDS),
    ):
        assert not {item.name for item in mine} & {item.name for item in theirs}


@BOTH
def test_liquids_have_new_colors(lab: Conditions) -> None:
    for mine in lab.ranges.liquids:
        for theirs in TRAINING_LIQUIDS:
            distance = max(abs(a - b) for a, b in zip(mine.color, theirs.color, strict=True))
            assert distance > TRAINING_RANGES.color_jitter, (mine.name, theirs.name)


@BOTH
@pytest.mark.parametrize("name", ["table_textures", "wall_textures"])
def test_surfaces_are_of_other_families(lab: Conditions, name: str) -> None:
    known = {*TRAINING_RANGES.table_textures, *TRAINING_RANGES.wall_textures}
    assert set(getattr(lab.ranges, name)) <= set(TEXTURES) - known


@BOTH
@pytest.mark.parametrize("name", ["texture_seeds", "light_kelvin", "camera_distance_m"])
def test_ranges_do_not_overlap(lab: Conditions, name: str) -> None:
    assert _apart(getattr(lab.ranges, name), getattr(TRAINING_RANGES, name))


@BOTH
@pytest.mark.parametrize("name", ["room_rt60_s", "background_dbfs", "hum_hz", "hum_dbfs"])
def test_sound_ranges_do_not_overlap(lab: Conditions, name: str) -> None:
    assert name in {field.name for field in fields(lab.sound)}
    assert _apart(getattr(lab.sound, name), getattr(TRAINING_SOUND_RANGES, name))


@pytest.mark.parametrize("name", ["texture_seeds", "light_kelvin", "camera_distance_m"])
def test_the_two_labs_do_not_overlap(name: str) -> None:
    first, second = (getattr(lab.ranges, name) for lab in CONDITIONS.values())
    assert _apart(first, second)


@BOTH
def test_cups_ring_otherwise(lab: Conditions) -> None:
    materials = {cup.material for cup in lab.receivers}
    assert materials == set(lab.sound.q)
    for material in materials:
        assert _apart(lab.sound.q[material], TRAINING_SOUND_RANGES.q[material])


@BOTH
def test_every_cup_can_be_set_up_for_the_largest_goal(lab: Conditions) -> None:
    for cup in lab.receivers:
        ranges = replace(lab.ranges, receivers=(cup,), goal_fraction=(0.9, 0.9))
        for seed in range(4):
            setup = draw_setup(seed, ranges)
            assert setup.initial_ml >= setup.goal_ml + ranges.surplus_ml[0]
            np.testing.assert_allclose(setup.receiver.profile, cup.profile)
