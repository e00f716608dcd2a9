"""What every asset body does: compute, hold the laws, record the version, track, report."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg

from multigen_core.errors import UserError
from multigen_core.stages import JOURNAL, stage_named
from multigen_core.storage import replace_text
from pipelines import checks, lineage, previews, registry
from pipelines.progress import StepProgress
from pipelines.project import address
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow

__all__ = ["DATA_VERSION", "extend_journal", "run_stage", "step_tags", "user_errors_as_failures"]

DATA_VERSION = "dagster/data_version"
"""Tag under which Dagster keeps an asset's data version."""


@dataclass(frozen=True)
class _Made:
    """One partition's output."""

    partition: str | None
    metadata: dict[str, dg.MetadataValue]
    verdicts: Sequence[dg.AssetCheckResult]
    md5: str | None
    """None: it breaks a law."""


def run_stage(
    context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow
) -> Iterator[dg.MaterializeResult | dg.AssetMaterialization]:
    """Materializes the stage of the asset's name for the run's partition, or for several of them one by one.

    An output that breaks a law is kept to be looked at but gets no data version, so it stays stale.

    Raises dagster.Failure with one sentence for a mistake the user can mend; partitions done before stay done.
    """
    made: list[_Made] = []
    try:
        for partition in _partitions_of(context):
            made.append(_make(context, partition, compute, dvc, mlflow))
    except BaseException:
        for one in made:
            context.log_event(_event(context, one))
        raise
    if len(made) == 1:
        (one,) = made
        version = dg.DataVersion(one.md5) if one.md5 else None
        yield dg.MaterializeResult(metadata=one.metadata, check_results=one.verdicts, data_version=version)
        return
    yield dg.MaterializeResult(check_results=checks.together({str(one.partition): one.verdicts for one in made}))
    # A result holds for all partitions of the run alike; what comes later counts, and this one has each one's version.
    yield from (_event(context, one) for one in made)


def _make(
    context: dg.AssetExecutionContext, partition: str | None, compute: Compute, dvc: Dvc, mlflow: Mlflow
) -> _Made:
    stage = stage_named(context.asset_key.to_user_string())
    name = address(stage.name, partition)
    tags = step_tags(context, compute, partition)
    started_s = time.monotonic()
    with user_errors_as_failures(), mlflow.step(name, tags) as run:
        experiment = compute.experiment()
        for section in dict.fromkeys(key.partition(".")[0] for key in stage.params):
            run.params(section, asdict(getattr(experiment, section)))
        progress = StepProgress(context.log, run, also=compute.terminal())
        place, summary = compute.run(stage.name, partition, progress)
        progress.flush()
        run.figures(summary)
        metadata = previews.figures(summary) | previews.pictures(stage, place, progress.curves)
        for page in place.glob("*.html"):
            run.file(page)
            metadata["page"] = dg.MetadataValue.path(page)
        metadata |= {"folder": dg.MetadataValue.path(place), "MLflow run": dg.MetadataValue.url(run.page)}
        metadata["wall time [s]"] = dg.MetadataValue.float(time.monotonic() - started_s)
        verdicts = checks.hold(stage, place, experiment)
        if not all(verdict.passed for verdict in verdicts):
            return _Made(partition, metadata, verdicts, None)
        md5 = dvc.commit(stage.name, partition)
        run.tag("dvc_md5", md5)
        if stage.name in registry.SERVED:
            made_from = lineage.trace(compute.folder, experiment, dvc, stage.name, partition)
            lineage.keep(made_from, run)
            registry.register(
                stage, partition, place, run, experiment, md5, trained_on=made_from.versions, summary=summary
            )
        if stage.name == "audio_report":
            registry.annotate(run.client, registry.AUDIO, dvc.recorded("audio_model", None), summary)
        origin = {"dagster_run_id": context.run_id, "git_commit": tags["git_commit"]}
        extend_journal(compute.folder, name, origin | {"dvc_md5": md5, "mlflow_run_id": run.run_id})
    return _Made(partition, metadata | {"DVC md5": dg.MetadataValue.text(md5)}, verdicts, md5)


def _event(context: dg.AssetExecutionContext, made: _Made) -> dg.AssetMaterialization:
    tags = {DATA_VERSION: made.md5} if made.md5 else None
    return dg.AssetMaterialization(context.asset_key, partition=made.partition, metadata=made.metadata, tags=tags)


def _partitions_of(context: dg.AssetExecutionContext) -> Sequence[str | None]:
    """The run's partition keys; ``[None]`` for an asset without partitions."""
    partitioned = context.has_partition_key or context.has_partition_key_range
    return context.partition_keys if partitioned else [None]


def step_tags(context: dg.AssetExecutionContext, compute: Compute, partition: str | None = None) -> dict[str, str]:
    """What leads from an MLflow run back to the Dagster run and the commit."""
    from multigen_core.evaluation.lineage import commit

    tags = {
        "dagster.run_id": context.run_id,
        "dagster.asset_key": context.asset_key.to_user_string(),
        "git_commit": commit(compute.folder),
    }
    return tags | ({"dagster.partition": partition} if partition else {})


def extend_journal(root: Path, name: str, notes: Mapping[str, object]) -> None:
    """Adds notes to the stage's file in the journal, beside its wall time."""
    path = root / JOURNAL / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.is_file() else {}
    replace_text(path, json.dumps(known | dict(notes)))


@contextmanager
def user_errors_as_failures() -> Iterator[None]:
    """Turns a mistake the user can mend into the one sentence that Dagster shows, without a stack trace above it."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
