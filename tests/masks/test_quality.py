"""The verdict on masks, the steadying filter, and the agreement figure."""

import numpy as np
import pytest

from multigen_core.masks.agreement import intersection_over_union
from multigen_core.masks.quality import judge, steadied
from multigen_core.palette import COLORS, Palette, colorize
from tests.audio_model.synthetic import pour


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    return pour(np.random.default_rng(0)).masks


def test_good_masks_are_usable(masks: np.ndarray) -> None:
    quality = judge(masks)
    assert quality.usable
    assert quality.receiver_seen == 1.0 and quality.jumps == 0.0
    assert quality.liquid_seen > 0.5


def test_masks_without_receiver_or_liquid_are_not(masks: np.ndarray) -> None:
    for missing in (Palette.RECEIVER, Palette.LIQUID):
        assert not judge(np.where(masks == missing, 0, masks).astype(np.uint8)).usable
    assert not judge(np.zeros_like(masks)).usable


def test_a_receiver_that_leaps_about_is_not_usable(masks: np.ndarray) -> None:
    leaping = masks.copy()
    leaping[::5] = np.roll(masks[::5], 25, axis=2)
    quality = judge(leaping)
    assert quality.jumps > 0.1 and not quality.usable


def test_steadying_removes_flicker_and_keeps_the_rest(masks: np.ndarray) -> None:
    still = np.repeat(masks[:1], 9, axis=0)
    flicker = still.copy()
    flicker[4] = 0
    assert np.array_equal(steadied(flicker), still)
    assert np.array_equal(steadied(still[:1]), still[:1])


def test_steadying_keeps_the_middle_frame_where_all_differ() -> None:
    three = np.arange(3, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    assert np.all(steadied(three)[1] == 1)


def test_agreement_of_half_overlapping_squares() -> None:
    first, second = np.zeros((2, 1, 8, 8), np.uint8)
    first[0, :4, :4], second[0, :4, 2:6] = 2, 2
    scores = intersection_over_union(first, second)
    assert scores["receiver"] == pytest.approx(8 / 24)
    assert scores["liquid"] is None
    assert intersection_over_union(first, first)["receiver"] == 1.0


def test_every_class_has_its_colour() -> None:
    assert len({tuple(color) for color in COLORS.tolist()}) == len(Palette)
    assert colorize(np.array([[0, 3]], np.uint8)).tolist() == [[COLORS[0].tolist(), COLORS[3].tolist()]]
