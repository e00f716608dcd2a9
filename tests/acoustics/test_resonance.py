"""Laws of vessels, walls and bubbles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multigen_core.acoustics.resonance import (
    WALL_MODES,
    air_column_from_hz,
    bottle_hz,
    minnaert_hz,
    quarter_wave_hz,
    tapered_hz,
    wall_mode_hz,
)

LENGTHS_M = st.floats(0.0, 0.3)
RADII_M = st.floats(0.015, 0.06)
GLASS = {"wall_m": 0.002, "youngs_pa": 6.5e10, "density_kg_m3": 2500.0, "radius_m": 0.035, "height_m": 0.1}


def test_the_published_cylinder_sounds_at_394_hz_when_empty() -> None:
    assert quarter_wave_hz(0.197, 0.03) == pytest.approx(394.0, abs=1.0)


@given(LENGTHS_M, RADII_M)
def test_air_column_and_resonance_invert_each_other(column_m: float, radius_m: float) -> None:
    assert air_column_from_hz(quarter_wave_hz(column_m, radius_m), radius_m) == pytest.approx(column_m, abs=1e-9)


@given(LENGTHS_M, st.floats(0.001, 0.1), RADII_M)
def test_resonance_rises_as_the_cup_fills(column_m: float, less_m: float, radius_m: float) -> None:
    assert quarter_wave_hz(column_m, radius_m) > quarter_wave_hz(column_m + less_m, radius_m)


def test_partials_of_a_quarter_wave_are_odd_multiples() -> None:
    ratios = [quarter_wave_hz(0.1, 0.03, partial=k) / quarter_wave_hz(0.1, 0.03) for k in (1, 2, 3, 4)]
    assert ratios == pytest.approx([1.0, 3.0, 5.0, 7.0])


def test_a_conical_cup_rises_as_its_slant_shortens() -> None:
    slants_m = np.linspace(0.02, 0.12, 20)
    assert np.all(np.diff(tapered_hz(slants_m, bottom_radius_m=0.025, top_radius_m=0.04)) < 0)


def test_a_bottle_rises_by_an_octave_when_its_air_is_quartered() -> None:
    shape = {"radius_m": 0.035, "neck_radius_m": 0.01, "neck_length_m": 0.07}
    assert bottle_hz(0.04, **shape) == pytest.approx(2.0 * bottle_hz(0.16, **shape))


def test_a_wine_bottle_sounds_near_110_hz() -> None:
    hz = bottle_hz(0.2, radius_m=0.0365, neck_radius_m=0.0095, neck_length_m=0.08)
    assert 90.0 < hz < 130.0


def test_the_wall_of_a_glass_sounds_lower_as_it_fills() -> None:
    levels_m = np.linspace(0.0, 0.1, 20)
    for mode in WALL_MODES:
        assert np.all(np.diff(wall_mode_hz(levels_m, mode=mode, **GLASS)) < 0)


def test_the_wall_of_a_drinking_glass_rings_near_1_khz_and_falls_by_less_than_an_octave() -> None:
    empty_hz, full_hz = wall_mode_hz(0.0, **GLASS), wall_mode_hz(0.1, **GLASS)
    assert 800.0 < empty_hz < 1400.0
    assert 0.5 < full_hz / empty_hz < 0.9


def test_a_thicker_wall_sounds_higher_in_proportion_when_empty() -> None:
    thick = {**GLASS, "wall_m": 0.004}
    assert wall_mode_hz(0.0, **thick) == pytest.approx(2.0 * wall_mode_hz(0.0, **GLASS))


def test_a_bubble_of_one_millimetre_sounds_at_3260_hz() -> None:
    assert minnaert_hz(0.001) == pytest.approx(3260.0)
