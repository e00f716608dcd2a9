"""The emulator over the wire, every call of it, through the own client."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from multigen_core.errors import ConfigError, MissingExtra
from multigen_core.lab.gen3_emulator import Emulator, EmulatorProcess, Manners, running_emulator
from multigen_core.lab.kortex.calls import (
    DURATION,
    GRIPPER_POSITION,
    LOW_LEVEL,
    REACH_JOINT_ANGLES,
    SINGLE_LEVEL,
    ActionEvent,
    ArmState,
    Call,
    ErrorCode,
    SubCode,
    TwistFrame,
)
from multigen_core.lab.kortex.client import ConnectionLost, NoAnswer, Refused, WireClient
from multigen_core.lab.kortex.messages import (
    Action,
    ActionList,
    ActionNotice,
    ActionReference,
    ActionTypeRequest,
    ArmFeedback,
    ArmStateMessage,
    Constraint,
    Count,
    DeviceList,
    Empty,
    Finger,
    Gripper,
    GripperCommand,
    GripperRequest,
    JointAngle,
    JointAngles,
    JointSpeed,
    JointSpeeds,
    Pose,
    ReachJointAngles,
    ServoingMode,
    Subscription,
    SubscriptionOptions,
    Twist,
    TwistCommand,
)
from multigen_core.lab.kortex.wire import decode
from multigen_core.simulation.gen3 import HOME_RAD
from tests.waiting import wait_for

HOST = "127.0.0.1"


def speeds(**values: float) -> JointSpeeds:
    return JointSpeeds(tuple(JointSpeed(joint, values.get(f"j{joint}", 0.0)) for joint in range(7)))


def angles(values: np.ndarray) -> JointAngles:
    return JointAngles(tuple(JointAngle(joint, float(value)) for joint, value in enumerate(values)))


def connect(emulator: EmulatorProcess, *, udp: bool = False, **times: int) -> WireClient:
    client = WireClient(HOST, emulator.udp_port if udp else emulator.port, udp=udp, timeout_s=0.5)
    client.open("admin", "admin", **times)
    return client


def joint_speed(client: WireClient, joint: int) -> float:
    return client.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback).actuators[joint].speed_deg_s


def state(client: WireClient) -> int:
    return client.call(Call.GET_ARM_STATE, Empty(), ArmStateMessage).state


def refusal(client: WireClient, call: Call, payload: object) -> tuple[int, int]:
    with pytest.raises(Refused) as error:
        client.call(call, payload, Empty)
    return error.value.failure.code, error.value.failure.sub_code


@pytest.fixture
def emulator() -> Iterator[EmulatorProcess]:
    with running_emulator() as running:
        yield running


@pytest.fixture
def client(emulator: EmulatorProcess) -> Iterator[WireClient]:
    client = connect(emulator)
    yield client
    client.close()


def test_questions(client: WireClient) -> None:
    assert client.call(Call.ACTUATOR_COUNT, Empty(), Count).count == 7
    devices = client.call(Call.READ_ALL_DEVICES, Empty(), DeviceList).devices
    assert [device.identifier for device in devices] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert state(client) == ArmState.READY
    assert client.call(Call.GET_SERVOING_MODE, Empty(), ServoingMode).mode == SINGLE_LEVEL
    pose = client.call(Call.MEASURED_POSE, Empty(), Pose)
    assert (pose.x_m, pose.z_m, pose.x_deg, pose.z_deg) == pytest.approx((0.577, 0.434, 90.0, 90.0), abs=1e-2)
    measured = client.call(Call.MEASURED_JOINT_ANGLES, Empty(), JointAngles)
    off = np.array([angle.angle_deg for angle in measured.angles]) - [0, 15, 180, 230, 0, 55, 90]
    assert np.abs((off + 180.0) % 360.0 - 180.0).max() < 0.01
    client.call(Call.KEEP_ALIVE, Empty(), Empty)


def test_speeds_twist_stop_and_gripper(client: WireClient) -> None:
    client.call(Call.SEND_JOINT_SPEEDS, speeds(j6=20.0), Empty)
    wait_for(lambda: joint_speed(client, 6) > 18.0)
    client.call(Call.STOP, Empty(), Empty)
    wait_for(lambda: abs(joint_speed(client, 6)) < 0.2)
    client.call(Call.SEND_TWIST, TwistCommand(TwistFrame.BASE, Twist(z_m_s=0.05)), Empty)
    low_m = client.call(Call.MEASURED_POSE, Empty(), Pose).z_m
    wait_for(lambda: client.call(Call.MEASURED_POSE, Empty(), Pose).z_m > low_m + 0.01)
    client.call(Call.STOP, Empty(), Empty)
    client.call(Call.SEND_GRIPPER, GripperCommand(GRIPPER_POSITION, Gripper((Finger(0, 0.2),))), Empty)
    asked = GripperRequest(GRIPPER_POSITION)
    wait_for(lambda: client.call(Call.MEASURED_GRIPPER, asked, Gripper).fingers[0].value > 0.19)


def test_actions_and_their_notifications(client: WireClient) -> None:
    handle = client.call(Call.ON_ACTION, SubscriptionOptions(), Subscription).identifier
    states = client.call(Call.ON_ARM_STATE, SubscriptionOptions(), Subscription).identifier
    goal = np.degrees(HOME_RAD)
    goal[6] += 5.0
    reach = ReachJointAngles(angles(goal), Constraint(DURATION, 0.6))
    client.call(Call.EXECUTE_ACTION, Action(ActionReference(7), "turn", reach_joint_angles=reach), Empty)
    assert refusal(client, Call.SEND_JOINT_SPEEDS, speeds()) == (ErrorCode.DEVICE, SubCode.MOVEMENT_IN_PROGRESS)
    told: list[tuple[int, int]] = []

    def ended() -> bool:
        for frame in client.news():
            if frame.message == handle:
                notice = decode(ActionNotice, frame.payload)
                assert notice.reference == ActionReference(7)
                told.append((handle, notice.event))
            else:
                told.append((frame.message, decode(ArmStateMessage, frame.payload).state))
        return (handle, ActionEvent.END) in told and (states, ArmState.READY) in told

    wait_for(ended)
    assert told[0] == (handle, ActionEvent.START)
    client.call(Call.UNSUBSCRIBE, Subscription(handle), Empty)
    assert refusal(client, Call.UNSUBSCRIBE, Subscription(handle)) == (ErrorCode.DEVICE, SubCode.INVALID_PARAM)


def test_the_stored_home_action(client: WireClient) -> None:
    (home,) = client.call(Call.READ_ALL_ACTIONS, ActionTypeRequest(REACH_JOINT_ANGLES), ActionList).actions
    assert home.name == "Home" and home.reference is not None
    assert client.call(Call.READ_ALL_ACTIONS, ActionTypeRequest(1), ActionList).actions == ()
    client.call(Call.EXECUTE_ACTION_FROM_REFERENCE, home.reference, Empty)
    wait_for(lambda: state(client) == ArmState.READY)
    client.call(Call.STOP_ACTION, Empty(), Empty)
    assert refusal(client, Call.EXECUTE_ACTION_FROM_REFERENCE, ActionReference(99))[1] == SubCode.INVALID_PARAM
    assert refusal(client, Call.EXECUTE_ACTION, Action(name="nothing"))[1] == SubCode.INVALID_PARAM


def test_a_notification_comes_after_the_subscription_has_returned(client: WireClient) -> None:
    """A client that hears of a handle it does not know yet stops hearing at all."""
    handle = client.call(Call.ON_ARM_STATE, SubscriptionOptions(), Subscription).identifier
    client.call(Call.EMERGENCY_STOP, Empty(), Empty)
    assert client.news() == []
    wait_for(lambda: any(frame.message == handle for frame in client.news()))


def test_faults_and_the_emergency_stop(emulator: EmulatorProcess, client: WireClient) -> None:
    client.call(Call.EMERGENCY_STOP, Empty(), Empty)
    assert refusal(client, Call.SEND_JOINT_SPEEDS, speeds()) == (ErrorCode.DEVICE, SubCode.EMERGENCY_STOPPED)
    client.call(Call.CLEAR_FAULTS, Empty(), Empty)
    emulator.inject("fault")
    wait_for(lambda: state(client) == ArmState.FAULT)
    assert any(a.fault_bank_a for a in client.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback).actuators)
    assert refusal(client, Call.SEND_JOINT_SPEEDS, speeds()) == (ErrorCode.DEVICE, SubCode.IN_FAULT)


def test_modes(client: WireClient) -> None:
    assert refusal(client, Call.REFRESH, Empty()) == (ErrorCode.DEVICE, SubCode.WRONG_MODE)
    client.call(Call.SET_SERVOING_MODE, ServoingMode(LOW_LEVEL), Empty)
    assert state(client) == ArmState.LOW_LEVEL
    assert len(client.call(Call.REFRESH, Empty(), ArmFeedback).actuators) == 7
    assert refusal(client, Call.SEND_JOINT_SPEEDS, speeds()) == (ErrorCode.DEVICE, SubCode.WRONG_MODE)
    assert refusal(client, Call.SET_SERVOING_MODE, ServoingMode(9)) == (ErrorCode.DEVICE, SubCode.INVALID_PARAM)


def test_a_speed_outlives_its_client(emulator: EmulatorProcess) -> None:
    """Silent, closed, cut off: the arm goes on."""
    watcher = connect(emulator)
    first = connect(emulator, session_ms=300, connection_ms=300)
    first.call(Call.SEND_JOINT_SPEEDS, speeds(j6=10.0), Empty)
    time.sleep(0.6)
    with pytest.raises((ConnectionLost, NoAnswer, Refused)):
        first.call(Call.GET_ARM_STATE, Empty(), ArmStateMessage)
    first.close()
    assert joint_speed(watcher, 6) > 9.0
    emulator.inject("drop")
    with pytest.raises(ConnectionLost):
        wait_for(lambda: bool(state(watcher)) and False)
    watcher.close()
    watcher = connect(emulator)
    assert joint_speed(watcher, 6) > 9.0
    watcher.call(Call.STOP, Empty(), Empty)
    wait_for(lambda: abs(joint_speed(watcher, 6)) < 0.2)
    watcher.close()


def test_sessions(emulator: EmulatorProcess) -> None:
    stranger = WireClient(HOST, emulator.port, timeout_s=0.5)
    assert refusal(stranger, Call.STOP, Empty()) == (ErrorCode.PROTOCOL, SubCode.INVALID_SESSION)
    with pytest.raises(Refused) as error:
        stranger.open("admin", "guess")
    assert error.value.failure.sub_code == SubCode.WRONG_PASSWORD
    stranger.close()
    first, second = connect(emulator), connect(emulator)
    first.call(Call.SEND_JOINT_SPEEDS, speeds(), Empty)
    assert refusal(second, Call.SEND_JOINT_SPEEDS, speeds()) == (ErrorCode.DEVICE, SubCode.NOT_IN_CONTROL)
    first.close()
    second.call(Call.SEND_JOINT_SPEEDS, speeds(), Empty)
    second.close()


def test_a_session_that_keeps_alive_does_not_expire(emulator: EmulatorProcess) -> None:
    client = connect(emulator, session_ms=400, connection_ms=400)
    for _ in range(8):
        time.sleep(0.1)
        client.call(Call.KEEP_ALIVE, Empty(), Empty)
    assert state(client) == ArmState.READY
    client.close()


def test_udp_has_a_session_of_its_own(emulator: EmulatorProcess) -> None:
    cyclic = WireClient(HOST, emulator.udp_port, udp=True, timeout_s=0.5)
    assert refusal(cyclic, Call.REFRESH_FEEDBACK, Empty()) == (ErrorCode.PROTOCOL, SubCode.INVALID_SESSION)
    cyclic.open("admin", "admin")
    first = cyclic.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback)
    time.sleep(0.1)
    second = cyclic.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback)
    assert 50 < second.frame - first.frame < 2000
    cyclic.close()


def test_feedback_can_stick_and_answers_can_be_missing_or_late(emulator: EmulatorProcess, client: WireClient) -> None:
    client.call(Call.SEND_JOINT_SPEEDS, speeds(j6=10.0), Empty)
    emulator.inject("stick 0.5")
    time.sleep(0.1)
    frames = {client.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback).frame for _ in range(3)}
    assert len(frames) == 1
    wait_for(lambda: client.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback).frame not in frames)
    emulator.inject("delay 120")
    wait_for(lambda: _seconds(client) > 0.11)
    emulator.inject("delay 0")
    wait_for(lambda: _seconds(client) < 0.05)
    emulator.inject("mute 0.8")
    time.sleep(0.1)
    with pytest.raises(NoAnswer):
        state(client)


def _seconds(client: WireClient) -> float:
    before_s = time.monotonic()
    state(client)
    return time.monotonic() - before_s


@pytest.mark.parametrize("joints", [6, 8])
def test_another_number_of_joints(joints: int) -> None:
    with running_emulator("--joints", str(joints)) as emulator:
        client = connect(emulator)
        assert client.call(Call.ACTUATOR_COUNT, Empty(), Count).count == joints
        client.close()


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\x07\x78\x45\x74\x52\x6f\x4b\x07\xff\xff\xff\xff"]
)
def test_junk_closes_its_own_connection_only(emulator: EmulatorProcess, client: WireClient, junk: bytes) -> None:
    with socket.create_connection((HOST, emulator.port)) as stranger:
        stranger.settimeout(2.0)
        stranger.sendall(junk)
        assert stranger.recv(100) == b""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(junk, (HOST, emulator.udp_port))
    assert state(client) == ArmState.READY


def test_an_unreadable_payload_and_an_unknown_function_are_refused(client: WireClient) -> None:
    # A finger has a float where a list of speeds has messages: read as an unknown field, so no joint is listed.
    assert refusal(client, Call.SEND_JOINT_SPEEDS, Empty())[1] == SubCode.INVALID_PARAM
    assert refusal(client, Call.CREATE_SESSION, Empty())[1] == SubCode.WRONG_PASSWORD


def test_nobody_there_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    with pytest.raises(MissingExtra, match="no Kinova arm answers"):
        WireClient(HOST, port)


def test_words_that_cannot_be_injected() -> None:
    emulator = Emulator(Manners())
    for words in ("stik 3", "stick long"):
        with pytest.raises(ConfigError, match=r"stick|stik"):
            emulator.inject(words)


def test_a_taken_port_and_bad_words_end_the_command_with_one_sentence(emulator: EmulatorProcess) -> None:
    for options in (["--port", str(emulator.port)], ["--inject", "fault"]):
        done = subprocess.run(
            [sys.executable, "-m", "multigen_core.lab.gen3_emulator", *options],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
