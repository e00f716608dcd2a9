"""What one pour is made of: the result of the randomisation and the input of every scene."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from multigen_core.containers import Container
from multigen_core.errors import UserError
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
    exposure_ev: float
    """Stops above (brighter) or below the right one."""
    blur: float
    """Standard deviation of the lens's blur, as a share of the image's side."""
    noise: float
    """Standard deviation of the sensor's noise in white, of full scale."""


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

    def require_possible(self) -> None:
        """Raises UserError when the goal does not fit into the receiver, or its amount is not in the pitcher."""
        if not 0.0 < self.goal_fraction <= 1.0:
            raise UserError(
                f"goal_fraction is {self.goal_fraction:g}: {self.receiver.name!r} holds"
                f" {self.receiver.capacity_ml:.0f} ml; ask for more than 0 and at most 1 of it"
            )
        if self.initial_ml > self.pitcher.capacity_ml:
            raise UserError(
                f"initial_ml is {self.initial_ml:.0f}, more than the {self.pitcher.capacity_ml:.0f} ml that"
                f" {self.pitcher.name!r} holds; fill in less or take a larger pitcher"
            )
        if self.initial_ml < self.goal_ml:
            raise UserError(
                f"initial_ml is {self.initial_ml:.0f}, less than the {self.goal_ml:.0f} ml asked for; fill in more or"
                " lower goal_fraction"
            )
