"""The published tables of EPIC-KITCHENS-100 and EPIC-SOUNDS, whatever state their files are in.

Damen et al., "Rescaling Egocentric Vision", IJCV 2022; Huh et al., "EPIC-SOUNDS", ICASSP 2023. Both CC BY-NC 4.0.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from multigen_core.errors import MissingInput

__all__ = ["Segment", "Sounds", "age", "read_lengths_s", "read_segments", "read_sounds"]

_SEGMENT_COLUMNS = ("narration_id", "video_id", "start_timestamp", "stop_timestamp", "verb_class", "noun")
_SOUND_COLUMNS = ("video_id", "start_timestamp", "stop_timestamp", "class_id")
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d):([0-5]\d(?:\.\d+)?)")


@dataclass(frozen=True)
class Segment:
    """A row of the annotations."""

    narration_id: str
    video_id: str
    start_s: float
    """Not a number when the file says nonsense."""
    stop_s: float
    verb_class: str
    noun: str

    @property
    def readable(self) -> bool:
        return self.start_s < self.stop_s


@dataclass(frozen=True)
class Sounds:
    """What is heard when, of the wanted classes: video -> starts and stops [s]."""

    of_video: dict[str, list[tuple[float, float]]]

    def in_(self, segment: Segment) -> bool:
        """Whether one of them is heard during the segment."""
        heard = self.of_video.get(segment.video_id, ())
        return any(start_s < segment.stop_s and segment.start_s < stop_s for start_s, stop_s in heard)


def age(path: Path | None) -> int:
    """When a file was last written [ns], so that a table that changed is read anew; 0 when it is not there."""
    return path.stat().st_mtime_ns if path is not None and path.is_file() else 0


@lru_cache(maxsize=2)
def read_segments(path: Path, age: int) -> tuple[Segment, ...] | None:
    """All rows; None when the file is no table or lacks a column. Raises MissingInput when it is not there."""
    rows = _read_columns("annotations", path, _SEGMENT_COLUMNS)
    if rows is None:
        return None
    return tuple(
        Segment(narration_id, video_id, _seconds(start), _seconds(stop), verb_class, noun)
        for narration_id, video_id, start, stop, verb_class, noun in rows
    )


@lru_cache(maxsize=2)
def read_sounds(path: Path, classes: tuple[int, ...], age: int) -> Sounds:
    """Those of the classes; rows whose times cannot be read are left out.

    Raises MissingInput when the file is not there or lacks a column.
    """
    rows = _read_columns("sounds", path, _SOUND_COLUMNS)
    if rows is None:
        raise MissingInput(
            f"clips.epic.sounds is {str(path)!r}, which has no columns {', '.join(_SOUND_COLUMNS)}: take a file of"
            " EPIC-SOUNDS, or leave the key empty"
        )
    wanted = {str(number) for number in classes}
    of_video: dict[str, list[tuple[float, float]]] = {}
    for video_id, start, stop, class_id in rows:
        start_s, stop_s = _seconds(start), _seconds(stop)
        if class_id in wanted and start_s < stop_s:
            of_video.setdefault(video_id, []).append((start_s, stop_s))
    return Sounds(of_video)


@lru_cache(maxsize=2)
def read_lengths_s(path: Path, age: int) -> dict[str, float]:
    """Length of every video. Raises MissingInput when the file is not there or lacks a column."""
    _require_file("video_info", path)
    try:
        info = pd.read_csv(path)
        return dict(zip(info["video_id"].astype(str), info["duration"].astype(float), strict=True))
    except (ValueError, KeyError) as error:
        raise MissingInput(
            f"clips.epic.video_info is {str(path)!r}, which has no columns video_id and duration: "
            "take EPIC_100_video_info.csv"
        ) from error


def _read_columns(key: str, path: Path, columns: Sequence[str]) -> list[list[str]] | None:
    """The cells of every row; None when the file is no table or lacks a column."""
    _require_file(key, path)
    try:
        # Row by row: one with too few or too many cells must not move the others' cells, nor cost them their place.
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            if not set(columns) <= set(table.fieldnames or ()):
                return None
            return [[row[name] or "" for name in columns] for row in table]
    except (ValueError, csv.Error):
        return None


def _require_file(key: str, path: Path) -> None:
    if not path.is_file():
        raise MissingInput(
            f"clips.epic.{key} is {str(path)!r}, which is not there: put the published file there, "
            "or take 'epic' out of clips.sources"
        )


def _seconds(clock: str) -> float:
    """From ``HH:MM:SS.ss``; not a number when it is none."""
    parts = _CLOCK.fullmatch(clock.strip())
    if parts is None:
        return float("nan")
    hours, minutes, seconds = parts.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
