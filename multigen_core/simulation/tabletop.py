"""A pour without an arm: a pitcher that tilts about its lip, with the liquid drawn from its laws.

It shows the same room, cups and camera view as the arm's scene but needs no simulation, only a level and a flow. The
reference clips and the segmenter's training frames are made of it.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import mujoco
import numpy as np
from jaxtyping import Float, UInt8

from multigen_core.simulation.gen3_shapes import TOOL_OFFSET_M, draw_gripper
from multigen_core.simulation.placement import (
    clear_tilt_rad,
    mouth_centre_m,
    pitcher_pose,
    receiver_position_m,
)
from multigen_core.simulation.renderer import SceneRenderer
from multigen_core.simulation.scene import add_surroundings, empty_spec
from multigen_core.simulation.sensor import sensed
from multigen_core.simulation.setup import PourSetup, Rgb
from multigen_core.simulation.stream import LIP_SPEED_M_S, fall_time_s, falling_stream
from multigen_core.simulation.surface import LiquidMesh, joined, revolved_body
from multigen_core.simulation.tilted import tilted_body
from multigen_core.simulation.vessels import (
    GRIP_WIDTH_M,
    PITCHER_BODY,
    PITCHER_GEOM,
    add_container,
    add_grip,
    add_lip,
    grip_in_pitcher,
)

__all__ = ["Frame", "TabletopPour"]

Holder = Literal["gripper", "hand", "none"]

_SKIN: tuple[Rgb, ...] = ((0.93, 0.76, 0.65), (0.80, 0.58, 0.44), (0.55, 0.37, 0.26), (0.34, 0.22, 0.16))
_SIDEWAYS_M = 0.01
"""Room between the upright pitcher and what stands beside or below it."""


@dataclass(frozen=True)
class Frame:
    """One moment of a pour, as the camera sees it."""

    rgb: UInt8[np.ndarray, "H W 3"]
    plain: UInt8[np.ndarray, "H W"]
    """Palette mask of what can be seen: 0 background, 1 pourer, 2 receiver, 3 liquid."""
    amodal: UInt8[np.ndarray, "H W"]
    """The same with the liquid inside the receiver shown."""


class TabletopPour:
    """Draws any moment of one pour; a context manager that frees its graphics at the end."""

    def __init__(self, setup: PourSetup, size_px: int) -> None:
        """``size_px`` is the side of the square frames. Raises MissingExtra where there is no EGL."""
        self._setup = setup
        mouth_radius_m = setup.receiver.mouth_radius_m
        along_y_m = float(np.clip(setup.lip_offset[0], -0.2 * mouth_radius_m, 0.5 * mouth_radius_m))
        self._lip_offset = (along_y_m, setup.lip_offset[1])
        self._clear_tilt_rad = clear_tilt_rad(setup, lip_offset=self._lip_offset)
        model = self._build()
        self._data = mujoco.MjData(model)
        self._model = model
        self._renderer = SceneRenderer(model, self._data, size_px)
        self._shots = 0

    def lip_position_m(self, tilt_rad: float) -> Float[np.ndarray, "3"]:
        """Where the lip is at a tilt: over the receiver, or off to its side while there is no room for the pitcher."""
        setup = self._setup
        at_mouth = mouth_centre_m(setup) + np.array([0.0, *self._lip_offset])
        beside = at_mouth.copy()
        beside[1] = mouth_centre_m(setup)[1] + _outermost_m(setup) + _SIDEWAYS_M
        beside[2] = max(at_mouth[2], setup.pitcher.height_m + setup.pitcher.wall_m + _SIDEWAYS_M)
        if tilt_rad >= self._clear_tilt_rad:
            return at_mouth
        return beside + (at_mouth - beside) * max(tilt_rad, 0.0) / self._clear_tilt_rad

    def fall_height_m(self, tilt_rad: float, level_m: float) -> float:
        """From the lip down to the liquid in the receiver."""
        return float(self.lip_position_m(tilt_rad)[2] - receiver_position_m(self._setup)[2] - level_m)

    def frame(self, tilt_rad: float, level_m: float, flow_ml_s: float) -> Frame:
        """The moment with this tilt of the pitcher, level above the receiver's inner bottom, and flow over the lip.

        What has not reached the receiver is in the pitcher.
        """
        setup = self._setup
        lip_m = self.lip_position_m(tilt_rad)
        pose = pitcher_pose(setup.pitcher, lip_position_m=lip_m, tilt_rad=tilt_rad)
        self._data.mocap_pos[0] = pose[:3, 3]
        mujoco.mju_mat2Quat(self._data.mocap_quat[0], np.ascontiguousarray(pose[:3, :3]).ravel())
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        left_ml = setup.initial_ml - setup.receiver.volume_at(level_m) * 1e6
        mesh = joined(
            revolved_body(setup.receiver, level_m, receiver_position_m(setup)),
            tilted_body(setup.pitcher, tilt_rad=tilt_rad, volume_ml=left_ml, pose_container_to_world=pose),
            self._stream(lip_m, level_m, flow_ml_s),
        )
        plain, amodal = self._renderer.masks(mesh)
        self._shots += 1
        picture = sensed(self._renderer.rgb(mesh), setup.scene.camera, seed=(setup.seed, self._shots))
        return Frame(rgb=picture, plain=plain, amodal=amodal)

    def close(self) -> None:
        """Frees the graphics."""
        self._renderer.close()

    def __enter__(self) -> "TabletopPour":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stream(self, lip_m: Float[np.ndarray, "3"], level_m: float, flow_ml_s: float) -> LiquidMesh:
        """From the lip to the liquid; it comes down in the middle third of the receiver."""
        drop_m = float(lip_m[2] - receiver_position_m(self._setup)[2] - level_m)
        fall_s = max(fall_time_s(drop_m), 1e-3)
        away_m = lip_m[1] - mouth_centre_m(self._setup)[1]
        reach_m = self._setup.receiver.radius_at(level_m) / 3.0
        sideways_m_s = np.clip(
            0.5 * LIP_SPEED_M_S, max(0.0, away_m - reach_m) / fall_s, max(0.0, away_m + reach_m) / fall_s
        )
        return falling_stream(lip_m, drop_m=drop_m, sideways_m_s=float(sideways_m_s), flow_ml_s=flow_ml_s)

    def _build(self) -> mujoco.MjModel:
        setup = self._setup
        spec = empty_spec(setup.scene)
        add_surroundings(spec, setup)
        pitcher = spec.worldbody.add_body(name=PITCHER_BODY, mocap=True)
        add_container(spec, pitcher, setup.pitcher, name=PITCHER_GEOM, group=1)
        add_lip(pitcher, setup.pitcher)
        _add_holder(pitcher, setup)
        return spec.compile()


def _outermost_m(setup: PourSetup) -> float:
    return max(radius for _, radius in setup.receiver.profile) + setup.receiver.wall_m


def _add_holder(pitcher: mujoco.MjsBody, setup: PourSetup) -> None:
    """What holds the pitcher, from behind: a robot's gripper, a hand, or nothing."""
    rng = np.random.default_rng([setup.seed, 1])
    holders: tuple[Holder, ...] = ("gripper", "hand", "none")
    holder = holders[int(rng.choice(3, p=(0.4, 0.4, 0.2)))]
    back_m, _, height_m = grip_in_pitcher(setup.pitcher)
    radius_m = setup.pitcher.radius_at(height_m) + setup.pitcher.wall_m
    if holder == "gripper":
        add_grip(pitcher, setup.pitcher)
        # The hand looks along +x with its fingers beside the handle: its x, y, z are the pitcher's y, z, x.
        flange = pitcher.add_body(pos=(back_m - TOOL_OFFSET_M, 0.0, height_m), quat=(0.5, 0.5, 0.5, 0.5))
        draw_gripper(flange, grip_width_m=GRIP_WIDTH_M)
        _add_capsule(flange, (0.0, 0.0, 0.0), (0.0, 0.0, -0.3), 0.04, setup.scene.arm_color)
    elif holder == "hand":
        skin = _SKIN[int(rng.integers(len(_SKIN)))]
        sleeve: Rgb = tuple(rng.uniform(0.1, 0.8, 3))
        wrist = (-radius_m - 0.05, 0.02, height_m - 0.01)
        _add_capsule(pitcher, (-radius_m - 0.012, 0.0, height_m), wrist, 0.028, skin)
        _add_capsule(pitcher, wrist, (wrist[0] - 0.35, 0.12, height_m + 0.05), 0.04, sleeve)
        for finger in range(4):
            _wrap_finger(pitcher, height_m + 0.03 - 0.02 * finger, radius_m, side=1.0, skin=skin)
        _wrap_finger(pitcher, height_m + 0.01, radius_m, side=-1.0, skin=skin)


def _wrap_finger(body: mujoco.MjsBody, height_m: float, radius_m: float, *, side: float, skin: Rgb) -> None:
    """A finger round the pitcher, from behind to its front quarter."""
    thickness_m = 0.0085
    angles = np.radians([170.0, 130.0, 90.0, 55.0])
    joints = [
        (
            (radius_m + thickness_m) * float(np.cos(angle)),
            side * (radius_m + thickness_m) * float(np.sin(angle)),
            height_m,
        )
        for angle in angles
    ]
    for start, end in pairwise(joints):
        _add_capsule(body, start, end, thickness_m, skin)


def _add_capsule(
    body: mujoco.MjsBody,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius_m: float,
    color: Rgb,
) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(*start, *end),
        size=(radius_m, 0.0, 0.0),
        rgba=(*color, 1.0),
        mass=0.0,
        contype=0,
        conaffinity=0,
    )
