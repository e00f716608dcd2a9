"""The pouring place as a MuJoCo model: room, lamps, camera, receiver, clutter, and the arm that holds the pitcher.

The parts are functions on a ``MjSpec``, so that the arm-less scene of `simulation.tabletop` is made of the same ones.
"""

import math
from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Float

from multigen_core.containers import Container
from multigen_core.simulation.gen3 import HOME_RAD, SERVO_LAG_S, add_gen3
from multigen_core.simulation.placement import receiver_position_m
from multigen_core.simulation.setup import (
    CameraDraw,
    ClutterDraw,
    LightDraw,
    PourSetup,
    Rgb,
    SceneDraw,
    SurfaceDraw,
)
from multigen_core.simulation.textures import texture
from multigen_core.simulation.vessels import (
    GRIP_WIDTH_M,
    PITCHER_BODY,
    PITCHER_GEOM,
    RECEIVER_BODY,
    RECEIVER_GEOM,
    RECEIVER_GROUP,
    add_container,
    add_grip,
    add_lip,
    add_liquid,
    grip_in_pitcher,
)

__all__ = [
    "CAMERA",
    "POURING_PLACE_M",
    "TABLE_GEOM",
    "add_surroundings",
    "arm_with_pitcher",
    "build_scene",
    "empty_spec",
]

CAMERA = "camera"
TABLE_GEOM = "table"
POURING_PLACE_M = (0.655, 0.02, 0.12)
"""What the camera looks at: between cup and lip, a little towards the pitcher. Nearer to the base than x = 0.62 the
arm's fourth and sixth joint come to their limits while it tilts."""
_PITCHER_MASS_KG = 0.2
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


def build_scene(
    setup: PourSetup, *, servo_lag_s: float = SERVO_LAG_S, arm_meshes: Path | None = None
) -> mujoco.MjModel:
    """Arm, pitcher in its hand, receiver and room of one pour; no contacts, seven degrees of freedom.

    The names of what a caller needs are constants of this module; the arm's are in `simulation.gen3`.
    """
    spec = empty_spec(setup.scene)
    add_surroundings(spec, setup)
    tool = add_gen3(
        spec,
        color=setup.scene.arm_color,
        grip_width_m=GRIP_WIDTH_M,
        servo_lag_s=servo_lag_s,
        meshes=arm_meshes,
    )
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
    spec.visual.quality.numslices, spec.visual.quality.numstacks, spec.visual.quality.numquads = 12, 6, 2
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
    add_liquid(spec, setup.liquid)


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
