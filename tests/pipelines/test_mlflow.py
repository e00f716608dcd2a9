"""Tracking, the registry and the gate, on a sqlite store."""

from pathlib import Path

import numpy as np
import pytest

from multigen_core.audio_model.probe import probe_masks
from multigen_core.evaluation.table import write_trials
from multigen_core.experiment import Experiment
from multigen_core.stages import stage_named
from pipelines.registry import (
    AUDIO,
    CHALLENGER,
    CHAMPION,
    POLICY,
    PREVIOUS,
    annotate,
    licence_tags,
    register,
    version_at,
)
from pipelines.resources.mlflow import Mlflow
from tests.audio_model.test_probe import model_of
from tests.pipelines.contenders import judge, train, trial_off_by

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow 3.17 warns of its own dependencies' futures


def test_a_sound_model_carries_the_licences_of_its_clips() -> None:
    tags = licence_tags({"licences": ["CC BY-NC 4.0", "MIT"], "non_commercial": True})
    assert tags == {"licences": "CC BY-NC 4.0, MIT", "non_commercial": "yes"}
    assert licence_tags({"licences": ["MIT"], "non_commercial": False})["non_commercial"] == "no"


def test_a_step_is_one_run_with_its_params_figures_curve_and_tags(tracking: Mlflow) -> None:
    with tracking.step("policy@vision", {"dagster.run_id": "r1"}) as run:
        run.params("policy", {"steps": 5, "nested": {"width": 8}})
        run.figures({"nmae": 0.25, "lab": "emulated", "passed": True, "none": None, "by": {"red_cup": 0.5}})
        run.curve([("loss", 1.0 / (step + 1), step) for step in range(1200)])
        run.tag("dvc_md5", "abc.dir")
    logged = run.client.get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {"policy.steps": "5", "policy.nested.width": "8"}
    assert logged.data.metrics["nmae"] == 0.25 and logged.data.metrics["by.red_cup"] == 0.5
    assert {"dagster.run_id": "r1", "dvc_md5": "abc.dir", "summary.lab": "emulated"}.items() <= logged.data.tags.items()
    assert len(run.client.get_metric_history(run.run_id, "loss")) == 1200


@pytest.mark.parametrize(("stop", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_step_that_ends_early_says_how(tracking: Mlflow, stop: type[BaseException], status: str) -> None:
    with pytest.raises(stop), tracking.step("clips", {}) as run:
        raise stop
    assert run.client.get_run(run.run_id).info.status == status


def test_runs_of_killed_processes_are_ended(tracking: Mlflow) -> None:
    client = tracking.client()
    with tracking.step("clips", {}):
        pass
    (experiment,) = client.search_experiments(filter_string="name = 'multigen'")
    dead = client.create_run(experiment.experiment_id, tags={"dagster.run_id": "killed"})
    alive = client.create_run(experiment.experiment_id, tags={"dagster.run_id": "alive"})
    tracking.end_runs_of(["killed"])
    assert client.get_run(dead.info.run_id).info.status == "KILLED"
    assert client.get_run(alive.info.run_id).info.status == "RUNNING"


@pytest.mark.usefixtures("served")
def test_the_served_ablation_is_the_challenger(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    """Other ablations are registered too, and the same weights give no second version."""
    for ablation, md5 in (("vision", "a"), ("vision_audio", "b"), ("vision_audio", "b")):
        train(tracking, tmp_path, experiment, ablation, md5)
    client = tracking.client()
    versions = client.search_model_versions(f"name = '{POLICY}'")
    assert {version.tags["ablation"]: version.tags["dvc_md5"] for version in versions} == {
        "vision": "a",
        "vision_audio": "b",
    }
    assert len(versions) == 2
    challenger = version_at(client, POLICY, CHALLENGER)
    assert challenger is not None and challenger.tags["ablation"] == "vision_audio"
    assert version_at(client, POLICY, CHAMPION) is None


@pytest.mark.usefixtures("served")
def test_the_model_loads_by_alias_and_insists_on_its_signature(
    tracking: Mlflow, tmp_path: Path, experiment: Experiment
) -> None:
    import mlflow

    train(tracking, tmp_path, experiment, "vision_audio", "b")
    model = mlflow.pyfunc.load_model(f"models:/{POLICY}@{CHALLENGER}")
    side = experiment.episodes.image_px
    samples = round(experiment.policy.audio_window_s * 16000)
    batch = {
        "rgb": np.zeros((2, side, side, 3), np.uint8),
        "waveform": np.zeros((2, samples), np.float32),
        "joints_rad": np.zeros((2, 7), np.float32),
        "joint_speeds_rad_s": np.zeros((2, 7), np.float32),
        "goal_fraction": np.full(2, 0.5, np.float32),
    }
    assert model.predict(batch).tolist() == [0.5, 0.5]
    with pytest.raises(mlflow.MlflowException, match="waveform"):
        model.predict(batch | {"waveform": np.zeros((2, samples - 1), np.float32)})


def test_the_sound_model_says_what_it_learned_from_and_serves(
    tracking: Mlflow, tmp_path: Path, experiment: Experiment
) -> None:
    """The real serving code on an untrained pocket model: masks in, sound out, and its papers with it."""
    import mlflow

    place = tmp_path / "models" / "audio"
    place.mkdir(parents=True)
    model_of(-2.0).save(place)
    with tracking.step("audio_model", {}) as run:
        register(
            stage_named("audio_model"),
            None,
            place,
            run,
            experiment,
            "weights-md5",
            trained_on={"clips": "clips-md5", "masks": "masks-md5", "audiovisual@000": "shard-md5"},
            summary={"licences": ["MIT"], "non_commercial": False, "validation_loss": 0.29},
        )
    client = tracking.client()
    version = version_at(client, AUDIO, CHALLENGER)
    assert version is not None
    assert {
        "dvc_md5": "weights-md5",
        "trained_on.clips": "clips-md5",
        "trained_on.masks": "masks-md5",
        "trained_on.audiovisual/000": "shard-md5",
        "licences": "MIT",
        "non_commercial": "no",
    }.items() <= version.tags.items()

    figures = {"pitch_error_octaves": 0.117, "shuffled_pitch_error_octaves": 0.304, "episodes": 12, "words": "no"}
    assert annotate(client, AUDIO, "weights-md5", figures) == str(version.version)
    assert annotate(client, AUDIO, "other-md5", figures) is None and annotate(client, AUDIO, None, figures) is None
    later = version_at(client, AUDIO, CHALLENGER)
    assert later is not None and later.tags["figure.pitch_error_octaves"] == "0.117"
    assert "figure.words" not in later.tags

    address = f"models:/{AUDIO}@{CHALLENGER}"
    metadata = mlflow.models.get_model_info(address).metadata
    assert metadata["trained_on"]["audiovisual@000"] == "shard-md5"
    assert metadata["figures"]["validation_loss"] == 0.29
    served_model = mlflow.pyfunc.load_model(address)
    masks = np.stack([probe_masks(64)[:20]] * 2)
    sounds = served_model.predict(masks, params={"seed": 3})
    assert sounds.shape == (2, 32_000) and sounds.dtype == np.float32 and np.isfinite(sounds).all()
    assert np.array_equal(sounds, served_model.predict(masks, params={"seed": 3}))
    assert not np.array_equal(sounds[0], sounds[1])
    with pytest.raises(mlflow.MlflowException):
        served_model.predict(masks.astype(np.float32))


@pytest.mark.usefixtures("served")
def test_the_alias_moves_only_when_the_gate_passes(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    """First champion, a worse challenger, a better one; `previous` keeps the way back."""
    train(tracking, tmp_path, experiment, "vision_audio", "first")
    bad = judge(tracking, tmp_path, experiment, error=0.9)
    assert not bad.promoted and bad.champion is None and "champion.max_nmae" in bad.reasons[0]
    first = judge(tracking, tmp_path, experiment, error=0.3)
    assert first.promoted and first.champion == "1"
    again = judge(tracking, tmp_path, experiment, error=0.3)
    assert not again.promoted and "is the champion already" in again.reasons[0]

    train(tracking, tmp_path, experiment, "vision_audio", "second")
    worse = judge(tracking, tmp_path, experiment, error=0.4)
    assert not worse.promoted and worse.champion == "1" and "champion.margin" in worse.reasons[0]
    better = judge(tracking, tmp_path, experiment, error=0.1)
    assert better.promoted and better.champion == "2"
    previous = version_at(tracking.client(), POLICY, PREVIOUS)
    assert previous is not None and str(previous.version) == "1"


@pytest.mark.usefixtures("served")
def test_a_champion_of_other_params_is_evaluated_again(
    tracking: Mlflow, tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kept trials had other seeds; its own weights, not the challenger's, pour again."""
    train(tracking, tmp_path, experiment, "vision_audio", "first")
    judge(tracking, tmp_path, experiment, error=0.2)
    train(tracking, tmp_path, experiment, "vision_audio", "second")
    poured: list[str] = []

    def pour_again(experiment: Experiment, inputs: object, out: Path, progress: object) -> None:
        poured.append((inputs.one("policy") / "weights.txt").read_text())  # type: ignore[attr-defined]
        write_trials(out, [trial_off_by(number, 0.2, 2) for number in range(8)])

    monkeypatch.setattr("multigen_core.evaluation.trials.run", pour_again)
    verdict = judge(tracking, tmp_path, experiment, error=0.1, seed=2)
    assert poured == ["first"]
    assert verdict.promoted and verdict.figures["improvement"] == pytest.approx(0.1)
