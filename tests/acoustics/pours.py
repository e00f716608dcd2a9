"""Pours whose air column and flow are known, as curves and as sound."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from multigen_core.acoustics.synthesiser import TRAINING_SOUND_RANGES, SoundScene, draw_sound_scene, synthesise
from multigen_core.containers import Material

RATE_HZ = 10.0


@dataclass(frozen=True)
class Pour:
    radius_m: float
    height_m: float
    start_step: int
    stop_step: int
    flow_ml_s: Float[np.ndarray, " steps"]
    air_column_m: Float[np.ndarray, " steps"]
    fall_height_m: Float[np.ndarray, " steps"]


def steady_pour(*, radius_m: float = 0.035, height_m: float = 0.12, flow_ml_s: float = 60.0) -> Pour:
    """Silence for 1 s, 5 s of steady flow, silence for 1 s."""
    start, stop, steps = 10, 60, 70
    flow = np.zeros(steps)
    flow[start:stop] = flow_ml_s
    column_m = height_m - np.cumsum(flow / RATE_HZ) * 1e-6 / (np.pi * radius_m**2)
    assert column_m[-1] > 0
    return Pour(radius_m, height_m, start, stop, flow, column_m, column_m + 0.04)


def scene_of(seed: int, material: Material = "plastic") -> SoundScene:
    return draw_sound_scene(np.random.default_rng(seed), material, TRAINING_SOUND_RANGES)


def sound_of(pour: Pour, scene: SoundScene, *, seed: int = 0) -> Float[np.ndarray, " samples"]:
    return synthesise(
        scene,
        flow_ml_s=pour.flow_ml_s,
        air_column_m=pour.air_column_m,
        fall_height_m=pour.fall_height_m,
        radius_m=pour.radius_m,
        height_m=pour.height_m,
        seed=seed,
        rate_hz=RATE_HZ,
    )


def level_dbfs(waveform: Float[np.ndarray, " samples"]) -> float:
    return float(10.0 * np.log10(np.mean(np.square(waveform, dtype=float)) + 1e-14))
