"""Where receiver and pitcher are.

World: z up, table top z = 0. The pitcher stands on the +y side of the receiver and pours towards -y: tilting it by
``theta`` turns it about +x through its lip, R_x(theta) e_z = (0, -sin theta, cos theta). The frame of a container has
its origin at the centre of the inner bottom and its z along the axis; the lip is the point of the pitcher's inner rim
on the -y side.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from multigen_core.containers import Container
from multigen_core.simulation.setup import PourSetup

__all__ = [
    "RIM_CLEARANCE_M",
    "clear_tilt_rad",
    "lip_in_pitcher",
    "mouth_centre_m",
    "pitcher_pose",
    "receiver_position_m",
    "start_lip_position_m",
]

RIM_CLEARANCE_M = 0.005
"""Air that must stay between pitcher and receiver."""


def receiver_position_m(setup: PourSetup) -> Float[np.ndarray, "3"]:
    """Centre of the receiver's inner bottom; it stands on the table, its bottom as thick as its wall."""
    x, y = setup.scene.receiver_xy_m
    return np.array([x, y, setup.receiver.wall_m])


def mouth_centre_m(setup: PourSetup) -> Float[np.ndarray, "3"]:
    """Centre of the receiver's rim."""
    return receiver_position_m(setup) + np.array([0.0, 0.0, setup.receiver.height_m])


def start_lip_position_m(setup: PourSetup) -> Float[np.ndarray, "3"]:
    """Where the pitcher's lip is when the pour begins."""
    along_y, up = setup.lip_offset
    return mouth_centre_m(setup) + np.array([0.0, along_y, up])


def lip_in_pitcher(pitcher: Container) -> Float[np.ndarray, "3"]:
    """The lip in the frame of the pitcher."""
    return np.array([0.0, -pitcher.mouth_radius_m, pitcher.height_m])


def pitcher_pose(
    pitcher: Container, *, lip_position_m: Float[np.ndarray, "3"], tilt_rad: float
) -> Float[np.ndarray, "4 4"]:
    """Pose of the pitcher's frame in the world, for its lip at a place and a tilt from upright."""
    cos, sin = np.cos(tilt_rad), np.sin(tilt_rad)
    pose_pitcher_to_world = np.eye(4)
    pose_pitcher_to_world[:3, :3] = [[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]]
    pose_pitcher_to_world[:3, 3] = lip_position_m - pose_pitcher_to_world[:3, :3] @ lip_in_pitcher(pitcher)
    return pose_pitcher_to_world


def clear_tilt_rad(setup: PourSetup, *, lip_offset: tuple[float, float] | None = None) -> float:
    """The smallest tilt at which the hanging side of the pitcher clears receiver and table, lip at ``lip_offset``.

    With its lip over the receiver an upright pitcher would stand inside the receiver.
    """
    lip_y, lip_z = setup.lip_offset if lip_offset is None else lip_offset
    receiver = setup.receiver
    tilts, along, up = _hanging_side(setup.pitcher)
    y, z = lip_y + along, lip_z + up  # from the centre of the receiver's mouth, (tilts, 40)
    touches = z < RIM_CLEARANCE_M - receiver.height_m - receiver.wall_m  # the table
    low = z < RIM_CLEARANCE_M
    touches[low] |= y[low] < _outer_radius_m(receiver, z[low] + receiver.height_m) + RIM_CLEARANCE_M
    clear = ~touches.any(axis=1)
    return float(tilts[np.argmax(clear)]) if clear.any() else float(np.pi / 2)


@lru_cache(maxsize=16)
def _hanging_side(
    pitcher: Container,
) -> tuple[Float[np.ndarray, " tilts"], Float[np.ndarray, "tilts 40"], Float[np.ndarray, "tilts 40"]]:
    """Tilts, and how far points down the outer wall opposite the receiver are along y and up from the lip [m]."""
    heights = np.linspace(-pitcher.wall_m, pitcher.height_m, 40)
    down = heights - pitcher.height_m  # from the lip along the wall, (40,)
    out = pitcher.mouth_radius_m - _outer_radius_m(pitcher, heights)
    tilts = np.radians(np.arange(0.0, 90.0, 0.5))
    cos, sin = np.cos(tilts)[:, None], np.sin(tilts)[:, None]
    return tilts, cos * out - sin * down, sin * out + cos * down


def _outer_radius_m(container: Container, height_m: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    heights, radii = np.array(container.profile).T
    return np.interp(height_m, heights, radii) + container.wall_m
