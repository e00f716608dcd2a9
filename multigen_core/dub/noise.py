"""Environmental noises that have nothing to do with the pour: the baseline's sound.

Four kinds are drawn and mixed: mains hum, a fan, chatter-like modulated noise, and the clatter of a kitchen.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32
from scipy.signal import lfilter, sosfilt

from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["NOISES", "chatter", "clatter", "environment", "fan", "hum"]

Noise = Float[np.ndarray, " S"]

_LONGEST_RING = 2 * SAMPLE_RATE_HZ
"""Samples after which the slowest ring, of 0.2 s, has fallen by 87 dB."""


def hum(generator: np.random.Generator, samples: int) -> Noise:
    """Mains hum: harmonics of 50 or 60 Hz that fall off with their number."""
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    mains_hz = generator.choice([50.0, 60.0])
    tilt = generator.uniform(0.5, 1.5)
    waveform = np.zeros(samples)
    for harmonic in range(1, 13):
        strength = generator.lognormal(0.0, 0.7) * harmonic**-tilt
        waveform += strength * np.sin(2.0 * np.pi * (mains_hz * harmonic * time_s + generator.uniform()))
    return waveform


def fan(generator: np.random.Generator, samples: int) -> Noise:
    """A fan: low-passed noise, slowly breathing, with a tone where its blades pass."""
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    air = lfilter([1.0], [1.0, -generator.uniform(0.9, 0.985)], generator.standard_normal(samples))
    breath = 1.0 + 0.2 * np.sin(2.0 * np.pi * (generator.uniform(0.1, 0.5) * time_s + generator.uniform()))
    blades_hz = generator.uniform(60.0, 240.0)
    tone = sum(np.sin(2.0 * np.pi * blades_hz * order * time_s) / order for order in (1, 2, 3))
    return breath * (air / air.std() + generator.uniform(0.0, 0.4) * tone)


def chatter(generator: np.random.Generator, samples: int) -> Noise:
    """Several speakers far away: noise through moving formants, in syllables of about a quarter second."""
    waveform = np.zeros(samples)
    for _ in range(generator.integers(2, 6)):
        start = 0
        while start < samples:
            length = int(SAMPLE_RATE_HZ * generator.uniform(0.1, 0.35))
            stop = min(start + length, samples)
            voice = _resonate(_glottis(generator, stop - start), generator.uniform(300.0, 900.0), 120.0)
            voice += 0.5 * _resonate(_glottis(generator, stop - start), generator.uniform(1000.0, 2500.0), 200.0)
            envelope = np.sin(np.pi * np.arange(stop - start) / length) ** 2
            waveform[start:stop] += generator.lognormal(0.0, 0.5) * envelope * voice
            start = stop + int(SAMPLE_RATE_HZ * generator.exponential(0.12))
    return waveform


def clatter(generator: np.random.Generator, samples: int) -> Noise:
    """Dishes and tools: struck objects with a few ringing modes, at random moments."""
    waveform = 0.01 * generator.standard_normal(samples)
    for start in generator.integers(0, samples, generator.poisson(1.5 * samples / SAMPLE_RATE_HZ) + 1):
        stop = min(samples, start + _LONGEST_RING)
        time_s = np.arange(stop - start) / SAMPLE_RATE_HZ
        loudness = generator.lognormal(0.0, 0.6)
        for _ in range(generator.integers(2, 6)):
            ring_hz, decay_s = generator.uniform(400.0, 6000.0), generator.uniform(0.02, 0.2)
            ring = np.sin(2.0 * np.pi * ring_hz * time_s) * np.exp(-time_s / decay_s)
            waveform[start:stop] += loudness * generator.uniform(0.2, 1.0) * ring
    return waveform


NOISES: tuple[Callable[[np.random.Generator, int], Noise], ...] = (hum, fan, chatter, clatter)
"""The kinds that an environment is mixed from."""


def environment(
    generator: np.random.Generator, samples: int, *, level_dbfs: tuple[float, float]
) -> Float32[np.ndarray, " S"]:
    """A mixture of one to three kinds, its RMS level drawn uniformly between the two levels [dB full scale]."""
    kinds = generator.choice(len(NOISES), size=generator.integers(1, 4), replace=False)
    mixture = np.zeros(samples)
    for kind in kinds:
        waveform = NOISES[kind](generator, samples)
        mixture += generator.uniform(0.3, 1.0) * waveform / waveform.std()
    level = 10.0 ** (generator.uniform(*level_dbfs) / 20.0)
    scaled = mixture * level / np.sqrt(np.mean(mixture**2))
    return np.clip(scaled, -1.0, 1.0).astype(np.float32)


def _glottis(generator: np.random.Generator, samples: int) -> Noise:
    """Breathy pulses of a voice at a random pitch."""
    pitch_hz = generator.uniform(90.0, 240.0)
    phase = np.arange(samples) * pitch_hz / SAMPLE_RATE_HZ + generator.uniform()
    pulses = np.diff(np.floor(phase), prepend=np.floor(phase[:1]))
    return pulses + 0.05 * generator.standard_normal(samples)


def _resonate(waveform: Noise, center_hz: float, width_hz: float) -> Noise:
    """One formant: a two-pole resonator."""
    radius = np.exp(-np.pi * width_hz / SAMPLE_RATE_HZ)
    angle = 2.0 * np.pi * center_hz / SAMPLE_RATE_HZ
    section = [[1.0 - radius, 0.0, 0.0, 1.0, -2.0 * radius * np.cos(angle), radius**2]]
    return sosfilt(section, waveform)
