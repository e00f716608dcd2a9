"""The Gen3 that the emulator moves: MuJoCo's arm with the manners of Kinova's high-level controller.

Where the robot's behaviour is not known it takes the worse one: a speed command never ends by itself, whoever went
silent; a joint that was not listed keeps its speed; a joint that reaches its limit trips the arm.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from multigen_core.lab.kortex.calls import (
    BYPASS,
    GRIPPER_POSITION,
    GRIPPER_SPEED,
    LOW_LEVEL,
    SINGLE_LEVEL,
    ActionEvent,
    ArmState,
    SubCode,
    TwistFrame,
)
from multigen_core.simulation.gen3 import HOME_RAD, JOINT_SPEED_RAD_S, JOINTS, TOOL_BODY, gen3_model

__all__ = ["RAMP_RAD_S2", "EmulatedArm", "Refusal"]

RAMP_RAD_S2 = 10.0
"""Joints take up and lose speed no faster. Assumed: it is not on the data sheet."""
MOVING_BANK_BIT = 0x1
"""In fault bank A of a joint that tripped; the bit itself is made up."""
_TICK_S = 0.002
_LONGEST_STRIDE_S = 1.0
_SETTLED_RAD = math.radians(0.05)
_SLOW_RAD_S = math.radians(0.1)
_DAMPING = 0.05
"""Of the inverse that turns a twist into joint speeds."""
_GRIPPER_S = 1.0
"""From open to closed."""
_REACH_DEG_S = 25.0

_SPEED_LIMIT_RAD_S = np.array(JOINT_SPEED_RAD_S)
_LIMIT_RAD = np.array([math.inf if joint.limit_rad is None else joint.limit_rad for joint in JOINTS])


class Refusal(Exception):
    """The arm does not do that."""

    def __init__(self, sub_code: SubCode, sentence: str) -> None:
        self.sub_code = sub_code
        super().__init__(sentence)


@dataclass(frozen=True)
class _Reach:
    """A point-to-point motion along a cosine."""

    start_rad: Float[np.ndarray, "7"]
    way_rad: Float[np.ndarray, "7"]
    duration_s: float
    began_s: float

    def place_rad(self, time_s: float) -> Float[np.ndarray, "7"]:
        share = min(max((time_s - self.began_s) / self.duration_s, 0.0), 1.0)
        return self.start_rad + self.way_rad * 0.5 * (1.0 - math.cos(math.pi * share))


@dataclass(frozen=True)
class _Drive:
    """What the joints were told last: speeds of their own, or the twist of the tool."""

    speeds_rad_s: Float[np.ndarray, "7"]
    frame: TwistFrame | None = None
    twist: Float[np.ndarray, "6"] | None = None


_REST = _Drive(np.zeros(7))


class EmulatedArm:
    """Advances in time only when told to: what it does depends on nothing else."""

    def __init__(self, *, command_latency_s: float = 0.0) -> None:
        """``command_latency_s``: from a speed or twist command to the moment the joints follow it."""
        self._model = gen3_model()
        self._data = mujoco.MjData(self._model)
        self._tool = self._model.body(TOOL_BODY).id
        self._command_latency_s = command_latency_s
        self.time_s = 0.0
        self._ahead_s = 0.0
        self._target_rad = HOME_RAD.copy()
        self._speed_rad_s = np.zeros(7)
        self._drive = _REST
        self._waiting: deque[tuple[float, _Drive]] = deque()
        self._reach: _Reach | None = None
        self._low_level = SINGLE_LEVEL
        self._emergency = False
        self._tripped: set[int] = set()
        self._gripper, self._gripper_goal, self._gripper_speed = 0.0, 0.0, 1.0 / _GRIPPER_S
        self._events: list[ActionEvent | ArmState] = []
        self._told_state = self.state
        self._data.qpos[:] = self._data.ctrl[:] = self._target_rad
        mujoco.mj_forward(self._model, self._data)

    @property
    def state(self) -> ArmState:
        """What a client is told."""
        if self._tripped or self._emergency:
            return ArmState.FAULT
        if self._low_level != SINGLE_LEVEL:
            return ArmState.LOW_LEVEL
        return ArmState.PLAYING if self._reach else ArmState.READY

    @property
    def mode(self) -> int:
        """Servoing mode."""
        return self._low_level

    @property
    def angles_deg(self) -> Float[np.ndarray, "7"]:
        """Measured, from 0 to 360."""
        return np.degrees(self._data.qpos) % 360.0

    @property
    def speeds_deg_s(self) -> Float[np.ndarray, "7"]:
        """Measured."""
        return np.degrees(self._data.qvel)

    @property
    def torques_nm(self) -> Float[np.ndarray, "7"]:
        """Of the drives."""
        return np.array(self._data.actuator_force)

    @property
    def fault_banks(self) -> tuple[int, ...]:
        """Bank A of every joint."""
        return tuple(MOVING_BANK_BIT if joint in self._tripped else 0 for joint in range(7))

    @property
    def gripper(self) -> float:
        """0 open to 1 closed."""
        return self._gripper

    @property
    def at_rest(self) -> bool:
        """Nothing moves and nothing is going to."""
        return bool(np.abs(self._data.qvel).max() < _SLOW_RAD_S) and not self._speed_rad_s.any()

    @property
    def pose(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """Place [m] and angles [deg] of the tool; R = Rz Ry Rx."""
        turn = self._data.xmat[self._tool].reshape(3, 3)
        angles = (
            math.atan2(turn[2, 1], turn[2, 2]),
            math.asin(min(max(-turn[2, 0], -1.0), 1.0)),
            math.atan2(turn[1, 0], turn[0, 0]),
        )
        return np.array(self._data.xpos[self._tool]), np.degrees(angles)

    def take_events(self) -> list[ActionEvent | ArmState]:
        """What happened since the last call: events of actions and new states, in order."""
        taken, self._events = self._events, []
        return taken

    def drive_joints(self, speeds_deg_s: Mapping[int, float]) -> None:
        """Speeds of joints by number. Raises Refusal."""
        self._require_drivable()
        speeds = self._newest_drive().speeds_rad_s.copy()
        for joint, speed in speeds_deg_s.items():
            if not 0 <= joint < 7:
                raise Refusal(SubCode.INVALID_PARAM, f"there is no joint {joint}")
            if not math.isfinite(speed):
                raise Refusal(SubCode.INVALID_PARAM, f"the speed of joint {joint} is {speed}")
            speeds[joint] = math.radians(speed)
        if not speeds_deg_s:
            raise Refusal(SubCode.INVALID_PARAM, "no joint is listed")
        if (np.abs(speeds) > _SPEED_LIMIT_RAD_S + 1e-6).any():
            raise Refusal(SubCode.LARGE_SPEED, "a joint was to turn faster than it can")
        outward = (np.abs(self._target_rad) >= _LIMIT_RAD - _SETTLED_RAD) & (speeds * self._target_rad > 0.0)
        if outward.any():
            raise Refusal(SubCode.JOINT_LIMIT, f"joint {int(np.argmax(outward))} is at its limit")
        self._waiting.append((self.time_s + self._command_latency_s, _Drive(speeds)))

    def drive_tool(self, frame: int, twist: Float[np.ndarray, "6"]) -> None:
        """Twist of the tool in m/s and deg/s. Raises Refusal."""
        self._require_drivable()
        if frame not in set(TwistFrame) or not np.isfinite(twist).all():
            raise Refusal(SubCode.INVALID_PARAM, f"twist {twist} in frame {frame} cannot be followed")
        turned = np.concatenate([twist[:3], np.radians(twist[3:])])
        drive = _Drive(np.zeros(7), TwistFrame(frame), turned)
        self._waiting.append((self.time_s + self._command_latency_s, drive))

    def reach(self, goal_deg: Mapping[int, float], *, duration_s: float = 0.0, speed_deg_s: float = 0.0) -> None:
        """Moves to a posture, by the shorter way where a joint turns without end. Raises Refusal."""
        self._require_drivable()
        if set(goal_deg) != set(range(7)) or not all(map(math.isfinite, goal_deg.values())):
            raise Refusal(SubCode.INVALID_PARAM, "a posture needs one finite angle for each of the seven joints")
        goal = np.radians([goal_deg[joint] for joint in range(7)])
        way = (goal - self._target_rad + np.pi) % (2 * np.pi) - np.pi
        limited = np.isfinite(_LIMIT_RAD)
        inside = (goal[limited] + np.pi) % (2 * np.pi) - np.pi
        if (np.abs(inside) > _LIMIT_RAD[limited]).any():
            raise Refusal(SubCode.JOINT_LIMIT, "the posture lies beyond a joint's limit")
        way[limited] = inside - self._target_rad[limited]
        speed = math.radians(speed_deg_s or _REACH_DEG_S)
        wanted_s = duration_s or float(np.abs(way).max()) / speed
        fastest_s = max(
            float((np.abs(way) * np.pi / 2 / _SPEED_LIMIT_RAD_S).max()),
            float(np.sqrt(np.abs(way).max() * np.pi**2 / 2 / RAMP_RAD_S2)),
            10 * _TICK_S,
        )
        self._forget_drive()
        self._reach = _Reach(self._target_rad.copy(), way, max(wanted_s, fastest_s), self.time_s)
        self._events.append(ActionEvent.START)
        self._tell_state()

    def stop(self) -> None:
        """Ramps everything down."""
        self._forget_drive()
        self._end_reach(ActionEvent.ABORT)

    def stop_action(self) -> None:
        """Ends a point-to-point motion."""
        self._end_reach(ActionEvent.ABORT)

    def emergency_stop(self) -> None:
        """As the red button of the client; the real one cuts the power."""
        self._emergency = True
        self._fall_silent()

    def trip(self, joint: int = 0) -> None:
        """A drive reports a fault."""
        self._tripped.add(joint)
        self._fall_silent()

    def clear_faults(self) -> None:
        """After this the arm may be moved again."""
        self._tripped.clear()
        self._emergency = False
        self._tell_state()

    def set_mode(self, mode: int) -> None:
        """Servoing mode; in the low ones nothing moves here. Raises Refusal."""
        if mode not in {SINGLE_LEVEL, LOW_LEVEL, BYPASS}:
            raise Refusal(SubCode.INVALID_PARAM, f"there is no servoing mode {mode}")
        if mode != self._low_level:
            self.stop()
        self._low_level = mode
        self._tell_state()

    def drive_gripper(self, mode: int, value: float) -> None:
        """Position 0 to 1, or a speed. Raises Refusal."""
        self._require_power()
        if mode == GRIPPER_POSITION and 0.0 <= value <= 1.0:
            self._gripper_goal, self._gripper_speed = value, 1.0 / _GRIPPER_S
        elif mode == GRIPPER_SPEED and math.isfinite(value):
            self._gripper_goal = 1.0 if value < 0.0 else 0.0
            self._gripper_speed = min(abs(value), 1.0) / _GRIPPER_S
        else:
            raise Refusal(SubCode.INVALID_PARAM, f"gripper mode {mode} does not take {value}")

    def advance(self, seconds: float) -> None:
        """Lets time pass; longer strides than a second are cut."""
        self._ahead_s += min(seconds, _LONGEST_STRIDE_S)
        while self._ahead_s >= _TICK_S:
            self._ahead_s -= _TICK_S
            self._tick()

    def _tick(self) -> None:
        self.time_s += _TICK_S
        while self._waiting and self._waiting[0][0] <= self.time_s:
            self._drive = self._waiting.popleft()[1]
        wanted = np.clip(self._wanted_rad_s(), -_SPEED_LIMIT_RAD_S, _SPEED_LIMIT_RAD_S)
        self._speed_rad_s += np.clip(wanted - self._speed_rad_s, -RAMP_RAD_S2 * _TICK_S, RAMP_RAD_S2 * _TICK_S)
        moved = self._target_rad + self._speed_rad_s * _TICK_S
        beyond = np.abs(moved) > _LIMIT_RAD
        if beyond.any():
            self._speed_rad_s[beyond] = 0.0
            moved = np.clip(moved, -_LIMIT_RAD, _LIMIT_RAD)
            self.trip(int(np.argmax(beyond)))
        self._target_rad = moved
        if self._reach and self.time_s >= self._reach.began_s + self._reach.duration_s and self._is_there():
            self._end_reach(ActionEvent.END)
        step = self._gripper_speed * _TICK_S
        self._gripper += min(max(self._gripper_goal - self._gripper, -step), step)
        self._data.ctrl[:] = self._target_rad
        mujoco.mj_step(self._model, self._data)

    def _wanted_rad_s(self) -> Float[np.ndarray, "7"]:
        if self._reach:
            return (self._reach.place_rad(self.time_s) - self._target_rad) / _TICK_S
        if self._drive.frame is None or self._drive.twist is None:
            return self._drive.speeds_rad_s
        jacobian = np.zeros((6, 7))
        mujoco.mj_jacBody(self._model, self._data, jacobian[:3], jacobian[3:], self._tool)
        turn = self._data.xmat[self._tool].reshape(3, 3)
        twist = self._drive.twist.copy()
        if self._drive.frame is TwistFrame.TOOL:
            twist[:3] = turn @ twist[:3]
        if self._drive.frame is not TwistFrame.BASE:
            twist[3:] = turn @ twist[3:]
        return jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + _DAMPING**2 * np.eye(6), twist)

    def _is_there(self) -> bool:
        assert self._reach
        left = self._reach.start_rad + self._reach.way_rad - self._target_rad
        return bool(np.abs(left).max() < _SETTLED_RAD)

    def _newest_drive(self) -> _Drive:
        return self._waiting[-1][1] if self._waiting else self._drive

    def _require_power(self) -> None:
        if self._emergency:
            raise Refusal(SubCode.EMERGENCY_STOPPED, "the emergency stop is on")
        if self._tripped:
            raise Refusal(SubCode.IN_FAULT, "the arm is in fault")

    def _require_drivable(self) -> None:
        self._require_power()
        if self._low_level != SINGLE_LEVEL:
            raise Refusal(SubCode.WRONG_MODE, "high-level commands need single-level servoing")
        if self._reach:
            raise Refusal(SubCode.MOVEMENT_IN_PROGRESS, "an action is being carried out")

    def _forget_drive(self) -> None:
        self._waiting.clear()
        self._drive = _REST

    def _fall_silent(self) -> None:
        self._forget_drive()
        self._end_reach(ActionEvent.ABORT)
        self._tell_state()

    def _end_reach(self, event: ActionEvent) -> None:
        if self._reach:
            self._reach = None
            self._events.append(event)
            self._tell_state()

    def _tell_state(self) -> None:
        if self.state != self._told_state:
            self._told_state = self.state
            self._events.append(self.state)
