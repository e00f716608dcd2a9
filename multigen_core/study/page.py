"""The study as one HTML file, to look at and to listen to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multigen_core.evaluation.exhibits import poster
from multigen_core.evaluation.page import file_uri, render
from multigen_core.media import read_video
from multigen_core.study.explain import Failure, Why
from multigen_core.study.pictures import CAPTIONS
from multigen_core.study.table import head, tables

__all__ = ["write_page"]

TEMPLATE = Path(__file__).parent / "template/study.html"
"""Not among the evaluation's: trials are carried out anew when a file of that package changes."""


@dataclass(frozen=True)
class _Shown:
    name: str
    title: str
    caption: str
    address: str
    poster: str = ""


def write_page(study: dict[str, Any], figures: Sequence[Path], why: Why, page: Path) -> None:
    """Writes the page; it links to the figures and to what ``explain`` made."""
    pictures = [_Shown(path.stem, *CAPTIONS[path.stem], file_uri(path)) for path in figures]
    values = {
        "study": study,
        "head": head(study).replace("`", ""),
        "tables": tables(study),
        "pictures": pictures,
        "strips": [_named(path) for path in sorted(why.strips)],
        "failures": [_failed(one) for one in sorted(why.failures, key=lambda one: (one.reason, one.training))],
    }
    page.write_text(render(values, TEMPLATE))


def _failed(one: Failure) -> _Shown:
    return _Shown(
        name=one.video.stem,
        title=one.reason.replace("_", " "),
        caption=f"{one.training}, trial {one.trial}",
        address=file_uri(one.video),
        poster=poster(list(read_video(one.video))),
    )


def _named(path: Path) -> _Shown:
    return _Shown(path.stem.replace("_", " "), "", "", file_uri(path))
