"""Everything about a pour's sound that is drawn, as data: the ranges, and one draw from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from multigen_core.containers import Material
from multigen_core.errors import ConfigError

__all__ = ["TRAINING_SOUND_RANGES", "SoundRanges", "SoundScene", "Wall", "draw_sound_scene"]

Range = tuple[float, float]
"""Lowest and highest value; draws are uniform between them."""


@dataclass(frozen=True)
class Wall:
    """What makes a cup's wall ring."""

    thickness_m: float
    youngs_pa: float
    density_kg_m3: float
    q: float
    level_db: float
    """Peak of the ringing over the direct sound."""


@dataclass(frozen=True)
class SoundScene:
    """One cup in one room under one microphone."""

    material: Material
    level_dbfs: float
    """Mean level of a pour of 30 ml/s from 0.1 m above the surface."""
    flow_exponent: float
    """Amplitude goes with flow to this power."""
    fall_exponent: float
    """Amplitude goes with the fall height to this power."""
    tilt_db_per_octave: float
    modulation_db: float
    """Spread of the log-normal band modulation."""
    modulation_correlation: float
    """Share of the modulation that all bands have in common."""
    gurgle_db: float
    gurgle_s: float
    """Spread and time constant of the slow swelling of the whole sound."""
    splash_db: float
    splash_length_m: float
    """How much brighter an almost empty cup sounds, and the level at which 1/e of that is left."""
    bubbles_hz: float
    """Bubbles per second at 30 ml/s."""
    bubble_radius_m: float
    """Median of a log-normal distribution."""
    bubble_level: float
    """Peak of a typical bubble against the noise's root mean square."""
    clicks_hz: float
    click_level: float
    resonance_db: float
    """Peak of the first air resonance over the direct sound."""
    resonance_step_db: float
    """How much each further partial stands higher (negative: lower)."""
    q: float
    """Quality of the first partial."""
    q_loss: float
    """Partial k has quality ``q / (1 + q_loss (k - 1))``."""
    wall: Wall | None
    room_rt60_s: float
    room_db: float
    """Energy of the reverberation against the direct sound."""
    background_dbfs: float
    background_tilt_db_per_octave: float
    hum_hz: float
    hum_dbfs: float


@dataclass(frozen=True)
class SoundRanges:
    """From where to where each field of :class:`SoundScene` is drawn; fields and units are the same."""

    level_dbfs: Range
    flow_exponent: Range
    fall_exponent: Range
    tilt_db_per_octave: Range
    modulation_db: Range
    modulation_correlation: Range
    gurgle_db: Range
    gurgle_s: Range
    splash_db: Range
    splash_length_m: Range
    bubbles_hz: Range
    bubble_radius_m: Range
    bubble_level: Range
    clicks_hz: Range
    click_level: Range
    resonance_db: Range
    resonance_step_db: Range
    q: Mapping[Material, Range]
    q_loss: Range
    wall_m: Mapping[Material, Range]
    """Wall thickness; a material that is not named here does not ring."""
    wall_q: Range
    wall_db: Range
    room_rt60_s: Range
    room_db: Range
    background_dbfs: Range
    background_tilt_db_per_octave: Range
    hum_hz: Range
    hum_dbfs: Range


TRAINING_SOUND_RANGES = SoundRanges(
    level_dbfs=(-38.0, -26.0),
    flow_exponent=(0.5, 0.8),
    fall_exponent=(0.8, 1.4),
    tilt_db_per_octave=(-4.5, -2.5),
    modulation_db=(3.5, 6.5),
    modulation_correlation=(0.65, 0.9),
    gurgle_db=(1.5, 3.5),
    gurgle_s=(0.05, 0.12),
    splash_db=(2.0, 7.0),
    splash_length_m=(0.006, 0.02),
    bubbles_hz=(80.0, 200.0),
    bubble_radius_m=(0.0012, 0.0019),
    bubble_level=(0.4, 1.2),
    clicks_hz=(12.0, 37.0),
    click_level=(1.0, 3.0),
    resonance_db=(10.0, 14.0),
    resonance_step_db=(-7.0, -4.0),
    # Plastic and glass were measured on real pours; paper and ceramic are guesses.
    q={
        "plastic": (13.0, 20.0),
        "glass": (15.0, 23.0),
        "metal": (20.0, 28.0),
        "paper": (9.0, 13.0),
        "ceramic": (17.0, 25.0),
    },
    q_loss=(0.1, 0.3),
    wall_m={"glass": (0.0015, 0.003), "metal": (0.0006, 0.0012)},
    wall_q=(20.0, 60.0),
    wall_db=(-3.0, 7.0),
    room_rt60_s=(0.2, 0.5),
    room_db=(-20.0, -8.0),
    background_dbfs=(-72.0, -54.0),
    background_tilt_db_per_octave=(-5.5, -3.0),
    hum_hz=(50.0, 180.0),
    hum_dbfs=(-75.0, -58.0),
)
"""For the reference clips. A lab has ranges of its own."""

_RINGING: Mapping[str, tuple[float, float]] = {"glass": (6.5e10, 2500.0), "metal": (1.93e11, 7900.0)}
"""Young's modulus [Pa] and density [kg/m3]."""
_DRAWN_BY_MATERIAL = ("q", "wall_m", "wall_q", "wall_db")


def draw_sound_scene(rng: np.random.Generator, material: Material, ranges: SoundRanges) -> SoundScene:
    """One draw for a cup of ``material``.

    Raises ConfigError when the ranges have no quality for the material.
    """
    if material not in ranges.q:
        raise ConfigError(
            f"sound ranges have no quality q for {material!r}, only for {', '.join(ranges.q)}: add a range for it"
        )
    values: dict[str, Any] = {
        name: float(rng.uniform(*span)) for name, span in vars(ranges).items() if name not in _DRAWN_BY_MATERIAL
    }
    values["q"] = float(rng.uniform(*ranges.q[material]))
    return SoundScene(material=material, wall=_draw_wall(rng, material, ranges), **values)


def _draw_wall(rng: np.random.Generator, material: Material, ranges: SoundRanges) -> Wall | None:
    if material not in ranges.wall_m:
        return None
    youngs_pa, density_kg_m3 = _RINGING[material]
    return Wall(
        thickness_m=float(rng.uniform(*ranges.wall_m[material])),
        youngs_pa=youngs_pa,
        density_kg_m3=density_kg_m3,
        q=float(rng.uniform(*ranges.wall_q)),
        level_db=float(rng.uniform(*ranges.wall_db)),
    )
