"""Output folders that are whole or not there.

A stage writes into a hidden folder beside its place; when it has finished, a manifest with checksums is added and
the folder changes places with the old one in one step. A killed run leaves the old folder or the new one.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from multigen_core.errors import MissingInput, UserError
from multigen_core.records import Summary

__all__ = ["check_manifest", "file_sha256", "finished", "output_folder", "read_summary", "replace_text", "write_json"]

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
ALMOST_FULL_BYTES = 1 << 20
"""Less free space than this explains why a library could not write, whatever it calls that."""
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def file_sha256(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, values: Any) -> None:
    """Readable JSON with sorted keys and no NaN: the same values give the same bytes."""
    path.write_text(json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Writes the file in one step: a killed process leaves the old text or the new one."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes the file in one step, too."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def finished(folder: Path) -> bool:
    """Whether the folder holds a stage's complete output."""
    return (folder / MANIFEST).is_file()


def read_summary(folder: Path) -> Summary:
    """The figures of a finished stage. Raises MissingInput when there are none."""
    if not finished(folder):
        raise MissingInput(f"{folder} holds no finished output: run its stage first")
    summary: Summary = json.loads((folder / SUMMARY).read_text())
    return summary


@contextmanager
def output_folder(place: Path) -> Iterator[Path]:
    """A fresh folder to write into that becomes ``place`` when the block ends without an exception.

    Raises UserError when the disk is full or the folder above may not be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for left_behind in place.parent.glob(f".{place.name}.partial-*"):
            if not _is_running(int(left_behind.name.rsplit("-", 1)[1])):
                shutil.rmtree(left_behind, ignore_errors=True)
        partial = place.parent / f".{place.name}.partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except OSError as error:
        raise _explained(error, place.parent) from error
    try:
        yield partial
        _write_manifest(partial)
        _take_place(partial, place)
    except UserError:
        raise
    except Exception as error:
        raise _explained(error, place.parent) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _explained(error: Exception, folder: Path) -> Exception:
    """What is wrong with the disk in one sentence, or the error itself when it has nothing to do with the disk."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _NOT_ALLOWED and not os.access(folder, os.W_OK):
        return UserError(f"{folder} may not be written: check its owner and whether its disk is mounted read-only")
    if number in _DISK_FULL or (folder.is_dir() and shutil.disk_usage(folder).free < ALMOST_FULL_BYTES):
        return UserError(f"the disk under {folder} is full: free some space and run the stage again")
    return error


def check_manifest(folder: Path) -> list[str]:
    """Names of files that are missing or differ from the manifest; empty when all is well."""
    listed = json.loads((folder / MANIFEST).read_text())["files"]
    wrong = []
    for row in listed:
        path = folder / row["file"]
        if not path.is_file() or path.stat().st_size != row["bytes"] or file_sha256(path) != row["sha256"]:
            wrong.append(row["file"])
    return wrong


def _write_manifest(folder: Path) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [
        {
            "file": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in paths
    ]
    write_json(folder / MANIFEST, {"files": rows})


def _take_place(partial: Path, place: Path) -> None:
    if not place.exists():
        partial.rename(place)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # Linux swaps two folders in one step; the finally block of output_folder then deletes the old one.
    failed = libc.renameat2(_AT_FDCWD, os.fsencode(partial), _AT_FDCWD, os.fsencode(place), _RENAME_EXCHANGE)
    if failed:
        raise OSError(ctypes.get_errno(), f"could not put {place} in place")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()
