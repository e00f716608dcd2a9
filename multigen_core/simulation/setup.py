"""What one pour is made of: the result of the randomisation and the input of every scene."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from multigen_core.containers import Container
from multigen_core.records import Liquid

__all__ = ["CameraDraw", "ClutterDraw", "LightDraw", "PourSetup", "Rgb", "SceneDraw", "SurfaceDraw"]

Rgb = tuple[float, float, float]
"""Red, green, blue in [0, 1]."""


@dataclass(frozen=True)
class SurfaceDraw:
    """The look of the table or of a wall."""

    texture: str
    """Family of ``simulation.textures``."""
    seed: int
    colors: tuple[Rgb, Rgb]
    tile_m: float
    """Side of one repetition of the texture."""


@dataclass(frozen=True)
class LightDraw:
    """A lamp that shines on the receiver from a distance."""

    azimuth_deg: float
    """Seen from above, 0 from +x (behind the camera), counted towards +y."""
    elevation_deg: float
    kelvin: float
    """Colour temperature."""
    intensity: float
    shadow: bool


@dataclass(frozen=True)
class CameraDraw:
    """The one camera, in front of the arm and looking back at it (along -x)."""

    distance_m: float
    """From the camera to the point it looks at."""
    elevation_deg: float
    """Height of the camera above the horizon through that point."""
    azimuth_deg: float
    """Seen from above, 0 straight in front, counted towards +y."""
    roll_deg: float
    field_m: float
    """Width of the square image at the distance of the receiver."""
    aim_offset_m: tuple[float, float]
    """Right and up, from the middle of the pouring place to the point the camera looks at."""


@dataclass(frozen=True)
class ClutterDraw:
    """An object that stands around on the table."""

    shape: Literal["box", "cylinder", "ball", "bottle"]
    position_m: tuple[float, float]
    """x, y on the table."""
    radius_m: float
    height_m: float
    yaw_rad: float
    color: Rgb


@dataclass(frozen=True)
class SceneDraw:
    """Everything that is seen but does not change the pour."""

    receiver_xy_m: tuple[float, float]
    table: SurfaceDraw
    wall: SurfaceDraw
    lights: tuple[LightDraw, ...]
    ambient: float
    """Light that comes from everywhere, 0 to 1."""
    camera: CameraDraw
    clutter: tuple[ClutterDraw, ...]
    arm_color: Rgb

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the lineage of an episode."""
        return asdict(self)


@dataclass(frozen=True)
class PourSetup:
    """One pour: what is poured from where into what, and how it looks."""

    receiver: Container
    pitcher: Container
    liquid: Liquid
    initial_ml: float
    """Liquid in the pitcher at the start."""
    goal_fraction: float
    """What is asked for, as a fraction of the receiver's capacity."""
    lip_offset: tuple[float, float]
    """Pouring lip at the start, seen from the centre of the receiver's mouth: (along +y, up) [m]."""
    scene: SceneDraw
    seed: int

    @property
    def goal_ml(self) -> float:
        return self.goal_fraction * self.receiver.capacity_ml
