"""Lumped pours obey the geometry they claim."""

import numpy as np
import pytest

from multigen_core.clips.pour_curves import CURVE_RATE_HZ, PourCurves, draw_curves
from multigen_core.simulation.randomisation import REFERENCE_RANGES, PourSetup, draw_setup

SEEDS = range(30)


def drawn(seed: int, length_s: float = 6.0) -> tuple[PourSetup, PourCurves]:
    setup = draw_setup(seed, REFERENCE_RANGES)
    return setup, draw_curves(np.random.default_rng(seed), setup, length_s=length_s)


@pytest.mark.parametrize("seed", SEEDS)
def test_volume_is_the_integral_of_flow_and_level_follows_from_it(seed: int) -> None:
    setup, curves = drawn(seed)
    arrived_ml = np.sum(curves.flow_ml_s[1:] + curves.flow_ml_s[:-1]) / (2 * CURVE_RATE_HZ)
    assert curves.poured_ml[-1] - curves.poured_ml[0] == pytest.approx(arrived_ml)
    held_ml = [1e6 * setup.receiver.volume_at(level) for level in curves.level_m]
    assert held_ml == pytest.approx(curves.poured_ml, abs=1e-6)
    assert curves.level_m + curves.air_column_m == pytest.approx(setup.receiver.height_m)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_pours_forward_within_the_receiver_and_the_clip(seed: int) -> None:
    setup, curves = drawn(seed)
    assert np.all(curves.flow_ml_s >= 0)
    assert curves.flow_ml_s[0] == curves.flow_ml_s[-1] == 0
    assert curves.flow_ml_s.max() < 250
    assert curves.poured_ml[-1] <= setup.goal_ml + 1e-6
    assert curves.poured_ml[-1] - curves.poured_ml[0] <= setup.initial_ml
    assert np.all(curves.fall_height_m > 0)
    assert np.flatnonzero(curves.flow_ml_s)[0] >= 0.05 * len(curves.flow_ml_s)


def test_pours_vary_in_speed_and_start() -> None:
    pours = [drawn(seed)[1] for seed in SEEDS]
    peaks = [curves.flow_ml_s.max() for curves in pours]
    assert max(peaks) > 2.5 * min(peaks)
    assert {curves.poured_ml[0] > 1 for curves in pours} == {True, False}


def test_the_pitcher_tilts_further_while_it_empties() -> None:
    _, curves = drawn(1)
    flowing = np.flatnonzero(curves.flow_ml_s > 0)
    assert curves.tilt_rad[flowing[-8]] > curves.tilt_rad[flowing[8]]
    assert curves.tilt_rad[flowing[8]] > curves.tilt_rad[0]


def test_values_between_steps_lie_on_a_line() -> None:
    _, curves = drawn(2)
    steps_s = np.arange(len(curves.flow_ml_s)) / CURVE_RATE_HZ
    table = curves.at(steps_s[:-1] + 0.5 / CURVE_RATE_HZ)
    assert table["level_m"].to_numpy() == pytest.approx((curves.level_m[1:] + curves.level_m[:-1]) / 2)
    assert list(table) == [
        "time_s",
        "flow_ml_s",
        "poured_ml",
        "level_m",
        "air_column_m",
        "fall_height_m",
        "tilt_rad",
        "mouth_radius_m",
    ]


@pytest.mark.parametrize("length_s", [1.5, 3.05, 20.0])
def test_any_length_will_do(length_s: float) -> None:
    _, curves = drawn(3, length_s)
    assert len(curves.flow_ml_s) >= length_s * CURVE_RATE_HZ
    assert curves.poured_ml[-1] > curves.poured_ml[0]
