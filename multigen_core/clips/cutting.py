"""One recording to one clip in memory: from just before its pour, at the clips' length, rate and size."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core import media
from multigen_core.acoustics.air_column import air_column_error_m
from multigen_core.acoustics.pour_detection import PourInterval, find_pour
from multigen_core.clips.contract import Candidate, Media
from multigen_core.experiment import Clips
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["LEAD_S", "Cut", "Unusable", "cut_around_pour", "level_dbfs"]

LEAD_S = 0.5
"""What is kept before the pour, where the recording has it."""
_LEAST_DECODED = 0.8
"""A file whose sound ends before this share of its length was cut off while it was copied."""


class Unusable(Exception):
    """A recording that cannot become a clip."""

    def __init__(self, reason: str, figure: float = math.nan) -> None:
        super().__init__(reason)
        self.reason, self.figure = reason, figure


@dataclass(frozen=True)
class Cut:
    """A clip in memory."""

    frames: list[UInt8[np.ndarray, "H W 3"]]
    waveform: Float32[np.ndarray, " samples"]
    start_s: float
    pour: PourInterval
    """In the time of the recording."""
    air_column_error_m: float
    """Not a number where nobody measured the receiver."""


def cut_around_pour(recording: Media, candidate: Candidate, clips: Clips) -> Cut:
    """The part of the candidate around the beginning of its pour. Raises Unusable."""
    try:
        info = media.probe(recording.video)
        part_s = (candidate.start_s, candidate.stop_s)
        waveform = media.read_sound(recording.sound or recording.video, start_s=part_s[0], stop_s=part_s[1])
        if not info.has_video:
            raise Unusable("no_video")
        if recording.sound is None and not info.has_sound:
            raise Unusable("no_sound")
        sound_s = len(waveform) / SAMPLE_RATE_HZ
        # A sound file of its own has the length of the clip; some recorders leave the duration out.
        promised_s = sound_s
        if info.duration_s > 0.0 and recording.sound is None:
            promised_s = max(min(part_s[1] or info.duration_s, info.duration_s) - part_s[0], 0.0)
        if sound_s < _LEAST_DECODED * promised_s:
            raise Unusable("not_decodable")
        available_s = min(promised_s, sound_s)
        if available_s < clips.min_length_s:
            raise Unusable("too_short", available_s)
        pour = find_pour(waveform)
        if pour is None:
            raise Unusable("no_pour", level_dbfs(waveform))
        start_s, count = _window(pour, available_s, clips)
        frames = list(_resampled(recording.video, clips, start_s=part_s[0] + start_s, count=count))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise Unusable("not_decodable") from error
    if len(frames) < count:
        raise Unusable("not_decodable")
    samples = round(count / clips.fps * SAMPLE_RATE_HZ)
    first = round(start_s * SAMPLE_RATE_HZ)
    sound = waveform[first : first + samples]
    in_recording = replace(pour, start_s=part_s[0] + pour.start_s, stop_s=part_s[0] + pour.stop_s)
    return Cut(
        frames=frames,
        waveform=np.pad(sound, (0, samples - len(sound))),
        start_s=part_s[0] + start_s,
        pour=in_recording,
        air_column_error_m=_air_column_error_m(recording, waveform),
    )


def _air_column_error_m(recording: Media, waveform: Float32[np.ndarray, " samples"]) -> float:
    measured = recording.measured
    if measured is None:
        return math.nan
    return air_column_error_m(waveform, height_m=measured.height_m, radius_m=measured.radius_m)


def _window(pour: PourInterval, available_s: float, clips: Clips) -> tuple[float, int]:
    """Start [s] and number of frames of the clip: LEAD_S before the pour, ``length_s`` or what there is."""
    start_s = max(pour.start_s - LEAD_S, 0.0)
    stop_s = min(start_s + clips.length_s, available_s)
    start_s = max(stop_s - clips.length_s, 0.0)
    count = int((stop_s - start_s) * clips.fps + 1e-6)
    return start_s, count


def _resampled(video: Path, clips: Clips, *, start_s: float, count: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """``count`` frames at the clips' rate with ``size_px`` as the short side and even sides."""
    frames = media.read_video(video, fps=clips.fps, start_s=start_s, stop_s=start_s + count / clips.fps)
    for pixels in frames:
        height, width = pixels.shape[:2]
        scale = clips.size_px / min(height, width)
        new_width, new_height = (2 * max(1, round(side * scale / 2)) for side in (width, height))
        if (new_width, new_height) == (width, height):
            yield pixels
            continue
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        yield frame.reformat(width=new_width, height=new_height, interpolation="AREA").to_ndarray(format="rgb24")


def level_dbfs(waveform: Float32[np.ndarray, " samples"]) -> float:
    """Root mean square over full scale, at most 0."""
    return float(min(10.0 * np.log10(np.mean(np.square(waveform, dtype=float)) + 1e-12), 0.0))
