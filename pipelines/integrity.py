"""Whether what was recorded is still there, byte for byte: output folders, DVC's cache, the data remote."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from multigen_core.errors import UserError
from multigen_core.experiment import Experiment
from multigen_core.stages import output_of, stage_named
from multigen_core.storage import check_manifest, finished
from pipelines.resources.dvc import Dvc
from pipelines.units import CHAMPION, Unit, units_of

__all__ = ["damaged_cache", "damaged_outputs", "missing_in_remote", "require_sound_cache"]

SHOWN = 5
"""Damaged things that one sentence names."""


def damaged_outputs(root: Path, experiment: Experiment) -> Iterator[str]:
    """A sentence for every finished output folder that differs from its manifest."""
    for unit in _stages_of(experiment):
        folder = root / output_of(stage_named(unit.asset), unit.partition)
        if finished(folder):
            try:
                wrong = check_manifest(folder)
            except (json.JSONDecodeError, KeyError):
                yield f"{unit.address}: {folder}/manifest.json is not readable: materialize it again"
                continue
            if wrong:
                yield f"{unit.address}: {_listed(wrong)} missing or changed in {folder}: materialize it again"


def damaged_cache(root: Path, experiment: Experiment, dvc: Dvc) -> Iterator[str]:
    """A sentence for every recorded output whose bytes DVC's cache lacks or has changed."""
    cache = dvc.cache()
    for unit in _stages_of(experiment):
        md5 = dvc.recorded(unit.asset, unit.partition)
        if md5 is None:
            continue
        wrong = list(_wrong_objects(cache, md5))
        if wrong:
            place = output_of(stage_named(unit.asset), unit.partition).as_posix()
            yield (
                f"{unit.address}: DVC's cache lacks or has damaged {_listed(wrong)}: "
                f"delete these files, then run `dvc pull {place}`, or `dvc commit {unit.address}` if {place} is whole"
            )


def require_sound_cache(root: Path, experiment: Experiment, dvc: Dvc) -> None:
    """Raises UserError naming what is damaged: it must not be copied over what is whole elsewhere."""
    wrong = list(damaged_cache(root, experiment, dvc))
    if wrong:
        raise UserError("; ".join(wrong))


def missing_in_remote(dvc: Dvc) -> Iterator[str]:
    """A sentence for every recorded path that the data remote lacks. Raises UserError without a remote."""
    for path, state in sorted(dvc.cloud_status().items()):
        if state != "deleted":  # from the cache: the remote has it
            yield f"{path} is not whole in the data remote: run `dvc push {path}` where the cache is whole"


def _stages_of(experiment: Experiment) -> Iterator[Unit]:
    return (unit for unit in units_of(experiment) if unit.asset != CHAMPION)


def _wrong_objects(cache: Path, md5: str) -> Iterator[str]:
    """Paths of objects that are absent or whose bytes are not those of their name, the listing of a folder first."""
    listing = _object(cache, md5)
    if not _holds(listing, md5):
        yield str(listing)
        return
    if md5.endswith(".dir"):
        for row in json.loads(listing.read_text()):
            path = _object(cache, row["md5"])
            if not _holds(path, row["md5"]):
                yield f"{path} ({row['relpath']})"


def _object(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _holds(path: Path, md5: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == md5.removesuffix(".dir")


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
