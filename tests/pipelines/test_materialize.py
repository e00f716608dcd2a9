"""What `python -m pipelines materialize` makes, skips and says, with stages that only write a line."""

import json
import shutil
from pathlib import Path
from typing import ClassVar

import dagster as dg
import pytest
from filelock import FileLock
from rich.console import Console

from multigen_core.errors import ConfigError, MissingInput, UserError
from multigen_core.experiment import Experiment
from multigen_core.params import load
from multigen_core.progress import Progress
from multigen_core.records import Summary
from multigen_core.stages import STAGES, Stage, output_of, partitions_of, stage_named
from multigen_core.storage import output_folder, write_json
from pipelines.instance import IN_PROCESS, open_instance
from pipelines.materialize import materialize
from pipelines.progress import StepProgress
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.units import CHAMPIONS, units_of
from tests.skeleton import REPOSITORY

pytestmark = pytest.mark.filterwarnings("ignore")  # Dagster and MLflow warn of their own dependencies' futures

SHARDS = load(REPOSITORY / "params.yaml").episodes.shards


class FastDvc(Dvc):
    """Versions without the seconds that DVC takes: the committed line is the version."""

    edited: ClassVar[set[str]] = set()
    """Addresses whose code or params somebody changed."""

    def commit(self, stage: str, partition: str | None) -> str:
        place = Path(self.root) / output_of(stage_named(stage), partition)
        versions = self._versions() | {f"{stage}@{partition}": (place / "line.txt").read_text()}
        Path(self.root, "versions.json").write_text(json.dumps(versions))
        return versions[f"{stage}@{partition}"]

    def recorded(self, stage: str, partition: str | None) -> str | None:
        return self._versions().get(f"{stage}@{partition}")

    def changed(self) -> set[str]:
        stages = units_of(load(Path(self.root, "params.yaml")))[: -len(CHAMPIONS)]
        never = {unit.address for unit in stages if self.recorded(unit.asset, unit.partition) is None}
        return never | self.edited

    def _versions(self) -> dict[str, str]:
        path = Path(self.root, "versions.json")
        return json.loads(path.read_text()) if path.is_file() else {}


class Stages:
    """Stands in for the stages: what ran, and what the next one shall do."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str | None]] = []
        self.line = "first"
        self.failing: tuple[str, BaseException] | None = None
        self.lawful = True

    def execute(
        self, stage: Stage, experiment: Experiment, partition: str | None, *, root: Path, progress: Progress
    ) -> tuple[Path, Summary]:
        if self.failing and self.failing[0] == partition:
            raise self.failing[1]
        with output_folder(root / output_of(stage, partition)) as out:
            (out / "line.txt").write_text(f"{stage.name} {partition} {self.line}")
            write_json(out / "summary.json", {})
        progress.update(1, 1, "line")
        progress.metric("loss", 0.5, 1)
        self.ran.append((stage.name, partition))
        return root / output_of(stage, partition), {"lines": 1}

    def hold(self, stage: Stage, folder: Path, experiment: Experiment) -> list[dg.AssetCheckResult]:
        from pipelines.laws import LAWS

        return [dg.AssetCheckResult(check_name=law.name, passed=self.lawful) for law in LAWS.get(stage.name, ())]


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    stand_in = Stages()
    monkeypatch.setattr("pipelines.resources.compute.execute", stand_in.execute)
    monkeypatch.setattr("pipelines.checks.hold", stand_in.hold)
    monkeypatch.setattr("pipelines.previews.pictures", lambda *arguments: {})
    monkeypatch.setattr("pipelines.materialize.Dvc", FastDvc)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return stand_in


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One storage for all tests here: a fresh one costs seconds."""
    root = tmp_path_factory.mktemp("project")
    for name in ("params.yaml", "dagster.yaml"):
        shutil.copy(REPOSITORY / name, root / name)
    return root


@pytest.fixture(autouse=True)
def _nothing_made(root: Path) -> None:
    (root / "versions.json").unlink(missing_ok=True)


def make(root: Path, *select: str, force: bool = False) -> str:
    """Materializes and returns what the terminal shows."""
    console = Console(record=True, quiet=False, width=120)
    materialize(root, select=select, force=force, console=console)
    return console.export_text()


def test_units_are_all_partitions_upstream_first() -> None:
    experiment = load(REPOSITORY / "params.yaml")
    units = units_of(experiment)
    expected = sum(len(partitions_of(stage, experiment)) for stage in STAGES)
    assert len(units) == expected + len(CHAMPIONS)
    assert [unit.address for unit in units if unit.asset == "episodes"] == [f"episodes@{shard}" for shard in SHARDS]
    assert [unit.address for unit in units[-2:]] == ["audio_champion", "champion"]


def test_what_is_fresh_is_skipped(root: Path, stages: Stages) -> None:
    make(root, "episodes", "noise_augmented")
    assert stages.ran == [(name, shard) for name in ("episodes", "noise_augmented") for shard in SHARDS]
    stages.ran.clear()
    assert f"{2 * len(SHARDS)} asset partitions: 0 made, {2 * len(SHARDS)} fresh" in make(
        root, "episodes", "noise_augmented"
    )
    assert stages.ran == []
    make(root, "episodes", force=True)
    assert stages.ran == [("episodes", shard) for shard in SHARDS]


@pytest.mark.parametrize(("line", "remade"), [("first", []), ("second", [("noise_augmented", SHARDS[1])])])
def test_only_new_bytes_make_what_reads_them_stale(
    root: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch, line: str, remade: list[tuple[str, str]]
) -> None:
    make(root, "episodes", "noise_augmented")
    stages.ran.clear()
    stages.line = line
    monkeypatch.setattr(FastDvc, "edited", {f"episodes@{SHARDS[1]}"})
    make(root, "+noise_augmented")
    assert stages.ran == [("episodes", SHARDS[1]), *remade]


def test_a_failing_step_is_one_sentence_and_the_next_call_goes_on(root: Path, stages: Stages) -> None:
    stages.failing = (SHARDS[1], MissingInput("the camera file is not there: put it at data/camera.yaml"))
    with pytest.raises(UserError, match=r"^the camera file is not there: put it at data/camera.yaml$"):
        make(root, "episodes")
    stages.failing = None
    stages.ran.clear()
    make(root, "episodes")
    assert stages.ran == [("episodes", shard) for shard in SHARDS[1:]]


def test_ctrl_c_reaches_the_caller(root: Path, stages: Stages) -> None:
    stages.failing = (SHARDS[1], KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        make(root, "episodes")
    assert stages.ran == [("episodes", SHARDS[0])]


def test_an_output_that_breaks_a_law_gets_no_version(root: Path, stages: Stages) -> None:
    """It is there to be looked at, nothing downstream runs, and the next call makes it again."""
    stages.lawful = False
    with pytest.raises(UserError, match=rf"episodes@{SHARDS[0]} breaks a law of its data: .*mass_conserved"):
        make(root, "episodes", "noise_augmented")
    assert stages.ran == [("episodes", SHARDS[0])]
    assert FastDvc(root=str(root)).recorded("episodes", SHARDS[0]) is None


def test_each_run_leaves_its_lineage(root: Path, stages: Stages) -> None:
    from mlflow import MlflowClient

    make(root, "masks", force=True)
    notes = json.loads((root / ".multigen/journal/masks.json").read_text())
    assert notes["dvc_md5"] == "masks None first"
    tracked = MlflowClient(f"sqlite:///{root}/.multigen/mlflow/mlflow.db").get_run(notes["mlflow_run_id"])
    assert tracked.data.tags["dagster.run_id"] == notes["dagster_run_id"]
    assert tracked.data.tags["dagster.asset_key"] == "masks"
    assert tracked.data.tags["dvc_md5"] == notes["dvc_md5"]
    assert tracked.data.metrics == {"lines": 1.0, "loss": 0.5}
    assert tracked.data.params["masks.provider"] == "unet"
    (record,) = open_instance(root).fetch_materializations(dg.AssetKey("masks"), limit=1).records
    assert record.asset_materialization is not None
    assert (record.asset_materialization.tags or {})["dagster/data_version"] == notes["dvc_md5"]
    assert {"lines", "folder", "MLflow run", "wall time [s]", "DVC md5"} <= set(record.asset_materialization.metadata)


def test_outputs_that_dvc_brought_are_adopted(root: Path, stages: Stages) -> None:
    """After `dvc pull` or `dvc repro` Dagster shows the partition with its version, and nothing is computed."""
    place = root / output_of(stage_named("episodes"), SHARDS[-1])
    make(root, "episodes")
    stages.ran.clear()
    (place / "line.txt").write_text("from elsewhere")
    FastDvc(root=str(root)).commit("episodes", SHARDS[-1])
    make(root, "episodes")
    assert stages.ran == []
    filters = dg.AssetRecordsFilter(dg.AssetKey("episodes"), asset_partitions=[SHARDS[-1]])
    (record,) = open_instance(root).fetch_materializations(filters, limit=1).records
    assert record.asset_materialization is not None
    assert (record.asset_materialization.tags or {})["dagster/data_version"] == "from elsewhere"


def test_runs_of_a_killed_process_are_buried(root: Path, stages: Stages) -> None:
    instance = open_instance(root)
    dead = instance.create_run_for_job(
        dg.define_asset_job("any", selection="episodes").resolve(asset_graph=_asset_graph()),
        status=dg.DagsterRunStatus.STARTED,
        tags={IN_PROCESS: "true"},
    )
    make(root, "segmenter")
    run = instance.get_run_by_id(dead.run_id)
    assert run is not None and run.status == dg.DagsterRunStatus.FAILURE


def _asset_graph() -> object:
    from pipelines.definitions import defs

    return defs.resolve_asset_graph()


def test_two_at_once_are_refused(root: Path, stages: Stages) -> None:
    held = FileLock(root / ".multigen" / "materialize.lock")
    with held, pytest.raises(UserError, match="another `python -m pipelines materialize` runs in"):
        make(root, "episodes")
    assert stages.ran == []


def backfill(root: Path, *, raises: bool) -> dg.ExecuteInProcessResult:
    """All shards of the episodes in one run, as Dagster's page launches a backfill."""
    from pipelines.definitions import ASSETS

    tags = {
        "dagster/asset_partition_range_start": SHARDS[0],
        "dagster/asset_partition_range_end": SHARDS[-1],
    }
    return dg.materialize(
        ASSETS,
        selection=["episodes"],
        instance=open_instance(root),
        resources={
            "compute": Compute(root=str(root)),
            "dvc": FastDvc(root=str(root)),
            "mlflow": Mlflow(root=str(root)),
        },
        tags=tags,
        raise_on_error=raises,
    )


def version_of(root: Path, shard: str) -> str | None:
    filters = dg.AssetRecordsFilter(dg.AssetKey("episodes"), asset_partitions=[shard])
    (record,) = open_instance(root).fetch_materializations(filters, limit=1).records
    assert record.asset_materialization is not None
    return (record.asset_materialization.tags or {}).get("dagster/data_version")


def test_a_backfill_in_one_run_gives_every_shard_its_own_version(root: Path, stages: Stages) -> None:
    stages.line = "backfilled"
    assert backfill(root, raises=True).success
    assert stages.ran == [("episodes", shard) for shard in SHARDS]
    assert [version_of(root, shard) for shard in SHARDS] == [f"episodes {shard} backfilled" for shard in SHARDS]


def test_a_backfill_that_fails_keeps_the_shards_before(root: Path, stages: Stages) -> None:
    stages.line = "second time"
    stages.failing = (SHARDS[1], MissingInput("the camera file is not there"))
    assert not backfill(root, raises=False).success
    assert version_of(root, SHARDS[0]) == f"episodes {SHARDS[0]} second time"
    assert FastDvc(root=str(root)).recorded("episodes", SHARDS[1]) is None
    stages.failing = None
    stages.ran.clear()
    make(root, "episodes")
    assert stages.ran == [("episodes", shard) for shard in SHARDS[1:]]


def test_a_clock_that_goes_backwards(root: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made last counts, whatever day its clock said; nothing is stale or fresh by the time."""
    import time

    stages.line = "today"
    make(root, "segmenter", force=True)
    now = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now() - 86400.0)
        stages.line = "yesterday"
        make(root, "segmenter", force=True)
    (record,) = open_instance(root).fetch_materializations(dg.AssetKey("segmenter"), limit=1).records
    assert record.asset_materialization is not None
    assert (record.asset_materialization.tags or {})["dagster/data_version"] == "segmenter None yesterday"
    stages.ran.clear()
    make(root, "segmenter")
    assert stages.ran == []


def test_an_mlflow_that_is_away_for_a_while_costs_no_work(
    root: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points of a curve wait until the server takes them again."""
    from mlflow import MlflowClient, MlflowException

    from pipelines.resources.mlflow import StepRun

    take = StepRun.curve
    refused: list[int] = []

    def curve(run: StepRun, points: list[tuple[str, float, int]]) -> None:
        if not refused:
            refused.append(len(points))
            raise MlflowException("connection refused")
        take(run, points)

    monkeypatch.setattr(StepRun, "curve", curve)
    monkeypatch.setattr(
        "pipelines.step.StepProgress", lambda *given, **named: StepProgress(*given, **named, every_s=-1.0)
    )
    make(root, "segmenter", force=True)
    notes = json.loads((root / ".multigen/journal/segmenter.json").read_text())
    tracked = MlflowClient(f"sqlite:///{root}/.multigen/mlflow/mlflow.db").get_run(notes["mlflow_run_id"])
    assert refused == [1] and tracked.data.metrics["loss"] == 0.5


def test_an_unknown_asset_is_named_with_the_known_ones(root: Path, stages: Stages) -> None:
    with pytest.raises(ConfigError, match=r"--select 'episode' names no asset; assets are clips, .*champion"):
        make(root, "episode")
