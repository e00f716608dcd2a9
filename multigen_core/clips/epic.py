"""Pours of EPIC-KITCHENS-100: the published annotations, and the videos a lab has on its disk.

Rows of verb class 9 ("pour") whose noun is a liquid, widened to the length of a clip; what overlaps becomes one
candidate. Damen et al., "Rescaling Egocentric Vision", IJCV 2022; annotations and videos are CC BY-NC 4.0.
"""

import csv
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import pandas as pd

from multigen_core.clips.contract import Candidate, Media, Unavailable
from multigen_core.clips.funnel import EPIC_POURS
from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment

__all__ = ["LICENCE", "EpicKitchens"]

LICENCE = "CC BY-NC 4.0"
SUFFIXES = (".MP4", ".mp4")
_COLUMNS = ("narration_id", "video_id", "start_timestamp", "stop_timestamp", "verb_class", "noun")
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d):([0-5]\d(?:\.\d+)?)")
_BROKEN_TABLE = "annotations"
_VIDEO_ID = re.compile(r"P\d{2}_\d{2,3}")


@dataclass(frozen=True)
class EpicKitchens:
    """Annotation files and a folder of videos, ``<video id>.MP4`` in it or in any subfolder."""

    name: ClassVar[str] = "epic"
    annotations: Path
    video_info: Path
    videos: Path
    verb_class: int
    nouns: tuple[str, ...]
    """One of these must be a part of the row's noun (``oil`` is one of ``oil:olive``); empty takes all."""
    length_s: float

    @classmethod
    def configured(cls, experiment: Experiment, root: Path) -> "EpicKitchens":
        _videos_below.cache_clear()  # one walk per run: videos may have come since the last one
        epic = experiment.clips.epic
        return cls(
            annotations=root / epic.annotations,
            video_info=root / epic.video_info,
            videos=root / epic.videos,
            verb_class=epic.verb_class,
            nouns=epic.nouns,
            length_s=experiment.clips.length_s,
        )

    def discover(self) -> list[Candidate]:
        """Raises MissingInput when an annotation file is not there; a row that cannot be read stays a candidate."""
        if self._rows() is None:
            return [Candidate("epic-annotations", _BROKEN_TABLE, str(self.annotations), LICENCE)]
        wrong = [self._candidate(row.narration_id, row.video_id, None) for row in self._liquids() if not row.readable]
        pours = [
            self._candidate(f"{video_id}_{round(1000 * start_s)}", video_id, (start_s, stop_s))
            for video_id, start_s, stop_s in _merged(self, _age(self.annotations), _age(self.video_info))
        ]
        return [*wrong, *pours]

    def funnel(self) -> dict[str, int]:
        """Annotated segments, those that are pours, those of a liquid, candidates after merging, and videos here."""
        merged = _merged(self, _age(self.annotations), _age(self.video_info)) if self._rows() is not None else ()
        return {
            "annotated": len(self._rows() or ()),
            EPIC_POURS: len(self._pours()),
            "liquids": len(self._liquids()),
            "candidates": len(merged),
            "videos_here": sum(self._video(video_id) is not None for video_id, _, _ in merged),
        }

    def recipe(self, candidate: Candidate) -> str | None:
        return None

    def fetch(self, candidate: Candidate, folder: Path) -> Media:
        if candidate.source_id == _BROKEN_TABLE or candidate.stop_s is None:
            raise Unavailable("bad_annotation")
        video = self._video(candidate.source_id)
        if video is None:
            raise Unavailable("missing_video")
        return Media(video=video)

    def _candidate(self, name: object, video_id: object, part_s: tuple[float, float] | None) -> Candidate:
        start_s, stop_s = part_s or (0.0, None)
        readable = re.sub(r"[^A-Za-z0-9_]+", "-", str(name)).strip("-") or "row"
        location = f"{video_id} {start_s:.2f}-{stop_s:.2f} s" if stop_s is not None else f"{name} in {video_id}"
        return Candidate(
            clip_id=f"epic-{readable}",
            source_id=str(video_id),
            location=location,
            licence=LICENCE,
            start_s=start_s,
            stop_s=stop_s,
            recording_start_s=0.0,
        )

    def _video(self, video_id: str) -> Path | None:
        return _videos_below(self.videos).get(video_id)

    def _rows(self) -> "tuple[_Segment, ...] | None":
        return _read_segments(self.annotations, _age(self.annotations))

    def _pours(self) -> "list[_Segment]":
        return [row for row in self._rows() or () if row.verb_class == str(self.verb_class)]

    def _liquids(self) -> "list[_Segment]":
        wanted = set(self.nouns)
        return [row for row in self._pours() if not wanted or wanted & set(row.noun.split(":"))]

    def _widened(self, row: "_Segment", video_s: float) -> tuple[float, float]:
        missing_s = max(self.length_s - (row.stop_s - row.start_s), 0.0)
        start_s = max(row.start_s - 0.5 * missing_s, 0.0)
        stop_s = min(max(row.stop_s + 0.5 * missing_s, start_s + self.length_s), video_s)
        return max(min(start_s, stop_s - self.length_s), 0.0), stop_s


@dataclass(frozen=True)
class _Segment:
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


@lru_cache(maxsize=1)
def _merged(source: EpicKitchens, annotations_age: int, info_age: int) -> tuple[tuple[str, float, float], ...]:
    """Video, start and stop [s]: widened to the clip's length within the video, overlapping ones joined."""
    lengths_s = _read_lengths_s(source.video_info, info_age)
    merged: list[tuple[str, float, float]] = []
    readable = (row for row in source._liquids() if row.readable)
    for row in sorted(readable, key=lambda row: (row.video_id, row.start_s)):
        start_s, stop_s = source._widened(row, lengths_s.get(row.video_id, math.inf))
        if merged and merged[-1][0] == row.video_id and start_s < merged[-1][2]:
            start_s, stop_s = merged[-1][1], max(stop_s, merged.pop()[2])
        merged.append((row.video_id, start_s, stop_s))
    return tuple(merged)


@lru_cache(maxsize=1)
def _videos_below(folder: Path) -> dict[str, Path]:
    """Video id -> file, from one walk through the folder; of two files of one id the first by path is taken."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and _VIDEO_ID.fullmatch(path.stem) and path.is_file():
            found.setdefault(path.stem, path)
    return found


def _age(path: Path) -> int:
    """When a file was last written [ns], so that a table that changed is read anew; 0 when it is not there."""
    return path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(maxsize=2)
def _read_segments(path: Path, age: int) -> tuple[_Segment, ...] | None:
    """All rows; None when the file is no table or lacks a column. Raises MissingInput when it is not there."""
    _require_file("annotations", path)
    try:
        # Row by row: one with too few or too many cells must not move the others' cells, nor cost them their place.
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[row[name] or "" for name in _COLUMNS] for row in csv.DictReader(stream)]
    except (KeyError, ValueError, csv.Error):
        return None
    if not rows and not _has_columns(path):
        return None
    return tuple(
        _Segment(narration_id, video_id, _seconds(start), _seconds(stop), verb_class, noun)
        for narration_id, video_id, start, stop, verb_class, noun in rows
    )


def _has_columns(path: Path) -> bool:
    """Of a table without rows."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return set(_COLUMNS) <= set(csv.DictReader(stream).fieldnames or ())


@lru_cache(maxsize=2)
def _read_lengths_s(path: Path, age: int) -> dict[str, float]:
    """Length of every video."""
    _require_file("video_info", path)
    try:
        info = pd.read_csv(path)
        return dict(zip(info["video_id"].astype(str), info["duration"].astype(float), strict=True))
    except (ValueError, KeyError) as error:
        raise MissingInput(
            f"clips.epic.video_info is {str(path)!r}, which has no columns video_id and duration: "
            "take EPIC_100_video_info.csv"
        ) from error


def _require_file(key: str, path: Path) -> None:
    if not path.is_file():
        raise MissingInput(
            f"clips.epic.{key} is {str(path)!r}, which is not there: put the file of EPIC-KITCHENS-100 there, "
            "or take 'epic' out of clips.sources"
        )


def _seconds(clock: str) -> float:
    """From ``HH:MM:SS.ss``; not a number when it is none."""
    parts = _CLOCK.fullmatch(clock.strip())
    if parts is None:
        return float("nan")
    hours, minutes, seconds = parts.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
