"""Whether what was recorded is still there, byte for byte: output folders, DVC's cache, the data remote."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from multigen_core.errors import UserError
from multigen_core.experiment import Experiment
from multigen_core.stages import output_of, stage_named
from multigen_core.storage import check_manifest, finished
from pipelines.resources.dvc import Dvc, object_path
from pipelines.units import stage_units_of

__all__ = ["damaged_cache", "damaged_outputs", "missing_in_remote", "require_sound_cache"]

SHOWN = 5
"""Damaged things that one sentence names."""


def damaged_outputs(root: Path, experiment: Experiment) -> Iterator[str]:
    """A sentence for every finished output folder that differs from its manifest."""
    for unit in stage_units_of(experiment):
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
    for unit in stage_units_of(experiment):
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


def missing_in_remote(experiment: Experiment, dvc: Dvc) -> dict[str, list[str]]:
    """Address -> md5s of its recorded output that the data remote lacks; only where there are any.

    Raises UserError when there is no remote, it does not answer, or the cache lacks what tells an output's parts.
    """
    cache = dvc.cache()
    recorded = {unit.address: dvc.recorded(unit.asset, unit.partition) for unit in stage_units_of(experiment)}
    parts = {address: _objects_of(cache, md5) for address, md5 in recorded.items() if md5 is not None}
    absent = dvc.absent_in_remote({md5 for objects in parts.values() for md5 in objects})
    return {address: lost for address, objects in parts.items() if (lost := [md5 for md5 in objects if md5 in absent])}


def _objects_of(cache: Path, md5: str) -> list[str]:
    """An output's own md5 and those of its files. Raises UserError when its listing is not in the cache."""
    if not md5.endswith(".dir"):
        return [md5]
    listing = object_path(cache, md5)
    if not listing.is_file():
        raise UserError(f"DVC's cache lacks {listing}: run `dvc fetch` first")
    return [md5, *(row["md5"] for row in json.loads(listing.read_text()))]


def _wrong_objects(cache: Path, md5: str) -> Iterator[str]:
    """Paths of objects that are absent or whose bytes are not those of their name, the listing of a folder first."""
    listing = object_path(cache, md5)
    if not _holds(listing, md5):
        yield str(listing)
        return
    if md5.endswith(".dir"):
        for row in json.loads(listing.read_text()):
            path = object_path(cache, row["md5"])
            if not _holds(path, row["md5"]):
                yield f"{path} ({row['relpath']})"


def _holds(path: Path, md5: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == md5.removesuffix(".dir")


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
