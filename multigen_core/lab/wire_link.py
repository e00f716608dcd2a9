"""An arm's link through the own wire client."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from multigen_core.errors import MissingExtra
from multigen_core.lab.arm_link import Address, LinkBroken, LinkRefused, Report
from multigen_core.lab.kortex.calls import (
    GRIPPER_POSITION,
    SINGLE_LEVEL,
    SPEED,
    ArmState,
    Call,
    SubCode,
)
from multigen_core.lab.kortex.client import ConnectionLost, NoAnswer, Refused, WireClient
from multigen_core.lab.kortex.messages import (
    Action,
    ArmFeedback,
    ArmStateMessage,
    Constraint,
    Count,
    Empty,
    Finger,
    Gripper,
    GripperCommand,
    GripperRequest,
    JointAngle,
    JointAngles,
    JointSpeed,
    JointSpeeds,
    ReachJointAngles,
    ServoingMode,
)

__all__ = ["WireLink"]

Message = TypeVar("Message")
_TIMEOUT_S = 0.08


class WireLink:
    """A member of the family of links (contract: ``arm_link.ArmLink``)."""

    def __init__(self, address: Address) -> None:
        """Raises MissingExtra when nobody answers or the password is wrong."""
        self._tcp = WireClient(address.host, address.port, timeout_s=_TIMEOUT_S)
        self._udp: WireClient | None = None
        try:
            self._tcp.open(address.username, address.password)
            if address.udp_port is not None:
                self._udp = WireClient(address.host, address.udp_port, udp=True, timeout_s=_TIMEOUT_S)
                self._udp.open(address.username, address.password)
        except (Refused, NoAnswer, ConnectionLost) as error:
            self.close()
            raise MissingExtra(f"the arm at {address.host}:{address.port} opens no session: {error}") from error

    def joint_count(self) -> int:
        return self._call(Call.ACTUATOR_COUNT, Empty(), Count).count

    def is_ready(self) -> bool:
        return self._state() == ArmState.READY

    def is_playing(self) -> bool:
        return self._state() == ArmState.PLAYING

    def take_control(self) -> None:
        self._call(Call.SET_SERVOING_MODE, ServoingMode(SINGLE_LEVEL), Empty)

    def report(self) -> Report:
        with _as_link_errors():
            feedback = (self._udp or self._tcp).call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback)
        return Report(
            frame=feedback.frame,
            angles_deg=tuple(actuator.position_deg for actuator in feedback.actuators),
            faulty=any(actuator.fault_bank_a or actuator.fault_bank_b for actuator in feedback.actuators),
        )

    def drive(self, speeds_deg_s: Sequence[float]) -> None:
        speeds = tuple(JointSpeed(joint, float(speed)) for joint, speed in enumerate(speeds_deg_s))
        self._call(Call.SEND_JOINT_SPEEDS, JointSpeeds(speeds), Empty)

    def reach(self, angles_deg: Sequence[float], *, speed_deg_s: float) -> None:
        goal = JointAngles(tuple(JointAngle(joint, float(angle)) for joint, angle in enumerate(angles_deg)))
        motion = ReachJointAngles(goal, Constraint(SPEED, speed_deg_s))
        self._call(Call.EXECUTE_ACTION, Action(name="to the start", reach_joint_angles=motion), Empty)

    def grip(self, closed: float) -> None:
        self._call(Call.SEND_GRIPPER, GripperCommand(GRIPPER_POSITION, Gripper((Finger(0, closed),))), Empty)

    def gripper(self) -> float:
        fingers = self._call(Call.MEASURED_GRIPPER, GripperRequest(GRIPPER_POSITION), Gripper).fingers
        if not fingers:
            raise LinkBroken("the gripper reports no finger")
        return fingers[0].value

    def stop(self) -> None:
        self._call(Call.STOP, Empty(), Empty)

    def clear_faults(self) -> None:
        self._call(Call.CLEAR_FAULTS, Empty(), Empty)

    def close(self) -> None:
        for client in (self._udp, self._tcp):
            if client is not None:
                client.close()

    def _state(self) -> int:
        return self._call(Call.GET_ARM_STATE, Empty(), ArmStateMessage).state

    def _call(self, call: Call, payload: object, answer: type[Message]) -> Message:
        with _as_link_errors():
            return self._tcp.call(call, payload, answer)


@contextmanager
def _as_link_errors() -> Iterator[None]:
    try:
        yield
    except Refused as error:
        if error.failure.sub_code == SubCode.INVALID_SESSION:
            raise LinkBroken(str(error), gone=True) from error
        raise LinkRefused(str(error)) from error
    except (NoAnswer, ConnectionLost) as error:
        raise LinkBroken(str(error), gone=isinstance(error, ConnectionLost)) from error
