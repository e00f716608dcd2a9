"""What every asset body does: compute, hold the laws, record the version, track, report."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import dagster as dg

from multigen_core.errors import UserError
from multigen_core.experiment import Experiment
from multigen_core.stages import JOURNAL, Stage, partitions_of, stage_named
from pipelines import checks, previews, registry
from pipelines.progress import StepProgress
from pipelines.project import address
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow

__all__ = ["extend_journal", "partition_of", "run_stage", "step_tags", "user_errors_as_failures", "versions_of"]


def run_stage(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """Materializes the stage of the asset's name for the run's partition.

    An output that breaks a law is kept to be looked at but gets no data version, so it stays stale.

    Raises dagster.Failure with one sentence for a mistake the user can mend.
    """
    stage, partition = stage_named(context.asset_key.to_user_string()), partition_of(context)
    name = address(stage.name, partition)
    tags = step_tags(context, compute)
    started_s = time.monotonic()
    with user_errors_as_failures(), mlflow.step(name, tags) as run:
        experiment = compute.experiment()
        for section in stage.params:
            run.params(section, asdict(getattr(experiment, section)))
        progress = StepProgress(context.log, run, also=compute.terminal())
        place, summary = compute.run(stage.name, partition, progress)
        progress.flush()
        run.figures(summary)
        for page in place.glob("*.html"):
            run.file(page)
        metadata = previews.figures(summary) | previews.pictures(stage, place, progress.curves)
        metadata |= {"folder": dg.MetadataValue.path(place), "MLflow run": dg.MetadataValue.url(run.page)}
        metadata["wall time [s]"] = dg.MetadataValue.float(time.monotonic() - started_s)
        verdicts = checks.hold(stage, place, experiment)
        if not all(verdict.passed for verdict in verdicts):
            return dg.MaterializeResult(metadata=metadata, check_results=verdicts)
        md5 = dvc.commit(stage.name, partition)
        run.tag("dvc_md5", md5)
        trained_on = versions_of(stage, partition, dvc, experiment)
        registry.register(stage, partition, place, run, experiment, md5, trained_on=trained_on, summary=summary)
        if stage.name == "audio_report":
            registry.annotate(run.client, registry.AUDIO, dvc.recorded("audio_model", None), summary)
        lineage = {"dagster_run_id": context.run_id, "git_commit": tags["git_commit"]}
        extend_journal(compute.folder, name, lineage | {"dvc_md5": md5, "mlflow_run_id": run.run_id})
    return dg.MaterializeResult(
        metadata=metadata | {"DVC md5": md5}, check_results=verdicts, data_version=dg.DataVersion(md5)
    )


def versions_of(stage: Stage, partition: str | None, dvc: Dvc, experiment: Experiment) -> dict[str, str]:
    """Address -> DVC md5 of everything the stage read, as far as dvc.lock has it."""
    versions = {}
    for name in stage.inputs:
        upstream = stage_named(name)
        same = upstream.partitions is not None and upstream.partitions == stage.partitions
        for key in (partition,) if same else partitions_of(upstream, experiment):
            md5 = dvc.recorded(name, key)
            if md5 is not None:
                versions[address(name, key)] = md5
    return versions


def partition_of(context: dg.AssetExecutionContext) -> str | None:
    """The run's partition key; None for an asset without partitions."""
    return context.partition_key if context.has_partition_key else None


def step_tags(context: dg.AssetExecutionContext, compute: Compute) -> dict[str, str]:
    """What leads from an MLflow run back to the Dagster run and the commit."""
    from multigen_core.evaluation.lineage import commit

    tags = {
        "dagster.run_id": context.run_id,
        "dagster.asset_key": context.asset_key.to_user_string(),
        "git_commit": commit(compute.folder),
    }
    partition = partition_of(context)
    return tags | ({"dagster.partition": partition} if partition else {})


def extend_journal(root: Path, name: str, notes: Mapping[str, object]) -> None:
    """Adds notes to the stage's file in the journal, beside its wall time."""
    path = root / JOURNAL / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | dict(notes)))


@contextmanager
def user_errors_as_failures() -> Iterator[None]:
    """Turns a mistake the user can mend into the one sentence that Dagster shows, without a stack trace above it."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
