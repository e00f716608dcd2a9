"""Pours are found where they are; hum, tones, clatter and silence are none."""

import numpy as np
import pytest

from multigen_core.acoustics.pour_detection import find_pour
from tests.acoustics.pours import scene_of, sound_of, steady_pour

SECOND = 16_000


def noise(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(int(seconds * SECOND))).astype(np.float32)


def tone(seconds: float, level: float) -> np.ndarray:
    return (level * np.sin(np.arange(int(seconds * SECOND)) * 0.6)).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_a_pour_is_found_from_its_first_to_its_last_drop(seed: int) -> None:
    pour = find_pour(sound_of(steady_pour(), scene_of(seed), seed=seed))
    assert pour is not None
    assert pour.start_s == pytest.approx(0.95, abs=0.15)
    assert pour.stop_s == pytest.approx(6.0, abs=0.15)


def test_a_short_pause_belongs_to_the_pour_and_a_long_one_ends_it() -> None:
    quiet, loud = 1e-4, 0.05
    short = np.concatenate([noise(1, quiet), noise(2, loud), noise(0.5, quiet), noise(2, loud), noise(1, quiet)])
    long = np.concatenate([noise(1, quiet), noise(3, loud), noise(1.5, quiet), noise(2, loud), noise(1, quiet)])
    whole, first = find_pour(short), find_pour(long)
    assert whole is not None and first is not None
    assert (whole.start_s, whole.stop_s) == pytest.approx((1.0, 5.5), abs=0.1)
    assert (first.start_s, first.stop_s) == pytest.approx((1.0, 4.0), abs=0.1)


def test_a_clatter_before_the_pour_is_not_its_start() -> None:
    waveform = np.concatenate([noise(1, 1e-4), noise(0.03, 0.3), noise(0.4, 1e-4), noise(3, 0.05), noise(1, 1e-4)])
    pour = find_pour(waveform)
    assert pour is not None
    assert pour.start_s == pytest.approx(1.43, abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_a_recording_cut_to_the_pour_is_all_pour(seed: int) -> None:
    waveform = sound_of(steady_pour(), scene_of(seed))[18_000:90_000]
    pour = find_pour(waveform)
    assert pour is not None
    assert (pour.start_s, pour.stop_s) == pytest.approx((0.0, 4.5), abs=0.05)


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(4 * SECOND, np.float32),
        np.zeros(0, np.float32),
        noise(4, 0.01),
        noise(4, 1e-6),
        np.concatenate([noise(2, 1e-4), noise(0.1, 0.1), noise(2, 1e-4)]),
        np.concatenate([noise(1, 1e-4), noise(2, 1e-4) + tone(2, 0.1), noise(1, 1e-4)]),
    ],
    ids=["digital silence", "no samples", "steady noise", "faint noise", "clap", "tone"],
)
def test_what_is_no_pour(waveform: np.ndarray) -> None:
    assert find_pour(waveform) is None
