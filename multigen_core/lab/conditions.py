"""What the emulated lab looks and sounds like: pitchers, liquids, surfaces, lights, camera poses, rooms and noises that
no training pour has. Fixed before any policy was trained; never tuned to one.

There are two such labs. Results come from ``test``; choices are made in ``validation``, whose cups, pitchers, liquids,
lights, cameras and rooms are others again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from multigen_core.acoustics.sound_scene import TRAINING_SOUND_RANGES, SoundRanges
from multigen_core.containers import Container, frustum
from multigen_core.lab.receivers import LAB_RECEIVERS, VALIDATION_RECEIVERS
from multigen_core.records import Liquid
from multigen_core.simulation.randomisation import TRAINING_RANGES, Ranges

__all__ = ["CONDITIONS", "LAB_LIQUIDS", "LAB_PITCHERS", "LAB_RANGES", "LAB_SOUND_RANGES", "Conditions"]

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

_VALIDATION_PITCHERS: tuple[Container, ...] = (
    frustum(
        "copper_jug",
        bottom_radius_m=0.0400,
        top_radius_m=0.0400,
        height_m=0.131,
        material="metal",
        opaque=True,
        color=(0.66, 0.42, 0.30),
        wall_m=0.0012,
    ),
    frustum(
        "clear_flagon",
        bottom_radius_m=0.0385,
        top_radius_m=0.0365,
        height_m=0.148,
        material="plastic",
        opaque=False,
        color=(0.90, 0.94, 0.94),
        wall_m=0.002,
    ),
)
"""660 and 650 ml."""

_VALIDATION_LIQUIDS: tuple[Liquid, ...] = (
    Liquid("hibiscus_tea", (0.55, 0.06, 0.22), 0.75, 0.025),
    Liquid("golden_milk", (0.93, 0.74, 0.38), 1.0, 0.05),
    Liquid("matcha", (0.47, 0.58, 0.25), 0.95, 0.03),
    Liquid("butterfly_pea_tea", (0.30, 0.25, 0.62), 0.7, 0.022),
)

_VALIDATION_RANGES = replace(
    LAB_RANGES,
    receivers=VALIDATION_RECEIVERS,
    pitchers=_VALIDATION_PITCHERS,
    liquids=_VALIDATION_LIQUIDS,
    texture_seeds=(200_000, 299_999),
    light_kelvin=(6900.0, 8000.0),
    camera_distance_m=(0.685, 0.72),
)

_VALIDATION_SOUND_RANGES = replace(
    LAB_SOUND_RANGES,
    q={"plastic": (20.5, 24.0), "metal": (15.0, 19.5), "ceramic": (12.5, 16.5)},
    wall_m={"metal": (0.0019, 0.0024)},
    room_rt60_s=(0.82, 1.0),
    hum_hz=(245.0, 300.0),
)
"""The other way round: more ringing plastic, damper metal and ceramic."""


@dataclass(frozen=True)
class Conditions:
    """A lab, as far as chance may vary it."""

    receivers: tuple[Container, ...]
    ranges: Ranges
    sound: SoundRanges


CONDITIONS: Mapping[str, Conditions] = {
    "test": Conditions(LAB_RECEIVERS, LAB_RANGES, LAB_SOUND_RANGES),
    "validation": Conditions(VALIDATION_RECEIVERS, _VALIDATION_RANGES, _VALIDATION_SOUND_RANGES),
}
"""The values of ``evaluation.conditions``."""
