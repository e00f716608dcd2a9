"""Figures of sounds whose figures are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from multigen_core.acoustics.character import BANDS_HZ, character_of
from tests.acoustics.pours import scene_of, sound_of, steady_pour

HZ = 16_000


def noise(seconds: float = 6.0, *, seed: int = 0) -> np.ndarray:
    """A tenth of near silence, then white noise."""
    rng = np.random.default_rng(seed)
    sound = 0.05 * rng.standard_normal(round(seconds * HZ))
    sound[: len(sound) // 10] *= 1e-3
    return sound.astype(np.float32)


def test_white_noise_is_flat_and_has_few_transients() -> None:
    figures = character_of(noise())
    assert figures is not None
    assert figures.tilt_db_per_octave == pytest.approx(0.0, abs=0.3)
    widths = np.diff(BANDS_HZ)
    assert figures.band_db == pytest.approx(10 * np.log10(widths / widths.sum()), abs=0.5)
    assert figures.transients_hz < 1.0
    assert figures.pour_s == pytest.approx(5.4, abs=0.1)


def test_tilt_is_that_of_the_filter() -> None:
    """A pole at 0.999 falls by 6 dB per octave far above its corner; towards half the sampling rate by less."""
    figures = character_of(lfilter([1.0], [1.0, -0.95], noise()).astype(np.float32))
    assert figures is not None
    assert figures.tilt_db_per_octave == pytest.approx(-4.8, abs=0.8)


def test_quality_is_that_of_the_cup() -> None:
    """Median over scenes, as in the table: one draw says little. Broad resonances are read about 3 too high."""
    medians = []
    for q in (11.0, 15.0, 20.0):
        sounds = [sound_of(steady_pour(), replace(scene_of(seed), q=q), seed=seed) for seed in range(7)]
        found = [figures.q for figures in map(character_of, sounds) if figures is not None]
        assert len(found) == 7
        medians.append(float(np.median(found)))
    assert medians == pytest.approx([14.0, 18.0, 23.0], abs=2.0)


def test_partials_stand_as_high_as_they_are_made() -> None:
    low, high = (
        [sound_of(steady_pour(), replace(scene_of(seed), resonance_db=db), seed=seed) for seed in range(5)]
        for db in (6.0, 16.0)
    )
    heights = [np.median([one.partials_db[0] for one in map(character_of, sounds) if one]) for sounds in (low, high)]
    assert heights[1] > heights[0] + 5.0


def test_clicks_are_counted() -> None:
    sound, rng = 0.3 * noise(8.0), np.random.default_rng(1)
    starts = np.sort(rng.choice(np.arange(20, 155), 45, replace=False)) * 800
    for start in starts:
        sound[start : start + 40] += 0.4 * rng.standard_normal(40)
    figures = character_of(sound.astype(np.float32))
    assert figures is not None
    assert figures.transients_hz == pytest.approx(45 / 7.2, rel=0.2)


def test_a_swelling_is_found_at_its_rate() -> None:
    sound = noise(10.0)
    time_s = np.arange(len(sound)) / HZ
    figures = character_of((sound * 10 ** (0.4 * np.sin(2 * np.pi * 5.0 * time_s))).astype(np.float32))
    assert figures is not None
    assert figures.modulation_peak_hz == pytest.approx(5.0, rel=0.15)
    steady = character_of(sound)
    assert steady is not None and np.mean(figures.band_spread_db) > np.mean(steady.band_spread_db) + 1.0


def test_a_gain_changes_nothing() -> None:
    sound = sound_of(steady_pour(), scene_of(3))
    loud, soft = character_of(sound), character_of(0.5 * sound)
    assert loud is not None and soft is not None
    assert soft.band_db == pytest.approx(loud.band_db, abs=0.05)
    assert soft.q == pytest.approx(loud.q, rel=0.02)


def test_silence_has_no_character() -> None:
    assert character_of(np.zeros(3 * HZ, np.float32)) is None
