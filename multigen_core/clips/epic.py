"""Pours of EPIC-KITCHENS-100: the published annotations, and the videos a lab has on its disk.

Rows of verb class 9 ("pour") whose noun is a liquid and, given EPIC-SOUNDS, during which a pour is heard, widened to
the length of a clip; what overlaps becomes one candidate. Annotations and videos are CC BY-NC 4.0.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from multigen_core.clips.contract import Candidate, Media, Unavailable
from multigen_core.clips.epic_tables import Segment, age, read_lengths_s, read_segments, read_sounds
from multigen_core.clips.funnel import EPIC_POURS
from multigen_core.experiment import Experiment

__all__ = ["LICENCE", "EpicKitchens"]

LICENCE = "CC BY-NC 4.0"
SUFFIXES = (".MP4", ".mp4")
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
    sounds: Path | None = None
    """EPIC-SOUNDS: a pour must be heard there; None takes those that are only seen."""
    sound_classes: tuple[int, ...] = ()

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
            sounds=root / epic.sounds if epic.sounds else None,
            sound_classes=epic.sound_classes,
        )

    def discover(self) -> list[Candidate]:
        """Raises MissingInput when an annotation file is not there; a row that cannot be read stays a candidate."""
        if self._rows() is None:
            return [Candidate("epic-annotations", _BROKEN_TABLE, str(self.annotations), LICENCE)]
        wrong = [self._candidate(row.narration_id, row.video_id, None) for row in self._liquids() if not row.readable]
        pours = [
            self._candidate(f"{video_id}_{round(1000 * start_s)}", video_id, (start_s, stop_s))
            for video_id, start_s, stop_s in _merged(self, *self._ages())
        ]
        return [*wrong, *pours]

    def funnel(self) -> dict[str, int]:
        """Annotated segments, pours, those of a liquid, those heard, candidates after merging, and videos here."""
        merged = _merged(self, *self._ages()) if self._rows() is not None else ()
        return {
            "annotated": len(self._rows() or ()),
            EPIC_POURS: len(self._pours()),
            "liquids": len(self._liquids()),
            **({} if self.sounds is None else {"heard": len(self._heard())}),
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

    def _rows(self) -> tuple[Segment, ...] | None:
        return read_segments(self.annotations, age(self.annotations))

    def _pours(self) -> list[Segment]:
        return [row for row in self._rows() or () if row.verb_class == str(self.verb_class)]

    def _liquids(self) -> list[Segment]:
        wanted = set(self.nouns)
        return [row for row in self._pours() if not wanted or wanted & set(row.noun.split(":"))]

    def _heard(self) -> list[Segment]:
        """All liquids where EPIC-SOUNDS is not asked."""
        liquids = [row for row in self._liquids() if row.readable]
        if self.sounds is None:
            return liquids
        sounds = read_sounds(self.sounds, self.sound_classes, age(self.sounds))
        return [row for row in liquids if sounds.in_(row)]

    def _ages(self) -> tuple[int, int, int]:
        return age(self.annotations), age(self.video_info), age(self.sounds)

    def _widened(self, row: Segment, video_s: float) -> tuple[float, float]:
        missing_s = max(self.length_s - (row.stop_s - row.start_s), 0.0)
        start_s = max(row.start_s - 0.5 * missing_s, 0.0)
        stop_s = min(max(row.stop_s + 0.5 * missing_s, start_s + self.length_s), video_s)
        return max(min(start_s, stop_s - self.length_s), 0.0), stop_s


@lru_cache(maxsize=1)
def _merged(source: EpicKitchens, *ages: int) -> tuple[tuple[str, float, float], ...]:
    """Video, start and stop [s]: widened to the clip's length within the video, overlapping ones joined."""
    lengths_s = read_lengths_s(source.video_info, age(source.video_info))
    merged: list[tuple[str, float, float]] = []
    for row in sorted(source._heard(), key=lambda row: (row.video_id, row.start_s)):
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
