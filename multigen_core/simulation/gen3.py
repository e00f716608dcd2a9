"""Kinova Gen3 with seven joints and a two-finger gripper, as a MuJoCo model built from published numbers.

Frames, limits, torques, masses and inertias are those of Kinova's user guide and ROS description; every joint turns
about its local +z. How it looks is another matter: :mod:`multigen_core.simulation.gen3_shapes`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Float

from multigen_core.simulation.gen3_shapes import (
    STROKE_M,
    TOOL_OFFSET_M,
    draw_base,
    draw_gripper,
    draw_meshes,
    draw_tube,
)
from multigen_core.simulation.setup import Rgb

__all__ = [
    "FLANGE_BODY",
    "HOME_RAD",
    "JOINTS",
    "JOINT_NAMES",
    "JOINT_SPEED_RAD_S",
    "SERVO_LAG_S",
    "TOOL_BODY",
    "Joint",
    "Link",
    "add_gen3",
    "gen3_model",
]

Vector = tuple[float, float, float]

FLANGE_BODY = "flange"
TOOL_BODY = "tool"


@dataclass(frozen=True)
class Link:
    """A rigid part: inertia about its centre of mass, in the frame of the joint that moves it."""

    name: str
    mass_kg: float
    centre_of_mass_m: Vector
    inertia_kg_m2: Vector
    """Diagonal."""


@dataclass(frozen=True)
class Joint:
    """A revolute joint and the link it moves."""

    name: str
    position_m: Vector
    """In the frame of the parent."""
    roll_rad: float
    """Turn about the parent's x."""
    limit_rad: float | None
    """Symmetric; None turns without end."""
    speed_deg_s: float
    torque_nm: float
    link: Link
    radius_m: float
    """Of the drawn capsule."""


_QUARTER = math.pi / 2

BASE = Link("base", 1.697, (-0.000648, -0.000166, 0.084487), (0.004622, 0.004495, 0.002079))

JOINTS: tuple[Joint, ...] = (
    Joint(
        "joint_1",
        (0.0, 0.0, 0.15643),
        math.pi,
        None,
        80.0,
        105.0,
        Link("shoulder", 1.3773, (-2.3e-5, -0.010364, -0.07336), (0.00457, 0.004831, 0.001409)),
        0.046,
    ),
    Joint(
        "joint_2",
        (0.0, 0.005375, -0.12838),
        _QUARTER,
        math.radians(128.9),
        80.0,
        105.0,
        Link("half_arm_1", 1.1636, (-4.4e-5, -0.09958, -0.013278), (0.011088, 0.001072, 0.011255)),
        0.045,
    ),
    Joint(
        "joint_3",
        (0.0, -0.21038, -0.006375),
        -_QUARTER,
        None,
        80.0,
        105.0,
        Link("half_arm_2", 1.1636, (-4.4e-5, -0.006641, -0.117892), (0.010932, 0.011127, 0.001043)),
        0.045,
    ),
    Joint(
        "joint_4",
        (0.0, 0.006375, -0.21038),
        _QUARTER,
        math.radians(147.8),
        80.0,
        105.0,
        Link("forearm", 0.9302, (-1.8e-5, -0.075478, -0.015006), (0.008147, 0.000631, 0.008316)),
        0.042,
    ),
    Joint(
        "joint_5",
        (0.0, -0.20843, -0.006375),
        -_QUARTER,
        None,
        70.0,
        52.0,
        Link("wrist_1", 0.6781, (1e-6, -0.009432, -0.063883), (0.001596, 0.001607, 0.000399)),
        0.037,
    ),
    Joint(
        "joint_6",
        (0.0, 0.00017505, -0.10593),
        _QUARTER,
        math.radians(120.3),
        70.0,
        52.0,
        Link("wrist_2", 0.6781, (1e-6, -0.045483, -0.00965), (0.001641, 0.00041, 0.001641)),
        0.037,
    ),
    Joint(
        "joint_7",
        (0.0, -0.10593, -0.00017505),
        -_QUARTER,
        None,
        70.0,
        52.0,
        Link("bracelet", 0.5006, (-0.000281, -0.011402, -0.029798), (0.000587, 0.000369, 0.000609)),
        0.037,
    ),
)

JOINT_NAMES: tuple[str, ...] = tuple(joint.name for joint in JOINTS)
JOINT_SPEED_RAD_S: tuple[float, ...] = tuple(math.radians(joint.speed_deg_s) for joint in JOINTS)
"""The highest speed of each joint."""

FLANGE_POSITION_M: Vector = (0.0, 0.0, -0.061525)
FLANGE_ROLL_RAD = math.pi

HOME_RAD: Float[np.ndarray, "7"] = np.radians([0.0, 15.0, 180.0, -130.0, 0.0, 55.0, 90.0])
"""Kinova's home: the gripper looks along +x."""

GRIPPER = Link("gripper", 0.90, (0.0, 0.0, 0.055), (0.0016, 0.0016, 0.0007))

SERVO_LAG_S = 0.035
_STIFFNESS_NM_PER_RAD_PER_NM = 40.0
"""Soft enough for 2 ms steps."""
_ARMATURE_KG_M2 = 0.1


def gen3_model() -> mujoco.MjModel:
    """The bare arm with an empty hand, on nothing, in no room."""
    spec = mujoco.MjSpec()
    add_gen3(spec, color=(0.9, 0.9, 0.9), grip_width_m=STROKE_M)
    return spec.compile()


def add_gen3(
    spec: mujoco.MjSpec,
    *,
    color: Rgb,
    grip_width_m: float,
    servo_lag_s: float = SERVO_LAG_S,
    meshes: Path | None = None,
) -> mujoco.MjsBody:
    """Stands the arm at the origin; returns the tool body, where a held thing is attached.

    The gripper's fingers stand ``grip_width_m`` apart along the tool's x; its z points out of the hand. Position
    servos with the joints' torque limits bear the names of the joints; at a steady speed they are ``servo_lag_s``
    behind their command. Gravity is compensated, as by the real arm. ``meshes`` is the folder of the links'
    meshes, as in :func:`gen3_shapes.draw_meshes`; without it they are drawn as tubes.
    """
    spec.compiler.degree = False
    spec.option.timestep = 0.002
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    body = spec.worldbody.add_body(name=BASE.name)
    _set_inertia(body, BASE)
    links = {BASE.name: body}
    for number, joint in enumerate(JOINTS):
        body = body.add_body(name=joint.link.name, pos=joint.position_m, quat=_about_x(joint.roll_rad))
        _set_inertia(body, joint.link)
        _add_joint(spec, body, joint, servo_lag_s)
        end = JOINTS[number + 1].position_m if number + 1 < len(JOINTS) else FLANGE_POSITION_M
        links[joint.link.name] = body
        if meshes is None:
            draw_tube(body, end, joint.radius_m, color)
    if meshes is None:
        draw_base(links[BASE.name], JOINTS[0].position_m[2], color)
    else:
        draw_meshes(spec, links, meshes, color)
    flange = body.add_body(name=FLANGE_BODY, pos=FLANGE_POSITION_M, quat=_about_x(FLANGE_ROLL_RAD))
    _set_inertia(flange, GRIPPER)
    draw_gripper(flange, grip_width_m=grip_width_m)
    return flange.add_body(name=TOOL_BODY, pos=(0.0, 0.0, TOOL_OFFSET_M))


def _add_joint(spec: mujoco.MjSpec, body: mujoco.MjsBody, joint: Joint, lag_s: float) -> None:
    hinge = body.add_joint(name=joint.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0.0, 0.0, 1.0))
    hinge.armature = _ARMATURE_KG_M2
    hinge.limited = mujoco.mjtLimited.mjLIMITED_FALSE
    servo = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    stiffness = _STIFFNESS_NM_PER_RAD_PER_NM * joint.torque_nm
    servo.set_to_position(kp=stiffness, kv=lag_s * stiffness)
    servo.forcerange = (-joint.torque_nm, joint.torque_nm)
    servo.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    if joint.limit_rad is not None:
        hinge.limited = mujoco.mjtLimited.mjLIMITED_TRUE
        hinge.range = (-joint.limit_rad, joint.limit_rad)
        servo.ctrlrange = (-joint.limit_rad, joint.limit_rad)
        servo.ctrllimited = mujoco.mjtLimited.mjLIMITED_TRUE


def _set_inertia(body: mujoco.MjsBody, link: Link) -> None:
    body.mass = link.mass_kg
    body.ipos = link.centre_of_mass_m
    body.inertia = link.inertia_kg_m2
    body.explicitinertial = True
    body.gravcomp = 1.0


def _about_x(angle_rad: float) -> tuple[float, float, float, float]:
    """Quaternion (w, x, y, z)."""
    return math.cos(angle_rad / 2), math.sin(angle_rad / 2), 0.0, 0.0
