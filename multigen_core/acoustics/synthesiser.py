"""The sound of a pour, block by block as it would stream from a microphone.

Liquid excites the air in the cup (``excitation``), the air answers with quarter-wave partials and the wall with its
bending modes, the room adds a short decay, and background noise and a motor's hum go on whether or not anything flows.
"""

import numpy as np
from jaxtyping import Float, Float32

from multigen_core.acoustics.excitation import TICK, Bubbles, Clicks, Rushing
from multigen_core.acoustics.filters import BlockConvolver, ResonatorBank, tilted_noise_response
from multigen_core.acoustics.resonance import WALL_MODES, quarter_wave_hz, wall_mode_hz
from multigen_core.acoustics.sound_scene import (
    TRAINING_SOUND_RANGES,
    SoundRanges,
    SoundScene,
    Wall,
    draw_sound_scene,
)
from multigen_core.errors import ConfigError
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = [
    "TRAINING_SOUND_RANGES",
    "SoundRanges",
    "SoundScene",
    "StreamingSynthesiser",
    "Wall",
    "draw_sound_scene",
    "synthesise",
]

_PARTIALS = 8
_SEGMENT = 320
"""Samples over which resonances stand still: 20 ms."""
_REFERENCE_FLOW_ML_S = 30.0
_REFERENCE_FALL_M = 0.1
_LEAST_FALL_M = 0.01
_MOST_BUSY = 3.0
_HUM_PARTIALS = np.array([1.0, 0.6, 0.35, 0.2]) * np.sqrt(2.0 / 1.5225)
"""Amplitudes of a hum of power 1."""


class StreamingSynthesiser:
    """A microphone at the cup: every step gives the sound between the state of the step before and the state now.

    Before the first step nothing flows into an empty cup. The same scene, seed and steps give the same samples.

    Raises ConfigError when a step is not a whole number of 8-sample ticks.
    """

    def __init__(self, scene: SoundScene, *, radius_m: float, height_m: float, seed: int, rate_hz: float) -> None:
        samples = SAMPLE_RATE_HZ / rate_hz
        if samples % TICK:
            raise ConfigError(
                f"rate_hz is {rate_hz:g}; sound steps need a rate that divides {SAMPLE_RATE_HZ // TICK} Hz, "
                "for example 10, 20 or 25"
            )
        self.samples_per_step = int(samples)
        self._scene, self._radius_m, self._height_m = scene, radius_m, height_m
        self._state = np.array([0.0, height_m, _REFERENCE_FALL_M])
        # One stream of randomness per part, so that a busier pour does not change the background.
        seeds = np.random.SeedSequence(seed).spawn(5)
        rushing, bubbles, clicks, room, self._noise = (np.random.default_rng(one) for one in seeds)
        self._rushing = Rushing(scene, rushing)
        self._bubbles, self._clicks = Bubbles(scene, bubbles), Clicks(scene, clicks)
        k = np.arange(_PARTIALS)
        q = scene.q / (1.0 + scene.q_loss * k)
        gain = 10.0 ** ((scene.resonance_db + scene.resonance_step_db * k) / 20.0)
        if scene.wall is not None:
            q = np.append(q, [scene.wall.q] * len(WALL_MODES))
            gain = np.append(gain, [10.0 ** (scene.wall.level_db / 20.0)] * len(WALL_MODES))
        self._resonators, self._resonator_gain = ResonatorBank(q), gain
        self._level = 10.0 ** (scene.level_dbfs / 20.0) / _loudness(gain, q, scene, radius_m, height_m)
        self._room = BlockConvolver(_room_response(scene, room), self.samples_per_step)
        tilt = tilted_noise_response(scene.background_tilt_db_per_octave)
        self._background = BlockConvolver(tilt, self.samples_per_step)
        self._hum_phase = float(self._noise.uniform(0.0, 2.0 * np.pi))

    def begin(self, flow_ml_s: float, air_column_m: float, fall_height_m: float) -> None:
        """Sets the state in which the next step begins."""
        self._state = np.array([flow_ml_s, air_column_m, fall_height_m])

    def step(self, flow_ml_s: float, air_column_m: float, fall_height_m: float) -> Float32[np.ndarray, " samples"]:
        """The sound from the state of the step before to this one, between which all three run linearly.

        ``flow_ml_s`` is what arrives in the cup, ``air_column_m`` the height from the liquid to the rim and
        ``fall_height_m`` the height from the pouring lip to the liquid.
        """
        before, after = self._state, np.array([flow_ml_s, air_column_m, fall_height_m])
        self._state = after
        samples = self.samples_per_step
        segments = max(1, samples // _SEGMENT) if after[1] != before[1] else 1
        sound = self._excited(before, after)
        column_m = _middles(before[1], after[1], segments)
        hz = self._resonances_hz(np.clip(column_m, 0.0, self._height_m))
        sound = sound + self._resonators.filter(sound, frequency_hz=hz, gain=self._resonator_gain)
        sound = self._level * self._room.filter(sound) + self._surroundings(samples)
        return np.tanh(sound).astype(np.float32)

    def _excited(
        self, before: Float[np.ndarray, " 3"], after: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, " samples"]:
        """The direct sound of the liquid; amplitude goes with flow and fall height by the scene's powers."""
        samples = self.samples_per_step
        ramp = (np.arange(samples) + 0.5) / samples
        flow, _, fall_m = before[:, None] + (after - before)[:, None] * ramp  # each (samples,)
        busy = np.maximum(flow, 0.0) / _REFERENCE_FLOW_ML_S
        fall = np.maximum(fall_m, _LEAST_FALL_M) / _REFERENCE_FALL_M
        drive = busy**self._scene.flow_exponent * fall**self._scene.fall_exponent
        strength, amplitude = min(float(busy.mean()), _MOST_BUSY), float(drive.mean())
        level_m = self._height_m - float(before[1] + after[1]) / 2.0
        noise = drive * self._rushing.block(samples, max(level_m, 0.0))
        bubbles = self._bubbles.block(samples, strength, amplitude=amplitude)
        return noise + bubbles + self._clicks.block(samples, strength, amplitude=amplitude)

    def _resonances_hz(self, column_m: Float[np.ndarray, " segments"]) -> Float[np.ndarray, "segments count"]:
        columns = [quarter_wave_hz(column_m, self._radius_m, partial=k + 1) for k in range(_PARTIALS)]
        wall = self._scene.wall
        if wall is not None:
            columns += [
                wall_mode_hz(
                    self._height_m - column_m,
                    radius_m=self._radius_m,
                    height_m=self._height_m,
                    wall_m=wall.thickness_m,
                    youngs_pa=wall.youngs_pa,
                    density_kg_m3=wall.density_kg_m3,
                    mode=mode,
                )
                for mode in WALL_MODES
            ]
        return np.stack(columns, axis=1)

    def _surroundings(self, samples: int) -> Float[np.ndarray, " samples"]:
        """Background noise and a hum with four partials."""
        scene = self._scene
        noise = self._background.filter(self._noise.standard_normal(samples))
        step = 2.0 * np.pi * scene.hum_hz / SAMPLE_RATE_HZ
        phase = self._hum_phase + step * np.arange(samples)
        self._hum_phase = (self._hum_phase + step * samples) % (2.0 * np.pi)
        hum = _HUM_PARTIALS @ np.sin(np.arange(1, len(_HUM_PARTIALS) + 1)[:, None] * phase)
        return 10.0 ** (scene.background_dbfs / 20.0) * noise + 10.0 ** (scene.hum_dbfs / 20.0) * hum


def synthesise(
    scene: SoundScene,
    *,
    flow_ml_s: Float[np.ndarray, " steps"],
    air_column_m: Float[np.ndarray, " steps"],
    fall_height_m: Float[np.ndarray, " steps"],
    radius_m: float,
    height_m: float,
    seed: int,
    rate_hz: float,
) -> Float32[np.ndarray, " samples"]:
    """The sound of whole curves: sample n is heard at n / SAMPLE_RATE_HZ, curve value t holds at t / rate_hz.

    It is the streaming synthesiser begun at value 0 and stepped through the others; the last value is held for one
    step, so that ``samples = steps * SAMPLE_RATE_HZ / rate_hz``.
    """
    stream = StreamingSynthesiser(scene, radius_m=radius_m, height_m=height_m, seed=seed, rate_hz=rate_hz)
    states = np.stack((flow_ml_s, air_column_m, fall_height_m), axis=1).astype(float)  # (steps, 3)
    stream.begin(*states[0])
    return np.concatenate([stream.step(*state) for state in (*states[1:], states[-1])])


def _middles(start: float, stop: float, segments: int) -> Float[np.ndarray, " segments"]:
    return start + (stop - start) * (np.arange(segments) + 0.5) / segments


def _loudness(
    gain: Float[np.ndarray, " count"],
    q: Float[np.ndarray, " count"],
    scene: SoundScene,
    radius_m: float,
    height_m: float,
) -> float:
    """Root mean square of a half-full cup's answer to an excitation of power 1 with the scene's tilt."""
    hz = np.linspace(250.0, 7500.0, 1024)
    power = (hz / 1000.0) ** (2.0 * scene.tilt_db_per_octave / (20.0 * np.log10(2.0)))
    answer = np.ones(len(hz), complex)
    for k in range(_PARTIALS):
        centre_hz = quarter_wave_hz(height_m / 2.0, radius_m, partial=k + 1)
        if centre_hz < hz[-1]:
            answer += gain[k] / (1.0 + 1j * q[k] * (hz / centre_hz - centre_hz / hz))
    return float(np.sqrt(np.sum(power * np.abs(answer) ** 2) / np.sum(power)))


def _room_response(scene: SoundScene, rng: np.random.Generator) -> Float[np.ndarray, " taps"]:
    """The direct sound at sample 0, then noise from 4 ms on that falls by 60 dB in ``room_rt60_s``."""
    time_s = np.arange(int(0.7 * scene.room_rt60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    response = rng.standard_normal(len(time_s)) * 10.0 ** (-3.0 * time_s / scene.room_rt60_s)
    response[time_s < 0.004] = 0.0
    response *= 10.0 ** (scene.room_db / 20.0) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return response
