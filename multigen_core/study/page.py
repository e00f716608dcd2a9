"""The study as one HTML file, to look at and to listen to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multigen_core.evaluation.exhibits import poster
from multigen_core.evaluation.page import file_uri, render
from multigen_core.media import read_video
from multigen_core.study.pictures import CAPTIONS
from multigen_core.study.table import head, tables

__all__ = ["write_page"]


@dataclass(frozen=True)
class _Shown:
    name: str
    title: str
    caption: str
    address: str
    poster: str = ""


def write_page(study: dict[str, Any], figures: Sequence[Path], why: Path, page: Path) -> None:
    """``why``: the folder that ``explain`` wrote."""
    pictures = [_Shown(path.stem, *CAPTIONS[path.stem], file_uri(path)) for path in figures]
    values = {
        "study": study,
        "head": head(study).replace("`", ""),
        "tables": tables(study),
        "pictures": pictures,
        "strips": [_named(path) for path in sorted((why / "strips").glob("*.png"))],
        "failures": [_failure(path) for path in sorted((why / "failures").glob("*.mp4"))],
    }
    page.write_text(render(values, "study.html"))


def _failure(path: Path) -> _Shown:
    """From the name that ``explain`` gave it: reason, training, trial."""
    reason, rest = path.stem.split("-", 1)
    training, trial = rest.rsplit("-trial-", 1)
    return _Shown(
        name=path.stem,
        title=reason.replace("_", " "),
        caption=f"{training}, trial {int(trial)}",
        address=file_uri(path),
        poster=poster(list(read_video(path))),
    )


def _named(path: Path) -> _Shown:
    return _Shown(path.stem.replace("_", " "), "", "", file_uri(path))
