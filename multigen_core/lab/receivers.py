"""The cups of the lab: the eight rows of the results table, and eight others for choices. None is met in training.

Capacities span more than a factor of three among the opaque cups and among the clear ones, so that pouring for an
average cup does not pay. Opaque and clear cups take turns: any prefix of a trial list has both.
"""

from multigen_core.containers import Container, frustum

__all__ = ["LAB_RECEIVERS", "VALIDATION_RECEIVERS"]

LAB_RECEIVERS: tuple[Container, ...] = (
    # A party cup: wide, strongly tapered, about 420 ml.
    frustum(
        "red_cup",
        bottom_radius_m=0.0300,
        top_radius_m=0.0435,
        height_m=0.098,
        material="plastic",
        opaque=True,
        color=(0.78, 0.10, 0.10),
        wall_m=0.0015,
    ),
    # About 130 ml.
    frustum(
        "clear_short",
        bottom_radius_m=0.0220,
        top_radius_m=0.0280,
        height_m=0.066,
        material="plastic",
        opaque=False,
        color=(0.90, 0.93, 0.95),
        wall_m=0.0015,
    ),
    # Narrow, deep and ringing: about 310 ml.
    frustum(
        "metal_thermos",
        bottom_radius_m=0.0260,
        top_radius_m=0.0260,
        height_m=0.146,
        material="metal",
        opaque=True,
        color=(0.62, 0.64, 0.67),
    ),
    # About 420 ml.
    frustum(
        "clear_tall",
        bottom_radius_m=0.0300,
        top_radius_m=0.0330,
        height_m=0.135,
        material="plastic",
        opaque=False,
        color=(0.92, 0.95, 0.92),
        wall_m=0.0015,
    ),
    # Wide and low, thick walls, rounded foot: about 330 ml.
    Container(
        "ceramic_mug",
        profile=((0.0, 0.0300), (0.008, 0.0360), (0.078, 0.0385)),
        material="ceramic",
        opaque=True,
        color=(0.86, 0.84, 0.78),
        wall_m=0.004,
    ),
    # About 365 ml.
    frustum(
        "clear_wide",
        bottom_radius_m=0.0340,
        top_radius_m=0.0450,
        height_m=0.074,
        material="plastic",
        opaque=False,
        color=(0.93, 0.92, 0.96),
        wall_m=0.0015,
    ),
    # Small and black: about 130 ml.
    frustum(
        "black_tumbler",
        bottom_radius_m=0.0220,
        top_radius_m=0.0270,
        height_m=0.070,
        material="plastic",
        opaque=True,
        color=(0.07, 0.07, 0.08),
        wall_m=0.0025,
    ),
    # Almost pointed: about 240 ml.
    frustum(
        "clear_cone",
        bottom_radius_m=0.0190,
        top_radius_m=0.0370,
        height_m=0.095,
        material="plastic",
        opaque=False,
        color=(0.88, 0.93, 0.97),
        wall_m=0.0015,
    ),
)
"""Four opaque, four clear."""

VALIDATION_RECEIVERS: tuple[Container, ...] = (
    # About 115 ml.
    frustum(
        "sake_cup",
        bottom_radius_m=0.0200,
        top_radius_m=0.0310,
        height_m=0.056,
        material="ceramic",
        opaque=True,
        color=(0.36, 0.42, 0.48),
        wall_m=0.003,
    ),
    # About 120 ml.
    frustum(
        "clear_vial",
        bottom_radius_m=0.0210,
        top_radius_m=0.0240,
        height_m=0.076,
        material="plastic",
        opaque=False,
        color=(0.91, 0.93, 0.93),
        wall_m=0.0015,
    ),
    # About 420 ml.
    frustum(
        "travel_mug",
        bottom_radius_m=0.0280,
        top_radius_m=0.0340,
        height_m=0.140,
        material="plastic",
        opaque=True,
        color=(0.14, 0.30, 0.24),
        wall_m=0.003,
    ),
    # About 415 ml.
    frustum(
        "clear_pilsner",
        bottom_radius_m=0.0240,
        top_radius_m=0.0370,
        height_m=0.140,
        material="plastic",
        opaque=False,
        color=(0.93, 0.92, 0.90),
        wall_m=0.002,
    ),
    # About 350 ml.
    frustum(
        "tin_can",
        bottom_radius_m=0.0400,
        top_radius_m=0.0400,
        height_m=0.070,
        material="metal",
        opaque=True,
        color=(0.76, 0.74, 0.66),
    ),
    # About 270 ml.
    frustum(
        "clear_dish",
        bottom_radius_m=0.0380,
        top_radius_m=0.0430,
        height_m=0.052,
        material="plastic",
        opaque=False,
        color=(0.90, 0.94, 0.95),
        wall_m=0.0015,
    ),
    # About 240 ml.
    frustum(
        "blue_beaker",
        bottom_radius_m=0.0240,
        top_radius_m=0.0300,
        height_m=0.104,
        material="plastic",
        opaque=True,
        color=(0.20, 0.28, 0.66),
        wall_m=0.0015,
    ),
    # About 320 ml.
    frustum(
        "clear_bucket",
        bottom_radius_m=0.0270,
        top_radius_m=0.0440,
        height_m=0.080,
        material="plastic",
        opaque=False,
        color=(0.94, 0.94, 0.94),
        wall_m=0.0015,
    ),
)
"""Four opaque, four clear: what is tried out is tried out on these, so that the table's cups stay unseen."""
