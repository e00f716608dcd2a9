"""One HTML file that needs nothing else: pictures, videos and sounds stand inside it as data."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["data_uri", "file_uri", "render"]

_TYPES = {".mp4": "video/mp4", ".flac": "audio/flac", ".png": "image/png"}


def data_uri(content: bytes, suffix: str) -> str:
    """The content as a ``data:`` address; ``suffix`` names its kind, for example ``.png``."""
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(content).decode()}"


def file_uri(path: Path) -> str:
    """The file as a ``data:`` address."""
    return data_uri(path.read_bytes(), path.suffix)


def render(values: Mapping[str, Any]) -> str:
    """The report page. Names from outside (files, clips, cups) are escaped; a missing value is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["mebibytes"] = lambda size: f"{size / 2**20:.1f}"
    return environment.get_template("report.html").render(values)


def _figure(value: float | None, digits: int = 3) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
