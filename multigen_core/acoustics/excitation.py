"""What the falling liquid does before the cup answers: rushing noise, bubbles and clicks."""

import numpy as np
from jaxtyping import Float
from scipy.signal import lfilter

from multigen_core.acoustics.filters import BandBank
from multigen_core.acoustics.resonance import minnaert_hz
from multigen_core.acoustics.sound_scene import SoundScene
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["Bubbles", "Clicks", "Rushing"]

TICK = 8
"""Samples between two values of the band modulation."""
_EDGES_HZ = np.geomspace(250.0, 7500.0, 8)
_CENTRES_HZ = np.sqrt(_EDGES_HZ[1:] * _EDGES_HZ[:-1])
_FAST_S, _MIDDLE_S = 0.0036, 0.022
"""Time constants of the band modulation, measured on real pours."""
_DB = np.log(10.0) / 20.0
_BUBBLE_TAIL = 1024
_LOUDEST_CLICK = 8.0


class _Drift:
    """Rows of Gaussian noise of variance 1 with an exponential memory, one value per tick."""

    def __init__(self, rng: np.random.Generator, rows: int, time_constant_s: float) -> None:
        self._rng = rng
        self._keep = float(np.exp(-TICK / (SAMPLE_RATE_HZ * time_constant_s)))
        self._last = rng.standard_normal((rows, 1))

    def ticks(self, count: int) -> Float[np.ndarray, "rows ticks"]:
        fresh = self._rng.standard_normal((len(self._last), count)) * np.sqrt(1.0 - self._keep**2)
        values, _ = lfilter([1.0], [1.0, -self._keep], fresh, axis=-1, zi=self._keep * self._last)
        self._last = values[:, -1:]
        return values


class Rushing:
    """Noise whose seven bands (250 Hz to 7.5 kHz) swell and fade at random, together and each on its own."""

    def __init__(self, scene: SoundScene, rng: np.random.Generator) -> None:
        self._scene = scene
        self._rng = rng
        self._bank = BandBank(_EDGES_HZ)
        bands = len(_CENTRES_HZ)
        gains = 10.0 ** (scene.tilt_db_per_octave * np.log2(_CENTRES_HZ / 1000.0) / 20.0)
        self._gains = gains / np.sqrt(self._bank.white_noise_power(gains))
        self._fast = _Drift(rng, bands + 1, _FAST_S)  # the last row is common to all bands
        self._middle = _Drift(rng, bands + 1, _MIDDLE_S)
        self._gurgle = _Drift(rng, 1, scene.gurgle_s)
        self._last = np.ones((bands, 1))

    def block(self, samples: int, level_m: float) -> Float[np.ndarray, " samples"]:
        """``samples`` (a multiple of TICK) of noise of power about 1; brighter when the cup is almost empty."""
        shelf_db = self._scene.splash_db * np.exp(-level_m / self._scene.splash_length_m)
        bright = 10.0 ** (shelf_db * (_CENTRES_HZ > 2000.0) / 20.0)
        bands = self._bank.split(self._rng.standard_normal(samples))
        return (self._gains * bright) @ (bands * self._modulation(samples // TICK))

    def _modulation(self, ticks: int) -> Float[np.ndarray, "bands samples"]:
        """Log-normal gain of every band, of mean power 1: sigma = modulation_db, correlated across bands."""
        scene = self._scene
        noise = (self._fast.ticks(ticks) + self._middle.ticks(ticks)) / np.sqrt(2.0)
        shared = scene.modulation_correlation
        mixed = np.sqrt(shared) * noise[-1:] + np.sqrt(1.0 - shared) * noise[:-1]
        log_gain = _DB * (scene.modulation_db * mixed + scene.gurgle_db * self._gurgle.ticks(ticks))
        mean_power = _DB**2 * (scene.modulation_db**2 + scene.gurgle_db**2)
        gain = np.exp(log_gain - mean_power)  # (bands, ticks)
        before = np.concatenate((self._last, gain[:, :-1]), axis=1)
        self._last = gain[:, -1:]
        ramp = np.arange(1, TICK + 1) / TICK
        return (before[:, :, None] + (gain - before)[:, :, None] * ramp).reshape(len(gain), -1)


class Bubbles:
    """Poisson train of ringing air bubbles: Minnaert's note, damping of van den Doel (2005), a slight rise in pitch."""

    def __init__(self, scene: SoundScene, rng: np.random.Generator) -> None:
        self._scene = scene
        self._rng = rng
        self._tail = np.zeros(_BUBBLE_TAIL)

    def block(self, samples: int, strength: float, *, amplitude: float) -> Float[np.ndarray, " samples"]:
        """Bubbles born in this block, and the ringing of earlier ones; ``strength`` scales their rate."""
        out = np.zeros(samples + _BUBBLE_TAIL)
        out[:_BUBBLE_TAIL] += self._tail
        count = self._rng.poisson(self._scene.bubbles_hz * strength * samples / SAMPLE_RATE_HZ)
        if count:
            starts = self._rng.integers(0, samples, count)
            for start, ringing in zip(starts, amplitude * self._rings(count), strict=True):
                out[start : start + _BUBBLE_TAIL] += ringing
        self._tail = out[samples:]
        return out[:samples]

    def _rings(self, count: int) -> Float[np.ndarray, "count tail"]:
        rng, scene = self._rng, self._scene
        radius_m = scene.bubble_radius_m * np.exp(0.35 * rng.standard_normal((count, 1)))
        radius_m = np.clip(radius_m, 0.0005, 0.006)
        damping = 0.13 / radius_m + 0.0072 * radius_m**-1.5  # [1/s]
        level = scene.bubble_level * np.exp(0.6 * rng.standard_normal((count, 1)))
        time_s = np.arange(_BUBBLE_TAIL) / SAMPLE_RATE_HZ
        phase = 2.0 * np.pi * minnaert_hz(radius_m) * time_s * (1.0 + 0.05 * damping * time_s)
        return level * np.exp(-damping * time_s) * np.sin(phase)


class Clicks:
    """Poisson train of short drops on the surface: heavy-tailed and capped, each about half a millisecond long."""

    def __init__(self, scene: SoundScene, rng: np.random.Generator) -> None:
        self._scene = scene
        self._rng = rng
        self._state = np.zeros(1)

    def block(self, samples: int, strength: float, *, amplitude: float) -> Float[np.ndarray, " samples"]:
        impulses = np.zeros(samples)
        count = self._rng.poisson(self._scene.clicks_hz * strength * samples / SAMPLE_RATE_HZ)
        if count:
            level = np.minimum(1.0 + self._rng.pareto(1.8, count), _LOUDEST_CLICK) * self._scene.click_level
            np.add.at(impulses, self._rng.integers(0, samples, count), level * self._rng.choice((-1.0, 1.0), count))
        out, self._state = lfilter([1.0, -1.0], [1.0, -0.85], amplitude * impulses, zi=self._state)
        return out
