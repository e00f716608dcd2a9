"""What the emulated lab looks and sounds like: pitchers, liquids, surfaces, lights, camera poses, rooms and noises that
no training pour has. Fixed before any policy was trained; never tuned to one.
"""

from dataclasses import replace

from multigen_core.acoustics.sound_scene import TRAINING_SOUND_RANGES
from multigen_core.containers import Container, frustum
from multigen_core.lab.receivers import LAB_RECEIVERS
from multigen_core.records import Liquid
from multigen_core.simulation.randomisation import TRAINING_RANGES

__all__ = ["LAB_LIQUIDS", "LAB_PITCHERS", "LAB_RANGES", "LAB_SOUND_RANGES"]

LAB_PITCHERS: tuple[Container, ...] = (
    frustum(
        "tin_jug",
        bottom_radius_m=0.0395,
        top_radius_m=0.0395,
        height_m=0.135,
        material="metal",
        opaque=True,
        color=(0.45, 0.43, 0.52),
        wall_m=0.0012,
    ),
    frustum(
        "acrylic_jug",
        bottom_radius_m=0.0375,
        top_radius_m=0.0385,
        height_m=0.150,
        material="plastic",
        opaque=False,
        color=(0.96, 0.90, 0.84),
        wall_m=0.002,
    ),
)
"""660 and 680 ml."""

LAB_LIQUIDS: tuple[Liquid, ...] = (
    Liquid("rooibos_tea", (0.62, 0.24, 0.12), 0.75, 0.025),
    Liquid("oat_drink", (0.86, 0.79, 0.66), 1.0, 0.06),
    Liquid("cola", (0.24, 0.13, 0.09), 0.9, 0.022),
    Liquid("mint_syrup", (0.10, 0.58, 0.42), 0.8, 0.035),
)

LAB_RANGES = replace(
    TRAINING_RANGES,
    receivers=LAB_RECEIVERS,
    receiver_jitter=0.0,
    pitchers=LAB_PITCHERS,
    liquids=LAB_LIQUIDS,
    table_textures=("marble", "tiles", "weave"),
    wall_textures=("terrazzo", "tiles", "weave"),
    texture_seeds=(100_000, 199_999),
    light_kelvin=(2700.0, 3500.0),
    camera_distance_m=(0.63, 0.68),
    camera_elevation_deg=(5.0, 15.0),
    camera_azimuth_deg=(-14.0, 14.0),
)
"""The training ranges with everything a stranger's kitchen would change."""

LAB_SOUND_RANGES = replace(
    TRAINING_SOUND_RANGES,
    q={"plastic": (10.0, 12.5), "metal": (28.5, 34.0), "ceramic": (25.5, 30.0)},
    wall_m={"metal": (0.0013, 0.0018)},
    room_rt60_s=(0.55, 0.8),
    background_dbfs=(-53.5, -47.0),
    hum_hz=(185.0, 240.0),
    hum_dbfs=(-57.5, -52.0),
)
"""Damper plastic, more ringing metal and ceramic, a livelier room, and a robot cell louder than any clip's kitchen."""
