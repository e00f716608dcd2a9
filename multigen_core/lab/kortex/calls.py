"""Numbers of the protocol: calls, states, modes and errors."""

from enum import IntEnum

__all__ = [
    "BASE_DEVICE",
    "BYPASS",
    "DURATION",
    "GRIPPER_POSITION",
    "GRIPPER_SPEED",
    "LOW_LEVEL",
    "REACH_JOINT_ANGLES",
    "SINGLE_LEVEL",
    "SPEED",
    "TCP_PORT",
    "UDP_PORT",
    "ActionEvent",
    "ArmState",
    "Call",
    "ErrorCode",
    "SubCode",
    "TwistFrame",
]

TCP_PORT, UDP_PORT = 10000, 10001
BASE_DEVICE = 0
"""Devices 1 to 7 are the actuators."""


class Call(IntEnum):
    """service << 16 | function."""

    CREATE_SESSION = 0x10001
    CLOSE_SESSION = 0x10002
    KEEP_ALIVE = 0x10003
    EXECUTE_ACTION_FROM_REFERENCE = 0x2002F
    EXECUTE_ACTION = 0x20030
    READ_ALL_ACTIONS = 0x2002C
    STOP_ACTION = 0x20032
    UNSUBSCRIBE = 0x20061
    ON_ACTION = 0x2006A
    STOP = 0x20070
    MEASURED_POSE = 0x20073
    SEND_TWIST = 0x20079
    MEASURED_JOINT_ANGLES = 0x2007E
    SEND_JOINT_SPEEDS = 0x20084
    SEND_GRIPPER = 0x20088
    MEASURED_GRIPPER = 0x20089
    EMERGENCY_STOP = 0x20091
    CLEAR_FAULTS = 0x20092
    SET_SERVOING_MODE = 0x20098
    GET_SERVOING_MODE = 0x20099
    ACTUATOR_COUNT = 0x200AB
    GET_ARM_STATE = 0x200AF
    ON_ARM_STATE = 0x200B0
    REFRESH = 0x30001
    REFRESH_COMMAND = 0x30002
    REFRESH_FEEDBACK = 0x30003
    READ_ALL_DEVICES = 0x170001


class ArmState(IntEnum):
    """What the arm is up to."""

    FAULT = 4
    LOW_LEVEL = 6
    READY = 7
    PLAYING = 8
    MANUAL = 9


SINGLE_LEVEL, LOW_LEVEL, BYPASS = 2, 3, 4
"""Servoing modes."""
GRIPPER_SPEED, GRIPPER_POSITION = 2, 3
DURATION, SPEED = 1, 2
"""Constraints of a point-to-point motion."""
REACH_JOINT_ANGLES = 7
"""Type of action."""


class TwistFrame(IntEnum):
    """Axes of a twist: mixed has the base's for translation, the tool's for rotation."""

    MIXED = 1
    TOOL = 2
    BASE = 3


class ActionEvent(IntEnum):
    """What a notification tells of an action."""

    END = 1
    ABORT = 2
    PAUSE = 3
    START = 4


class ErrorCode(IntEnum):
    """Whose fault it is. Only 3 was seen; the others are as in Kinova's public list."""

    PROTOCOL = 1
    DEVICE = 3


class SubCode(IntEnum):
    """What was wrong. Of these 5, 12, 13 and 15 are as in Kinova's public list only."""

    INVALID_PARAM = 3
    UNSUPPORTED_METHOD = 5
    INVALID_SESSION = 12
    UNREADABLE_PAYLOAD = 13
    WRONG_PASSWORD = 15
    MOVEMENT_IN_PROGRESS = 18
    IN_FAULT = 22
    EMERGENCY_STOPPED = 25
    LARGE_SPEED = 60
    JOINT_LIMIT = 65
    WRONG_MODE = 75
    NOT_IN_CONTROL = 130
