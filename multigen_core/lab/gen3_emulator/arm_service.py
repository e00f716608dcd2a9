"""What the emulated arm does when it is called: motion, modes, faults, measurements. Of transport it knows nothing."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from multigen_core.lab.emulated_arm import EmulatedArm, Refusal
from multigen_core.lab.kortex.calls import (
    DURATION,
    GRIPPER_POSITION,
    LOW_LEVEL,
    REACH_JOINT_ANGLES,
    Call,
    SubCode,
)
from multigen_core.lab.kortex.messages import (
    Action,
    ActionList,
    ActionReference,
    ActionTypeRequest,
    ActuatorFeedback,
    ArmFeedback,
    ArmStateMessage,
    BaseFeedback,
    Constraint,
    Count,
    Device,
    DeviceList,
    Empty,
    Finger,
    Gripper,
    GripperCommand,
    GripperRequest,
    JointAngle,
    JointAngles,
    JointSpeeds,
    Pose,
    ReachJointAngles,
    ServoingMode,
    Twist,
    TwistCommand,
)
from multigen_core.simulation.gen3 import HOME_RAD

__all__ = ["HOME_ACTION", "ArmService"]

HOME_ACTION = 1
_ACTUATOR, _GRIPPER = 3, 5


class ArmService:
    """The calls that concern the arm, each with the number of the session that asks; Refusal where it would refuse."""

    def __init__(self, arm: EmulatedArm, joints: int) -> None:
        self.arm, self.joints = arm, joints
        self.reference: ActionReference | None = None
        """Of the action carried out last."""
        self._controller: int | None = None
        self._frozen: tuple[int, Any, Any] | None = None
        self._stuck_until_s = 0.0
        self.handlers: dict[int, tuple[type[Any], Callable[[int, Any], object]]] = {
            Call.SET_SERVOING_MODE: (ServoingMode, self._set_mode),
            Call.GET_SERVOING_MODE: (Empty, lambda session, asked: ServoingMode(self.arm.mode)),
            Call.EMERGENCY_STOP: (Empty, _does(arm.emergency_stop)),
            Call.CLEAR_FAULTS: (Empty, _does(arm.clear_faults)),
            Call.STOP: (Empty, _does(arm.stop)),
            Call.STOP_ACTION: (Empty, _does(arm.stop_action)),
            Call.GET_ARM_STATE: (Empty, lambda session, asked: ArmStateMessage(self.arm.state)),
            Call.ACTUATOR_COUNT: (Empty, lambda session, asked: Count(self.joints)),
            Call.READ_ALL_DEVICES: (Empty, self._devices),
            Call.EXECUTE_ACTION: (Action, self._execute),
            Call.EXECUTE_ACTION_FROM_REFERENCE: (ActionReference, self._execute_stored),
            Call.READ_ALL_ACTIONS: (ActionTypeRequest, self._actions),
            Call.SEND_JOINT_SPEEDS: (JointSpeeds, self._drive_joints),
            Call.SEND_TWIST: (TwistCommand, self._drive_tool),
            Call.SEND_GRIPPER: (GripperCommand, self._drive_gripper),
            Call.MEASURED_GRIPPER: (GripperRequest, self._measured_gripper),
            Call.MEASURED_JOINT_ANGLES: (Empty, self._measured_angles),
            Call.MEASURED_POSE: (Empty, self._measured_pose),
            Call.REFRESH_FEEDBACK: (Empty, lambda session, asked: self._feedback()),
            Call.REFRESH: (Empty, self._refresh),
            Call.REFRESH_COMMAND: (Empty, self._refresh),
        }

    def stick(self, duration_s: float) -> None:
        """Shows clients the present joints for so long, whatever they do."""
        self._frozen, self._stuck_until_s = self._measured(), time.monotonic() + duration_s

    def release(self, session: int) -> None:
        """The session ended: if it controlled the arm, another may."""
        if session == self._controller:
            self._controller = None

    def _take_control(self, session: int) -> None:
        """Who moves the arm first keeps it until its session ends."""
        if self._controller not in {None, session}:
            raise Refusal(SubCode.NOT_IN_CONTROL, "another session controls the arm")
        self._controller = session

    def _set_mode(self, session: int, asked: ServoingMode) -> Empty:
        self._take_control(session)
        self.arm.set_mode(asked.mode)
        return Empty()

    def _devices(self, session: int, asked: Empty) -> DeviceList:
        joints = [Device(_ACTUATOR, 1 + joint, joint) for joint in range(self.joints)]
        return DeviceList((*joints, Device(_GRIPPER, 1 + self.joints, self.joints)))

    def _execute(self, session: int, asked: Action) -> Empty:
        self._take_control(session)
        if asked.reach_joint_angles is not None:
            goal, constraint = asked.reach_joint_angles.goal, asked.reach_joint_angles.constraint or Constraint()
            angles = {angle.joint: angle.angle_deg for angle in (goal.angles if goal else ())}
            timed = constraint.kind == DURATION
            self.arm.reach(
                angles,
                duration_s=constraint.value if timed else 0.0,
                speed_deg_s=0.0 if timed else constraint.value,
            )
        elif asked.joint_speeds is not None:
            self.arm.drive_joints({speed.joint: speed.speed_deg_s for speed in asked.joint_speeds.speeds})
        else:
            raise Refusal(SubCode.INVALID_PARAM, "this action does nothing that is known here")
        self.reference = asked.reference
        return Empty()

    def _execute_stored(self, session: int, asked: ActionReference) -> Empty:
        if asked.identifier != HOME_ACTION:
            raise Refusal(SubCode.INVALID_PARAM, f"there is no action {asked.identifier}")
        return self._execute(session, _home())

    def _actions(self, session: int, asked: ActionTypeRequest) -> ActionList:
        return ActionList((_home(),) if asked.kind == REACH_JOINT_ANGLES else ())

    def _drive_joints(self, session: int, asked: JointSpeeds) -> Empty:
        self._take_control(session)
        self.arm.drive_joints({speed.joint: speed.speed_deg_s for speed in asked.speeds})
        return Empty()

    def _drive_tool(self, session: int, asked: TwistCommand) -> Empty:
        self._take_control(session)
        twist = asked.twist or Twist()
        self.arm.drive_tool(
            asked.frame,
            np.array([twist.x_m_s, twist.y_m_s, twist.z_m_s, twist.x_deg_s, twist.y_deg_s, twist.z_deg_s]),
        )
        return Empty()

    def _drive_gripper(self, session: int, asked: GripperCommand) -> Empty:
        self._take_control(session)
        for finger in asked.gripper.fingers if asked.gripper else ():
            self.arm.drive_gripper(asked.mode, finger.value)
        return Empty()

    def _measured_gripper(self, session: int, asked: GripperRequest) -> Gripper:
        if asked.mode != GRIPPER_POSITION:
            raise Refusal(SubCode.INVALID_PARAM, "only the gripper's position is measured here")
        return Gripper((Finger(0, self.arm.gripper),))

    def _measured_angles(self, session: int, asked: Empty) -> JointAngles:
        _, angles, _ = self._shown()
        return JointAngles(tuple(JointAngle(joint, float(angles[joint])) for joint in range(min(self.joints, 7))))

    def _measured_pose(self, session: int, asked: Empty) -> Pose:
        place, angles = self.arm.pose
        return Pose(*map(float, place), *map(float, angles))

    def _refresh(self, session: int, asked: Empty) -> ArmFeedback:
        """Low-level targets are not followed: the arm holds still in that mode."""
        if self.arm.mode != LOW_LEVEL:
            raise Refusal(SubCode.WRONG_MODE, "cyclic commands need low-level servoing")
        return self._feedback()

    def _measured(self) -> tuple[int, Any, Any]:
        return int(1000 * self.arm.time_s) & 0xFFFFFFFF, self.arm.angles_deg, self.arm.speeds_deg_s

    def _shown(self) -> tuple[int, Any, Any]:
        """What clients see of the joints: frame, angles, speeds."""
        if self._frozen and time.monotonic() < self._stuck_until_s:
            return self._frozen
        return self._measured()

    def _feedback(self) -> ArmFeedback:
        frame, angles, speeds = self._shown()
        torques, banks = self.arm.torques_nm, self.arm.fault_banks
        actuators = tuple(
            ActuatorFeedback(
                position_deg=float(angles[joint]),
                speed_deg_s=float(speeds[joint]),
                torque_nm=float(torques[joint]),
                voltage_v=24.0,
                motor_celsius=35.0,
                core_celsius=35.0,
                fault_bank_a=banks[joint],
            )
            for joint in range(min(self.joints, 7))
        )
        return ArmFeedback(frame, BaseFeedback(), actuators)


def _home() -> Action:
    angles = JointAngles(tuple(JointAngle(joint, float(deg)) for joint, deg in enumerate(np.degrees(HOME_RAD))))
    reference = ActionReference(HOME_ACTION, REACH_JOINT_ANGLES)
    return Action(reference, "Home", reach_joint_angles=ReachJointAngles(angles))


def _does(act: Callable[[], None]) -> Callable[[int, Empty], Empty]:
    """A call that any session may make: nothing is asked, and nothing is answered."""

    def handle(session: int, asked: Empty) -> Empty:
        act()
        return Empty()

    return handle
