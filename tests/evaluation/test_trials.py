"""The stage ``evaluation`` with the real lab at toy size and an untrained policy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multigen_core.evaluation import trials
from multigen_core.evaluation.protocol import plan
from multigen_core.evaluation.table import read_trials
from multigen_core.experiment import Experiment
from multigen_core.lab.control import RETREAT_LIMIT_S
from multigen_core.media import probe
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.evaluation.made_up_run import experiment
from tests.policy.test_contract import untrained_diffusion


@pytest.fixture(scope="module")
def params() -> Experiment:
    params = experiment(trials=2)
    return replace(
        params,
        compute=replace(params.compute, engine="serial"),
        # The untrained policy of the tests looks at 48 pixels.
        episodes=replace(params.episodes, image_px=48, particle_ml=6.0, timestep_s=0.02, solver_iterations=1),
        evaluation=replace(params.evaluation, max_duration_s=1.0),
    )


@pytest.fixture(scope="module")
def evaluated(params: Experiment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    policy = tmp_path_factory.mktemp("policy")
    untrained_diffusion(True).save(policy)
    out = tmp_path_factory.mktemp("evaluation")
    inputs = Inputs(root=out, folders={"policy": (policy,)}, partition="vision_audio")
    return out, trials.run(params, inputs, out, Silent())


def test_there_is_a_row_for_every_task(evaluated: tuple[Path, dict[str, object]], params: Experiment) -> None:
    rows = read_trials(evaluated[0])
    for row, task in zip(rows, plan(params), strict=True):
        assert (row.container, row.seed) == (task.receiver.name, task.seed)
        assert row.target_ml == pytest.approx(task.goal_fraction * task.receiver.capacity_ml)
        assert (row.ablation, row.lab) == ("vision_audio", "emulated")
        assert np.isfinite([row.poured_ml, row.spilled_ml, row.in_pitcher_ml]).all()


def test_the_summary_is_that_of_the_rows(evaluated: tuple[Path, dict[str, object]]) -> None:
    rows = read_trials(evaluated[0])
    assert evaluated[1]["nmae"] == pytest.approx(np.mean([row.error for row in rows]))
    assert evaluated[1]["trials"] == 2
    assert isinstance(evaluated[1]["nmae_blind"], float)


def test_the_first_trials_can_be_watched_and_heard(evaluated: tuple[Path, dict[str, object]]) -> None:
    videos = list((evaluated[0] / "videos").iterdir())
    assert [video.name for video in videos] == ["trial-000.mp4"]
    info = probe(videos[0])
    assert info.has_sound
    assert (info.width_px, info.height_px) == (192, 192)
    # The trial itself, then at most the time to tilt back and to let the last drops fall.
    assert 0.9 <= info.duration_s <= 1.0 + RETREAT_LIMIT_S + 2.1


def test_the_blind_reference_knows_the_training_cups_only() -> None:
    assert 200.0 < trials.AVERAGE_CAPACITY_ML < 350.0
