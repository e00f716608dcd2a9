"""Where a result comes from: the commit, the stages that led to it, and what their runs left in the journal."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multigen_core.experiment import Experiment
from multigen_core.stages import JOURNAL, Inputs, partitions_of, stage_named
from multigen_core.storage import MANIFEST, file_sha256

__all__ = ["StageRecord", "commit", "stage_records", "wall_seconds"]


@dataclass(frozen=True)
class StageRecord:
    """One output folder that the report was made from."""

    key: str
    """``stage`` or ``stage@partition``, as in the journal."""
    folder: str
    """Relative to the project root."""
    files: int
    bytes: int
    manifest_sha256: str
    """Digest of the list of all files' digests: two outputs with the same one are the same."""
    wall_s: float | None
    extra: Mapping[str, str]
    """What the runner wrote besides, for example ``dvc_md5`` or ``mlflow_run_id``."""


def commit(root: Path) -> str:
    """The git commit of ``root``; ``unknown`` outside a repository or without git."""
    try:
        call = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return call.stdout.strip()


def stage_records(experiment: Experiment, inputs: Inputs) -> list[StageRecord]:
    """One record per input folder, in the order of the stages."""
    return [
        _record(stage, partition, folder, inputs.root)
        for stage, folders in inputs.folders.items()
        for partition, folder in zip(partitions_of(stage_named(stage), experiment), folders, strict=True)
    ]


def wall_seconds(root: Path) -> dict[str, float]:
    """Wall time of every stage in the journal but the report's own, summed over partitions."""
    totals: defaultdict[str, float] = defaultdict(float)
    for path in sorted((root / JOURNAL).glob("*.json")):
        stage = path.stem.partition("@")[0]
        seconds = _journal(path).get("wall_s")
        if stage != "report" and isinstance(seconds, int | float):
            totals[stage] += seconds
    return {stage: round(total, 1) for stage, total in totals.items()}


def _record(stage: str, partition: str | None, folder: Path, root: Path) -> StageRecord:
    key = f"{stage}@{partition}" if partition else stage
    files = json.loads((folder / MANIFEST).read_text())["files"]
    notes = _journal(root / JOURNAL / f"{key}.json")
    return StageRecord(
        key=key,
        folder=folder.relative_to(root).as_posix(),
        files=len(files),
        bytes=sum(row["bytes"] for row in files),
        manifest_sha256=file_sha256(folder / MANIFEST),
        wall_s=notes.pop("wall_s", None),
        extra={name: str(value) for name, value in sorted(notes.items())},
    )


def _journal(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    notes: dict[str, Any] = json.loads(path.read_text())
    return notes
