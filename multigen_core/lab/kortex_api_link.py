"""An arm's link through Kinova's own client, kortex_api. Written from its public interface and not yet run: no robot
and no copy of the package was at hand.

Its known traps: the class keeps one table of notifications per process (one client per process, no callbacks here), its
default timeout is ten seconds (every call brings its own), and a dropped connection is noticed by nobody (the driver
throws the link away). kortex_api pins protobuf 3.5.1; with 4 and later it needs protobuf's pure-Python mode, which has
to be chosen before protobuf is first imported.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from multigen_core.errors import MissingExtra
from multigen_core.lab.arm_link import Address, LinkBroken, LinkRefused, Report
from multigen_core.lab.kortex.calls import GRIPPER_POSITION, SINGLE_LEVEL, SPEED, ArmState

__all__ = ["KortexApiLink"]

_PURE = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
_TIMEOUT_MS = 80
_FIRST_TIMEOUT_MS = 2000


class KortexApiLink:
    """A member of the family of links (contract: ``arm_link.ArmLink``)."""

    def __init__(self, address: Address) -> None:
        """Raises MissingExtra when nobody answers."""
        if "google.protobuf" not in sys.modules:
            os.environ.setdefault(_PURE, "python")
        from kortex_api.autogen.client_stubs.BaseClientRpc import BaseClient
        from kortex_api.autogen.client_stubs.BaseCyclicClientRpc import BaseCyclicClient
        from kortex_api.autogen.messages import Base_pb2, Session_pb2
        from kortex_api.RouterClient import RouterClient, RouterClientSendOptions
        from kortex_api.SessionManager import SessionManager
        from kortex_api.TCPTransport import TCPTransport
        from kortex_api.UDPTransport import UDPTransport

        self._messages = Base_pb2
        self._options = RouterClientSendOptions()
        self._options.timeout_ms = _TIMEOUT_MS
        self._sessions: list[tuple[Any, Any]] = []
        """Session and transport, in the order of opening."""

        def router_to(transport: Any, port: int) -> Any:
            router = RouterClient(transport, lambda error: None)
            transport.connect(address.host, port)
            session = SessionManager(router)
            hello = Session_pb2.CreateSessionInfo()
            hello.username, hello.password = address.username, address.password
            hello.session_inactivity_timeout, hello.connection_inactivity_timeout = 10_000, 2_000
            first = RouterClientSendOptions()
            first.timeout_ms = _FIRST_TIMEOUT_MS
            session.CreateSession(hello, options=first)
            self._sessions.append((session, transport))
            return router

        try:
            router = router_to(TCPTransport(), address.port)
            self._base = BaseClient(router)
            cyclic = router if address.udp_port is None else router_to(UDPTransport(), address.udp_port)
            self._cyclic = BaseCyclicClient(cyclic)
        except Exception as error:
            # kortex_api raises exceptions of many kinds and none of its own for this.
            self.close()
            raise MissingExtra(f"no Kinova arm answers at {address.host}:{address.port} ({error})") from error

    def joint_count(self) -> int:
        return int(self._called(self._base.GetActuatorCount).count)

    def is_ready(self) -> bool:
        return self._state() == ArmState.READY

    def is_playing(self) -> bool:
        return self._state() == ArmState.PLAYING

    def take_control(self) -> None:
        mode = self._messages.ServoingModeInformation()
        mode.servoing_mode = SINGLE_LEVEL
        self._called(self._base.SetServoingMode, mode)

    def report(self) -> Report:
        feedback = self._called(self._cyclic.RefreshFeedback)
        return Report(
            frame=int(feedback.frame_id),
            angles_deg=tuple(float(actuator.position) for actuator in feedback.actuators),
            faulty=any(actuator.fault_bank_a or actuator.fault_bank_b for actuator in feedback.actuators),
        )

    def drive(self, speeds_deg_s: Sequence[float]) -> None:
        command = self._messages.JointSpeeds()
        for joint, speed in enumerate(speeds_deg_s):
            entry = command.joint_speeds.add()
            entry.joint_identifier, entry.value, entry.duration = joint, float(speed), 0
        self._called(self._base.SendJointSpeedsCommand, command)

    def reach(self, angles_deg: Sequence[float], *, speed_deg_s: float) -> None:
        action = self._messages.Action()
        action.name, action.application_data = "to the start", ""
        action.reach_joint_angles.constraint.type = SPEED
        action.reach_joint_angles.constraint.value = speed_deg_s
        for joint, angle in enumerate(angles_deg):
            entry = action.reach_joint_angles.joint_angles.joint_angles.add()
            entry.joint_identifier, entry.value = joint, float(angle)
        self._called(self._base.ExecuteAction, action)

    def grip(self, closed: float) -> None:
        command = self._messages.GripperCommand()
        command.mode = GRIPPER_POSITION
        finger = command.gripper.finger.add()
        finger.finger_identifier, finger.value = 1, closed
        self._called(self._base.SendGripperCommand, command)

    def gripper(self) -> float:
        request = self._messages.GripperRequest()
        request.mode = GRIPPER_POSITION
        return float(self._called(self._base.GetMeasuredGripperMovement, request).finger[0].value)

    def stop(self) -> None:
        self._called(self._base.Stop)

    def clear_faults(self) -> None:
        self._called(self._base.ClearFaults)

    def close(self) -> None:
        for session, transport in reversed(self._sessions):
            for end in (session.CloseSession, transport.disconnect):
                try:
                    end()
                except Exception as error:
                    print(f"while closing the arm's session: {error}", file=sys.stderr)
        self._sessions.clear()

    def _state(self) -> int:
        return int(self._called(self._base.GetArmState).active_state)

    def _called(self, call: Any, *arguments: Any) -> Any:
        with _as_link_errors():
            return call(*arguments, options=self._options)


@contextmanager
def _as_link_errors() -> Iterator[None]:
    from kortex_api.Exceptions.KServerException import KServerException

    try:
        yield
    except KServerException as error:
        raise LinkRefused(str(error)) from error
    except Exception as error:
        # A TimeoutError when nothing comes back, whatever the socket raises when nothing gets out.
        raise LinkBroken(str(error) or type(error).__name__) from error
