"""Sounds that are no pour: a voice and a tune, synthesised."""

import numpy as np
from jaxtyping import Float32

from multigen_core.records import SAMPLE_RATE_HZ

FORMANTS_HZ = ((700, 1200), (300, 2200), (500, 900), (400, 1900))
"""Of the vowels in turn."""


def voice(seconds: float, *, pitch_hz: float = 130.0, seed: int = 0) -> Float32[np.ndarray, " samples"]:
    """Four syllables a second, each with a vowel of its own and a pitch that glides, and a pause after every fourth."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * SAMPLE_RATE_HZ)
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    syllable = (4.0 * time_s).astype(int)
    places = 4.0 * time_s - syllable
    glides = rng.uniform(-0.25, 0.25, syllable.max() + 1)
    bases = pitch_hz * np.exp2(rng.uniform(-0.3, 0.3, syllable.max() + 1))
    f0_hz = bases[syllable] * np.exp2(glides[syllable] * places)
    phase = 2.0 * np.pi * np.cumsum(f0_hz) / SAMPLE_RATE_HZ
    sound = np.zeros(samples)
    for partial in range(1, 30):
        hz = partial * f0_hz
        gain = np.zeros(samples)
        for k, formants in enumerate(FORMANTS_HZ):
            chosen = syllable % len(FORMANTS_HZ) == k
            gain[chosen] = sum(1.0 / (1.0 + ((hz[chosen] - formant) / 120.0) ** 2) for formant in formants)
        sound += gain * np.sin(partial * phase) / partial**0.5
    sound *= np.sin(np.pi * places) ** 0.5 * (syllable % 5 < 4)
    return (0.2 * sound / np.abs(sound).max()).astype(np.float32)


def tune(seconds: float) -> Float32[np.ndarray, " samples"]:
    """Chords of three notes with four partials each, a new one every half second."""
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    beat = (2.0 * time_s).astype(int)
    sound = np.zeros(len(time_s))
    for steps in ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 3, 7)):
        chosen = beat % 4 == ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 3, 7)).index(steps)
        for step in steps:
            hz = 220.0 * 2.0 ** (step / 12.0)
            for partial in range(1, 5):
                sound[chosen] += np.sin(2.0 * np.pi * partial * hz * time_s[chosen]) / partial
    decay = np.exp(-3.0 * (2.0 * time_s - beat))
    return (0.2 * sound * decay / np.abs(sound).max()).astype(np.float32)


def hum(seconds: float) -> Float32[np.ndarray, " samples"]:
    """A motor at 120 Hz with its partials, all the time."""
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.05 * sum(np.sin(2.0 * np.pi * 120.0 * k * time_s) / k for k in range(1, 12))).astype(np.float32)
