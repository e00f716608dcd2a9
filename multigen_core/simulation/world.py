"""The pouring world: arm, held pitcher, liquid and receiver, stepped by actions at the control rate.

The coupling is one-way: the arm moves the pitcher, the pitcher moves the liquid; the liquid's weight is not felt.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Float, Float32, UInt8

from multigen_core.experiment import Episodes
from multigen_core.simulation.arm_motion import TICK_S, ArmMotion, LipPose, Workspace
from multigen_core.simulation.clearance import Clearance
from multigen_core.simulation.liquid import ParticleLiquid, Pour
from multigen_core.simulation.particle_kernels import INSIDE
from multigen_core.simulation.placement import (
    clear_tilt_rad,
    mouth_centre_m,
    receiver_position_m,
    start_lip_position_m,
)
from multigen_core.simulation.renderer import SceneRenderer
from multigen_core.simulation.scene import build_scene
from multigen_core.simulation.sensor import sensed
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.stream import LIP_SPEED_M_S, falling_stream
from multigen_core.simulation.surface import LiquidMesh, joined, particles_to_mesh, revolved_body
from multigen_core.simulation.tilted import tilted_body

__all__ = ["PouringWorld", "WorldState", "pour_workspace", "start_lip_pose"]

LIP_ASIDE_M = 0.12
"""The lip stays this near to the receiver's axis, along y."""
LIP_ABOVE_M = (0.005, 0.15)
"""And this far above its rim: lower, the pitcher would touch it."""
START_SLACK_RAD = np.radians(2.0)
"""A pour begins a little more tilted than the receiver's rim forces the pitcher to be."""
BACK_UPRIGHT_RAD = np.radians(4.0)
POURED_SOMETHING_ML = 3.0
STREAM_STEPS = 2
"""Control steps over which the drawn stream's flow is averaged: a few particles leave per step."""


@dataclass(frozen=True)
class WorldState:
    """What is true at one moment; a policy sees only part of it."""

    time_s: float
    joints_rad: Float32[np.ndarray, "7"]
    tilt_rad: float
    """Of the pitcher from upright."""
    lip_position_m: Float[np.ndarray, "3"]
    poured_ml: float
    """Liquid inside the receiver."""
    spilled_ml: float
    in_pitcher_ml: float
    in_flight_ml: float
    flow_ml_s: float
    """Rate at which liquid arrived in the receiver during the last step."""
    outflow_ml_s: float
    """Rate at which liquid left the pitcher, averaged over the last ``STREAM_STEPS`` steps."""
    level_m: float
    """Of the liquid above the receiver's inner bottom, if it were at rest."""
    fall_height_m: float
    """From the lip down to that level."""


def pour_workspace(setup: PourSetup) -> Workspace:
    """Where the lip may go around a receiver."""
    mouth = mouth_centre_m(setup)
    low, high = LIP_ABOVE_M
    return Workspace(
        x_m=float(mouth[0]),
        y_m=(float(mouth[1]) - LIP_ASIDE_M, float(mouth[1]) + LIP_ASIDE_M),
        z_m=(float(mouth[2]) + low, float(mouth[2]) + high),
        least_tilt_rad=lambda y_m, z_m: clear_tilt_rad(
            setup, lip_offset=(y_m - float(mouth[1]), z_m - float(mouth[2]))
        ),
    )


def start_lip_pose(setup: PourSetup) -> LipPose:
    """Where a pour begins."""
    lip = start_lip_position_m(setup)
    return LipPose(float(lip[1]), float(lip[2]), clear_tilt_rad(setup) + START_SLACK_RAD)


class PouringWorld:
    """One pour, with the arm, the liquid and the pictures of ``config``.

    Raises UserError when the pour is impossible or the arm cannot hold its start.
    """

    def __init__(self, setup: PourSetup, config: Episodes) -> None:
        setup.require_possible()
        self.setup = setup
        self.step_s = 1.0 / config.rate_hz
        self._model = build_scene(
            setup, servo_lag_s=config.servo_lag_s, arm_meshes=Path(config.arm_meshes) if config.arm_meshes else None
        )
        self._data = mujoco.MjData(self._model)
        start = start_lip_pose(setup)
        self.start_tilt_rad = start.tilt_rad
        self._arm = ArmMotion(self._model, self._data, pour_workspace(setup), start)
        self._clearance = Clearance(self._model, self._data, setup)
        pour = Pour(
            pitcher=setup.pitcher,
            receiver=setup.receiver,
            receiver_position_m=receiver_position_m(setup),
            pitcher_pose=self._arm.pitcher_pose,
            volume_ml=setup.initial_ml,
            viscosity=setup.liquid.viscosity,
            seed=setup.seed,
        )
        self._liquid = ParticleLiquid(
            pour,
            particle_ml=config.particle_ml,
            timestep_s=config.timestep_s,
            iterations=config.solver_iterations,
        )
        self._image_px = config.image_px
        self._renderer: SceneRenderer | None = None
        self._mesh: LiquidMesh | None = None
        self._has_tilted = False
        self._drift_m_s = 0.5 * LIP_SPEED_M_S
        self._pitcher_ml = deque([setup.initial_ml], maxlen=STREAM_STEPS + 1)
        self.state = self._observe(time_s=0.0, poured_before_ml=0.0)

    @property
    def finished(self) -> bool:
        """Something was poured, the pitcher is back where it cannot pour, and nothing is in the air.

        A drop that falls before the pitcher was ever tilted does not make a pour.
        """
        poured = self._has_tilted and self.state.poured_ml > POURED_SOMETHING_ML
        return poured and self._is_upright() and self.state.in_flight_ml == 0.0

    def _is_upright(self) -> bool:
        return self.state.tilt_rad < self._least_tilt_rad() + START_SLACK_RAD + BACK_UPRIGHT_RAD

    def step(self, action: Float[np.ndarray, "3"]) -> WorldState:
        """One control step with an action of ``ACTION_SPEC``. Raises ValueError when it is not finite."""
        twist = np.asarray(action, float)
        if not np.isfinite(twist).all():
            raise ValueError(f"action {action} is not finite")
        way = []
        for _ in range(round(self.step_s / TICK_S)):
            self._arm.tick(twist)
            way.append(self._arm.pitcher_pose)
        self._liquid.follow(np.array(way), TICK_S)
        return self._stepped()

    def follow(self, joints_rad: Float[np.ndarray, "ticks 7"]) -> WorldState:
        """One control step in which another arm, real or emulated, went through these postures, evenly in time."""
        way = []
        for posture in joints_rad:
            self._arm.place(posture)
            way.append(self._arm.pitcher_pose)
        self._liquid.follow(np.array(way), self.step_s / len(joints_rad))
        return self._stepped()

    def _stepped(self) -> WorldState:
        self._mesh = None
        self.state = self._observe(time_s=self.state.time_s + self.step_s, poured_before_ml=self.state.poured_ml)
        self._has_tilted |= not self._is_upright()
        return self.state

    def clearance_m(self) -> float:
        """Air left around arm and pitcher: a negative value is a collision that the simulation let pass."""
        return self._clearance.least_m()

    def rgb(self) -> UInt8[np.ndarray, "H W 3"]:
        """What the camera sees; the same picture however often it is asked for."""
        picture = self._camera().rgb(self._liquid_mesh())
        step = round(self.state.time_s / self.step_s)
        return sensed(picture, self.setup.scene.camera, seed=(self.setup.seed, step))

    def masks(self) -> tuple[UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "H W"]]:
        """Palette masks: as the camera sees it, and with the liquid inside the receiver shown."""
        return self._camera().masks(self._liquid_mesh())

    def _camera(self) -> SceneRenderer:
        """Made at the first image: a pour that nobody looks at needs no OpenGL."""
        if self._renderer is None:
            self._renderer = SceneRenderer(self._model, self._data, self._image_px)
        return self._renderer

    def _liquid_mesh(self) -> LiquidMesh:
        """Bodies with the exact volumes in both containers, a stream between them, and the particles elsewhere.

        A surface around the particles themselves would be seen through the thin walls.
        """
        if self._mesh is None:
            state, bottom = self.state, receiver_position_m(self.setup)
            positions, regions = self._liquid.positions_m(), self._liquid.regions()
            settled = (regions[1] == INSIDE) & (positions[:, 2] < bottom[2] + state.level_m)
            loose = ~settled & (regions[0] != INSIDE)
            self._mesh = joined(
                tilted_body(
                    self.setup.pitcher,
                    tilt_rad=state.tilt_rad,
                    volume_ml=state.in_pitcher_ml,
                    pose_container_to_world=self._arm.pitcher_pose,
                ),
                revolved_body(self.setup.receiver, state.level_m, bottom),
                self._stream(positions),
                particles_to_mesh(positions[loose], self._liquid.particle_ml()),
            )
        return self._mesh

    def _stream(self, positions_m: Float32[np.ndarray, "N 3"]) -> LiquidMesh:
        """What is in the air, as wide as the flow over the lip and drifting as its particles do."""
        state, rim_m = self.state, float(mouth_centre_m(self.setup)[2])
        falling = (self._liquid.regions() != INSIDE).all(axis=0)
        falling &= (positions_m[:, 2] > rim_m) & (positions_m[:, 2] < state.lip_position_m[2])
        if falling.any():
            self._drift_m_s = float(-np.median(self._liquid.velocities_m_s()[falling, 1]))
        return falling_stream(
            state.lip_position_m,
            drop_m=state.fall_height_m,
            sideways_m_s=self._drift_m_s,
            flow_ml_s=state.outflow_ml_s,
        )

    def _least_tilt_rad(self) -> float:
        """Less tilted, the pitcher would hit the receiver from above."""
        offset = self._arm.lip_position_m - mouth_centre_m(self.setup)
        return clear_tilt_rad(self.setup, lip_offset=(float(offset[1]), float(offset[2])))

    def _observe(self, *, time_s: float, poured_before_ml: float) -> WorldState:
        census = self._liquid.census()
        lip = self._arm.lip_position_m
        level_m = self.setup.receiver.level_at(census.in_receiver_ml * 1e-6)
        self._pitcher_ml.append(census.in_pitcher_ml)
        left_ml = max(self._pitcher_ml[0] - self._pitcher_ml[-1], 0.0)
        return WorldState(
            time_s=time_s,
            joints_rad=self._arm.joints_rad,
            tilt_rad=self._arm.tilt_rad,
            lip_position_m=lip,
            poured_ml=census.in_receiver_ml,
            spilled_ml=census.spilled_ml,
            in_pitcher_ml=census.in_pitcher_ml,
            in_flight_ml=census.in_flight_ml,
            flow_ml_s=max(census.in_receiver_ml - poured_before_ml, 0.0) / self.step_s,
            outflow_ml_s=left_ml / (STREAM_STEPS * self.step_s),
            level_m=level_m,
            fall_height_m=float(lip[2]) - float(receiver_position_m(self.setup)[2]) - level_m,
        )
