"""Where a training that is stopped leaves what it goes on from."""

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from multigen_core.dataset.windows import Recording
from multigen_core.storage import replace_text

__all__ = ["UNFINISHED", "origin_of", "unfinished"]

UNFINISHED = Path(".multigen/unfinished")
"""Below the project's root; a folder per training, there only while it is not done."""
_ORIGIN = "origin"


@contextmanager
def unfinished(folder: Path, origin: str) -> Iterator[Path]:
    """The folder, with what a stopped training of the same ``origin`` left there; removed when this one ends well."""
    mark = folder / _ORIGIN
    if not mark.is_file() or mark.read_text() != origin:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        replace_text(mark, origin)
    yield folder
    shutil.rmtree(folder)


def origin_of(recordings: Sequence[Recording], *settings: object) -> str:
    """A digest of all that decides a training: recordings, settings (by what they print as), this package's code."""
    digest = hashlib.blake2b(repr(settings).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    for recording in recordings:
        for field in dataclasses.fields(recording):
            value = getattr(recording, field.name)
            digest.update(value.tobytes() if hasattr(value, "tobytes") else repr(value).encode())
    return digest.hexdigest()
