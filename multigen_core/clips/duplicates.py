"""Clips that are there twice: the same moment of the same recording, or the same sound under another name."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt32

from multigen_core.clips.fingerprint import HeardClips
from multigen_core.experiment import Filters

__all__ = ["HeardClip", "Repetition", "repetitions"]


@dataclass(frozen=True)
class HeardClip:
    """What is compared of a clip."""

    recording: str | None
    """Identifies the recording in every source; None when only a file's name is known, which may be another's too."""
    start_s: float
    """In the recording."""
    stop_s: float
    words: UInt32[np.ndarray, " words"]
    """Its fingerprint."""


@dataclass(frozen=True)
class Repetition:
    """A clip that repeats an earlier one."""

    number: int
    of: int
    figure: float
    """Share of the shorter clip's time that lies in both, or share of equal bits."""


def repetitions(clips: Sequence[HeardClip], filters: Filters) -> Iterator[Repetition]:
    """In order; the first of several stays, and what repeats is compared with nothing any more."""
    heard = HeardClips()
    kept: list[int] = []
    by_recording: defaultdict[str, list[int]] = defaultdict(list)
    for number, clip in enumerate(clips):
        earlier = by_recording[clip.recording] if clip.recording is not None else []
        overlaps = [(_overlap(clip, clips[other]), -other) for other in earlier]
        share, same = max(overlaps, default=(0.0, 0))
        alike = heard.most_alike(clip.words)
        if share > filters.max_overlap:
            yield Repetition(number, -same, share)
        elif alike is not None and alike.likeness > filters.max_likeness:
            yield Repetition(number, kept[alike.number], alike.likeness)
        else:
            heard.add(clip.words)
            kept.append(number)
            earlier.append(number)


def _overlap(one: HeardClip, other: HeardClip) -> float:
    shared_s = min(one.stop_s, other.stop_s) - max(one.start_s, other.start_s)
    return max(shared_s, 0.0) / min(one.stop_s - one.start_s, other.stop_s - other.start_s)
