"""The pouring place as a MuJoCo model: room, lamps, camera, receiver, clutter, and the arm that holds the pitcher.

The parts are functions on a ``MjSpec``, so that the arm-less scene of `simulation.tabletop` is made of the same ones.
"""

import math
from functools import lru_cache

import mujoco
import numpy as np
from jaxtyping import Float, Int

from multigen_core.containers import Container
from multigen_core.records import Liquid
from multigen_core.simulation.gen3 import HOME_RAD, add_gen3
from multigen_core.simulation.placement import lip_in_pitcher, receiver_position_m
from multigen_core.simulation.setup import (
    CameraDraw,
    ClutterDraw,
    LightDraw,
    PourSetup,
    Rgb,
    SceneDraw,
    SurfaceDraw,
)
from multigen_core.simulation.shells import shell
from multigen_core.simulation.textures import texture

__all__ = [
    "CAMERA",
    "GRIP_REACH_M",
    "GRIP_WIDTH_M",
    "LIP_SITE",
    "LIQUID_FACES",
    "LIQUID_GEOM",
    "LIQUID_VERTICES",
    "PITCHER_BODY",
    "PITCHER_GEOM",
    "POURING_PLACE_M",
    "RECEIVER_BODY",
    "RECEIVER_GEOM",
    "RECEIVER_GROUP",
    "TABLE_GEOM",
    "add_container",
    "add_grip",
    "add_lip",
    "add_surroundings",
    "arm_with_pitcher",
    "build_scene",
    "empty_spec",
    "grip_in_pitcher",
]

CAMERA = "camera"
RECEIVER_BODY = RECEIVER_GEOM = "receiver"
"""The body's frame is the receiver's: centre of the inner bottom, z along the axis."""
PITCHER_BODY = PITCHER_GEOM = "pitcher"
"""The body's frame is the pitcher's; its axes are those of the world when the pitcher is upright."""
TABLE_GEOM = "table"
LIP_SITE = "lip"
"""The point of the pitcher's rim where it pours, with the axes of the pitcher."""
LIQUID_GEOM = "liquid"
"""A geom of the world body whose mesh the renderer rewrites."""
RECEIVER_GROUP = 2
"""The receiver's own geom group: without it the liquid inside is seen."""

POURING_PLACE_M = (0.655, 0.02, 0.12)
"""What the camera looks at: between cup and lip, a little towards the pitcher. Nearer to the base than x = 0.62 the
arm's fourth and sixth joint come to their limits while it tilts."""
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
_PITCHER_MASS_KG = 0.2
_GRIP_HALF_M = 0.034
"""Half the length of the pitcher's handle."""
_HANDLE_PIECES = 6
_HANDLE_REACH_M = 0.024
_HANDLE_RADIUS_M = 0.0045
_TABLE_X_M = (-0.35, 1.35)
_TABLE_HALF_WIDTH_M = 0.9
_WALL_X_M = -0.95
_FLOOR_Z_M = -0.75
_LAMP_DISTANCE_M = 1.6
# Colour of a black body after white balance for daylight.
_KELVIN = (2000.0, 2700.0, 3500.0, 4500.0, 5500.0, 6500.0, 9000.0)
_KELVIN_RGB = (
    (1.00, 0.54, 0.16),
    (1.00, 0.67, 0.37),
    (1.00, 0.78, 0.58),
    (1.00, 0.88, 0.77),
    (1.00, 0.95, 0.91),
    (1.00, 1.00, 1.00),
    (0.84, 0.89, 1.00),
)


def build_scene(setup: PourSetup) -> mujoco.MjModel:
    """Arm, pitcher in its hand, receiver and room of one pour; no contacts, seven degrees of freedom.

    The names of what a caller needs are constants of this module; the arm's are in `simulation.gen3`.
    """
    spec = empty_spec(setup.scene)
    add_surroundings(spec, setup)
    tool = add_gen3(spec, color=setup.scene.arm_color, grip_width_m=GRIP_WIDTH_M)
    pitcher = _add_held(tool, setup.pitcher)
    add_container(spec, pitcher, setup.pitcher, name=PITCHER_GEOM, group=1)
    add_grip(pitcher, setup.pitcher)
    add_lip(pitcher, setup.pitcher)
    spec.add_key(name="home", qpos=HOME_RAD, ctrl=HOME_RAD)
    return spec.compile()


def arm_with_pitcher(pitcher: Container) -> mujoco.MjModel:
    """The arm with a pitcher in its hand that has a lip but no looks: for kinematics alone."""
    spec = mujoco.MjSpec()
    tool = add_gen3(spec, color=(0.9, 0.9, 0.9), grip_width_m=GRIP_WIDTH_M)
    add_lip(_add_held(tool, pitcher), pitcher)
    return spec.compile()


def _add_held(tool: mujoco.MjsBody, pitcher: Container) -> mujoco.MjsBody:
    back_m, _, grip_height_m = grip_in_pitcher(pitcher)
    # At home the tool's x, y, z are the world's y, z, x; the pitcher's axes shall be the world's.
    body = tool.add_body(name=PITCHER_BODY, pos=(0.0, -grip_height_m, -back_m), quat=(0.5, -0.5, -0.5, -0.5))
    body.mass, body.inertia, body.explicitinertial = _PITCHER_MASS_KG, (4e-4, 4e-4, 2e-4), True
    body.ipos = (0.0, 0.0, 0.5 * pitcher.height_m)
    body.gravcomp = 1.0
    return body


def empty_spec(scene: SceneDraw) -> mujoco.MjSpec:
    """A specification with the options that every scene shares."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.disableflags = mujoco.mjtDisableBit.mjDSBL_CONTACT
    # Sizes of clipping planes and shadow maps follow from a fixed extent, whatever stands in the room.
    spec.stat.extent = 1.0
    spec.stat.center = POURING_PLACE_M
    spec.visual.map.znear, spec.visual.map.zfar = 0.05, 6.0
    spec.visual.map.shadowclip = 0.35
    spec.visual.quality.shadowsize = 512
    spec.visual.quality.offsamples = 4
    # Round shapes are small on screen: coarse ones save a third of a frame.
    spec.visual.quality.numslices, spec.visual.quality.numstacks, spec.visual.quality.numquads = 16, 8, 2
    spec.visual.headlight.ambient = _gray(scene.ambient)
    spec.visual.headlight.diffuse = _gray(0.15)
    spec.visual.headlight.specular = _gray(0.1)
    return spec


def add_surroundings(spec: mujoco.MjSpec, setup: PourSetup) -> None:
    """All that is there without arm and pitcher: room, lamps, camera, clutter, receiver and the liquid's mesh."""
    scene = setup.scene
    _add_room(spec, scene)
    for light in scene.lights:
        _add_light(spec, light)
    _add_camera(spec, scene.camera)
    for thing in scene.clutter:
        _add_clutter(spec, thing)
    receiver = spec.worldbody.add_body(name=RECEIVER_BODY, pos=receiver_position_m(setup))
    add_container(spec, receiver, setup.receiver, name=RECEIVER_GEOM, group=RECEIVER_GROUP)
    _add_liquid(spec, setup.liquid)


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
            rgba=(*_darker(pitcher.color, 0.8), 1.0),
            group=1,
            mass=0.0,
            contype=0,
            conaffinity=0,
        )


def _add_room(spec: mujoco.MjSpec, scene: SceneDraw) -> None:
    world = spec.worldbody
    _add_surface(spec, "table", scene.table, specular=0.3)
    _add_surface(spec, "wall", scene.wall, specular=0.05)
    near_x, far_x = _TABLE_X_M
    _add_shape(
        world,
        mujoco.mjtGeom.mjGEOM_BOX,
        position=(0.5 * (near_x + far_x), 0.0, -0.02),
        size=(0.5 * (far_x - near_x), _TABLE_HALF_WIDTH_M, 0.02),
        material="table",
        name=TABLE_GEOM,
    )
    height = 2.5
    for position, normal in (
        ((_WALL_X_M, 0.0, _FLOOR_Z_M + 0.5 * height), (1.0, 0.0, 0.0)),
        ((0.5, -1.8, _FLOOR_Z_M + 0.5 * height), (0.0, 1.0, 0.0)),
        ((0.5, 1.8, _FLOOR_Z_M + 0.5 * height), (0.0, -1.0, 0.0)),
    ):
        wall = _add_shape(world, mujoco.mjtGeom.mjGEOM_PLANE, position=position, size=(2.5, 2.5, 0.1), material="wall")
        wall.quat = _turn_z_to(normal)
    floor_color = _darker(scene.wall.colors[1], 0.5)
    _add_shape(
        world,
        mujoco.mjtGeom.mjGEOM_PLANE,
        position=(0.5, 0.0, _FLOOR_Z_M),
        size=(3.0, 3.0, 0.1),
        color=floor_color,
    )


def _add_surface(spec: mujoco.MjSpec, name: str, surface: SurfaceDraw, *, specular: float) -> None:
    image = texture(surface.texture, seed=surface.seed, colors=surface.colors)
    asset = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D)
    asset.height, asset.width, asset.nchannel = image.shape
    asset.data = image.tobytes()
    material = spec.add_material(name=name)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    material.texuniform = True
    material.texrepeat = (1.0 / surface.tile_m, 1.0 / surface.tile_m)
    material.specular, material.shininess = specular, 0.4


def _add_light(spec: mujoco.MjSpec, draw: LightDraw) -> None:
    towards_lamp = _direction(draw.azimuth_deg, draw.elevation_deg)
    tint = np.array([np.interp(draw.kelvin, _KELVIN, channel) for channel in zip(*_KELVIN_RGB, strict=True)])
    light = spec.worldbody.add_light(type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    light.pos = np.array(POURING_PLACE_M) + _LAMP_DISTANCE_M * towards_lamp
    light.dir = -towards_lamp
    light.diffuse = draw.intensity * tint
    light.specular = 0.5 * draw.intensity * tint
    light.castshadow = draw.shadow


def _add_camera(spec: mujoco.MjSpec, draw: CameraDraw) -> None:
    backward = _direction(draw.azimuth_deg, draw.elevation_deg)  # from the aim to the camera: the camera's +z
    right = np.cross((0.0, 0.0, 1.0), backward)
    right /= np.linalg.norm(right)
    up = np.cross(backward, right)
    aim = np.array(POURING_PLACE_M) + draw.aim_offset_m[0] * right + draw.aim_offset_m[1] * up
    roll = math.radians(draw.roll_deg)
    rotation = np.stack(
        [
            math.cos(roll) * right + math.sin(roll) * up,
            math.cos(roll) * up - math.sin(roll) * right,
            backward,
        ],
        axis=1,
    )
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, rotation.ravel())
    spec.worldbody.add_camera(
        name=CAMERA,
        pos=aim + draw.distance_m * backward,
        quat=quaternion,
        fovy=math.degrees(2.0 * math.atan(0.5 * draw.field_m / draw.distance_m)),
    )


def _add_clutter(spec: mujoco.MjSpec, thing: ClutterDraw) -> None:
    body = spec.worldbody.add_body(
        pos=(*thing.position_m, 0.0),
        quat=(math.cos(thing.yaw_rad / 2), 0.0, 0.0, math.sin(thing.yaw_rad / 2)),
    )
    radius, half = thing.radius_m, 0.5 * thing.height_m
    if thing.shape == "ball":
        _add_shape(
            body,
            mujoco.mjtGeom.mjGEOM_SPHERE,
            position=(0.0, 0.0, radius),
            size=(radius, 0.0, 0.0),
            color=thing.color,
        )
        return
    if thing.shape == "box":
        _add_shape(
            body,
            mujoco.mjtGeom.mjGEOM_BOX,
            position=(0.0, 0.0, half),
            size=(radius, 0.6 * radius, half),
            color=thing.color,
        )
        return
    _add_shape(
        body,
        mujoco.mjtGeom.mjGEOM_CYLINDER,
        position=(0.0, 0.0, half),
        size=(radius, half, 0.0),
        color=thing.color,
    )
    if thing.shape == "bottle":
        neck = 0.35 * thing.height_m
        _add_shape(
            body,
            mujoco.mjtGeom.mjGEOM_CYLINDER,
            position=(0.0, 0.0, thing.height_m + 0.5 * neck),
            size=(0.4 * radius, 0.5 * neck, 0.0),
            color=_darker(thing.color, 0.6),
        )


def _add_liquid(spec: mujoco.MjSpec, liquid: Liquid) -> None:
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


def _add_shape(
    body: mujoco.MjsBody,
    shape: mujoco.mjtGeom,
    *,
    position: tuple[float, float, float],
    size: tuple[float, float, float],
    color: Rgb = (1.0, 1.0, 1.0),
    material: str = "",
    name: str = "",
) -> mujoco.MjsGeom:
    return body.add_geom(
        name=name,
        type=shape,
        pos=position,
        size=size,
        rgba=(*color, 1.0),
        material=material,
        mass=0.0,
        contype=0,
        conaffinity=0,
    )


def _direction(azimuth_deg: float, elevation_deg: float) -> Float[np.ndarray, "3"]:
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    return np.array(
        [
            math.cos(elevation) * math.cos(azimuth),
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
        ]
    )


def _turn_z_to(normal: tuple[float, float, float]) -> Float[np.ndarray, "4"]:
    quaternion = np.zeros(4)
    mujoco.mju_quatZ2Vec(quaternion, np.array(normal))
    return quaternion


def _darker(color: Rgb, factor: float) -> Rgb:
    return color[0] * factor, color[1] * factor, color[2] * factor


def _gray(value: float) -> Rgb:
    return value, value, value
