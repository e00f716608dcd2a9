"""Decisions in the registry: written down, one at a time, and taken back."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from multigen_core.errors import ConfigError, MissingInput, UserError
from multigen_core.experiment import Experiment
from pipelines import promotion
from pipelines.registry import CHALLENGER, CHAMPION, POLICY, PREVIOUS, version_at
from pipelines.resources.mlflow import Mlflow
from tests.pipelines.contenders import judge, poured_with, train, write_trials_off_by
from tests.skeleton import REPOSITORY, environment

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("served")]

RIVAL = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from multigen_core.evaluation import gate as gates
    from multigen_core.params import load
    from multigen_core.progress import Silent
    from pipelines.contests import PolicyContest
    from pipelines.promotion import judge
    from pipelines.resources.dvc import Dvc
    from pipelines.resources.mlflow import Mlflow

    root, name = Path(sys.argv[1]), sys.argv[2]
    decide = gates.gate

    def slow(*arguments):
        # Long enough for the other process to have read the aliases too, if nothing held it back.
        time.sleep(3)
        return decide(*arguments)

    gates.gate = slow
    with Mlflow(root=str(root), server="").step("champion", {}) as run:
        (root / f"{name}.ready").touch()
        while len(list(root.glob("*.ready"))) < 2:
            time.sleep(0.01)
        contest = PolicyContest(load(root / "params.yaml"), root, Dvc(root=str(root)))
        verdict = judge(contest, run, Silent())
    print("promoted" if verdict.promoted else "refused", verdict.champion)
    """
)


def alias(tracking: Mlflow, name: str) -> str | None:
    version = version_at(tracking.client(), POLICY, name)
    return None if version is None else str(version.version)


@pytest.fixture
def two_champions(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> Path:
    """Version 1 was champion, version 2 is."""
    for md5, error in (("first", 0.3), ("second", 0.1)):
        train(tracking, tmp_path, experiment, "vision_audio", md5)
        assert judge(tracking, tmp_path, experiment, error=error).promoted
    return tmp_path


def test_every_decision_is_written_to_its_version(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    """Why, when, against whom and on which figures; a refusal too."""
    train(tracking, tmp_path, experiment, "vision_audio", "first")
    judge(tracking, tmp_path, experiment, error=0.3)
    train(tracking, tmp_path, experiment, "vision_audio", "second")
    refused = judge(tracking, tmp_path, experiment, error=0.4)
    first, second = (tracking.client().get_model_version(POLICY, number).tags for number in ("1", "2"))
    assert first["decision"] == "promoted" and first["decision.against"] == "none"
    assert second["decision"] == "refused" and second["decision.against"] == "1"
    assert second["decision.reasons"] == "; ".join(refused.reasons)
    figures = json.loads(second["decision.figures"])
    assert figures == refused.figures
    assert figures["improvement"] == pytest.approx(-0.1) and figures["container_loss_max"] == pytest.approx(0.1)


def test_a_version_knows_its_dagster_run_and_commit(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    from multigen_core.stages import stage_named
    from pipelines.registry import register

    (tmp_path / "weights.txt").write_text("w")
    tags = {
        "dagster.run_id": "r",
        "dagster.asset_key": "policy",
        "dagster.partition": "vision_audio",
        "git_commit": "c",
    }
    with tracking.step("policy@vision_audio", tags) as run:
        register(stage_named("policy"), "vision_audio", tmp_path, run, experiment, "m.dir")
    version = version_at(tracking.client(), POLICY, CHALLENGER)
    assert version is not None and version.tags == tags | {"dvc_md5": "m.dir", "ablation": "vision_audio"}


def test_trials_of_another_policy_decide_nothing(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    """A policy that was trained since is not judged by what the earlier one poured."""
    train(tracking, tmp_path, experiment, "vision_audio", "new")
    poured_with(tmp_path, "old")
    with pytest.raises(MissingInput, match="materialize evaluation@vision_audio and what is before it first"):
        judge(tracking, tmp_path, experiment, error=0.1)
    assert alias(tracking, CHAMPION) is None
    poured_with(tmp_path, "new")
    assert judge(tracking, tmp_path, experiment, error=0.1).promoted


def test_an_ablation_that_nobody_trains_is_said(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    other = replace(experiment, policy=replace(experiment.policy, ablations=("vision",)))
    with pytest.raises(ConfigError, match=r"policy\.ablations trains only vision"):
        judge(tracking, tmp_path, other, error=0.1)


def test_another_protocol_is_another_trial(
    two_champions: Path, tracking: Mlflow, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same cups, goals and seeds, but a slower camera: the champion pours again before it is compared."""
    slower = replace(experiment, evaluation=replace(experiment.evaluation, camera_latency_s=0.5))
    train(tracking, two_champions, slower, "vision_audio", "third")
    poured: list[str] = []

    def pour_again(experiment: Experiment, inputs: object, out: Path, progress: object) -> None:
        poured.append((inputs.one("policy") / "weights.txt").read_text())  # type: ignore[attr-defined]
        (out / "trials.parquet").write_bytes(
            (two_champions / "reports/evaluation/vision_audio/trials.parquet").read_bytes()
        )

    monkeypatch.setattr("multigen_core.evaluation.trials.run", pour_again)
    assert not judge(tracking, two_champions, slower, error=0.2).promoted
    assert not judge(tracking, two_champions, slower, error=0.2).promoted
    assert poured == ["second"], "the new trials of the champion are kept for the next comparison"


def test_a_rollback_restores_and_withdraws(two_champions: Path, tracking: Mlflow, experiment: Experiment) -> None:
    """The version that was withdrawn does not come back by itself; a new one may."""
    said: list[str] = []
    assert promotion.roll_back(tracking.client(), two_champions, "spills in the shop", said.append) == ("2", "1")
    assert alias(tracking, CHAMPION) == "1" and alias(tracking, PREVIOUS) is None
    withdrawn = tracking.client().get_model_version(POLICY, "2").tags
    assert withdrawn["rolled_back.reason"] == "spills in the shop"
    again = judge(tracking, two_champions, experiment, error=0.1)
    assert not again.promoted and "was rolled back on" in again.reasons[0]
    with pytest.raises(MissingInput, match="nothing to go back to"):
        promotion.roll_back(tracking.client(), two_champions, "once more", said.append)
    train(tracking, two_champions, experiment, "vision_audio", "third")
    assert judge(tracking, two_champions, experiment, error=0.05).promoted
    assert (alias(tracking, CHAMPION), alias(tracking, PREVIOUS)) == ("3", "1")


def test_a_rollback_goes_back_step_by_step(two_champions: Path, tracking: Mlflow, experiment: Experiment) -> None:
    train(tracking, two_champions, experiment, "vision_audio", "third")
    assert judge(tracking, two_champions, experiment, error=0.02).promoted
    for expected in (("3", "2"), ("2", "1")):
        assert promotion.roll_back(tracking.client(), two_champions, "worse", print) == expected
    assert (alias(tracking, CHAMPION), alias(tracking, PREVIOUS)) == ("1", None)


def test_a_rollback_needs_a_reason(two_champions: Path, tracking: Mlflow) -> None:
    with pytest.raises(UserError, match="needs a reason"):
        promotion.roll_back(tracking.client(), two_champions, " ", print)
    assert alias(tracking, CHAMPION) == "2"


def test_two_promotions_at_once_cannot_both_win(tracking: Mlflow, tmp_path: Path, experiment: Experiment) -> None:
    """Two real processes that start to judge at the same moment."""
    (tmp_path / "params.yaml").write_bytes((REPOSITORY / "experiments" / "tiny.yaml").read_bytes())
    train(tracking, tmp_path, experiment, "vision_audio", "first")
    judge(tracking, tmp_path, experiment, error=0.3)
    train(tracking, tmp_path, experiment, "vision_audio", "second")
    write_trials_off_by(tmp_path, 0.1)
    variables = environment(tmp_path) | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, str(tmp_path), name],
            env=variables,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    ends = [rival.communicate(timeout=300) for rival in rivals]
    assert all(rival.returncode == 0 for rival in rivals), ends
    assert sorted(out.splitlines()[-1] for out, _ in ends) == ["promoted 2", "refused 2"]
    assert (alias(tracking, CHAMPION), alias(tracking, PREVIOUS)) == ("2", "1")
