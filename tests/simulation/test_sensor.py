"""The sensor's laws: nothing is free, and nothing is biased."""

from dataclasses import replace

import numpy as np
import pytest

from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.sensor import GAMMA, READ_SHARE, sensed

PERFECT = replace(draw_setup(0, TRAINING_RANGES).scene.camera, exposure_ev=0.0, blur=0.0, noise=0.0)


def flat(value: int, side: int = 96) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def checkerboard() -> np.ndarray:
    cells = np.indices((96, 96)).sum(0) // 8 % 2
    return (60 + 120 * cells[..., None] * np.ones(3)).astype(np.uint8)


def test_a_perfect_camera_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert np.array_equal(sensed(picture, PERFECT, seed=(0, 0)), picture)


def test_blur_moves_light_but_makes_none() -> None:
    picture = checkerboard()
    soft = sensed(picture, replace(PERFECT, blur=0.01), seed=(0, 0))
    assert soft.mean() == pytest.approx(picture.mean(), abs=0.5)
    assert np.abs(np.diff(soft.astype(int), axis=1)).max() < np.abs(np.diff(picture.astype(int), axis=1)).max()


@pytest.mark.parametrize("stops", [-1.0, -0.3, 0.5])
def test_exposure_scales_the_light_by_powers_of_two(stops: float) -> None:
    before, after = flat(120), sensed(flat(120), replace(PERFECT, exposure_ev=stops), seed=(0, 0))
    light = [(float(picture.mean()) / 255.0) ** GAMMA for picture in (before, after)]
    assert np.log2(light[1] / light[0]) == pytest.approx(stops, abs=0.02)


def test_white_is_the_brightest_there_is() -> None:
    assert (sensed(flat(250), replace(PERFECT, exposure_ev=2.0), seed=(0, 0)) == 255).all()


@pytest.mark.parametrize("value", [40, 128, 210])
def test_noise_has_the_spread_that_was_asked_for_and_no_bias(value: int) -> None:
    noisy = sensed(flat(value), replace(PERFECT, noise=0.02), seed=(1, 0)).astype(float)
    spread = 255.0 * 0.02 * np.sqrt(READ_SHARE + (1.0 - READ_SHARE) * value / 255.0)
    assert noisy.std() == pytest.approx(spread, rel=0.03)
    assert noisy.mean() == pytest.approx(value, abs=0.15)


def test_noise_is_its_seed_and_differs_between_frames() -> None:
    camera = replace(PERFECT, noise=0.02)
    first, again, other = (sensed(flat(128), camera, seed=(3, frame)) for frame in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
