"""A page to listen to: the same pours with generated, physical and baseline sound side by side.

One HTML file that needs nothing else, no server either: pictures and videos stand inside it as data.
"""

import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from multigen_core.media import data_uri, write_video

__all__ = ["LARGEST_BYTES", "Hearing", "Track", "listening_page"]

LARGEST_BYTES = 25 * 2**20
"""What a page may weigh: mail and browsers still take it."""


@dataclass(frozen=True)
class Track:
    """One sound of a pour."""

    name: str
    """``generated``, ``physical`` or ``noise``."""
    words: str
    """What a listener should know about it."""
    waveform: Float32[np.ndarray, " S"]


@dataclass(frozen=True)
class Hearing:
    """One pour to be looked at and listened to."""

    name: str
    caption: str
    rgb: UInt8[np.ndarray, "T H W 3"]
    rate_hz: float
    tracks: tuple[Track, ...]
    spectrograms: bytes
    """PNG."""


def listening_page(
    hearings: Sequence[Hearing], *, figures: Mapping[str, Mapping[str, float | None]], backend: str
) -> str:
    """The page's HTML. ``figures``: condition -> figure -> value, as in ``figures.json``.

    As many pours as fit into ``LARGEST_BYTES``; the page says how many there were.
    """
    entries, weight = [], 0
    for hearing in hearings:
        entry = {
            "name": hearing.name,
            "caption": hearing.caption,
            "videos": [(track.name, track.words, _video(hearing, track)) for track in hearing.tracks],
            "spectrograms": data_uri(_jpeg(hearing.spectrograms), ".jpg"),
        }
        weight += len(str(entry))
        if weight > LARGEST_BYTES - 2**20:
            break
        entries.append(entry)
    names = sorted({name for row in figures.values() for name in row})
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [(name.replace("_", " "), [_plain(row.get(name)) for row in figures.values()]) for name in names]
    return environment.get_template("listening.html").render(
        entries=entries,
        left_out=len(hearings) - len(entries),
        conditions=[condition.replace("_", " ") for condition in figures],
        rows=rows,
        backend=backend,
    )


def _video(hearing: Hearing, track: Track) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pour.mp4"
        write_video(path, hearing.rgb, fps=hearing.rate_hz, sound=track.waveform)
        return data_uri(path.read_bytes(), ".mp4")


def _jpeg(png: bytes) -> bytes:
    """Spectrograms are mostly noise, of which PNG makes a megabyte each."""
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "JPEG", quality=80)
    return out.getvalue()


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")
