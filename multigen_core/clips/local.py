"""Clips from a folder of videos, with all its subfolders."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from multigen_core.clips.contract import Candidate, Measured, Media
from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment

__all__ = ["VIDEO_SUFFIXES", "LocalFolder"]

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
_CUT_FROM_VIDEO = re.compile(r"(?P<video>.+)_(?P<start>\d+(\.\d+)?)_(?P<stop>\d+(\.\d+)?)", re.ASCII | re.DOTALL)
_LONGEST_NAME = 48


@dataclass(frozen=True)
class LocalFolder:
    """Every video below ``inbox``; names are ``<video id>_<start s>_<stop s>`` when they were cut from a longer one."""

    name: ClassVar[str] = "local"
    inbox: Path

    @classmethod
    def configured(cls, experiment: Experiment, root: Path) -> "LocalFolder":
        return cls(root / experiment.clips.inbox)

    def discover(self) -> list[Candidate]:
        """Raises MissingInput when the folder is not there."""
        if not self.inbox.is_dir():
            raise MissingInput(
                f"clips.inbox is {str(self.inbox)!r}, which is not a folder: "
                "create it, name your folder of videos there, or take 'local' out of clips.sources"
            )
        paths = (path.relative_to(self.inbox) for path in self.inbox.rglob("*") if _is_video(path))
        return [_candidate(path) for path in sorted(paths, key=Path.as_posix)]

    def funnel(self) -> dict[str, int]:
        return {"videos": len(self.discover())}

    def recipe(self, candidate: Candidate) -> str | None:
        return None

    def fetch(self, candidate: Candidate, folder: Path) -> Media:
        video = self.inbox / candidate.location
        return Media(video=video, measured=_measured(video.with_suffix(".json")))


def _measured(path: Path) -> Measured | None:
    """From a file beside the video, as "The Sound of Water" writes them: lengths in cm, for a filling at constant flow.

    Any other JSON file says nothing about the receiver.
    """
    try:
        said = json.loads(path.read_text())
        sizes = said["measurements"]
        measured = Measured(height_m=0.01 * float(sizes["net_height"]), radius_m=0.005 * float(sizes["diameter_top"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    steady = said.get("flow_rate_appx") == "constant" and said.get("shape") == "cylindrical"
    return measured if steady and measured.height_m > 0.0 and measured.radius_m > 0.0 else None


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _candidate(path: Path) -> Candidate:
    """``path`` is relative to the inbox; the clip id ends with a digest of it, since two names may read alike."""
    stem = os.fsencode(path.stem).decode(errors="replace")  # a name may be no valid UTF-8
    cut = _CUT_FROM_VIDEO.fullmatch(stem)
    if cut and not float(cut["start"]) < float(cut["stop"]):
        cut = None  # a date and a time, as phones name their files
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:_LONGEST_NAME]
    return Candidate(
        clip_id="-".join(part for part in ("local", readable, digest) if part),
        source_id=cut["video"] if cut else stem,
        location=path.as_posix(),
        licence="unknown",
        recording_start_s=float(cut["start"]) if cut else None,
    )
