"""The receding-horizon loop: look, predict a chunk of actions, carry out the first few, look again.

A policy predicts actions from the moment of its decision on (that its sensors lag is part of its training). The first
of them would be late when they reach the arm, so as many are skipped as the arm's latency has steps: what is carried
out was predicted for the time at which it takes effect (latency matching, Universal Manipulation Interface, arXiv
2402.10329).
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from multigen_core.lab.lost_senses import lost_sense
from multigen_core.lab.robot import Lab, Readings, Task
from multigen_core.policy.contract import Policy
from multigen_core.records import Outcome

__all__ = ["STARTED_ML", "UPRIGHT_RAD", "Pour", "pour"]

STARTED_ML = 3.0
"""Less than this out of the pitcher is not yet a pour."""
EMPTY_ML = 3.0
"""With less than this in the pitcher nothing that the policy does matters any more."""
STILL_ML_S = 1.0
"""A cup whose reading rises no faster is not being filled."""
UPRIGHT_RAD = math.radians(6.0)
"""A pitcher tilted no further than this beyond what the cup's rim forces it to be is back where a pour begins."""
RETREAT_RAD_S = math.radians(25.0)
RETREAT_LIMIT_S = 6.0


@dataclass(frozen=True)
class Pour:
    """How a trial went."""

    outcome: Outcome
    end: Readings
    """After the pitcher was tilted back and nothing dripped any more."""
    duration_s: float
    """Until the policy had stopped or was stopped."""
    decision_s: tuple[float, ...]
    """Computing time of every decision."""


def pour(lab: Lab, policy: Policy, task: Task, *, max_duration_s: float) -> Pour:
    """One trial. It ends when the pitcher is tilted back after having poured, when it is empty, when the time is
    up, or at once when a sense that the policy needs is lost, when an action is not a number or the arm halts. Whatever
    the reason, the pitcher is then tilted back, if the arm still moves."""
    readings = lab.start(task)
    skipped = round(lab.arm_latency_s * lab.rate_hz)
    decision_s: list[float] = []
    outcome: Outcome | None = None
    has_tilted = False
    seeds = _decision_seeds(task.seed)
    while outcome is None:
        observation = lab.observe()
        if lost_sense(policy, observation):
            outcome = "sense_lost"
            break
        before_s = time.perf_counter()
        chunk = policy.act(observation, next(seeds))
        decision_s.append(time.perf_counter() - before_s)
        first = min(skipped, len(chunk) - policy.executed)
        for action in chunk[first : first + policy.executed]:
            if not np.isfinite(action).all():
                outcome = "aborted"
                break
            readings = lab.act(action)
            has_tilted |= not _is_back(readings)
            outcome = _verdict(readings, max_duration_s, has_tilted=has_tilted)
            if outcome is not None:
                break
    duration_s = readings.time_s
    _retreat(lab, readings)
    return Pour(outcome=outcome, end=lab.finish(), duration_s=duration_s, decision_s=tuple(decision_s))


def _verdict(readings: Readings, max_duration_s: float, *, has_tilted: bool) -> Outcome | None:
    """Why the trial is over; None while it is not. A drop from a pitcher that was never tilted ends nothing."""
    if readings.halted:
        return "aborted"
    started = readings.poured_ml + readings.spilled_ml >= STARTED_ML
    if started and has_tilted and _is_back(readings) and readings.flow_ml_s < STILL_ML_S:
        return "stopped"
    if readings.in_pitcher_ml < EMPTY_ML:
        return "pitcher_empty"
    if readings.time_s >= max_duration_s - 1e-6:
        return "never_stopped" if started else "never_started"
    return None


def _is_back(readings: Readings) -> bool:
    return readings.tilt_rad <= readings.least_tilt_rad + UPRIGHT_RAD


def _retreat(lab: Lab, readings: Readings) -> None:
    """Un-tilts in place; what runs out meanwhile counts."""
    stop = readings.time_s + RETREAT_LIMIT_S
    while not _is_back(readings) and not readings.halted and readings.time_s < stop:
        readings = lab.act(np.array([0.0, 0.0, -RETREAT_RAD_S], np.float32))


def _decision_seeds(seed: int) -> Iterator[int]:
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(2**31))
