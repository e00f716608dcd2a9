"""From a registered model back to the clips: what it was made from, written down when it is registered."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment
from multigen_core.stages import JOURNAL, output_of, stage_named
from pipelines.registry import AUDIO, version_named
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import StepRun
from pipelines.units import Unit, ancestors_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Clip", "Lineage", "Origin", "keep", "lineage_of", "sentences", "trace"]

LINEAGE = "lineage.json"
"""Artifact of the MLflow run that trained the model."""
_JOURNALLED = {"git_commit": "commit", "dagster_run_id": "dagster_run_id", "mlflow_run_id": "mlflow_run_id"}


@dataclass(frozen=True)
class Origin:
    """One asset partition that the model rests on."""

    address: str
    md5: str | None
    """DVC's md5 of the output; with it in the cache or the remote the bytes come back."""
    commit: str | None
    dagster_run_id: str | None
    """This, the commit and the MLflow run are None for an output that `dvc repro` or `dvc pull` brought."""
    mlflow_run_id: str | None


@dataclass(frozen=True)
class Clip:
    """One clip that the audio model learned from."""

    clip_id: str
    source: str
    source_id: str
    licence: str
    sha256: str
    """Of the recording it was cut from."""


@dataclass(frozen=True)
class Lineage:
    """Everything a model rests on."""

    origins: tuple[Origin, ...]
    """Upstream first."""
    clips: tuple[Clip, ...]

    @property
    def versions(self) -> dict[str, str]:
        """Address -> DVC md5 of every output that has one."""
        return {origin.address: origin.md5 for origin in self.origins if origin.md5 is not None}


def trace(root: Path, experiment: Experiment, dvc: Dvc, stage: str, partition: str | None) -> Lineage:
    """What the output of the stage rests on now, by dvc.lock, the journal and the catalogue of clips."""
    origins = [_origin(root, dvc, unit) for unit in ancestors_of(Unit(stage, partition), experiment)]
    heard = any(origin.address == "clips" for origin in origins)
    return Lineage(tuple(origins), tuple(_clips(root)) if heard else ())


def keep(lineage: Lineage, run: StepRun) -> None:
    """Stores the lineage with the MLflow run of the training."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / LINEAGE
        path.write_text(json.dumps(asdict(lineage), indent=1))
        run.file(path)


def lineage_of(
    client: "MlflowClient", uri: str, root: Path, experiment: Experiment, dvc: Dvc
) -> "tuple[ModelVersion, Lineage]":
    """The version that ``models:/name@alias`` or ``models:/name/number`` names, and what it rests on.

    Versions that were registered before lineages were kept are traced in the project as it stands, if it still holds
    their weights.

    Raises MissingInput when there is no such version, or nothing tells its lineage any more.
    """
    version = version_named(client, uri)
    kept = _kept(client, version)
    if kept is not None:
        return version, kept
    stage = "audio_model" if version.name == AUDIO else "policy"
    partition = version.tags.get("ablation")
    if dvc.recorded(stage, partition) != version.tags.get("dvc_md5"):
        raise MissingInput(
            f"{version.name} version {version.version} keeps no {LINEAGE}, and dvc.lock records other weights than its "
            f"{version.tags.get('dvc_md5')}: check out the commit it was trained at first"
        )
    return version, trace(root, experiment, dvc, stage, partition)


def sentences(client: "MlflowClient", version: "ModelVersion", lineage: Lineage) -> Iterator[str]:
    """The chain in lines: the version, how it was decided on, its run, what it rests on, the clips by licence."""
    run = client.get_run(version.run_id or "")
    tags = {**run.data.tags, **version.tags}
    yield f"{version.name} version {version.version}" + "".join(f" @{alias}" for alias in version.aliases)
    for name in (
        "decision",
        "decision.at",
        "decision.against",
        "decision.reasons",
        "rolled_back",
        "rolled_back.reason",
    ):
        if name in tags:
            yield f"  {name}: {tags[name]}"
    asset = tags.get("dagster.asset_key", "?") + (
        f"@{tags['dagster.partition']}" if "dagster.partition" in tags else ""
    )
    yield f"  trained as {asset}, DVC md5 {tags.get('dvc_md5')}, commit {tags.get('git_commit')}"
    yield f"  MLflow run {version.run_id}, Dagster run {tags.get('dagster.run_id')}"
    yield "rests on"
    for origin in lineage.origins:
        registered = _registered_as(client, origin) if origin.address == "audio_model" else ""
        runs = f"Dagster run {origin.dagster_run_id}, MLflow run {origin.mlflow_run_id}, commit {origin.commit}"
        known = runs if origin.dagster_run_id else "no run known"
        yield f"  {origin.address}{registered}: DVC md5 {origin.md5}, {known}"
    yield f"{len(lineage.clips)} clips"
    counted = Counter((clip.licence, clip.source) for clip in lineage.clips)
    for (licence, source), count in sorted(counted.items()):
        yield f"  {count} from {source}, licence {licence}"


def _origin(root: Path, dvc: Dvc, unit: Unit) -> Origin:
    path = root / JOURNAL / f"{unit.address}.json"
    notes: Mapping[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    md5 = dvc.recorded(unit.asset, unit.partition)
    # The journal may tell of a run whose output was replaced by `dvc pull` since.
    known = {field: notes.get(name) for name, field in _JOURNALLED.items()} if notes.get("dvc_md5") == md5 else {}
    return Origin(unit.address, md5, known.get("commit"), known.get("dagster_run_id"), known.get("mlflow_run_id"))


def _clips(root: Path) -> Iterator[Clip]:
    from multigen_core.clips.catalogue import read_catalogue

    columns = ["clip_id", "source", "source_id", "licence", "sha256"]
    catalogue = read_catalogue(root / output_of(stage_named("clips"), None))
    for row in catalogue[columns].itertuples(index=False):
        yield Clip(*(str(value) for value in row))


def _kept(client: "MlflowClient", version: "ModelVersion") -> Lineage | None:
    import mlflow

    if LINEAGE not in {file.path for file in client.list_artifacts(version.run_id or "")}:
        return None
    said = mlflow.artifacts.load_dict(f"runs:/{version.run_id}/{LINEAGE}")
    origins = tuple(Origin(**origin) for origin in said["origins"])
    return Lineage(origins, tuple(Clip(**clip) for clip in said["clips"]))


def _registered_as(client: "MlflowClient", origin: Origin) -> str:
    for version in client.search_model_versions(f"name = '{AUDIO}'"):
        if version.tags.get("dvc_md5") == origin.md5:
            return f" ({AUDIO} version {version.version})"
    return ""
