"""The messages of the calls in ``calls``, field by field. Angles in degrees, speeds in degrees per second, lengths in
metres; joints count from 0. A name ending in ``_unused`` is sent by clients and ignored by the arm.
"""

from dataclasses import dataclass

from multigen_core.lab.kortex.wire import slot

__all__ = [
    "Action",
    "ActionList",
    "ActionNotice",
    "ActionReference",
    "ActionTypeRequest",
    "ActuatorFeedback",
    "ArmFeedback",
    "ArmStateMessage",
    "BaseFeedback",
    "Constraint",
    "Count",
    "Device",
    "DeviceList",
    "Empty",
    "Failure",
    "Finger",
    "FrameMessage",
    "Gripper",
    "GripperCommand",
    "GripperRequest",
    "HeaderMessage",
    "JointAngle",
    "JointAngles",
    "JointSpeed",
    "JointSpeeds",
    "OpenSession",
    "Pose",
    "ReachJointAngles",
    "ServoingMode",
    "Subscription",
    "SubscriptionOptions",
    "Timestamp",
    "Twist",
    "TwistCommand",
]


@dataclass(frozen=True)
class HeaderMessage:
    """Four packed words; ``frames.Header`` takes them apart."""

    frame_info: int = slot(1, "fixed32")
    message_info: int = slot(2, "fixed32")
    service_info: int = slot(3, "fixed32")
    payload_info: int = slot(4, "fixed32")


@dataclass(frozen=True)
class FrameMessage:
    """What travels: a header and the bytes of another message."""

    header: HeaderMessage | None = slot(1, HeaderMessage)
    payload: bytes = slot(2, "bytes")


@dataclass(frozen=True)
class Empty:
    """Nothing."""


@dataclass(frozen=True)
class Failure:
    """Payload of a response whose header has an error code."""

    code: int = slot(1, "int32")
    sub_code: int = slot(2, "uint32")
    sentence: str = slot(3, "string")


@dataclass(frozen=True)
class OpenSession:
    """Times in milliseconds."""

    username: str = slot(1, "string")
    session_inactivity_ms: int = slot(2, "uint32")
    password: str = slot(3, "string")
    connection_inactivity_ms: int = slot(4, "uint32")


@dataclass(frozen=True)
class ServoingMode:
    """``calls.SINGLE_LEVEL``, ``LOW_LEVEL`` or ``BYPASS``."""

    mode: int = slot(1, "int32")


@dataclass(frozen=True)
class ArmStateMessage:
    """``calls.ArmState``; also the notification of a change."""

    state: int = slot(1, "int32")


@dataclass(frozen=True)
class Count:
    """How many."""

    count: int = slot(1, "uint32")


@dataclass(frozen=True)
class Device:
    """A part of the arm that answers by itself."""

    kind: int = slot(1, "int32")
    identifier: int = slot(2, "uint32")
    order: int = slot(3, "uint32")


@dataclass(frozen=True)
class DeviceList:
    """All parts."""

    devices: tuple[Device, ...] = slot(1, Device, repeated=True)


@dataclass(frozen=True)
class JointSpeed:
    """Of one joint."""

    joint: int = slot(1, "uint32")
    speed_deg_s: float = slot(2, "float")
    duration_unused: int = slot(3, "uint32")


@dataclass(frozen=True)
class JointSpeeds:
    """Of all joints; the arm keeps them until it hears otherwise."""

    speeds: tuple[JointSpeed, ...] = slot(1, JointSpeed, repeated=True)
    duration_unused: int = slot(2, "uint32")


@dataclass(frozen=True)
class JointAngle:
    """Of one joint."""

    joint: int = slot(1, "uint32")
    angle_deg: float = slot(2, "float")


@dataclass(frozen=True)
class JointAngles:
    """Of all joints."""

    angles: tuple[JointAngle, ...] = slot(1, JointAngle, repeated=True)


@dataclass(frozen=True)
class Constraint:
    """How fast a point-to-point motion goes: ``calls.DURATION`` [s] or ``calls.SPEED`` [deg/s]."""

    kind: int = slot(1, "int32")
    value: float = slot(2, "float")


@dataclass(frozen=True)
class ReachJointAngles:
    """A motion to a posture."""

    goal: JointAngles | None = slot(1, JointAngles)
    constraint: Constraint | None = slot(2, Constraint)


@dataclass(frozen=True)
class ActionReference:
    """Names a stored action."""

    identifier: int = slot(1, "uint32")
    kind: int = slot(2, "int32")
    permission: int = slot(3, "uint32")


@dataclass(frozen=True)
class ActionTypeRequest:
    """Which stored actions are asked for."""

    kind: int = slot(1, "int32")


@dataclass(frozen=True)
class Action:
    """One of its last two fields says what to do."""

    reference: ActionReference | None = slot(1, ActionReference)
    name: str = slot(2, "string")
    application_data: str = slot(3, "string")
    joint_speeds: JointSpeeds | None = slot(7, JointSpeeds)
    reach_joint_angles: ReachJointAngles | None = slot(10, ReachJointAngles)


@dataclass(frozen=True)
class ActionList:
    """Stored actions."""

    actions: tuple[Action, ...] = slot(1, Action, repeated=True)


@dataclass(frozen=True)
class Timestamp:
    """Of the arm's clock."""

    seconds: int = slot(1, "uint32")
    microseconds: int = slot(2, "uint32")


@dataclass(frozen=True)
class ActionNotice:
    """Something happened to an action: ``calls.ActionEvent``."""

    event: int = slot(1, "int32")
    reference: ActionReference | None = slot(2, ActionReference)
    at: Timestamp | None = slot(3, Timestamp)
    abort_details: int = slot(5, "int32")


@dataclass(frozen=True)
class SubscriptionOptions:
    """How often a topic may be told: 0 every time."""

    kind: int = slot(1, "int32")


@dataclass(frozen=True)
class Subscription:
    """The handle of a subscription; the message id of its notifications."""

    identifier: int = slot(1, "uint32")


@dataclass(frozen=True)
class Twist:
    """Of the tool."""

    x_m_s: float = slot(1, "float")
    y_m_s: float = slot(2, "float")
    z_m_s: float = slot(3, "float")
    x_deg_s: float = slot(4, "float")
    y_deg_s: float = slot(5, "float")
    z_deg_s: float = slot(6, "float")


@dataclass(frozen=True)
class TwistCommand:
    """A twist in a frame: ``calls.MIXED``, ``TOOL`` or ``BASE``; kept until the arm hears otherwise."""

    frame: int = slot(1, "int32")
    twist: Twist | None = slot(2, Twist)
    duration_unused: int = slot(3, "uint32")


@dataclass(frozen=True)
class Finger:
    """0 open to 1 closed, or a speed."""

    finger: int = slot(1, "uint32")
    value: float = slot(2, "float")


@dataclass(frozen=True)
class Gripper:
    """All fingers."""

    fingers: tuple[Finger, ...] = slot(1, Finger, repeated=True)


@dataclass(frozen=True)
class GripperCommand:
    """``calls.GRIPPER_SPEED`` or ``GRIPPER_POSITION`` and its value."""

    mode: int = slot(1, "int32")
    gripper: Gripper | None = slot(2, Gripper)


@dataclass(frozen=True)
class GripperRequest:
    """What is asked about the gripper."""

    mode: int = slot(1, "int32")


@dataclass(frozen=True)
class Pose:
    """Of the tool in the frame of the base; R = Rz Ry Rx."""

    x_m: float = slot(1, "float")
    y_m: float = slot(2, "float")
    z_m: float = slot(3, "float")
    x_deg: float = slot(4, "float")
    y_deg: float = slot(5, "float")
    z_deg: float = slot(6, "float")


@dataclass(frozen=True)
class BaseFeedback:
    """Nothing in it is used here."""


@dataclass(frozen=True)
class ActuatorFeedback:
    """One joint as it is."""

    position_deg: float = slot(4, "float")
    speed_deg_s: float = slot(5, "float")
    torque_nm: float = slot(6, "float")
    current_a: float = slot(7, "float")
    voltage_v: float = slot(8, "float")
    motor_celsius: float = slot(9, "float")
    core_celsius: float = slot(10, "float")
    fault_bank_a: int = slot(11, "fixed32")
    fault_bank_b: int = slot(12, "fixed32")
    warning_bank_a: int = slot(13, "fixed32")
    warning_bank_b: int = slot(14, "fixed32")


@dataclass(frozen=True)
class ArmFeedback:
    """The arm as it is; ``frame`` counts the arm's own cycles."""

    frame: int = slot(1, "fixed32")
    base: BaseFeedback | None = slot(2, BaseFeedback)
    actuators: tuple[ActuatorFeedback, ...] = slot(3, ActuatorFeedback, repeated=True)
