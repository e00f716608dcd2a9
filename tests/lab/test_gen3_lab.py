"""The lab over the wire: the same pours as in the process, up to what latency does to them."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from multigen_core.lab.conditions import LAB_RANGES
from multigen_core.lab.control import pour
from multigen_core.lab.emulated import EmulatedLab
from multigen_core.lab.gen3_lab import Gen3EmulatorLab
from multigen_core.lab.labs import open_lab
from multigen_core.lab.robot import Readings
from multigen_core.simulation.randomisation import draw_setup
from tests.lab.fakes import ScriptedPolicy
from tests.lab.planned import planned_tilts_rad
from tests.lab.test_emulated import EPISODES, EVALUATION, TASK

RATE_RAD_S = 0.3
FASTEST_ML_S = 60.0
WIRED = replace(EVALUATION, lab="gen3_emulator")


def _tilt(step: int) -> float:
    return RATE_RAD_S if step < 45 else -RATE_RAD_S if step < 80 else 0.0


def _pour(lab: EmulatedLab) -> list[Readings]:
    readings = [lab.start(TASK)]
    for step in range(95):
        readings.append(lab.act(np.array([0.0, 0.0, _tilt(step)], np.float32)))
    return [*readings, lab.finish()]


@pytest.fixture(scope="module")
def wired() -> Iterator[Gen3EmulatorLab]:
    with open_lab(EPISODES, WIRED, audio_window_s=1.0, look_every=2) as lab:
        assert isinstance(lab, Gen3EmulatorLab)
        yield lab


def test_a_pour_over_the_wire_is_the_pour_in_the_process(wired: Gen3EmulatorLab) -> None:
    here = _pour(EmulatedLab(EPISODES, EVALUATION, audio_window_s=1.0, look_every=2))
    there = _pour(wired)
    tilts = np.array([[a.tilt_rad, b.tilt_rad] for a, b in zip(here[:-1], there[:-1], strict=True)])
    # In the process the arm obeys a twist at once; over the wire it ramps, as planned. Beyond that: servo, wire, the
    # age of the feedback (0.15 s), and what a busy machine added.
    setup = draw_setup(TASK.seed, replace(LAB_RANGES, receivers=(TASK.receiver,), goal_fraction=(0.5, 0.5)))
    script = [(np.array([0.0, 0.0, _tilt(step)]), 1.0 / wired.rate_hz) for step in range(95)]
    times_s, planned_rad = planned_tilts_rad(setup, script)
    due_s = np.arange(1, 96) / wired.rate_hz - EVALUATION.arm_latency_s
    off_rad = np.interp(due_s, times_s, planned_rad) - tilts[1:, 1]
    assert np.abs(off_rad).max() < (0.15 + wired.late_s) * RATE_RAD_S
    assert np.abs(tilts[:, 0] - tilts[:, 1]).max() < (0.4 + wired.late_s) * RATE_RAD_S
    assert tilts[:, 1].max() > tilts[0, 1] + math.radians(60.0)
    assert here[-1].poured_ml > 40.0
    busy_ml = FASTEST_ML_S * wired.late_s
    assert there[-1].poured_ml == pytest.approx(here[-1].poured_ml, abs=0.2 * here[-1].poured_ml + busy_ml)
    total_ml = there[-1].poured_ml + there[-1].spilled_ml + there[-1].in_pitcher_ml
    assert total_ml == pytest.approx(there[0].in_pitcher_ml, abs=2.0 * EPISODES.particle_ml)


def test_the_loop_ends_a_trial_in_it_and_the_next_one_starts(wired: Gen3EmulatorLab) -> None:
    policy = ScriptedPolicy(lambda time_s: 0.4 if time_s < 2.6 else -0.4)
    for _ in range(2):
        result = pour(wired, policy, replace(TASK, seed=12), max_duration_s=5.0)
        assert result.outcome != "aborted"
        assert result.end.poured_ml + result.end.spilled_ml > 20.0


def test_a_fault_of_the_arm_aborts_the_trial() -> None:
    with Gen3EmulatorLab(EPISODES, WIRED, audio_window_s=1.0, look_every=2) as lab:
        lab.start(TASK)
        lab.act(np.array([0.0, 0.0, 0.3], np.float32))
        lab.emulator.inject("fault")
        result = None
        for _ in range(10):
            result = lab.act(np.array([0.0, 0.0, 0.3], np.float32))
        assert result is not None and result.halted
