"""How the Gen3 and its gripper look: tubes and drums of about the right size, or the meshes that a user has.

Nothing here has a mass or collides; what comes near to what is measured from these shapes.
"""

from collections.abc import Mapping
from pathlib import Path

import mujoco

from multigen_core.errors import UserError
from multigen_core.simulation.setup import Rgb

__all__ = ["MESH_FILES", "STROKE_M", "TOOL_OFFSET_M", "draw_base", "draw_gripper", "draw_meshes", "draw_tube"]

Vector = tuple[float, float, float]

TOOL_OFFSET_M = 0.12
"""From the flange along its z to the point between the finger tips."""
STROKE_M = 0.085
"""The gripper's fingers open this far."""
MESH_FILES = {
    "base": "base_link.stl",
    "shoulder": "shoulder_link.stl",
    "half_arm_1": "half_arm_1_link.stl",
    "half_arm_2": "half_arm_2_link.stl",
    "forearm": "forearm_link.stl",
    "wrist_1": "spherical_wrist_1_link.stl",
    "wrist_2": "spherical_wrist_2_link.stl",
    "bracelet": "bracelet_with_vision_link.stl",
}
"""By the name of the link."""
_DARK: Rgb = (0.13, 0.13, 0.14)


def draw_base(body: mujoco.MjsBody, height_m: float, color: Rgb) -> None:
    """A foot and a drum up to the first joint."""
    _cylinder(body, (0.0, 0.0, 0.0), (0.0, 0.0, 0.012), 0.075, _DARK)
    _cylinder(body, (0.0, 0.0, 0.012), (0.0, 0.0, height_m), 0.046, color)


def draw_tube(body: mujoco.MjsBody, end: Vector, radius_m: float, color: Rgb) -> None:
    """A tube to the next joint, and the drive of this one as a drum with a dark seam."""
    _capsule(body, (0.0, 0.0, 0.0), end, radius_m, color)
    _cylinder(body, (0.0, 0.0, -0.035), (0.0, 0.0, 0.035), radius_m + 0.001, color)
    _cylinder(body, (0.0, 0.0, -0.004), (0.0, 0.0, 0.004), radius_m + 0.003, _DARK)


def draw_meshes(spec: mujoco.MjSpec, links: Mapping[str, mujoco.MjsBody], folder: Path, color: Rgb) -> None:
    """The links as the files of ``MESH_FILES`` in ``folder`` show them, each in the frame of its link [m].

    Such files are those of MuJoCo Menagerie's ``kinova_gen3/assets`` (BSD-3). Raises UserError when one is missing.
    """
    for name, body in links.items():
        file = folder / MESH_FILES[name]
        if not file.is_file():
            raise UserError(
                f"episodes.arm_meshes: there is no {file.name} in {str(folder)!r}; it wants the folder"
                " kinova_gen3/assets of MuJoCo Menagerie, or "
                " for tubes"
            )
        spec.add_mesh(name=name, file=str(file.resolve()))
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, rgba=(*color, 1.0), mass=0.0, contype=0, conaffinity=0
        )


def draw_gripper(flange: mujoco.MjsBody, *, grip_width_m: float) -> None:
    """The hand of a Robotiq 2F-85 on a flange: a drum, a palm and two fingers that stand ``grip_width_m`` apart."""
    _cylinder(flange, (0.0, 0.0, 0.0), (0.0, 0.0, 0.045), 0.0375, _DARK)
    _box(flange, (0.0, 0.0, 0.055), (0.036, 0.0135, 0.022), (0.2, 0.2, 0.21))
    for side in (-1.0, 1.0):
        pad_x = side * (0.5 * grip_width_m + 0.005)
        knuckle = (side * 0.034, 0.0, 0.062)
        joint = (pad_x + side * 0.014, 0.0, 0.098)
        _capsule(flange, knuckle, joint, 0.008, _DARK)
        _capsule(flange, joint, (pad_x + side * 0.004, 0.0, 0.115), 0.007, _DARK)
        _box(flange, (pad_x, 0.0, TOOL_OFFSET_M), (0.005, 0.011, 0.019), (0.3, 0.3, 0.31))


def _capsule(body: mujoco.MjsBody, start: Vector, end: Vector, radius_m: float, color: Rgb) -> None:
    _draw(body, mujoco.mjtGeom.mjGEOM_CAPSULE, color, fromto=(*start, *end), size=(radius_m, 0.0, 0.0))


def _cylinder(body: mujoco.MjsBody, start: Vector, end: Vector, radius_m: float, color: Rgb) -> None:
    _draw(body, mujoco.mjtGeom.mjGEOM_CYLINDER, color, fromto=(*start, *end), size=(radius_m, 0.0, 0.0))


def _box(body: mujoco.MjsBody, centre: Vector, half_sides: Vector, color: Rgb) -> None:
    _draw(body, mujoco.mjtGeom.mjGEOM_BOX, color, pos=centre, size=half_sides)


def _draw(body: mujoco.MjsBody, shape: mujoco.mjtGeom, color: Rgb, **placing: tuple[float, ...]) -> None:
    body.add_geom(type=shape, rgba=(*color, 1.0), mass=0.0, contype=0, conaffinity=0, **placing)
