"""The Gen3 driver against the emulator over the wire: how late its commands are, whether one ever breaks a limit, and
how soon the arm stands still when something goes wrong.

Half of the servoing has the machine to itself, in the other half a busy process runs for every core.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from multigen_core.errors import MissingExtra
from multigen_core.experiment import Experiment
from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.arm_driver import DriverOptions
from multigen_core.lab.arm_link import Address
from multigen_core.lab.arm_track import Cycle
from multigen_core.lab.conditions import LAB_RANGES
from multigen_core.lab.gen3_emulator import EmulatorProcess, running_emulator
from multigen_core.lab.kinova import KinovaArm
from multigen_core.lab.kortex.calls import Call
from multigen_core.lab.kortex.client import NoAnswer, Refused, WireClient
from multigen_core.lab.kortex.messages import ArmFeedback, Empty
from multigen_core.lab.safety import REST_S, Limits
from multigen_core.simulation.randomisation import draw_setup
from multigen_core.simulation.setup import PourSetup

STEP_S = 0.1
DRAIN_STEPS = 100
WILD_EVERY_S, WILD_S = 20.0, 2.0
"""Now and then the policy goes mad."""
FAULTS = ("fault", "estop", "stick 30", "drop", "mute 0.6", "silent policy")
REPEATS = 3
STILL_DEG_S = 0.3
MOVING_S = 1.5


def figures(experiment: Experiment, *, minutes: float = 10.0) -> dict[str, object]:
    """Latency from an action's sending to the arm's acknowledgement of the first speeds made from it."""
    setup = draw_setup(experiment.seed, LAB_RANGES)
    alone = _servo(setup, 30.0 * minutes, seed=0)
    with _busy_cores():
        loaded = _servo(setup, 30.0 * minutes, seed=1)
    recovery = {words: max(_recovery_s(setup, words) for _ in range(REPEATS)) for words in FAULTS}
    both = np.concatenate([alone.latency_ms, loaded.latency_ms])
    return {
        "minutes": minutes,
        "latency_p50_ms": float(np.percentile(both, 50)),
        "latency_p99_ms": float(np.percentile(both, 99)),
        "latency_p99_alone_ms": float(np.percentile(alone.latency_ms, 99)),
        "latency_p99_full_load_ms": float(np.percentile(loaded.latency_ms, 99)),
        "jitter_p99_alone_ms": alone.jitter_p99_ms,
        "jitter_p99_full_load_ms": loaded.jitter_p99_ms,
        "cycles": alone.cycles + loaded.cycles,
        "missed_cycles": alone.missed + loaded.missed,
        "missed_cycles_full_load": loaded.missed,
        "safe_stops": alone.stops + loaded.stops,
        "limit_violations": sum(alone.violations.values()) + sum(loaded.violations.values()),
        "limit_violations_by_rule": {rule: count + loaded.violations[rule] for rule, count in alone.violations.items()},
        "clamped_cycles": alone.clamped + loaded.clamped,
        "recovery_s": max(recovery.values()),
        "recovery_by_fault_s": {words.split()[0]: value for words, value in recovery.items()},
    }


@dataclass(frozen=True)
class _Servoing:
    latency_ms: np.ndarray
    jitter_p99_ms: float
    """How late cycles began."""
    cycles: int
    missed: int
    """Cycles that began more than one cycle late."""
    violations: dict[str, int]
    """Cycles in which a rule was broken."""
    clamped: int
    stops: int
    """Times at which a rule stopped the arm and an operator had to clear it."""


def _servo(setup: PourSetup, seconds: float, *, seed: int) -> _Servoing:
    rng = np.random.default_rng(seed)
    cycles: list[Cycle] = []
    stops = 0
    with running_emulator("--seed", str(seed)) as emulator, KinovaArm(_address(emulator), _OPTIONS) as arm:
        arm.begin(setup)
        read, began_s = arm.track.count(), time.monotonic()
        for step in range(round(seconds / STEP_S)):
            arm.act(_action(step * STEP_S, rng))
            time.sleep(max(began_s + (step + 1) * STEP_S - time.monotonic(), 0.0))
            newest = arm.newest()
            if newest is not None and newest.fault is not None:
                time.sleep(2.0 * REST_S)
                arm.clear_fault("benchmark")
                stops, began_s = stops + 1, time.monotonic() - (step + 1) * STEP_S
            if step % DRAIN_STEPS == 0:
                rows, read = arm.track.since(read)
                cycles += rows
        cycles += arm.track.since(read)[0]
        arm.end()
    return _measured(setup, cycles, stops)


def _action(time_s: float, rng: np.random.Generator) -> np.ndarray:
    """Tilts to and fro, wanders about, and goes mad now and then."""
    if time_s % WILD_EVERY_S > WILD_EVERY_S - WILD_S:
        return rng.uniform([-0.3, -0.3, -1.0], [0.3, 0.3, 1.0])
    turns = 2.0 * np.pi * time_s
    return np.array([0.03 * np.sin(turns / 5.0), 0.02 * np.cos(turns / 7.0), 0.3 * np.sin(turns / 12.0)])


def _measured(setup: PourSetup, cycles: Sequence[Cycle], stops: int) -> _Servoing:
    limits, body = Limits(), ArmBody(setup.pitcher)
    first: dict[float, float] = {}
    for cycle in cycles:
        if cycle.action_s and cycle.commanded_s:
            first.setdefault(cycle.action_s, cycle.commanded_s - cycle.action_s)
    speeds = np.array([cycle.speeds_rad_s for cycle in cycles])
    postures = np.array([cycle.posture_rad for cycle in cycles])
    late_s = np.array([cycle.late_s for cycle in cycles])
    steps = np.abs(np.diff(speeds, axis=0, prepend=speeds[:1])).max(axis=1)
    wrapped = np.abs((postures + np.pi) % (2.0 * np.pi) - np.pi)
    broken = {
        "speed": np.abs(speeds).max(axis=1) > limits.joint_speed_rad_s + 1e-9,
        "acceleration": steps > limits.acceleration_rad_s2 * limits.cycle_s + 1e-9,
        "joint_margin": (wrapped > body.limits_rad - limits.joint_margin_rad).any(axis=1),
        "workspace": np.array([_outside(body, limits, posture) for posture in postures]),
        "tilt_rate": np.array([_tilts_too_fast(body, limits, cycle) for cycle in cycles]),
    }
    return _Servoing(
        latency_ms=1e3 * np.array(list(first.values())),
        jitter_p99_ms=1e3 * float(np.percentile(late_s, 99)),
        cycles=len(cycles),
        missed=int((late_s > limits.cycle_s).sum()),
        violations={rule: int(rows.sum()) for rule, rows in broken.items()},
        clamped=sum(cycle.reason is not None for cycle in cycles),
        stops=stops,
    )


def _outside(body: ArmBody, limits: Limits, posture: np.ndarray) -> bool:
    points = body.points_m(posture)
    return any(box.outside_m(points[name]) > 0.0 for name, box in limits.boxes.items())


def _tilts_too_fast(body: ArmBody, limits: Limits, cycle: Cycle) -> bool:
    """Where the arm was, with what was sent there; a hundredth for the way it has come since."""
    probe_s = 1e-3
    turned = body.tilt_rad(cycle.posture_rad + probe_s * cycle.speeds_rad_s) - body.tilt_rad(cycle.posture_rad)
    return abs(turned) / probe_s > 1.01 * limits.tilt_rate_rad_s


def _recovery_s(setup: PourSetup, words: str) -> float:
    """From the fault to an arm that stands still, as a second client sees it."""
    with running_emulator() as emulator, KinovaArm(_address(emulator), _OPTIONS) as arm:
        arm.begin(setup)
        for _ in range(round(MOVING_S / STEP_S)):
            arm.act(np.array([0.0, 0.0, 0.4]))
            time.sleep(STEP_S)
        client: WireClient | None = _watcher(emulator)
        if words != "silent policy":
            emulator.inject(words)
        began_s = moved_s = time.monotonic()
        acted_s = began_s
        if words.startswith("stick"):
            # The watcher shall see the truth again; the driver has seen enough by then.
            time.sleep(0.3)
            moved_s = time.monotonic()
            emulator.inject("stick 0")
        while time.monotonic() - moved_s < 0.5:
            now_s = time.monotonic()
            if words != "silent policy" and now_s - acted_s > STEP_S:
                arm.act(np.array([0.0, 0.0, 0.4]))
                acted_s = now_s
            try:
                client = client or _watcher(emulator)
                feedback = client.call(Call.REFRESH_FEEDBACK, Empty(), ArmFeedback)
                still = all(abs(actuator.speed_deg_s) < STILL_DEG_S for actuator in feedback.actuators)
            except NoAnswer:
                # While nothing answers the arm is taken to move.
                still = False
            except (OSError, MissingExtra, Refused):
                client, still = None, False
            if not still:
                moved_s = time.monotonic()
            time.sleep(0.005)
        return moved_s - began_s


def _watcher(emulator: EmulatorProcess) -> WireClient:
    client = WireClient("127.0.0.1", emulator.udp_port, udp=True)
    client.open("admin", "admin")
    return client


def _address(emulator: EmulatorProcess) -> Address:
    return Address("127.0.0.1", emulator.port, emulator.udp_port, client="wire")


_OPTIONS = DriverOptions(arm_latency_s=0.035, reach_deg_s=60.0)


@contextmanager
def _busy_cores() -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    busy = [context.Process(target=_spin, daemon=True) for _ in os.sched_getaffinity(0)]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.terminate()
            process.join()


def _spin() -> None:
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    from benchmarks.__main__ import main

    main(["robot", *sys.argv[1:]])
