"""The emulated lab with the real arm, liquid and renderer, at toy size."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from multigen_core.experiment import Episodes, Evaluation
from multigen_core.lab.control import pour
from multigen_core.lab.emulated import EmulatedLab, Recording
from multigen_core.lab.receivers import LAB_RECEIVERS
from multigen_core.lab.robot import Readings, Task
from multigen_core.params import load
from multigen_core.records import SAMPLE_RATE_HZ
from tests.lab.fakes import ScriptedPolicy

PARAMS = load(Path(__file__).parents[2] / "params.yaml")
EPISODES: Episodes = replace(PARAMS.episodes, image_px=32, particle_ml=4.0, timestep_s=0.01, solver_iterations=2)
EVALUATION: Evaluation = PARAMS.evaluation
TASK = Task(receiver=LAB_RECEIVERS[1], goal_fraction=0.5, seed=11)


def _lab(*, record: bool = False) -> EmulatedLab:
    return EmulatedLab(EPISODES, EVALUATION, audio_window_s=1.0, look_every=2, record=record)


def _short_pour(time_s: float) -> float:
    return 0.4 if time_s < 2.6 else -0.4


@dataclass(frozen=True)
class Poured:
    """A scripted pour, cut off in the middle."""

    start: Readings
    end: Readings
    windows: list[np.ndarray]
    """What the policy would have heard at every decision."""
    recording: Recording


@pytest.fixture(scope="module")
def poured() -> Poured:
    lab = _lab(record=True)
    start = lab.start(TASK)
    windows = []
    for step in range(34):
        if step % 2 == 0:
            windows.append(lab.observe().waveform)
        lab.act(np.array([0.0, 0.0, _short_pour(step / 10.0)], np.float32))
    return Poured(start=start, end=lab.finish(), windows=windows, recording=lab.recording())


def test_liquid_goes_somewhere_and_none_is_lost(poured: Poured) -> None:
    end = poured.end
    assert end.poured_ml + end.spilled_ml > 20.0
    total_ml = end.poured_ml + end.spilled_ml + end.in_pitcher_ml
    assert total_ml == pytest.approx(poured.start.in_pitcher_ml, abs=2.0 * EPISODES.particle_ml)


def test_the_room_is_heard_from_the_first_moment_and_the_pour_over_it(poured: Poured) -> None:
    assert all(len(window) == SAMPLE_RATE_HZ for window in poured.windows)
    loudness = [float(window.std()) for window in poured.windows]
    assert loudness[0] > 1e-4
    assert max(loudness) > 4.0 * loudness[0]


def test_sound_comes_with_the_microphones_latency(poured: Poured) -> None:
    # The last window was taken after 32 steps of 0.1 s.
    end = 32 * SAMPLE_RATE_HZ // 10 - round(EVALUATION.microphone_latency_s * SAMPLE_RATE_HZ)
    heard = poured.recording.waveform[end - SAMPLE_RATE_HZ : end]
    np.testing.assert_array_equal(poured.windows[-1], heard)


def test_a_recording_has_a_picture_and_its_sound_for_every_step(poured: Poured) -> None:
    steps = len(poured.recording.rgb)
    assert steps >= 34
    assert len(poured.recording.waveform) == steps * SAMPLE_RATE_HZ // 10


def test_the_same_task_gives_the_same_trial() -> None:
    ends = []
    for _ in range(2):
        lab = _lab()
        lab.start(TASK)
        for _ in range(12):
            readings = lab.act(np.array([0.01, 0.0, 0.4], np.float32))
        ends.append((readings, lab.observe()))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1].rgb, ends[1][1].rgb)
    np.testing.assert_array_equal(ends[0][1].waveform, ends[1][1].waveform)


def test_the_loop_ends_a_pour_in_it() -> None:
    result = pour(_lab(), ScriptedPolicy(_short_pour), TASK, max_duration_s=12.0)
    assert result.outcome in {"stopped", "pitcher_empty"}
    assert result.end.poured_ml + result.end.spilled_ml > 20.0
    assert result.duration_s < 12.0
