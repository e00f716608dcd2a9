"""Clips that an earlier run of the stage has cut: a killed run goes on where it stopped, an unchanged one is copied.

An entry is a folder that appears in one step and lists the digest of every file in it, so that nothing half-written
or damaged is believed; its name is a digest of everything that decides the clip, this project's code included.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import multigen_core
from multigen_core.storage import file_sha256

__all__ = ["FinishedCuts", "code_digest", "digest_of"]

_OUTCOME = "outcome.json"
_LIBRARIES = ("av", "mujoco", "numpy", "scipy")
"""Whose update may change a clip."""


@cache
def code_digest() -> str:
    """Of every module of this package and the libraries that make clips."""
    package = Path(multigen_core.__file__).parent
    parts = [f"{path.relative_to(package)} {file_sha256(path)}" for path in sorted(package.rglob("*.py"))]
    return digest_of(*parts, *(f"{name} {version(name)}" for name in _LIBRARIES))


def digest_of(*parts: object) -> str:
    """One name for all of them, in order."""
    return hashlib.sha256("\0".join(repr(part) for part in parts).encode(errors="surrogateescape")).hexdigest()


@dataclass(frozen=True)
class FinishedCuts:
    """Entries below ``folder``; plain values, since worker processes get it."""

    folder: Path

    def take(self, name: str, out: Path) -> Any:
        """Copies an entry's files into ``out`` and returns its outcome; None without an entry that can be trusted."""
        entry = self.folder / name
        copied = []
        try:
            kept = json.loads((entry / _OUTCOME).read_text())
            for number, (place, digest) in enumerate(kept["files"].items()):
                copied.append(out / place)
                shutil.copyfile(entry / str(number), out / place)
                if file_sha256(out / place) != digest:
                    raise ValueError(f"{entry / str(number)} is not what was written")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            for path in copied:
                path.unlink(missing_ok=True)
            return None
        return kept["outcome"]

    def keep(self, name: str, out: Path, files: Iterable[Path], outcome: Any) -> None:
        """Adds an entry with copies of ``files``, which lie in ``out``; ``outcome`` is plain JSON."""
        making = self.folder / f".making-{name}-{os.getpid()}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        digests = {}
        for number, path in enumerate(files):
            shutil.copyfile(path, making / str(number))
            digests[path.relative_to(out).as_posix()] = file_sha256(making / str(number))
        (making / _OUTCOME).write_text(json.dumps({"outcome": outcome, "files": digests}))
        shutil.rmtree(self.folder / name, ignore_errors=True)
        try:
            making.rename(self.folder / name)
        except OSError:  # another run was faster, with the same clip
            shutil.rmtree(making, ignore_errors=True)

    def forget_others(self, names: Collection[str]) -> None:
        """Removes what a finished run had no use for."""
        if self.folder.is_dir():
            for entry in self.folder.iterdir():
                if entry.name not in names:
                    shutil.rmtree(entry, ignore_errors=True)
