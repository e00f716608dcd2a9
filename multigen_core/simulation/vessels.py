"""The containers of a pour and its liquid as parts of a MuJoCo scene."""

from functools import lru_cache

import mujoco
import numpy as np
from jaxtyping import Float, Int

from multigen_core.containers import Container
from multigen_core.records import Liquid
from multigen_core.simulation.placement import lip_in_pitcher
from multigen_core.simulation.shells import shell

__all__ = [
    "GRIP_REACH_M",
    "GRIP_WIDTH_M",
    "LIP_SITE",
    "LIQUID_FACES",
    "LIQUID_GEOM",
    "LIQUID_VERTICES",
    "PITCHER_BODY",
    "PITCHER_GEOM",
    "RECEIVER_BODY",
    "RECEIVER_GEOM",
    "RECEIVER_GROUP",
    "add_container",
    "add_grip",
    "add_lip",
    "add_liquid",
    "grip_in_pitcher",
]

RECEIVER_BODY = RECEIVER_GEOM = "receiver"
"""The body's frame is the receiver's: centre of the inner bottom, z along the axis."""
PITCHER_BODY = PITCHER_GEOM = "pitcher"
"""The body's frame is the pitcher's; its axes are those of the world when the pitcher is upright."""
LIP_SITE = "lip"
"""The point of the pitcher's rim where it pours, with the axes of the pitcher."""
LIQUID_GEOM = "liquid"
"""A geom of the world body whose mesh the renderer rewrites."""
RECEIVER_GROUP = 2
"""The receiver's own geom group: without it the liquid inside is seen."""


GRIP_FRACTION = 0.62
"""The gripper holds the pitcher's handle at this fraction of the pitcher's height."""
GRIP_REACH_M = 0.032
"""From the pitcher's widest place back to the middle of its handle. Fingers round the body itself would hit the rim of
the receiver at tilts from 35 to 50 degrees, by about a centimetre."""
GRIP_WIDTH_M = 0.016
"""Thickness of the handle."""
LIQUID_VERTICES = 12_000
LIQUID_FACES = 24_000
"""Room of the liquid's mesh."""

_CLEAR_ALPHA = 0.17
_GRIP_HALF_M = 0.034
"""Half the length of the pitcher's handle."""
_HANDLE_PIECES = 6
_HANDLE_REACH_M = 0.024
_HANDLE_RADIUS_M = 0.0045
_GRIP_SHADE = 0.8
"""The grip is darker than its pitcher by this factor."""


def add_container(spec: mujoco.MjSpec, body: mujoco.MjsBody, container: Container, *, name: str, group: int) -> None:
    """Gives a body the shape and the look of a container."""
    surface = shell(container)
    _add_mesh(spec, name, surface.vertices, surface.normals, surface.faces)
    material = spec.add_material(name=name)
    material.specular, material.shininess = _GLOSS[container.material]
    material.rgba = (*container.color, 1.0 if container.opaque else _CLEAR_ALPHA)
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=name,
        group=group,
        mass=0.0,
        contype=0,
        conaffinity=0,
    )
    if container.handle:
        _add_handle(body, container, name=name, group=group)


def _add_handle(body: mujoco.MjsBody, container: Container, *, name: str, group: int) -> None:
    """A bow on the side that is turned away from the pitcher; its geoms are called ``name/0``, ``name/1``, ..."""
    angles = np.radians(np.linspace(70.0, -70.0, _HANDLE_PIECES + 1))
    heights = container.height_m * (0.52 + 0.3 * np.sin(angles))
    wall = np.array([container.radius_at(height) for height in heights]) + 0.5 * container.wall_m
    reach = wall.max() + _HANDLE_REACH_M * np.cos(angles)
    reach[[0, -1]] = wall[[0, -1]]
    points = np.stack([np.zeros_like(reach), -reach, heights], axis=1)  # (pieces + 1, 3)
    for piece, ends in enumerate(np.hstack([points[:-1], points[1:]])):
        body.add_geom(
            name=f"{name}/{piece}",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=ends,
            size=(_HANDLE_RADIUS_M, 0.0, 0.0),
            material=name,
            group=group,
            mass=0.0,
            contype=0,
            conaffinity=0,
        )


_GLOSS: dict[str, tuple[float, float]] = {
    "plastic": (0.4, 0.4),
    "glass": (0.9, 0.8),
    "metal": (1.0, 0.5),
    "ceramic": (0.6, 0.6),
    "paper": (0.05, 0.1),
}
"""Specular reflection and shininess of each material."""


def add_lip(body: mujoco.MjsBody, pitcher: Container) -> None:
    """Marks the pouring point of the pitcher's rim."""
    body.add_site(name=LIP_SITE, pos=lip_in_pitcher(pitcher), size=(0.002, 0.002, 0.002), group=5)


def grip_in_pitcher(pitcher: Container) -> Float[np.ndarray, "3"]:
    """Where the gripper holds, in the pitcher's frame: the middle of a handle behind it, at its -x side."""
    widest_m = max(radius for _, radius in pitcher.profile) + pitcher.wall_m
    return np.array([-widest_m - GRIP_REACH_M, 0.0, GRIP_FRACTION * pitcher.height_m])


def add_grip(body: mujoco.MjsBody, pitcher: Container) -> None:
    """Draws the handle by which the gripper holds the pitcher: an upright bar on two struts."""
    back_m, _, middle_m = grip_in_pitcher(pitcher)
    radius_m = 0.5 * GRIP_WIDTH_M
    low_m, high_m = middle_m - _GRIP_HALF_M, middle_m + _GRIP_HALF_M
    pieces = [(back_m, low_m, back_m, high_m)]
    for height_m in (low_m, high_m):
        pieces.append((-pitcher.radius_at(height_m) - 0.5 * pitcher.wall_m, height_m, back_m, height_m))
    for number, (x0, z0, x1, z1) in enumerate(pieces):
        body.add_geom(
            name=f"{PITCHER_GEOM}/{number}",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(x0, 0.0, z0, x1, 0.0, z1),
            size=(radius_m if number == 0 else 0.6 * radius_m, 0.0, 0.0),
            rgba=(*(_GRIP_SHADE * channel for channel in pitcher.color), 1.0),
            group=1,
            mass=0.0,
            contype=0,
            conaffinity=0,
        )


def add_liquid(spec: mujoco.MjSpec, liquid: Liquid) -> None:
    """Room for a mesh that changes from frame to frame; it starts as a sheet nobody sees drawn."""
    _add_mesh(spec, LIQUID_GEOM, *_liquid_sheet())
    material = spec.add_material(name=LIQUID_GEOM)
    material.specular, material.shininess = 0.6, 0.7
    # Never quite opaque: an opaque body a hair's breadth from a glass wall gets stippled by the wall's shadow.
    material.rgba = (*liquid.color, 0.6 + 0.38 * liquid.opacity)
    spec.worldbody.add_geom(
        name=LIQUID_GEOM,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=LIQUID_GEOM,
        material=LIQUID_GEOM,
        mass=0.0,
        contype=0,
        conaffinity=0,
    )


@lru_cache(maxsize=1)
def _liquid_sheet() -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Int[np.ndarray, "F 3"]]:
    """Some valid mesh with exactly the numbers of vertices and faces that are reserved."""
    number = np.arange(LIQUID_VERTICES)
    vertices = np.stack([number % 100, number // 100 % 100, number // 10_000], axis=1) * 1e-3
    strip = np.stack([number, (number + 1) % LIQUID_VERTICES, (number + 100) % LIQUID_VERTICES], axis=1)
    normals = np.tile((0.0, 0.0, 1.0), (LIQUID_VERTICES, 1))
    return vertices, normals, np.concatenate([strip, strip])[:LIQUID_FACES]


def _add_mesh(
    spec: mujoco.MjSpec,
    name: str,
    vertices: Float[np.ndarray, "V 3"],
    normals: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
) -> None:
    mesh = spec.add_mesh(name=name)
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    mesh.uservert = vertices.ravel()
    mesh.usernormal = normals.ravel()
    mesh.userface = mesh.userfacenormal = faces.astype(np.int32).ravel()
