"""The eight cups of the lab: the rows of the results table. None of them is met in training.

Capacities span more than a factor of three among the opaque cups and among the clear ones, so that pouring for an
average cup does not pay. Opaque and clear cups take turns: any prefix of a trial list has both.
"""

from multigen_core.containers import Container, frustum

__all__ = ["LAB_RECEIVERS"]

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
