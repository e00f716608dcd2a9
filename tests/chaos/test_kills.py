"""kill -9 at random moments over a tiny pipeline: what is there is whole, and the end is as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from multigen_core.params import load, override
from multigen_core.stages import JOURNAL, output_of, stage_named
from multigen_core.storage import check_manifest, finished
from pipelines.resources.dvc import Dvc
from pipelines.units import CHAMPIONS, Unit, stage_units_of
from tests.skeleton import REPOSITORY, call, environment, lay_out

KILLS = 3
KILLS_PER_RUN = 7
"""So many times one run of the pipeline is killed, and taken up again, before it may end."""
SEEDS = (7, 8)
"""Runs take turns with these, so that each has everything to make anew."""
WITH_TIMES = {"report"}
"""Outputs whose bytes hold wall times and commits, and so differ from run to run."""

# MLflow 3.17 warns of its own dependencies' futures.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shard and one ablation: every kind of step once."""
    path = tmp_path_factory.mktemp("kills") / "params.yaml"
    changes = ['episodes.shards=["000"]', "policy.ablations=[vision_audio]"]
    override(REPOSITORY / "experiments" / "tiny.yaml", [*changes, f"seed={SEEDS[0]}"], path)
    return path


@pytest.fixture(scope="module")
def undisturbed(params: Path) -> tuple[dict[str, str], float]:
    """The versions that a run without any kill gives in a project of its own, and how long it takes."""
    root = lay_out(params.parent / "undisturbed", params)
    started_s = time.monotonic()
    whole = call(root, "pipelines", "materialize")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    return versions_in(root), time.monotonic() - started_s


@pytest.fixture(scope="module")
def root(params: Path) -> Path:
    return lay_out(params.parent / "killed", params)


def stages_of(root: Path) -> list[Unit]:
    return stage_units_of(load(root / "params.yaml"))


def folder_of(root: Path, unit: Unit) -> Path:
    return root / output_of(stage_named(unit.asset), unit.partition)


def versions_in(root: Path) -> dict[str, str]:
    dvc = Dvc(root=str(root))
    found = {unit.address: dvc.recorded(unit.asset, unit.partition) for unit in stages_of(root)}
    return {address: md5 for address, md5 in found.items() if md5 is not None and address not in WITH_TIMES}


def kill_after(root: Path, delay_s: float) -> tuple[str, list[str]]:
    """Starts a run, kills it with all its children, and returns the step it was in and the steps it had ended."""
    log = root.parent / "killed.log"
    with log.open("w") as stream:
        run = subprocess.Popen(
            [sys.executable, "-u", "-m", "pipelines", "materialize"],
            cwd=root,
            env=environment(root),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    time.sleep(delay_s)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    lines = [line.split() for line in log.read_text().splitlines() if line[:1].isdigit()]
    ended = [words[1] for words in lines if words[2:3] == ["done"]]
    begun = [words[1] for words in lines if words[2:3] == ["…"]]
    return (begun[-1] if begun and begun[-1] not in ended else "between steps"), ended


def assert_whole(root: Path) -> None:
    """Whatever stands at an output's place is complete, and nothing that is read later is half-written."""
    for unit in stages_of(root):
        folder = folder_of(root, unit)
        if folder.exists():
            assert finished(folder), f"{folder} is there without a manifest"
            assert check_manifest(folder) == [], f"{folder} is not what its manifest says"
    for path in (root / JOURNAL).glob("*.json"):
        json.loads(path.read_text())
    if (root / "dvc.lock").is_file():
        assert YAML(typ="safe").load(root / "dvc.lock")["stages"]


def test_kills_leave_no_trace(
    root: Path,
    undisturbed: tuple[dict[str, str], float],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After every kill all is whole and what had ended stays; the run that may end gives the undisturbed bytes."""
    expected, whole_s = {SEEDS[0]: undisturbed[0]}, undisturbed[1]
    kills = request.config.getoption("--kills", default=None) or KILLS
    seed = request.config.getoption("--chaos-seed", default=None) or time.time_ns() % 2**32
    moments = random.Random(seed)
    rows = [f"kill -9 of a run of {whole_s:.0f} s, --chaos-seed {seed}"]
    done = 0
    while done < kills:
        planted = SEEDS[(done // KILLS_PER_RUN) % len(SEEDS)]
        override(root / "params.yaml", [f"seed={planted}"], root / "params.yaml")
        ended: set[str] = set()
        for _ in range(min(KILLS_PER_RUN, kills - done)):
            delay_s = moments.uniform(0.5, 0.25 * whole_s)
            step, now_ended = kill_after(root, delay_s)
            done += 1
            assert_whole(root)
            ended |= set(now_ended)
            lost = (ended - set(CHAMPIONS)) & Dvc(root=str(root)).changed()
            assert not lost, f"what had ended before the kill is stale: {lost}"
            rows.append(f"{done}: after {delay_s:.1f} s in {step}; {len(ended)} steps ended so far, all whole")
        rest = call(root, "pipelines", "materialize")
        assert rest.returncode == 0, rest.stdout + rest.stderr
        again = {line.split()[1] for line in rest.stdout.splitlines() if " done in " in line and line[:1].isdigit()}
        assert again.isdisjoint(ended - set(CHAMPIONS)), f"made twice: {again & ended}"
        assert versions_in(root) == expected.setdefault(planted, versions_in(root))
        assert list(root.glob("**/.*.partial-*")) == []
    assert call(root, "pipelines", "verify").returncode == 0
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/.multigen/mlflow/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'multigen'")
    running = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
    assert running == [], "a killed run still looks alive in MLflow"
    with capsys.disabled():
        print("\n" + "\n".join(rows))
