"""The driver against the emulator: whatever goes wrong, the arm comes to rest, and a second client sees it."""

import importlib.util
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import pytest

from multigen_core.errors import MissingExtra, UserError
from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.arm_driver import DriverOptions
from multigen_core.lab.arm_link import Address, open_link
from multigen_core.lab.conditions import LAB_RANGES
from multigen_core.lab.gen3_emulator import EmulatorProcess, running_emulator
from multigen_core.lab.kinova import KinovaArm
from multigen_core.lab.kortex.calls import Call
from multigen_core.lab.kortex.client import WireClient
from multigen_core.lab.kortex.messages import ArmFeedback, Empty
from multigen_core.lab.safety import Limits
from multigen_core.simulation.randomisation import draw_setup
from multigen_core.simulation.world import pour_workspace, start_lip_pose
from tests.lab.planned import planned_tilts_rad
from tests.skeleton import REPOSITORY, environment

SETUP = draw_setup(11, LAB_RANGES)
BODY = ArmBody(SETUP.pitcher)
OPTIONS = DriverOptions(reach_deg_s=60.0)
TILT = np.array([0.0, 0.0, 0.3])
MOVING_DEG_S = 3.0
STILL_DEG_S = 0.3


def address_of(emulator: EmulatorProcess, *, udp: bool = True) -> Address:
    return Address("127.0.0.1", emulator.port, emulator.udp_port if udp else None, client="wire")


class Watcher:
    """A client of its own that only looks."""

    open_ones: ClassVar[list[WireClient]] = []

    def __init__(self, emulator: EmulatorProcess) -> None:
        self._client = WireClient("127.0.0.1", emulator.udp_port, udp=True, timeout_s=1.0)
        self.open_ones.append(self._client)
        self._client.open("admin", "admin")

    def speed_deg_s(self) -> float:
        feedback = self._client.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback)
        return max(abs(actuator.speed_deg_s) for actuator in feedback.actuators)

    def seconds_to_rest(self, limit_s: float = 5.0) -> float:
        """Until the arm stands still and stays so."""
        began_s = moved_s = time.monotonic()
        while time.monotonic() - moved_s < 0.4:
            if self.speed_deg_s() > STILL_DEG_S:
                moved_s = time.monotonic()
            assert time.monotonic() - began_s < limit_s, "the arm still moves"
            time.sleep(0.01)
        return moved_s - began_s


@pytest.fixture
def emulator() -> Iterator[EmulatorProcess]:
    with running_emulator() as running:
        yield running
        while Watcher.open_ones:
            Watcher.open_ones.pop().close()


@pytest.fixture
def arm(emulator: EmulatorProcess) -> Iterator[KinovaArm]:
    with KinovaArm(address_of(emulator), OPTIONS) as arm:
        yield arm


def tilt_rad(arm: KinovaArm) -> float:
    newest = arm.newest()
    assert newest is not None
    return BODY.tilt_rad(newest.posture_rad)


def keep(arm: KinovaArm, twist: np.ndarray, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
    """Ten actions a second; returns how long it really took, which a busy machine stretches."""
    begun_s = time.monotonic()
    stop_s = begun_s + seconds
    while time.monotonic() < stop_s and not until():
        arm.act(twist)
        time.sleep(0.1)
    return time.monotonic() - begun_s


def fault(arm: KinovaArm) -> str | None:
    newest = arm.newest()
    return newest.fault if newest else None


def test_the_lip_follows_twists_and_stays_in_place(arm: KinovaArm) -> None:
    start = arm.begin(SETUP)
    pose = start_lip_pose(SETUP)
    assert BODY.tilt_rad(start) == pytest.approx(pose.tilt_rad, abs=math.radians(0.5))
    assert BODY.points_m(start)["rim"][1:] == pytest.approx([pose.y_m, pose.z_m], abs=2e-3)
    lip = BODY.points_m(start)["rim"]
    script = []
    for _ in range(2):
        script += [(TILT, keep(arm, TILT, 2.0)), (-TILT, keep(arm, -TILT, 1.0))]
        newest = arm.newest()
        assert newest is not None
        assert np.abs(BODY.points_m(newest.posture_rad)["rim"] - lip).max() < 2e-3
    # As planned, ramps and all, but for what servo, wire and the age of the feedback take: 0.15 s.
    assert tilt_rad(arm) == pytest.approx(planned_tilts_rad(SETUP, script)[1][-1], abs=0.15 * TILT[2])
    keep(arm, np.array([0.03, 0.02, 0.0]), 1.0)
    arm.end()
    newest = arm.newest()
    assert newest is not None
    assert BODY.points_m(newest.posture_rad)["rim"] - lip == pytest.approx([0.0, 0.03, 0.02], abs=6e-3)


def test_commands_are_within_limits_and_in_time(arm: KinovaArm) -> None:
    arm.begin(SETUP)
    rng = np.random.default_rng(0)
    for _ in range(40):
        arm.act(rng.uniform([-0.3, -0.3, -1.0], [0.3, 0.3, 1.5]))
        time.sleep(0.1)
    arm.end()
    cycles, limits = arm.track.since(0)[0], Limits()
    speeds = np.array([cycle.speeds_rad_s for cycle in cycles])
    assert np.abs(speeds).max() <= limits.joint_speed_rad_s + 1e-9
    assert np.abs(np.diff(speeds, axis=0)).max() <= limits.acceleration_rad_s2 * limits.cycle_s + 1e-9
    margins = BODY.limits_rad - limits.joint_margin_rad
    workspace = pour_workspace(SETUP)
    for cycle in cycles:
        assert (np.abs((cycle.posture_rad + np.pi) % (2 * np.pi) - np.pi) <= margins).all()
        _, y_m, z_m = BODY.points_m(cycle.posture_rad)["rim"]
        assert workspace.y_m[0] - 4e-3 <= y_m <= workspace.y_m[1] + 4e-3
        assert workspace.z_m[0] - 4e-3 <= z_m <= workspace.z_m[1] + 4e-3
    assert all(cycle.fault is None for cycle in cycles)


def test_feedback_over_tcp_alone_does_as_well(emulator: EmulatorProcess) -> None:
    with KinovaArm(address_of(emulator, udp=False), OPTIONS) as arm:
        start = arm.begin(SETUP)
        keep(arm, TILT, 1.0)
        assert tilt_rad(arm) > BODY.tilt_rad(start) + 0.15


@pytest.mark.parametrize(
    ("injected", "reasons", "within_s"),
    [
        ("fault", {"arm_fault"}, 0.6),
        ("estop", {"arm_fault"}, 0.6),
        ("stick 30", {"stale_feedback"}, 1.0),
        ("drop", {"connection_lost"}, 1.5),
        ("mute 0.6", {"connection_lost", "stale_feedback"}, 4.0),
    ],
)
def test_an_injected_fault_ends_at_rest_and_is_latched(
    emulator: EmulatorProcess, arm: KinovaArm, injected: str, reasons: set[str], within_s: float
) -> None:
    arm.begin(SETUP)
    keep(arm, TILT, 1.0)
    assert Watcher(emulator).speed_deg_s() > MOVING_DEG_S
    emulator.inject(injected)
    began_s = time.monotonic()
    keep(arm, TILT, 5.0, until=lambda: fault(arm) is not None)
    assert fault(arm) in reasons
    if injected.startswith("stick"):
        emulator.inject("stick 0")
    Watcher(emulator).seconds_to_rest()
    assert time.monotonic() - began_s < within_s + 0.5
    # More actions change nothing.
    keep(arm, TILT, 0.5)
    assert Watcher(emulator).speed_deg_s() < STILL_DEG_S
    assert fault(arm) in reasons
    with pytest.raises(UserError, match="an operator has to clear it"):
        arm.begin(SETUP)
    arm.clear_fault("Ada")
    keep(arm, TILT, 0.8)
    assert Watcher(emulator).speed_deg_s() > MOVING_DEG_S


def test_a_policy_that_falls_silent_is_not_waited_for(emulator: EmulatorProcess, arm: KinovaArm) -> None:
    """The arm brakes at once, and tilts the pitcher back when nothing comes any more."""
    start = arm.begin(SETUP)
    keep(arm, TILT, 2.0)
    tilted = tilt_rad(arm)
    time.sleep(0.9)
    assert Watcher(emulator).speed_deg_s() < STILL_DEG_S
    newest = arm.newest()
    assert newest is not None and newest.reason == "stale_command"
    assert tilt_rad(arm) > tilted - 0.02 and arm.obeys
    time.sleep(3.5)
    assert tilt_rad(arm) < BODY.tilt_rad(start) + 0.1
    assert fault(arm) is None and not arm.faulted
    assert not arm.obeys, "whoever sends actions must learn that they are not carried out any more"
    arm.begin(SETUP)
    assert arm.obeys


@pytest.mark.parametrize("action", [np.array([0.0, 0.0, math.nan]), np.zeros(4)])
def test_an_action_that_is_none_tilts_back(arm: KinovaArm, action: np.ndarray) -> None:
    start = arm.begin(SETUP)
    keep(arm, TILT, 2.0)
    arm.act(action)
    keep(arm, TILT, 3.0)
    assert tilt_rad(arm) < BODY.tilt_rad(start) + 0.1
    assert all(np.isfinite(cycle.speeds_rad_s).all() for cycle in arm.track.since(0)[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_arm_before_the_driver_ends(
    emulator: EmulatorProcess, arm: KinovaArm, number: signal.Signals
) -> None:
    arm.begin(SETUP)
    keep(arm, TILT, 1.0)
    watcher = Watcher(emulator)
    os.kill(arm.process_id, number)
    assert watcher.seconds_to_rest() < 1.0
    with pytest.raises(UserError, match="driver has ended"):
        for _ in range(20):
            arm.act(TILT)
            time.sleep(0.1)


def test_a_killed_driver_leaves_the_arm_moving(emulator: EmulatorProcess, arm: KinovaArm) -> None:
    """What no program on this machine can mend, and why there is an emergency stop."""
    arm.begin(SETUP)
    keep(arm, TILT, 1.0)
    os.kill(arm.process_id, signal.SIGKILL)
    time.sleep(1.0)
    assert Watcher(emulator).speed_deg_s() > MOVING_DEG_S


_PARENT = """
import signal, sys, time
import numpy as np
from multigen_core.lab.kinova import KinovaArm
from tests.lab.test_kinova import Address, OPTIONS, SETUP, TILT

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it switched off
    with KinovaArm(Address("127.0.0.1", int(sys.argv[1]), int(sys.argv[2]), client="wire"), OPTIONS) as arm:
        arm.begin(SETUP)
        print("moving", flush=True)
        while True:
            arm.act(TILT)
            time.sleep(0.1)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_arm_stops_when_the_program_that_uses_the_driver_dies(
    emulator: EmulatorProcess, tmp_path: "os.PathLike[str]", number: signal.Signals
) -> None:
    script = os.path.join(tmp_path, "parent.py")  # noqa: PTH118
    with open(script, "w") as stream:  # noqa: PTH123
        stream.write(_PARENT)
    parent = subprocess.Popen(
        [sys.executable, script, str(emulator.port), str(emulator.udp_port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(REPOSITORY),
    )
    try:
        assert parent.stdout and parent.stdout.readline() == "moving\n"
        time.sleep(1.0)
        watcher = Watcher(emulator)
        assert watcher.speed_deg_s() > MOVING_DEG_S
        parent.send_signal(number)
        assert watcher.seconds_to_rest() < 1.5
    finally:
        parent.kill()
        parent.wait()
        if parent.stdout:
            parent.stdout.close()


def test_sessions_live_while_nothing_moves(arm: KinovaArm) -> None:
    """Two seconds without a word would close the connection."""
    time.sleep(3.0)
    arm.begin(SETUP)
    time.sleep(3.0)
    arm.end()
    time.sleep(3.0)
    assert arm.home() < math.radians(1.0)


def test_home_and_gripper(emulator: EmulatorProcess, arm: KinovaArm) -> None:
    arm.begin(SETUP)
    assert arm.home() < math.radians(1.0)
    arm.grip(0.5)
    time.sleep(1.0)
    link = open_link(address_of(emulator))
    assert link.gripper() == pytest.approx(0.5, abs=0.01)
    link.close()


@pytest.mark.parametrize("joints", [6, 8])
def test_an_arm_with_another_number_of_joints_is_not_moved(joints: int) -> None:
    with (
        running_emulator("--joints", str(joints)) as emulator,
        pytest.raises(UserError, match=f"reports {joints} joints"),
        KinovaArm(address_of(emulator)),
    ):
        raise AssertionError("the driver took it")


def test_an_arm_in_fault_is_not_cleared_by_itself() -> None:
    with (
        running_emulator("--inject", "fault@0") as emulator,
        pytest.raises(UserError, match="in fault or busy"),
        KinovaArm(address_of(emulator)),
    ):
        raise AssertionError("the driver took it")


def test_nobody_there_is_one_sentence() -> None:
    with pytest.raises(MissingExtra, match="no Kinova arm answers"), KinovaArm(Address("127.0.0.1", 1, None, "wire")):
        raise AssertionError("it connected")


@pytest.mark.skipif(importlib.util.find_spec("kortex_api") is not None, reason="Kinova's package is installed here")
def test_without_kinovas_package_one_sentence_says_how_to_get_it() -> None:
    with pytest.raises(MissingExtra, match=r"not on PyPI.*docs/real_robot\.md"):
        open_link(Address())
