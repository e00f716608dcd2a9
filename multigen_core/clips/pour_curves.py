"""A lumped pour: flow over time, and the level, fall height and tilt that follow from it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from multigen_core.containers import Container
from multigen_core.simulation.placement import clear_tilt_rad
from multigen_core.simulation.randomisation import PourSetup
from multigen_core.simulation.tilted import held_ml

__all__ = ["CURVE_RATE_HZ", "PourCurves", "draw_curves"]

CURVE_RATE_HZ = 20.0
_FLOW_ML_S = (12.0, 70.0)
_SHORTEST_POUR_S = 1.2
_PAUSE_PROBABILITY = 0.25
_PREFILLED_PROBABILITY = 0.6
_LEAST_POURED = 0.15
"""Of the receiver's capacity."""
_TILT_SMOOTHING_S = 0.25
_PAUSE_BACK_RAD = np.radians(15.0)
_STEEPEST_RAD = np.radians(150.0)


@dataclass(frozen=True)
class PourCurves:
    """The state of a pour every ``1 / CURVE_RATE_HZ``; between two values everything runs linearly."""

    flow_ml_s: Float[np.ndarray, " steps"]
    """What arrives in the receiver."""
    poured_ml: Float[np.ndarray, " steps"]
    """What is in the receiver."""
    level_m: Float[np.ndarray, " steps"]
    air_column_m: Float[np.ndarray, " steps"]
    fall_height_m: Float[np.ndarray, " steps"]
    """From the pouring lip to the surface of the liquid."""
    tilt_rad: Float[np.ndarray, " steps"]
    mouth_radius_m: float

    def at(self, times_s: Float[np.ndarray, " T"]) -> pd.DataFrame:
        """One row per time, with a column ``time_s`` and one per field."""
        steps_s = np.arange(len(self.flow_ml_s)) / CURVE_RATE_HZ
        curves = {name: values for name, values in vars(self).items() if name != "mouth_radius_m"}
        columns = {name: np.interp(times_s, steps_s, values) for name, values in curves.items()}
        return pd.DataFrame({"time_s": times_s, **columns, "mouth_radius_m": self.mouth_radius_m})


def draw_curves(rng: np.random.Generator, setup: PourSetup, *, length_s: float) -> PourCurves:
    """A pour of random speed and style into an empty or partly filled receiver, with silence before and after it.

    What is in a partly filled receiver came from the same pitcher.
    """
    steps = int(np.ceil(length_s * CURVE_RATE_HZ)) + 1
    capacity_ml = setup.receiver.capacity_ml
    goal = setup.goal_fraction
    prefilled = max(goal - _LEAST_POURED, 0.0) * float(rng.uniform(0.2, 1.0) * (rng.uniform() < _PREFILLED_PROBABILITY))
    start_s = rng.uniform(0.07, 0.2) * length_s
    longest_s = rng.uniform(0.7, 0.97) * length_s - start_s
    volume_ml = (goal - prefilled) * capacity_ml
    flow_ml_s = min(float(np.exp(rng.uniform(*np.log(_FLOW_ML_S)))), volume_ml / min(_SHORTEST_POUR_S, longest_s))
    duration_s = min(longest_s, volume_ml / flow_ml_s)
    shape = _shape(rng, steps, start_s=start_s, duration_s=duration_s)
    flow = shape * (flow_ml_s * duration_s / _integral(shape)[-1])
    poured_ml = prefilled * capacity_ml + _integral(flow)
    level_m = np.array([setup.receiver.level_at(volume * 1e-6) for volume in poured_ml])
    air_column_m = setup.receiver.height_m - level_m
    return PourCurves(
        flow_ml_s=flow,
        poured_ml=poured_ml,
        level_m=level_m,
        air_column_m=air_column_m,
        fall_height_m=setup.lip_offset[1] + air_column_m,
        tilt_rad=_tilt(rng, setup, flow, setup.initial_ml - poured_ml),
        mouth_radius_m=setup.receiver.mouth_radius_m,
    )


def _integral(flow: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " steps"]:
    """Volume that has flown at each step, by the trapezoidal rule: exact for linear pieces."""
    return np.concatenate(([0.0], np.cumsum(flow[1:] + flow[:-1]))) / (2.0 * CURVE_RATE_HZ)


def _shape(rng: np.random.Generator, steps: int, *, start_s: float, duration_s: float) -> Float[np.ndarray, " steps"]:
    """Ramps at both ends, slow variations between them, and sometimes a pause; exactly 0 outside the pour."""
    time_s = np.arange(steps) / CURVE_RATE_HZ - start_s
    rise_s, fall_s = rng.uniform(0.08, 0.3, 2) * duration_s
    shape = np.clip(np.minimum(time_s / rise_s, (duration_s - time_s) / fall_s), 0.0, 1.0)
    for _ in range(2):
        depth, period_s, phase = rng.uniform(0.0, 0.3), rng.uniform(0.6, 3.0), rng.uniform(0.0, 2.0 * np.pi)
        shape = shape * (1.0 + depth * np.sin(2.0 * np.pi * time_s / period_s + phase))
    if rng.uniform() < _PAUSE_PROBABILITY and duration_s > 2.0:
        middle_s, half_s = rng.uniform(0.35, 0.65) * duration_s, rng.uniform(0.15, 0.4)
        shape = shape * np.clip((np.abs(time_s - middle_s) - half_s) / 0.2, 0.0, 1.0)
    return shape


def _tilt(
    rng: np.random.Generator,
    setup: PourSetup,
    flow_ml_s: Float[np.ndarray, " steps"],
    left_ml: Float[np.ndarray, " steps"],
) -> Float[np.ndarray, " steps"]:
    """How far the pitcher is tilted: as far as lets the rest just reach the lip, less before, between and after."""
    over_receiver_rad = clear_tilt_rad(setup)
    pouring_rad = np.maximum(_spilling_tilt(setup.pitcher, left_ml), over_receiver_rad)
    flowing = np.flatnonzero(flow_ml_s > 0.0)
    steps = np.arange(len(flow_ml_s))
    aside = (steps < flowing[0]) | (steps > flowing[-1])
    idle_rad = np.where(
        aside, rng.uniform(0.3, 1.0) * over_receiver_rad, np.maximum(over_receiver_rad, pouring_rad - _PAUSE_BACK_RAD)
    )
    reach = int(_TILT_SMOOTHING_S * CURVE_RATE_HZ)
    # Tilted one smoothing length early and late, so that liquid never falls beside the receiver.
    tilted = maximum_filter1d(flow_ml_s > 0.0, 2 * reach + 1)
    return uniform_filter1d(np.where(tilted, pouring_rad, idle_rad), 2 * reach + 1, mode="nearest")


def _spilling_tilt(pitcher: Container, volume_ml: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " steps"]:
    """The tilt [rad] at which a pitcher that holds ``volume_ml`` begins to run over."""
    tilts = np.linspace(0.0, _STEEPEST_RAD, 76)
    holds_ml = np.array([held_ml(pitcher, float(tilt)) for tilt in tilts])
    return np.interp(-volume_ml, -holds_ml, tilts)
