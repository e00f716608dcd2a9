"""The audio model's way from challenger to champion and back, in a real registry."""

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from multigen_core.audio_model.report import SCORES
from multigen_core.audio_model.report import run as report
from multigen_core.dataset.lerobot import write_shard
from multigen_core.dub.audiovisual import run as dub
from multigen_core.dub.noise_augmented import run as noise
from multigen_core.errors import MissingInput, UserError
from multigen_core.experiment import Experiment
from multigen_core.params import load
from multigen_core.progress import Silent
from multigen_core.stages import Inputs, output_of, stage_named
from pipelines import promotion
from pipelines.__main__ import main
from pipelines.assets.champions import audio_champion
from pipelines.contests import AudioContest
from pipelines.jobs import roll_back_champion
from pipelines.registry import AUDIO, CHAMPION, POLICY, PREVIOUS, version_at
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import DATA_VERSION
from tests.audio_model.test_probe import model_of
from tests.pipelines.contenders import judge, judge_audio, train, train_audio, write_scores_off_by
from tests.pours import made_up_episode
from tests.skeleton import REPOSITORY

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("served")]


def alias(tracking: Mlflow, model: str, name: str) -> str | None:
    version = version_at(tracking.client(), model, name)
    return None if version is None else str(version.version)


def test_challenger_champion_previous_and_back(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    """A deaf one, a first champion, a worse one, a better one; each decision is written down; one is taken back."""
    train_audio(tracking, tmp_path, experiment, "deaf")
    deaf = judge_audio(tracking, tmp_path, experiment, error=0.5)
    assert not deaf.promoted and "may be chance" in deaf.reasons[0] and alias(tracking, AUDIO, CHAMPION) is None
    for md5, error, promoted in (("first", 0.3, True), ("worse", 0.35, False), ("better", 0.1, True)):
        train_audio(tracking, tmp_path, experiment, md5)
        assert judge_audio(tracking, tmp_path, experiment, error=error).promoted is promoted
    assert (alias(tracking, AUDIO, CHAMPION), alias(tracking, AUDIO, PREVIOUS)) == ("4", "2")
    refused, won = (tracking.client().get_model_version(AUDIO, number).tags for number in ("3", "4"))
    assert refused["decision"] == "refused" and refused["decision.against"] == "2"
    assert "audio_champion.margin" in refused["decision.reasons"]
    assert won["decision"] == "promoted" and won["replaced"] == "2"
    assert json.loads(won["decision.figures"])["improvement"] == pytest.approx(0.2)

    back = promotion.roll_back(tracking.client(), tmp_path, "hisses", print, model=AUDIO)
    assert back == ("4", "2") and alias(tracking, AUDIO, CHAMPION) == "2"
    again = judge_audio(tracking, tmp_path, experiment, error=0.1)
    assert not again.promoted and "was rolled back on" in again.reasons[0]


def materialized(root: Path, tracking: Mlflow) -> dg.ExecuteInProcessResult:
    """The asset in a real Dagster run."""
    resources = {"compute": Compute(root=str(root)), "dvc": Dvc(root=str(root)), "mlflow": tracking}
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([audio_champion], instance=instance, resources=resources)


def test_the_asset_moves_the_alias_and_a_refusal_is_a_warning(
    tracking: Mlflow, tmp_path: Path, experiment: Experiment
) -> None:
    (tmp_path / "params.yaml").write_bytes((REPOSITORY / "experiments" / "tiny.yaml").read_bytes())
    verdicts = []
    for md5, error in (("first", 0.2), ("worse", 0.3)):
        train_audio(tracking, tmp_path, experiment, md5)
        write_scores_off_by(tmp_path, error)
        result = materialized(tmp_path, tracking)
        assert result.success
        (check,) = result.get_asset_check_evaluations()
        verdicts.append((check.passed, check.blocking, check.severity.value))
        (event,) = result.asset_materializations_for_node("audio_champion")
        assert event.tags is not None and event.tags[DATA_VERSION] == "1"
    assert verdicts == [(True, True, "WARN"), (False, True, "WARN")]
    assert alias(tracking, AUDIO, CHAMPION) == "1"
    notes = json.loads((tmp_path / ".multigen/journal/audio_champion.json").read_text())
    assert notes["champion"] == "1" and notes["challenger"] == "2" and not notes["promoted"]
    contest = AudioContest(load(tmp_path / "params.yaml"), tmp_path, Dvc(root=str(tmp_path)))
    assert notes["evidence"] == contest.evidence(), "nothing to judge again until something changes"


def test_the_job_takes_a_promotion_back(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    for md5, error in (("first", 0.3), ("second", 0.1)):
        train_audio(tracking, tmp_path, experiment, md5)
        assert judge_audio(tracking, tmp_path, experiment, error=error).promoted
    result = roll_back_champion.execute_in_process(
        run_config={"ops": {"restore_previous": {"config": {"reason": "hisses", "model": AUDIO}}}},
        resources={"compute": Compute(root=str(tmp_path)), "mlflow": tracking},
    )
    assert result.success and alias(tracking, AUDIO, CHAMPION) == "1"
    (event,) = result.filter_events(lambda event: event.is_step_materialization)
    assert event.asset_key == dg.AssetKey("audio_champion")
    assert event.step_materialization_data.materialization.tags == {DATA_VERSION: "1"}


def test_the_command_takes_a_promotion_back(
    tracking: Mlflow,
    tmp_path: Path,
    experiment: Experiment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for md5, error in (("first", 0.3), ("second", 0.1)):
        train_audio(tracking, tmp_path, experiment, md5)
        judge_audio(tracking, tmp_path, experiment, error=error)
    (tmp_path / "params.yaml").write_bytes((REPOSITORY / "experiments" / "tiny.yaml").read_bytes())
    for name in ("MULTIGEN_ROOT", "DAGSTER_HOME"):  # the command sets both
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["rollback", "--model", AUDIO, "--reason", "hisses"]) == 0
    assert "champion is version 1 again; version 2 was withdrawn" in capsys.readouterr().out
    assert main(["rollback", "--reason", "hisses"]) == 2
    assert f"{POLICY} has no version 'previous'" in capsys.readouterr().err


def test_the_two_contests_do_not_touch_each_other(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    train(tracking, tmp_path, experiment, "vision_audio", "policy")
    train_audio(tracking, tmp_path, experiment, "sound")
    assert judge(tracking, tmp_path, experiment, error=0.1).promoted
    assert alias(tracking, AUDIO, CHAMPION) is None
    assert judge_audio(tracking, tmp_path, experiment, error=0.1).promoted
    with pytest.raises(MissingInput, match=f"{AUDIO} has no version 'previous'"):
        promotion.roll_back(tracking.client(), tmp_path, "worse", print, model=AUDIO)
    with pytest.raises(UserError, match=f"models are {AUDIO}, {POLICY}"):
        promotion.roll_back(tracking.client(), tmp_path, "worse", print, model="multigen")
    assert (alias(tracking, AUDIO, CHAMPION), alias(tracking, POLICY, CHAMPION)) == ("1", "1")


class Locked(Dvc):
    """A dvc.lock and what `dvc status` says, without the project that they are of."""

    report: str
    """Audio model that the report had read."""
    dubbed: str
    """The one that made the shards' sounds."""
    stale: bool

    def read(self, stage: str, partition: str | None) -> dict[str, str]:
        return {"models/audio": self.report if stage == "audio_report" else self.dubbed}

    def changed(self) -> set[str]:
        return {"audio_report"} if self.stale else set()


@pytest.mark.parametrize(
    ("report", "dubbed", "stale", "judged"),
    [
        ("new", "new", False, True),
        ("old", "new", False, False),
        ("new", "old", False, False),
        ("new", "new", True, False),
    ],
    ids=["its own", "an earlier model's report", "sounds of an earlier model", "a report on earlier sounds"],
)
def test_scores_of_another_model_decide_nothing(
    tracking: Mlflow, tmp_path: Path, experiment: Experiment, report: str, dubbed: str, stale: bool, judged: bool
) -> None:
    """What was dubbed before the last training says nothing about it, although the report is newer."""
    train_audio(tracking, tmp_path, experiment, "new")
    dvc = Locked(root=str(tmp_path), report=report, dubbed=dubbed, stale=stale)
    if judged:
        assert judge_audio(tracking, tmp_path, experiment, error=0.1, dvc=dvc).promoted
    else:
        with pytest.raises(MissingInput, match="materialize audio_report and what is before it first"):
            judge_audio(tracking, tmp_path, experiment, error=0.1, dvc=dvc)


def test_a_champion_of_other_params_is_scored_again(
    tracking: Mlflow, tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own weights, once."""
    train_audio(tracking, tmp_path, experiment, "first")
    judge_audio(tracking, tmp_path, experiment, error=0.2)
    other = replace(experiment, seed=experiment.seed + 1)
    train_audio(tracking, tmp_path, other, "second")
    scored: list[str] = []

    def score_again(contest: AudioContest, weights: Path, out: Path, progress: object) -> None:
        scored.append((weights / "weights.txt").read_text())
        (out / SCORES).write_bytes((tmp_path / "reports/audio" / SCORES).read_bytes())

    monkeypatch.setattr(AudioContest, "measure", score_again)
    for _ in range(2):
        assert not judge_audio(tracking, tmp_path, other, error=0.1).promoted, "it is compared with its own scores"
    assert scored == ["first"]


def test_scoring_again_is_what_the_stages_do(tmp_path: Path, experiment: Experiment) -> None:
    """The champion's weights, dubbed and scored by the gate, get the figures that the stages gave them."""
    compute = replace(experiment.compute, engine="serial")
    listened = replace(experiment.audio_report, episodes=3)
    experiment = replace(experiment, compute=compute, audio_report=listened)
    weights = tmp_path / "weights"
    weights.mkdir()
    model_of(-2.0).save(weights)
    made: dict[str, list[Path]] = {"audiovisual": [], "noise_augmented": []}
    for number, shard in enumerate(experiment.episodes.shards):
        silent = tmp_path / output_of(stage_named("episodes"), shard)
        write_shard(silent, [made_up_episode(seed) for seed in range(2 * number, 2 * number + 2)])
        for stage, run in (("audiovisual", dub), ("noise_augmented", noise)):
            made[stage].append(tmp_path / output_of(stage_named(stage), shard))
            made[stage][-1].mkdir(parents=True)
            inputs = Inputs(tmp_path, {"episodes": (silent,), "audio_model": (weights,)}, shard)
            run(experiment, inputs, made[stage][-1], Silent())
    folders = {"audio_model": (weights,), **{stage: tuple(paths) for stage, paths in made.items()}}
    outs = [tmp_path / "by_stages", tmp_path / "scratch" / "audio_report"]
    for out in outs:
        out.mkdir(parents=True)
    report(experiment, Inputs(tmp_path, folders, None), outs[0], Silent())
    AudioContest(experiment, tmp_path, Dvc(root=str(tmp_path))).measure(weights, outs[1], Silent())
    first, second = (pd.read_parquet(out / SCORES) for out in outs)
    pd.testing.assert_frame_equal(first, second)
    assert np.isfinite(first["sdr_db"]).all()
