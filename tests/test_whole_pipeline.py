"""The whole pipeline on tiny params, for real: all stages, Dagster, DVC and MLflow, killed once on its way."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from multigen_core.params import load, override
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.stages import STAGES, output_of, partitions_of
from multigen_core.storage import check_manifest
from pipelines.instance import open_instance
from tests.skeleton import AFTER_A_DEMO, REPOSITORY, call, environment, lay_out

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1200), pytest.mark.filterwarnings("ignore")]

TINY = REPOSITORY / "experiments" / "tiny.yaml"


def start(root: Path, *arguments: str) -> "subprocess.Popen[str]":
    """``python -m pipelines`` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *arguments],
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path, process: "subprocess.Popen[str]", *, limit_s: float = 600.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline_s, f"{path} did not appear"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The project after a run that was killed outright in its third stage, and a second one that went on."""
    root = lay_out(tmp_path_factory.mktemp("whole") / "project", TINY)
    killed = start(root, "materialize")
    wait_for(root / ".multigen" / "journal" / "segmenter.json", killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    return root, call(root, "pipelines", "materialize")


@pytest.fixture(scope="module")
def root(first_run: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    return first_run[0]


def test_a_killed_run_goes_on_and_ends_with_the_table(
    first_run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, call = first_run
    assert call.returncode == 0, call.stdout + call.stderr
    assert "clips done" not in call.stdout, "clips was finished before the kill"
    assert "masks done" in call.stdout
    assert "NMAE" in call.stdout and "vision_audio" in call.stdout
    assert f"report: {root / 'reports/summary/index.html'}" in call.stdout


def test_every_output_is_whole(root: Path) -> None:
    experiment = load(TINY)
    for stage in STAGES:
        for key in partitions_of(stage, experiment):
            assert check_manifest(root / output_of(stage, key)) == []
    assert not [path for path in root.rglob(".*.partial-*") if ".dvc" not in path.parts]


def test_the_summary_has_the_keys_that_people_read(root: Path) -> None:
    summary = json.loads((root / "reports/summary/summary.json").read_text())
    assert {"profile", "lab", "embedded", "git_commit", "ablations", "audio", "wall_s"} <= set(summary)
    assert set(summary["ablations"]) == {"vision", "vision_audio", "vision_noise"}
    for row in summary["ablations"].values():
        assert {"nmae", "nmae_ci95", "nmae_of_capacity", "trials", "spilled_ml_mean", "by_container"} <= set(row)
        assert row["trials"] == load(TINY).evaluation.trials
        low, high = row["nmae_ci95"]
        assert low <= row["nmae"] <= high
        for container in row["by_container"].values():
            assert {"opaque", "nmae", "nmae_ci95", "trials"} <= set(container)
    assert {"sdr_db", "diversity", "pitch_error_octaves", "onset_lag_s", "controls"} <= set(summary["audio"])
    assert {stage.name for stage in STAGES} - set(summary["wall_s"]) <= {"report"}


def test_dvc_and_dagster_agree(root: Path) -> None:
    """`dvc status` is clean, `dvc repro` has nothing to do, and each data version is DVC's."""
    assert json.loads(call(root, "dvc", "status", "--json").stdout) == {}
    repro = call(root, "dvc", "repro", "--dry")
    assert "Data and pipelines are up to date" in repro.stdout, repro.stdout + repro.stderr
    instance = open_instance(root)
    for stage in STAGES:
        for key in partitions_of(stage, load(TINY)):
            notes = json.loads((root / f".multigen/journal/{stage.name}{f'@{key}' if key else ''}.json").read_text())
            filters = dg.AssetRecordsFilter(dg.AssetKey(stage.name), asset_partitions=[key] if key else None)
            (record,) = instance.fetch_materializations(filters, limit=1).records
            assert record.asset_materialization is not None
            assert (record.asset_materialization.tags or {})["dagster/data_version"] == notes["dvc_md5"]
            assert notes["git_commit"] != "unknown"


def test_nobody_looks_alive_who_is_not(root: Path) -> None:
    instance = open_instance(root)
    alive = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    assert instance.get_runs(dg.RunsFilter(statuses=alive)) == []
    assert len(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))) <= 1


def test_a_second_run_makes_nothing(root: Path) -> None:
    again = call(root, "pipelines", "materialize")
    assert again.returncode == 0, again.stdout + again.stderr
    assert ": 0 made, " in again.stdout and " done in " not in again.stdout


@pytest.mark.parametrize("line", AFTER_A_DEMO)
def test_what_readme_offers_after_a_demo(line: str, root: Path) -> None:
    done = call(root, *shlex.split(line)[2:])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_registered_models_load_and_predict(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a robot would fetch them: by name and alias."""
    import mlflow

    experiment = load(TINY)
    uri = f"sqlite:///{root}/.multigen/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    side, samples = experiment.episodes.image_px, round(experiment.policy.audio_window_s * SAMPLE_RATE_HZ)
    actions = mlflow.pyfunc.load_model("models:/multigen-policy@challenger").predict(
        {
            "rgb": np.zeros((2, side, side, 3), np.uint8),
            "waveform": np.zeros((2, samples), np.float32),
            "joints_rad": np.zeros((2, 7), np.float32),
            "joint_speeds_rad_s": np.zeros((2, 7), np.float32),
            "goal_fraction": np.full(2, 0.5, np.float32),
        }
    )
    assert actions.shape == (2, experiment.policy.chunk, 3) and np.isfinite(actions).all()
    masks = np.zeros((1, 20, side, side), np.uint8)
    masks[:, :, side // 2 :] = 3
    sound = mlflow.pyfunc.load_model("models:/multigen-audio@challenger").predict(masks)
    assert sound.shape == (1, 2 * SAMPLE_RATE_HZ) and np.isfinite(sound).all()


@pytest.mark.parametrize("asset", ["audio_champion", "champion"])
def test_a_champion_says_why(root: Path, asset: str) -> None:
    verdict = json.loads((root / f".multigen/journal/{asset}.json").read_text())
    assert verdict["reasons"] and all(isinstance(reason, str) for reason in verdict["reasons"])
    assert verdict["promoted"] == (verdict["champion"] is not None)


def test_ctrl_c_keeps_what_there_was(root: Path) -> None:
    """Exit code 130, and the old output stays whole."""
    before = (root / "models/segmenter/manifest.json").read_text()
    stopped = start(root, "materialize", "--select", "segmenter", "--force")
    lines = []
    assert stopped.stdout is not None
    for line in stopped.stdout:
        lines.append(line)
        if "segmenter" in line and "/" in line and "left" in line:
            stopped.send_signal(signal.SIGINT)
            break
    rest, _ = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, "".join(lines) + rest
    assert "finished outputs are kept" in rest
    assert (root / "models/segmenter/manifest.json").read_text() == before
    assert json.loads(call(root, "dvc", "status", "--json").stdout) == {}


def test_a_mistake_is_one_sentence_and_exit_code_2(root: Path) -> None:
    kept = (root / "params.yaml").read_text()
    override(root / "params.yaml", ["clips.inbox=data/nowhere", "clips.sources=[local]"], root / "params.yaml")
    try:
        failed = call(root, "pipelines", "materialize", "--select", "clips")
    finally:
        (root / "params.yaml").write_text(kept)
    assert failed.returncode == 2, failed.stdout + failed.stderr
    (error,) = [line for line in failed.stderr.splitlines() if line.startswith("error: ")]
    assert "data/nowhere" in error
    assert "Traceback" not in failed.stderr
