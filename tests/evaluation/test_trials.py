"""The stage ``evaluation`` with the real lab at toy size and an untrained policy."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from multigen_core.evaluation import trials
from multigen_core.evaluation.failures import failure
from multigen_core.evaluation.parts import parts_of
from multigen_core.evaluation.protocol import plan
from multigen_core.evaluation.table import read_trials
from multigen_core.experiment import Experiment
from multigen_core.lab.control import RETREAT_LIMIT_S
from multigen_core.media import probe
from multigen_core.progress import Silent
from multigen_core.records import Trial
from multigen_core.stages import Inputs
from multigen_core.storage import output_folder, write_json
from tests.evaluation.made_up_run import experiment
from tests.policy.test_contract import untrained


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
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    untrained().save(folder)
    return folder


@pytest.fixture(scope="module")
def evaluated(
    params: Experiment, policy: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, object]]:
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
    info = probe(trials.video_of(evaluated[0], 0))
    assert info.has_sound
    assert (info.width_px, info.height_px) == (192, 192)
    # The trial itself, then at most the time to tilt back and to let the last drops fall.
    assert 0.9 <= info.duration_s <= 1.0 + RETREAT_LIMIT_S + 2.1


def test_every_trial_that_failed_can_be_watched_too(evaluated: tuple[Path, dict[str, object]]) -> None:
    failed = {row.trial for row in read_trials(evaluated[0]) if failure(row)}
    assert failed - {0}
    videos = {path.name for path in (evaluated[0] / trials.VIDEOS).iterdir()}
    assert videos == {trials.video_of(evaluated[0], trial).name for trial in failed | {0}}


def test_the_same_trial_again_is_the_same_pour(params: Experiment, policy: Path) -> None:
    task = plan(params)[0]
    job = trials.Job(0, task, policy, params.episodes, params.evaluation, video=None)
    first, second = trials.carry_out(job), trials.carry_out(job)
    assert trials.trial_row(job, first, "vision_audio") == trials.trial_row(job, second, "vision_audio")


def test_the_blind_reference_knows_the_training_cups_only() -> None:
    assert 200.0 < trials.AVERAGE_CAPACITY_ML < 350.0


def test_the_same_evaluation_runs_with_the_arm_at_the_other_end_of_a_wire(params: Experiment, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    untrained().save(tmp_path / "policy")
    wired = replace(params, evaluation=replace(params.evaluation, lab="gen3_emulator", trials=1))
    (tmp_path / "out").mkdir()
    inputs = Inputs(root=tmp_path, folders={"policy": (tmp_path / "policy",)}, partition="vision_audio")
    summary = trials.run(wired, inputs, tmp_path / "out", Silent())
    (row,) = read_trials(tmp_path / "out")
    assert row.lab == summary["lab"] == "gen3_emulator"
    assert row.seed == plan(params)[0].seed
    assert row.outcome != "aborted"


def test_with_a_robot_the_recorded_trials_are_the_rows(params: Experiment, tmp_path: Path) -> None:
    row = Trial(3, "vision", "kinova_gen3", "mug", True, 0.5, 100.0, 200.0, 90.0, 2.0, 300.0, 9.0, "stopped", 3)
    with output_folder(tmp_path / "data/robot/vision/trial-003") as folder:
        write_json(folder / "trial.json", {"trial": asdict(row)})
    real = replace(params, evaluation=replace(params.evaluation, lab="kinova_gen3"))
    (tmp_path / "out").mkdir()
    inputs = Inputs(root=tmp_path, folders={"policy": ()}, partition="vision")
    assert trials.run(real, inputs, tmp_path / "out", Silent())["nmae"] == pytest.approx(0.1)
    assert read_trials(tmp_path / "out") == [row]
    (lab,) = [part for part in parts_of(real, real_clips=0, clips=1) if part.name == "lab"]
    assert (lab.used, lab.embedded) == ("real robot: Kinova Gen3", False)
