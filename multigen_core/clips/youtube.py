"""Pours on YouTube: a list of ids that a person chose, downloaded once, slowly, and kept.

A video that is gone, private, restricted or blocked is an outcome that is remembered, not a failure. The list holds
data only: an id goes into a fixed address and never near a shell.
"""

import csv
import fcntl
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from multigen_core.clips.contract import Candidate, Media, Unavailable
from multigen_core.errors import MissingExtra, MissingInput
from multigen_core.experiment import Experiment

__all__ = ["YouTube", "reason_of"]

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_OUTCOMES = (
    ("private", re.compile(r"private video|sign in if you've been granted access", re.I)),
    ("age_restricted", re.compile(r"confirm your age|age.restricted|inappropriate for some users", re.I)),
    ("blocked", re.compile(r"in your country|geo.?restrict|blocked it|copyright grounds", re.I)),
    (
        "gone",
        re.compile(r"video unavailable|has been removed|account .*terminated|does not exist|not available|404", re.I),
    ),
)
"""What the downloader's message says -> reason; these are final, anything else may be tried again."""
_LONGEST_S = 1e6
"""No video is longer than eleven days."""


@dataclass(frozen=True)
class YouTube:
    """The entries of a YAML or CSV file: ``id``, and if wanted ``start_s``, ``stop_s`` and ``licence``."""

    name: ClassVar[str] = "youtube"
    entries: Path
    cache: Path
    """Downloads by id, and ``<id>.json`` for those that cannot be had."""
    address: str
    """With ``{id}`` in it."""
    pause_s: float
    """Between two downloads; there is never more than one at a time."""
    rate_limit_kb_s: float

    @classmethod
    def configured(cls, experiment: Experiment, root: Path) -> "YouTube":
        """Raises MissingExtra when the downloader is not installed."""
        _require_downloader()
        youtube = experiment.clips.youtube
        return cls(
            entries=root / youtube.entries,
            cache=root / youtube.cache,
            address=youtube.address,
            pause_s=youtube.pause_s,
            rate_limit_kb_s=youtube.rate_limit_kb_s,
        )

    def discover(self) -> list[Candidate]:
        """Raises MissingInput when the list is not there or is no list."""
        if not self.entries.is_file():
            raise MissingInput(
                f"clips.youtube.entries is {str(self.entries)!r}, which is not there: write a YAML list of {{id: ...}}"
                " or a CSV with a column id, or take 'youtube' out of clips.sources"
            )
        return [_candidate(number, entry) for number, entry in enumerate(self._read())]

    def funnel(self) -> dict[str, int]:
        """Entries of the list, and those that are here already."""
        listed = self.discover()
        return {"listed": len(listed), "cached": sum(self._cached(one.source_id) is not None for one in listed)}

    def recipe(self, candidate: Candidate) -> str | None:
        return None

    def fetch(self, candidate: Candidate, folder: Path) -> Media:
        video_id = candidate.source_id
        if not _ID.fullmatch(video_id) or candidate.stop_s == 0.0:
            raise Unavailable("bad_annotation")
        with self._one_at_a_time():
            video = self._cached(video_id)
            if video is None:
                self._refuse_known(video_id)
                video = self._download(video_id)
        return Media(video=video)

    def _read(self) -> list[Mapping[str, Any]]:
        try:
            if self.entries.suffix.lower() == ".csv":
                with self.entries.open(newline="", encoding="utf-8") as stream:
                    return list(csv.DictReader(stream))
            listed = YAML(typ="safe").load(self.entries.read_text(encoding="utf-8"))
        except (YAMLError, ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
            # Values that look like a date or a number and are none end in plain errors of the YAML library.
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise MissingInput(f"clips.youtube.entries {str(self.entries)!r} cannot be read: {said}") from error
        if not isinstance(listed, list):
            raise MissingInput(
                f"clips.youtube.entries {str(self.entries)!r} is no list: write one entry per line, - id: ..."
            )
        return [entry if isinstance(entry, dict) else {"id": entry} for entry in listed]

    def _cached(self, video_id: str) -> Path | None:
        if not _ID.fullmatch(video_id):
            return None
        return next((path for path in sorted(self.cache.glob(f"{video_id}.*")) if path.suffix not in _UNFINISHED), None)

    def _refuse_known(self, video_id: str) -> None:
        known = self.cache / f"{video_id}.json"
        if known.is_file():
            raise Unavailable(json.loads(known.read_text())["reason"])

    def _download(self, video_id: str) -> Path:
        import yt_dlp

        options = {
            "outtmpl": str(self.cache / "%(id)s.%(ext)s"),
            # Sight and sound in one file: two would need an ffmpeg program to be joined.
            "format": "b[height<=480]/b",
            "ratelimit": 1024.0 * self.rate_limit_kb_s,
            "continuedl": True,
            "noplaylist": True,
            "cachedir": False,
            "quiet": True,
            "noprogress": True,
            "no_warnings": True,
            "logger": _Quiet(),
        }
        try:
            with yt_dlp.YoutubeDL(options) as downloader:
                info = downloader.extract_info(self.address.format(id=video_id), download=True)
                made = Path(downloader.prepare_filename(info))
        except yt_dlp.utils.DownloadError as error:
            reason = reason_of(str(error))
            if reason != "unreachable":
                (self.cache / f"{video_id}.json").write_text(json.dumps({"reason": reason}) + "\n")
            raise Unavailable(reason) from error
        finally:
            time.sleep(self.pause_s)
        kept = self.cache / f"{video_id}{made.suffix}"
        return made.replace(kept) if made != kept else kept

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Whatever the number of worker processes."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


_UNFINISHED = frozenset({".json", ".part", ".ytdl"})


class _Quiet:
    """The outcome is in the quarantine; nothing more need be said."""

    def debug(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...


def reason_of(message: str) -> str:
    """Why a download failed, as a reason of the quarantine; ``unreachable`` may be tried again."""
    return next((reason for reason, pattern in _OUTCOMES if pattern.search(message)), "unreachable")


def _candidate(number: int, entry: Mapping[str, Any]) -> Candidate:
    """An entry that makes no sense stays a candidate without a part to look at: it ends in the quarantine."""
    video_id = str(entry.get("id") or "")
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", video_id)[:32]
    licence = str(entry.get("licence") or "unknown")
    try:
        start_s = float(entry.get("start_s") or 0.0)
        stop_s = float(entry["stop_s"]) if entry.get("stop_s") not in (None, "") else None
        if not 0.0 <= start_s < (_LONGEST_S if stop_s is None else min(stop_s, _LONGEST_S)):
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        start_s, stop_s = 0.0, 0.0
    return Candidate(
        clip_id=f"youtube-{number:05d}-{readable}",
        source_id=video_id,
        location=video_id,
        licence=licence,
        start_s=start_s,
        stop_s=stop_s,
        recording_start_s=0.0,
    )


def _require_downloader() -> None:
    from importlib.util import find_spec

    if find_spec("yt_dlp") is None:
        raise MissingExtra(
            "clips.sources names youtube, which needs the extra [youtube]: pip install -c constraints.txt -e .[youtube]"
        )
