"""From the twist of the pouring lip to joint motion: differential inverse kinematics and position servos.

Every tick the commanded lip pose moves on by the twist, mink solves a small quadratic program for the joint step (lip
frame first, posture second, joint limits and speeds as bounds), and MuJoCo's servos follow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mink
import mujoco
import numpy as np
from jaxtyping import Float, Float32

from multigen_core.errors import UserError
from multigen_core.simulation.gen3 import HOME_RAD, JOINT_NAMES
from multigen_core.simulation.vessels import LIP_SITE, PITCHER_BODY

__all__ = [
    "MAX_JOINT_SPEED_RAD_S",
    "MAX_LIP_SPEED_M_S",
    "MAX_TILT_RATE_RAD_S",
    "ArmMotion",
    "LipKinematics",
    "LipPose",
    "Workspace",
]

TICK_S = 0.02
MAX_TILT_RATE_RAD_S = np.radians(25.0)
MAX_LIP_SPEED_M_S = 0.10
MAX_JOINT_SPEED_RAD_S = np.radians(30.0)
MAX_TILT_RAD = np.radians(130.0)
# The command may lead what the joints can reach by this much.
LEAD_M = 0.01
LEAD_RAD = np.radians(3.0)
POSTURE_COST = 1e-3
DRIFT_TAKEN_BACK = 0.1
"""Of the drift out of the pouring plane, per tick."""
START_TICK_S = 0.2
START_TICKS = 150
START_TOLERANCE = 2e-4
SOLVER = "daqp"


@dataclass(frozen=True)
class LipPose:
    """The pouring lip in the vertical pouring plane."""

    y_m: float
    z_m: float
    tilt_rad: float
    """Of the pitcher from upright, towards -y."""


@dataclass(frozen=True)
class Workspace:
    """Where the lip may be."""

    x_m: float
    """The pouring plane."""
    y_m: tuple[float, float]
    z_m: tuple[float, float]
    least_tilt_rad: Callable[[float, float], float]
    """Of a lip at (y, z): less tilted, the pitcher would touch receiver or table."""

    def onward(self, before: LipPose, pose: LipPose) -> LipPose:
        """How far a step from ``before`` to ``pose`` may go.

        The lip stops where the pitcher is not tilted enough to follow it, or slides along one axis: it never forces
        the tilt.
        """
        y_m, z_m = float(np.clip(pose.y_m, *self.y_m)), float(np.clip(pose.z_m, *self.z_m))
        here_rad = self.least_tilt_rad(before.y_m, before.z_m)
        enough_rad = max(pose.tilt_rad, min(here_rad, before.tilt_rad))
        for lip in ((y_m, z_m), (y_m, before.z_m), (before.y_m, z_m)):
            least_rad = self.least_tilt_rad(*lip)
            if least_rad <= enough_rad:
                return LipPose(*lip, float(np.clip(pose.tilt_rad, least_rad, MAX_TILT_RAD)))
        kept_rad = min(here_rad, before.tilt_rad)
        return LipPose(before.y_m, before.z_m, float(np.clip(pose.tilt_rad, kept_rad, MAX_TILT_RAD)))


class LipKinematics:
    """Joint speeds that move the pouring lip with a twist. The same in simulation and on the arm.

    It plans on a posture of its own, which starts where the lip is at its start.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        workspace: Workspace,
        start: LipPose,
        *,
        joint_speed_rad_s: float = MAX_JOINT_SPEED_RAD_S,
    ) -> None:
        """Raises UserError when the arm cannot hold the lip at ``start``."""
        self._workspace = workspace
        self._configuration = mink.Configuration(model, q=HOME_RAD)
        self._frame_task = mink.FrameTask(LIP_SITE, "site", position_cost=1.0, orientation_cost=0.3)
        self._posture_task = mink.PostureTask(model, cost=POSTURE_COST)
        self._posture_task.set_target(HOME_RAD)
        self._bounds = [
            mink.ConfigurationLimit(model),
            mink.VelocityLimit(model, {name: joint_speed_rad_s for name in JOINT_NAMES}),
        ]
        self._command = start
        self._find(start)
        self._posture_task.set_target(self._configuration.q)

    @property
    def posture_rad(self) -> Float[np.ndarray, "7"]:
        """The planned joint angles."""
        return np.array(self._configuration.q)

    def speeds_rad_s(self, twist: Float[np.ndarray, "3"], tick_s: float) -> Float[np.ndarray, "7"]:
        """Joint speeds for the next ``tick_s`` of a twist in the units of ``ACTION_SPEC``; faster twists are slowed
        down. :meth:`move` is to follow."""
        fastest = np.array([MAX_LIP_SPEED_M_S, MAX_LIP_SPEED_M_S, MAX_TILT_RATE_RAD_S])
        dy, dz, turn = np.clip(twist, -fastest, fastest) * tick_s
        before = self._command
        moved = LipPose(before.y_m + float(dy), before.z_m + float(dz), before.tilt_rad + float(turn))
        self._command = self._workspace.onward(before, moved)
        return self._solve(self._command, tick_s)

    def move(self, speeds_rad_s: Float[np.ndarray, "7"], tick_s: float) -> None:
        """The joints turned with these speeds. The command may lead them by little: it does not wind up at a limit."""
        self._configuration.integrate_inplace(speeds_rad_s, tick_s)
        self._command = self._near(self._command, self.lip())

    def place(self, posture_rad: Float[np.ndarray, "7"]) -> None:
        """The joints are there; what was commanded before is forgotten."""
        self._configuration.update(np.array(posture_rad, float))
        self._command = self.lip()

    def careful_speeds_rad_s(
        self, twist: Float[np.ndarray, "3"], tick_s: float, *, ahead_s: float
    ) -> Float[np.ndarray, "7"]:
        """As :meth:`speeds_rad_s`, for joints that cannot stop at once: :meth:`place` comes before it.

        A velocity is scaled down where the lip, going on for ``ahead_s``, would leave its workspace. Drift out of the
        pouring plane is taken back slowly; a hard correction would swing about it as fast as the joints brake.
        """
        fastest = np.array([MAX_LIP_SPEED_M_S, MAX_LIP_SPEED_M_S, MAX_TILT_RATE_RAD_S])
        velocity = np.clip(twist, -fastest, fastest)
        before = self._command
        here = np.array([before.y_m, before.z_m, before.tilt_rad])
        there = here + velocity * (tick_s + ahead_s)
        allowed = self._workspace.onward(before, LipPose(*map(float, there)))
        way = np.array([allowed.y_m, allowed.z_m, allowed.tilt_rad]) - here
        share = np.divide(way, there - here, out=np.zeros(3), where=there != here)
        y_m, z_m, tilt_rad = here + np.clip(share, 0.0, 1.0) * velocity * tick_s
        lip = self._configuration.get_transform_frame_to_world(LIP_SITE, "site")
        x_m = lip.translation()[0]
        aside = mink.SO3.from_x_radians(-before.tilt_rad) @ lip.rotation()
        turn = mink.SO3.from_x_radians(tilt_rad) @ mink.SO3.exp((1.0 - DRIFT_TAKEN_BACK) * aside.log())
        place = np.array([x_m + DRIFT_TAKEN_BACK * (self._workspace.x_m - x_m), y_m, z_m])
        return self._solve_for(mink.SE3.from_rotation_and_translation(turn, place), tick_s)

    def lip(self) -> LipPose:
        """Where the lip is in the planned posture."""
        lip = self._configuration.get_transform_frame_to_world(LIP_SITE, "site")
        axis = lip.rotation().as_matrix()[:, 2]
        _, y_m, z_m = lip.translation()
        return LipPose(float(y_m), float(z_m), float(np.arctan2(-axis[1], axis[2])))

    def _solve(self, pose: LipPose, tick_s: float) -> Float[np.ndarray, "7"]:
        target = mink.SE3.from_rotation_and_translation(
            mink.SO3.from_x_radians(pose.tilt_rad), np.array([self._workspace.x_m, pose.y_m, pose.z_m])
        )
        return self._solve_for(target, tick_s)

    def _solve_for(self, target: mink.SE3, tick_s: float) -> Float[np.ndarray, "7"]:
        self._frame_task.set_target(target)
        tasks = [self._frame_task, self._posture_task]
        return mink.solve_ik(self._configuration, tasks, tick_s, SOLVER, limits=self._bounds)

    def _find(self, pose: LipPose) -> None:
        """Moves the plan, not the arm, from home to the start: bounded steps keep the elbow up."""
        for _ in range(START_TICKS):
            self._configuration.integrate_inplace(self._solve(pose, START_TICK_S), START_TICK_S)
            if np.abs(self._frame_task.compute_error(self._configuration)).max() < START_TOLERANCE:
                return
        raise UserError(
            f"the arm cannot hold the lip at x = {self._workspace.x_m:.2f}, y = {pose.y_m:.2f}, z = {pose.z_m:.2f} m,"
            f" tilted by {np.degrees(pose.tilt_rad):.0f} degrees: move the receiver nearer to x = 0.65, y = 0"
        )

    @staticmethod
    def _near(command: LipPose, reached: LipPose) -> LipPose:
        return LipPose(
            y_m=float(np.clip(command.y_m, reached.y_m - LEAD_M, reached.y_m + LEAD_M)),
            z_m=float(np.clip(command.z_m, reached.z_m - LEAD_M, reached.z_m + LEAD_M)),
            tilt_rad=float(np.clip(command.tilt_rad, reached.tilt_rad - LEAD_RAD, reached.tilt_rad + LEAD_RAD)),
        )


class ArmMotion:
    """Drives the arm of a built scene so that the lip of the held pitcher follows commanded twists."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, workspace: Workspace, start: LipPose) -> None:
        self._model, self._data = model, data
        self._lip = model.site(LIP_SITE).id
        self._pitcher = model.body(PITCHER_BODY).id
        self._kinematics = LipKinematics(model, workspace, start)
        data.qpos[:] = self._kinematics.posture_rad
        data.ctrl[:] = self._kinematics.posture_rad
        mujoco.mj_forward(model, data)

    @property
    def joints_rad(self) -> Float32[np.ndarray, "7"]:
        """Measured joint angles."""
        return np.array(self._data.qpos, np.float32)

    @property
    def lip_position_m(self) -> Float[np.ndarray, "3"]:
        """Where the lip really is, world frame."""
        return np.array(self._data.site_xpos[self._lip])

    @property
    def tilt_rad(self) -> float:
        """How far the pitcher is really tilted."""
        axis = self._data.xmat[self._pitcher].reshape(3, 3)[:, 2]
        return float(np.arctan2(-axis[1], axis[2]))

    @property
    def pitcher_pose(self) -> Float[np.ndarray, "4 4"]:
        """Frame of the pitcher to the world."""
        pose = np.eye(4)
        pose[:3, :3] = self._data.xmat[self._pitcher].reshape(3, 3)
        pose[:3, 3] = self._data.xpos[self._pitcher]
        return pose

    def tick(self, twist: Float[np.ndarray, "3"]) -> None:
        """Moves on by ``TICK_S`` with a twist in the units of ``ACTION_SPEC``; faster twists are slowed down."""
        self._kinematics.move(self._kinematics.speeds_rad_s(twist, TICK_S), TICK_S)
        self._data.ctrl[:] = self._kinematics.posture_rad
        for _ in range(round(TICK_S / self._model.opt.timestep)):
            mujoco.mj_step(self._model, self._data)

    def place(self, joints_rad: Float[np.ndarray, "7"]) -> None:
        """The arm is where another one says that it is."""
        self._data.qpos[:] = self._data.ctrl[:] = joints_rad
        mujoco.mj_forward(self._model, self._data)
