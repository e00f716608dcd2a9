"""One HTML file that needs nothing else: pictures, videos and sounds stand inside it as data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from multigen_core.media import data_uri

__all__ = ["data_uri", "file_uri", "render"]

TEMPLATES = Path(__file__).parent / "template"


def file_uri(path: Path) -> str:
    """The file as a ``data:`` address."""
    return data_uri(path.read_bytes(), path.suffix)


def render(values: Mapping[str, Any], template: Path = TEMPLATES / "report.html") -> str:
    """The page of a template, which may include what stands beside it or in ``TEMPLATES``.

    Names from outside are escaped; a missing value is an error.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["mebibytes"] = lambda size: f"{size / 2**20:.1f}"
    return environment.get_template(template.name).render(values)


def _figure(value: float | None, digits: int = 3) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
