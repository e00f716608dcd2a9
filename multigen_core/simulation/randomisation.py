"""Domain randomisation: all ranges as data, and one draw from them.

The lab has its own ``Ranges``; whatever must be disjoint between training and lab is a field here, so a test can
compare the two.
"""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from multigen_core.containers import Container
from multigen_core.errors import UserError
from multigen_core.records import Liquid
from multigen_core.simulation.placement import clear_tilt_rad
from multigen_core.simulation.setup import (
    CameraDraw,
    ClutterDraw,
    LightDraw,
    PourSetup,
    Rgb,
    SceneDraw,
    SurfaceDraw,
)
from multigen_core.simulation.tilted import held_ml
from multigen_core.simulation.training_ware import TRAINING_LIQUIDS, TRAINING_PITCHERS, TRAINING_RECEIVERS

__all__ = [
    "REFERENCE_RANGES",
    "TRAINING_LIQUIDS",
    "TRAINING_PITCHERS",
    "TRAINING_RANGES",
    "TRAINING_RECEIVERS",
    "Interval",
    "PourSetup",
    "Ranges",
    "SceneDraw",
    "draw_setup",
]

T = TypeVar("T")
Interval = tuple[float, float]
"""Lowest and highest value, drawn uniformly."""


@dataclass(frozen=True)
class Ranges:
    """What may vary, and how far."""

    receivers: tuple[Container, ...]
    receiver_jitter: float
    """Bottom radius, top radius and height each vary by up to this fraction."""
    pitchers: tuple[Container, ...]
    liquids: tuple[Liquid, ...]
    viscosity_factor: Interval
    goal_fraction: Interval
    """Of the receiver's capacity."""
    surplus_ml: Interval
    """Liquid in the pitcher beyond the goal."""
    lip_along_y_m: Interval
    """Pouring lip at the start, seen from the receiver's axis."""
    lip_above_rim_m: Interval
    start_tilt_max_deg: float
    """A start is drawn anew when the pitcher would have to be tilted further than this to clear the receiver."""
    receiver_x_m: Interval
    receiver_y_m: Interval
    table_textures: tuple[str, ...]
    """Families of ``simulation.textures``."""
    wall_textures: tuple[str, ...]
    texture_seeds: tuple[int, int]
    """First and last seed of the procedural textures."""
    surface_saturation: Interval
    surface_value: Interval
    lights: tuple[int, int]
    """Fewest and most lamps; the first one casts shadows."""
    light_kelvin: Interval
    light_intensity: Interval
    """Of the first lamp; the others fill its shadows with a third of that."""
    light_azimuth_deg: Interval
    light_elevation_deg: Interval
    ambient: Interval
    camera_distance_m: Interval
    camera_elevation_deg: Interval
    camera_azimuth_deg: Interval
    camera_roll_deg: Interval
    camera_field_m: Interval
    """Narrow: how loud and how high a pour sounds depends on the true size of the cup."""
    camera_aim_m: Interval
    """Offset of the aim, right and up."""
    camera_exposure_ev: Interval
    camera_blur: Interval
    """Share of the image's side."""
    camera_noise: Interval
    """Of full scale."""
    clutter: tuple[int, int]
    """Fewest and most objects on the table."""
    color_jitter: float
    """Cups and liquids vary their colour by up to this much per channel."""


TRAINING_RANGES = Ranges(
    receivers=TRAINING_RECEIVERS,
    receiver_jitter=0.03,
    pitchers=TRAINING_PITCHERS,
    liquids=TRAINING_LIQUIDS,
    viscosity_factor=(0.7, 1.4),
    goal_fraction=(0.25, 0.95),
    surplus_ml=(60.0, 200.0),
    lip_along_y_m=(0.0, 0.04),
    lip_above_rim_m=(0.02, 0.07),
    start_tilt_max_deg=50.0,
    receiver_x_m=(0.635, 0.675),
    receiver_y_m=(-0.02, 0.02),
    table_textures=("plain", "wood", "speckle", "stripes", "clouds"),
    wall_textures=("plain", "clouds", "stripes", "bricks"),
    texture_seeds=(0, 99_999),
    surface_saturation=(0.0, 0.55),
    surface_value=(0.25, 0.95),
    lights=(1, 3),
    light_kelvin=(3600.0, 6800.0),
    light_intensity=(0.4, 0.7),
    light_azimuth_deg=(-75.0, 75.0),
    light_elevation_deg=(35.0, 75.0),
    ambient=(0.2, 0.38),
    camera_distance_m=(0.50, 0.62),
    camera_elevation_deg=(6.0, 18.0),
    camera_azimuth_deg=(-12.0, 12.0),
    camera_roll_deg=(-3.0, 3.0),
    camera_field_m=(0.31, 0.37),
    camera_aim_m=(-0.015, 0.015),
    camera_exposure_ev=(-0.4, 0.4),
    camera_blur=(0.0, 0.006),
    camera_noise=(0.0, 0.025),
    clutter=(0, 5),
    color_jitter=0.06,
)

REFERENCE_RANGES = replace(
    TRAINING_RANGES,
    receivers=tuple(cup for cup in TRAINING_RECEIVERS if not cup.opaque),
    receiver_jitter=0.12,
    goal_fraction=(0.5, 0.95),
)
"""For reference clips, whose level must be seen: only clear receivers, of more varied size."""

_PLACINGS = 200
"""Places of the lip that are tried before the ranges are called impossible."""
_PITCHER_FILL = 0.85
"""A pitcher is never fuller than this, nor fuller than this fraction of what it holds at its first tilt."""


def draw_setup(seed: int, ranges: Ranges, *, goal_ml: float | None = None) -> PourSetup:
    """The pour of a seed: the same seed and ranges give the same setup.

    ``goal_ml`` asks for an amount instead of the fraction that would be drawn. Raises UserError when the receiver
    cannot hold it, or when no pitcher of the ranges can hold enough for the goal.
    """
    rng = np.random.default_rng(seed)
    scene = _draw_scene(rng, ranges)
    receiver = _vary_receiver(rng, _choose(rng, ranges.receivers), ranges)
    liquid = _vary_liquid(rng, _choose(rng, ranges.liquids), ranges)
    drawn_ml = _uniform(rng, ranges.goal_fraction) * receiver.capacity_ml
    goal_ml = drawn_ml if goal_ml is None else goal_ml
    if not 0.0 < goal_ml <= receiver.capacity_ml:
        raise UserError(
            f"the goal is {goal_ml:g} ml: {receiver.name!r} holds {receiver.capacity_ml:.0f} ml; ask for more than 0"
            " and at most that"
        )
    setup = PourSetup(
        receiver=receiver,
        pitcher=ranges.pitchers[0],
        liquid=liquid,
        initial_ml=0.0,
        goal_fraction=goal_ml / receiver.capacity_ml,
        lip_offset=(0.0, 0.0),
        scene=scene,
        seed=seed,
    )
    for _ in range(_PLACINGS):
        offset = (_uniform(rng, ranges.lip_along_y_m), _uniform(rng, ranges.lip_above_rim_m))
        roomy = _roomy_pitchers(replace(setup, lip_offset=offset), ranges)
        if roomy:
            return _fill_pitcher(rng, replace(setup, lip_offset=offset), roomy, ranges)
    raise UserError(
        f"ranges.pitchers: none holds the goal of {setup.goal_ml:.0f} ml for receiver {receiver.name!r} plus a surplus"
        " without pouring too early; add a larger pitcher, lower goal_fraction or raise lip_above_rim_m"
    )


def _roomy_pitchers(setup: PourSetup, ranges: Ranges) -> list[tuple[Container, float]]:
    """Pitchers that can hold enough [ml] and are dry at the tilt with which the pour begins."""
    roomy = []
    for pitcher in ranges.pitchers:
        start_tilt_rad = clear_tilt_rad(replace(setup, pitcher=pitcher))
        room_ml = _PITCHER_FILL * min(pitcher.capacity_ml, held_ml(pitcher, start_tilt_rad))
        steep = start_tilt_rad > math.radians(ranges.start_tilt_max_deg)
        if not steep and room_ml >= setup.goal_ml + ranges.surplus_ml[0]:
            roomy.append((pitcher, room_ml))
    return roomy


def _fill_pitcher(
    rng: np.random.Generator, setup: PourSetup, roomy: Sequence[tuple[Container, float]], ranges: Ranges
) -> PourSetup:
    """One of the pitchers, with liquid for the goal and a surplus."""
    pitcher, room_ml = _choose(rng, roomy)
    least_ml, most_ml = (setup.goal_ml + surplus_ml for surplus_ml in ranges.surplus_ml)
    color = _vary_color(rng, pitcher.color, ranges.color_jitter)
    return replace(
        setup,
        pitcher=replace(pitcher, color=color),
        initial_ml=_uniform(rng, (least_ml, min(most_ml, room_ml))),
    )


def _draw_scene(rng: np.random.Generator, ranges: Ranges) -> SceneDraw:
    receiver_xy_m = (_uniform(rng, ranges.receiver_x_m), _uniform(rng, ranges.receiver_y_m))
    number_of_lights = int(rng.integers(ranges.lights[0], ranges.lights[1] + 1))
    number_of_objects = int(rng.integers(ranges.clutter[0], ranges.clutter[1] + 1))
    # A stream of its own: what a sensor does moves no other draw.
    (sensor_rng,) = rng.spawn(1)
    return SceneDraw(
        receiver_xy_m=receiver_xy_m,
        table=_draw_surface(rng, ranges.table_textures, (0.15, 0.5), ranges),
        wall=_draw_surface(rng, ranges.wall_textures, (0.4, 1.2), ranges),
        lights=tuple(_draw_light(rng, ranges, shadow=k == 0) for k in range(number_of_lights)),
        ambient=_uniform(rng, ranges.ambient),
        camera=CameraDraw(
            distance_m=_uniform(rng, ranges.camera_distance_m),
            elevation_deg=_uniform(rng, ranges.camera_elevation_deg),
            azimuth_deg=_uniform(rng, ranges.camera_azimuth_deg),
            roll_deg=_uniform(rng, ranges.camera_roll_deg),
            field_m=_uniform(rng, ranges.camera_field_m),
            aim_offset_m=(_uniform(rng, ranges.camera_aim_m), _uniform(rng, ranges.camera_aim_m)),
            exposure_ev=_uniform(sensor_rng, ranges.camera_exposure_ev),
            blur=_uniform(sensor_rng, ranges.camera_blur),
            noise=_uniform(sensor_rng, ranges.camera_noise),
        ),
        clutter=tuple(_draw_clutter(rng, receiver_xy_m) for _ in range(number_of_objects)),
        arm_color=_gray(_uniform(rng, (0.55, 0.92))),
    )


def _draw_surface(rng: np.random.Generator, textures: tuple[str, ...], tile_m: Interval, ranges: Ranges) -> SurfaceDraw:
    first, last = ranges.texture_seeds
    hue = float(rng.uniform())
    # The second colour stays near the first in hue: surfaces of a room are seldom two-coloured.
    colors = tuple(
        colorsys.hsv_to_rgb(
            (hue + _uniform(rng, (-0.06, 0.06))) % 1.0,
            _uniform(rng, ranges.surface_saturation),
            _uniform(rng, ranges.surface_value),
        )
        for _ in range(2)
    )
    return SurfaceDraw(
        texture=_choose(rng, textures),
        seed=int(rng.integers(first, last + 1)),
        colors=(colors[0], colors[1]),
        tile_m=_uniform(rng, tile_m),
    )


def _draw_light(rng: np.random.Generator, ranges: Ranges, *, shadow: bool) -> LightDraw:
    return LightDraw(
        azimuth_deg=_uniform(rng, ranges.light_azimuth_deg),
        elevation_deg=_uniform(rng, ranges.light_elevation_deg),
        kelvin=_uniform(rng, ranges.light_kelvin),
        intensity=_uniform(rng, ranges.light_intensity) * (1.0 if shadow else 0.3),
        shadow=shadow,
    )


def _draw_clutter(rng: np.random.Generator, receiver_xy_m: tuple[float, float]) -> ClutterDraw:
    """An object behind the receiver and to its side: it never hides the pour and keeps off the arm's path."""
    side = _choose(rng, (-1.0, 1.0))
    height_m = _uniform(rng, (0.03, 0.16))
    return ClutterDraw(
        shape=_choose(rng, ("box", "cylinder", "ball", "bottle")),
        position_m=(
            receiver_xy_m[0] - _uniform(rng, (0.12, 0.45)),
            receiver_xy_m[1] + side * _uniform(rng, (0.11, 0.30)),
        ),
        radius_m=_uniform(rng, (0.015, 0.04)),
        height_m=height_m,
        yaw_rad=_uniform(rng, (0.0, math.pi)),
        color=colorsys.hsv_to_rgb(float(rng.uniform()), _uniform(rng, (0.1, 0.9)), _uniform(rng, (0.2, 0.9))),
    )


def _vary_receiver(rng: np.random.Generator, receiver: Container, ranges: Ranges) -> Container:
    """The cup with other radii, height and shade; its kind and whether it is clear stay."""
    jitter = ranges.receiver_jitter
    bottom, top, tall = (1.0 + _uniform(rng, (-jitter, jitter)) for _ in range(3))
    profile = tuple(
        (height * tall, radius * (bottom + (top - bottom) * height / receiver.height_m))
        for height, radius in receiver.profile
    )
    return replace(receiver, profile=profile, color=_vary_color(rng, receiver.color, ranges.color_jitter))


def _vary_liquid(rng: np.random.Generator, liquid: Liquid, ranges: Ranges) -> Liquid:
    return replace(
        liquid,
        color=_vary_color(rng, liquid.color, ranges.color_jitter),
        viscosity=liquid.viscosity * _uniform(rng, ranges.viscosity_factor),
    )


def _vary_color(rng: np.random.Generator, color: Rgb, jitter: float) -> Rgb:
    red, green, blue = (float(np.clip(channel + _uniform(rng, (-jitter, jitter)), 0.0, 1.0)) for channel in color)
    return red, green, blue


def _gray(value: float) -> Rgb:
    return value, value, value


def _uniform(rng: np.random.Generator, interval: Interval) -> float:
    return float(rng.uniform(interval[0], interval[1]))


def _choose(rng: np.random.Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]
