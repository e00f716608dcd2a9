"""The air column heard in a cup that is filled evenly from empty to full."""

import numpy as np
import pytest

from multigen_core.acoustics.air_column import air_column_error_m, shuffled_error_m
from multigen_core.media import read_sound
from tests.acoustics.pours import Pour, scene_of, sound_of
from tests.clips.recordings import REAL_CLIPS

CYLINDER = {"height_m": 0.197, "radius_m": 0.03}


def even_filling(seconds: float = 12.0) -> Pour:
    steps = round(10 * seconds)
    column_m = CYLINDER["height_m"] * (1.0 - np.arange(steps) / steps)
    flow_ml_s = np.full(steps, np.pi * CYLINDER["radius_m"] ** 2 * CYLINDER["height_m"] * 1e6 / seconds)
    return Pour(CYLINDER["radius_m"], CYLINDER["height_m"], 0, steps, flow_ml_s, column_m, column_m + 0.05)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_even_filling_is_heard_to_half_a_centimetre(seed: int) -> None:
    waveform = sound_of(even_filling(), scene_of(seed), seed=seed)
    assert air_column_error_m(waveform, **CYLINDER) < 0.005
    assert shuffled_error_m(waveform, **CYLINDER) > 0.015


def test_noise_is_no_better_than_its_shuffles() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(12 * 16_000)
    assert air_column_error_m(noise, **CYLINDER) > 0.5 * shuffled_error_m(noise, **CYLINDER)


def test_too_little_sound_gives_no_figure() -> None:
    assert np.isnan(air_column_error_m(np.zeros(8_000), **CYLINDER))


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="needs ../shared/data/real_clips, three real recordings")
def test_the_measured_real_cylinder_is_heard_to_half_a_centimetre() -> None:
    waveform = read_sound(REAL_CLIPS / "VID_20240116_230040_2.1_16.7.mp4")
    assert air_column_error_m(waveform, **CYLINDER) < 0.005
    assert shuffled_error_m(waveform, **CYLINDER) > 0.02
