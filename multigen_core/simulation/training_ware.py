"""Cups, pitchers and liquids of the training pours. The lab has others: `lab.receivers`."""

from multigen_core.containers import Container, Material, frustum
from multigen_core.records import Liquid

__all__ = ["TRAINING_LIQUIDS", "TRAINING_PITCHERS", "TRAINING_RECEIVERS"]


def _cup(
    name: str,
    radii_and_height_mm: tuple[float, float, float],
    material: Material,
    color: tuple[float, float, float],
    *,
    opaque: bool,
    wall_mm: float,
) -> Container:
    """A frustum from (bottom radius, top radius, height) in mm."""
    bottom, top, height = (1e-3 * value for value in radii_and_height_mm)
    return frustum(
        name,
        bottom_radius_m=bottom,
        top_radius_m=top,
        height_m=height,
        material=material,
        opaque=opaque,
        color=color,
        wall_m=1e-3 * wall_mm,
    )


def _turned(
    name: str,
    outline_mm: tuple[tuple[float, float], ...],
    material: Material,
    color: tuple[float, float, float],
    *,
    opaque: bool,
    wall_mm: float,
    handle: bool = False,
) -> Container:
    """Any body of revolution, from its inner (height, radius) in mm."""
    profile = tuple((1e-3 * height, 1e-3 * radius) for height, radius in outline_mm)
    return Container(
        name=name,
        profile=profile,
        material=material,
        opaque=opaque,
        color=color,
        wall_m=1e-3 * wall_mm,
        handle=handle,
    )


# Outlines from the bottom up.
_TULIP = ((0, 25), (55, 29), (110, 40))
_BARREL = ((0, 24), (30, 37), (65, 37), (88, 31))
_STEMLESS = ((0, 14), (12, 29), (40, 39), (70, 38), (100, 31))
_ROUND_FOOT = ((0, 31), (10, 37), (90, 39))
_FLASK = ((0, 24), (120, 24), (132, 22))
_CARAFE = ((0, 34), (15, 40), (75, 40), (115, 30), (150, 27), (162, 32))
_BOTTLE = ((0, 36), (125, 36), (158, 19), (180, 18))

TRAINING_RECEIVERS: tuple[Container, ...] = (
    _cup("espresso_cup", (23, 28, 58), "ceramic", (0.90, 0.88, 0.84), opaque=True, wall_mm=3.0),
    _cup("tea_bowl", (22, 40, 60), "ceramic", (0.42, 0.55, 0.52), opaque=True, wall_mm=3.0),
    _cup("small_paper_cup", (24, 33, 82), "paper", (0.88, 0.80, 0.66), opaque=True, wall_mm=1.0),
    _cup("large_paper_cup", (28, 40, 112), "paper", (0.76, 0.35, 0.25), opaque=True, wall_mm=1.0),
    _cup("wide_mug", (38, 38, 92), "ceramic", (0.25, 0.38, 0.60), opaque=True, wall_mm=4.0),
    _cup("camping_mug", (36, 36, 80), "metal", (0.72, 0.74, 0.77), opaque=True, wall_mm=1.0),
    _cup("steel_tumbler", (29, 37, 105), "metal", (0.55, 0.58, 0.63), opaque=True, wall_mm=1.5),
    _cup("juice_glass", (26, 30, 90), "glass", (0.85, 0.92, 0.93), opaque=False, wall_mm=2.0),
    _cup("whisky_glass", (33, 33, 85), "glass", (0.86, 0.92, 0.90), opaque=False, wall_mm=3.0),
    _cup("highball_glass", (27, 29, 130), "glass", (0.84, 0.91, 0.94), opaque=False, wall_mm=2.0),
    _cup("yoghurt_glass", (30, 26, 88), "glass", (0.88, 0.93, 0.90), opaque=False, wall_mm=2.5),
    _cup("plastic_beaker", (30, 34, 100), "plastic", (0.90, 0.93, 0.96), opaque=False, wall_mm=1.5),
    _turned("barrel_mug", _BARREL, "ceramic", (0.70, 0.48, 0.30), opaque=True, wall_mm=4.0, handle=True),
    _turned("round_foot_mug", _ROUND_FOOT, "ceramic", (0.82, 0.80, 0.88), opaque=True, wall_mm=4.0, handle=True),
    _turned("vacuum_flask", _FLASK, "metal", (0.30, 0.36, 0.45), opaque=True, wall_mm=3.0),
    _turned("tulip_glass", _TULIP, "glass", (0.87, 0.92, 0.93), opaque=False, wall_mm=2.0),
    _turned("stemless_wine_glass", _STEMLESS, "glass", (0.88, 0.92, 0.92), opaque=False, wall_mm=1.5),
)
"""Straight, tapered, flared, bulged and narrowing, 110 to 440 ml; ten of seventeen hide their level."""

TRAINING_PITCHERS: tuple[Container, ...] = (
    _cup("steel_jug", (38, 38, 125), "metal", (0.70, 0.72, 0.75), opaque=True, wall_mm=1.0),
    _cup("glass_carafe", (38, 38, 140), "glass", (0.85, 0.92, 0.93), opaque=False, wall_mm=2.0),
    _cup("white_pitcher", (36, 41, 130), "plastic", (0.93, 0.93, 0.91), opaque=True, wall_mm=1.5),
    _cup("enamel_jug", (39, 35, 120), "metal", (0.30, 0.48, 0.42), opaque=True, wall_mm=1.5),
    _cup("measuring_jug", (37, 40, 145), "plastic", (0.90, 0.93, 0.96), opaque=False, wall_mm=1.5),
    _turned("waisted_carafe", _CARAFE, "glass", (0.86, 0.92, 0.90), opaque=False, wall_mm=2.0),
    _turned("milk_bottle", _BOTTLE, "glass", (0.90, 0.93, 0.92), opaque=False, wall_mm=3.0),
)
"""500 to 675 ml, thin enough for the gripper's 85 mm."""

TRAINING_LIQUIDS: tuple[Liquid, ...] = (
    Liquid("water", (0.70, 0.84, 0.92), 0.35, 0.02),
    Liquid("milk", (0.96, 0.95, 0.91), 1.0, 0.04),
    Liquid("orange_juice", (0.95, 0.60, 0.10), 0.9, 0.05),
    Liquid("black_tea", (0.48, 0.20, 0.06), 0.7, 0.02),
    Liquid("apple_juice", (0.85, 0.65, 0.20), 0.6, 0.03),
    Liquid("coffee", (0.16, 0.09, 0.05), 0.95, 0.02),
    Liquid("tomato_juice", (0.74, 0.13, 0.07), 1.0, 0.15),
    Liquid("woodruff_lemonade", (0.25, 0.66, 0.22), 0.7, 0.03),
    Liquid("blue_sports_drink", (0.15, 0.38, 0.82), 0.7, 0.03),
    Liquid("grape_juice", (0.35, 0.08, 0.30), 0.9, 0.04),
    Liquid("sunflower_oil", (0.90, 0.78, 0.25), 0.45, 0.25),
    Liquid("lemon_soda", (0.93, 0.93, 0.72), 0.4, 0.02),
)
