"""What a clip must be like to be learned from, once it has been cut; ``clips.filters`` of params.yaml says how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.clips.foreign_sound import clipped_share, music_share, speech_share
from multigen_core.clips.moving_picture import continuity, motion
from multigen_core.experiment import Filters

__all__ = ["ClipFigures", "fault_of", "measure"]


@dataclass(frozen=True)
class ClipFigures:
    """What the filters look at; a clip cut once is judged again without being cut again."""

    level_dbfs: float
    """Root mean square."""
    clipped: float
    """Share of samples at full scale."""
    motion: float
    """Range of what moves most [levels of 255]."""
    continuity: float
    """Least correlation from frame to frame: low at a cut."""
    speech: float
    """Share of the time."""
    music: float
    """Share of the time."""


def measure(
    frames: Sequence[UInt8[np.ndarray, "H W 3"]], waveform: Float32[np.ndarray, " samples"], level_dbfs: float
) -> ClipFigures:
    """The figures of a clip as it is kept."""
    return ClipFigures(
        level_dbfs=level_dbfs,
        clipped=clipped_share(waveform),
        motion=motion(frames),
        continuity=continuity(frames),
        speech=speech_share(waveform),
        music=music_share(waveform),
    )


def fault_of(clip: ClipFigures, filters: Filters) -> tuple[str, float] | None:
    """The first reason to reject the clip, with its figure; None when it may stay."""
    faults = (
        ("too_quiet", clip.level_dbfs, clip.level_dbfs < filters.min_level_dbfs),
        ("clipped", clip.clipped, clip.clipped > filters.max_clipped),
        ("still", clip.motion, clip.motion < filters.min_motion),
        ("cut", clip.continuity, clip.continuity < filters.min_continuity),
        ("speech", clip.speech, clip.speech > filters.max_speech),
        ("music", clip.music, clip.music > filters.max_music),
    )
    return next(((reason, figure) for reason, figure, wrong in faults if wrong), None)
