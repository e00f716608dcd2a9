"""What a source of clips has to do. A new source is one file here and one line in ``sources.SOURCES``."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from multigen_core.experiment import Experiment

__all__ = ["Candidate", "ClipSource", "Measured", "Media", "Truth", "Unavailable"]


@dataclass(frozen=True)
class Candidate:
    """A recording that may hold a pour."""

    clip_id: str
    """Unique over all sources, and safe as a file name: letters, digits, ``_`` and ``-``."""
    source_id: str
    """The recording it belongs to: clips of one recording stay on one side of the train / validation split."""
    location: str
    """Where it is, in the source's own terms: what a person would look for."""
    licence: str
    start_s: float = 0.0
    stop_s: float | None = None
    """The part of the recording in which to look for a pour; None is to its end."""
    recording_start_s: float | None = None
    """Where the file begins in the recording that ``source_id`` identifies, in whichever source; None when the id is
    only a file's name, which another recording may have too."""


class Unavailable(Exception):
    """A candidate that its source cannot bring here; ``reason`` is one of ``catalogue.REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Truth:
    """What is known of a clip only because it was made here; one entry per frame at the clips' frame rate."""

    masks: UInt8[np.ndarray, "T H W"]
    """Amodal palette masks: 0 background, 1 pourer, 2 receiver, 3 liquid, whatever the receiver is made of."""
    curves: pd.DataFrame
    """time_s, flow_ml_s, poured_ml, level_m, air_column_m, fall_height_m, tilt_rad, mouth_radius_m."""


@dataclass(frozen=True)
class Measured:
    """The receiver of a real recording that shows one whole filling at constant flow, as somebody measured it."""

    height_m: float
    """Inside, from bottom to rim."""
    radius_m: float
    """Inside, at the rim."""


@dataclass(frozen=True)
class Media:
    """A recording on this machine."""

    video: Path
    sound: Path | None = None
    """A file of its own; None when the sound is a track of the video."""
    truth: Truth | None = None
    measured: Measured | None = None


class ClipSource(Protocol):
    """A source; it is pickled to the worker processes, so it holds plain values."""

    name: ClassVar[str]
    """As in ``clips.sources`` of params.yaml."""

    @classmethod
    def configured(cls, experiment: Experiment, root: Path) -> "ClipSource":
        """The source as params.yaml describes it; paths there are relative to ``root``."""

    def discover(self) -> list[Candidate]:
        """All candidates, in the same order on every call. Raises UserError when the source cannot be reached."""

    def funnel(self) -> dict[str, int]:
        """How many there are after each step of :meth:`discover`, in order; the first is where it started from."""

    def recipe(self, candidate: Candidate) -> str | None:
        """What, with this project's code, decides a recording that :meth:`fetch` makes; None for one that exists."""

    def fetch(self, candidate: Candidate, folder: Path) -> Media:
        """Brings one recording here; ``folder`` is for files that must be made anew.

        Raises Unavailable when it cannot be had, which ends in the quarantine.
        """
