"""The clips stage: every candidate becomes a clip of one shape, or a row of the quarantine."""

import hashlib
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8

from multigen_core import media
from multigen_core.acoustics.air_column import air_column_error_m
from multigen_core.acoustics.pour_detection import PourInterval, find_pour
from multigen_core.clips.catalogue import REASONS, write_catalogue, write_quarantine
from multigen_core.clips.contract import Candidate, ClipSource, Media, Unavailable
from multigen_core.clips.funnel import funnel_summary
from multigen_core.clips.sources import configured_sources
from multigen_core.compute import make_engine
from multigen_core.errors import UserError
from multigen_core.experiment import Clips, Experiment
from multigen_core.progress import Progress
from multigen_core.records import SAMPLE_RATE_HZ, Summary
from multigen_core.storage import file_sha256

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["LEAD_S", "run"]

LEAD_S = 0.5
"""What is kept before the pour, where the recording has it."""
_ONSET_FLOW_ML_S = 1.0
_LEAST_DECODED = 0.8
"""A file whose sound ends before this share of its length was cut off while it was copied."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Writes catalogue, quarantine, ``media/<clip_id>.mp4`` and ``.flac``, and ``truth/`` for reference clips.

    Raises MissingInput when a source is not there, UserError when no candidate became a clip.
    """
    (out / "media").mkdir()
    (out / "truth").mkdir()
    sources = configured_sources(experiment, inputs.root)
    jobs = [
        _Job(source=source, candidate=candidate, clips=experiment.clips, out=out)
        for source in sources
        for candidate in source.discover()
    ]
    engine = make_engine(experiment.compute.engine, experiment.compute.workers)
    outcomes = engine.map(_curate, jobs, progress, "clips")
    kept = [outcome for outcome in outcomes if isinstance(outcome, _Kept)]
    rejected = [outcome for outcome in outcomes if isinstance(outcome, _Rejected)]
    quarantine = write_quarantine(out, [outcome.row for outcome in rejected])
    if not kept:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(quarantine["reason"]).items()))
        raise UserError(
            f"clips: none of {len(jobs)} candidates became a clip ({counts or 'the sources are empty'}); "
            "put videos of pours with sound into clips.inbox or raise clips.reference_count"
        )
    for outcome in rejected:
        progress.say(f"quarantine: {outcome.row['path']} ({outcome.row['reason']})")
    recordings = [f"{outcome.row['source']}/{outcome.row['source_id']}" for outcome in kept]
    splits = _splits(recordings, experiment)
    rows = [{**outcome.row, "split": splits[name]} for outcome, name in zip(kept, recordings, strict=True)]
    catalogue = write_catalogue(out, rows)
    return _summary(catalogue, quarantine, [outcome.onset_error_s for outcome in kept]) | funnel_summary(
        {source.name: source.funnel() for source in sources}, len(jobs), quarantine
    )


@dataclass(frozen=True)
class _Job:
    source: ClipSource
    candidate: Candidate
    clips: Clips
    out: Path


@dataclass(frozen=True)
class _Kept:
    row: dict[str, Any]
    """Of the catalogue, without its split."""
    onset_error_s: float | None
    """Heard less true onset; None without truth."""


@dataclass(frozen=True)
class _Rejected:
    row: dict[str, Any]


class _Unusable(Exception):
    """A recording that cannot become a clip."""

    def __init__(self, reason: str, figure: float = math.nan) -> None:
        super().__init__(reason)
        self.reason, self.figure = reason, figure


@dataclass(frozen=True)
class _Cut:
    """A clip in memory."""

    frames: list[UInt8[np.ndarray, "H W 3"]]
    waveform: Float32[np.ndarray, " samples"]
    start_s: float
    pour: PourInterval
    """In the time of the recording."""
    air_column_error_m: float
    """Not a number where nobody measured the receiver."""


def _curate(job: _Job) -> _Kept | _Rejected:
    """Fetches, cuts and writes one candidate."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            recording = job.source.fetch(job.candidate, Path(scratch))
            cut = _cut(recording, job.candidate, job.clips)
        except Unavailable as problem:
            return _rejected(job, problem.reason, math.nan)
        except _Unusable as problem:
            return _rejected(job, problem.reason, problem.figure)
        return _write(job, recording, cut)


def _rejected(job: _Job, reason: str, figure: float) -> _Rejected:
    path = os.fsencode(job.candidate.location).decode(errors="replace")
    return _Rejected({"source": job.source.name, "path": path, "reason": reason, "figure": figure})


def _cut(recording: Media, candidate: Candidate, clips: Clips) -> _Cut:
    """The part of the candidate around the beginning of its pour. Raises _Unusable."""
    try:
        info = media.probe(recording.video)
        part_s = (candidate.start_s, candidate.stop_s)
        waveform = media.read_sound(recording.sound or recording.video, start_s=part_s[0], stop_s=part_s[1])
        if not info.has_video:
            raise _Unusable("no_video")
        if recording.sound is None and not info.has_sound:
            raise _Unusable("no_sound")
        sound_s = len(waveform) / SAMPLE_RATE_HZ
        # A sound file of its own has the length of the clip; some recorders leave the duration out.
        promised_s = sound_s
        if info.duration_s > 0.0 and recording.sound is None:
            promised_s = max(min(part_s[1] or info.duration_s, info.duration_s) - part_s[0], 0.0)
        if sound_s < _LEAST_DECODED * promised_s:
            raise _Unusable("not_decodable")
        available_s = min(promised_s, sound_s)
        if available_s < clips.min_length_s:
            raise _Unusable("too_short", available_s)
        pour = find_pour(waveform)
        if pour is None:
            raise _Unusable("no_pour", _level_dbfs(waveform))
        start_s, count = _window(pour, available_s, clips)
        frames = list(_resampled(recording.video, clips, start_s=part_s[0] + start_s, count=count))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _Unusable("not_decodable") from error
    if len(frames) < count:
        raise _Unusable("not_decodable")
    samples = round(count / clips.fps * SAMPLE_RATE_HZ)
    first = round(start_s * SAMPLE_RATE_HZ)
    sound = waveform[first : first + samples]
    in_recording = replace(pour, start_s=part_s[0] + pour.start_s, stop_s=part_s[0] + pour.stop_s)
    return _Cut(
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


def _write(job: _Job, recording: Media, cut: _Cut) -> _Kept:
    clip_id, fps, out = job.candidate.clip_id, job.clips.fps, job.out
    media.write_video(out / "media" / f"{clip_id}.mp4", cut.frames, fps=fps, sound=cut.waveform)
    media.write_flac(out / "media" / f"{clip_id}.flac", cut.waveform)
    onset_error_s = None
    if recording.truth is not None:
        first = round(cut.start_s * fps)
        rows = slice(first, first + len(cut.frames))
        curves = recording.truth.curves.iloc[rows].reset_index(drop=True)
        media.write_masks(out / "truth" / f"{clip_id}.mp4", recording.truth.masks[rows], fps=fps)
        curves.to_parquet(out / "truth" / f"{clip_id}.parquet", index=False)
        onset_error_s = cut.pour.start_s - _true_onset_s(recording.truth.curves)
    height, width = cut.frames[0].shape[:2]
    duration_s = len(cut.frames) / fps
    row = {
        "clip_id": clip_id,
        "source": job.source.name,
        "source_id": job.candidate.source_id,
        "start_s": cut.start_s,
        "end_s": cut.start_s + duration_s,
        "duration_s": duration_s,
        "fps": fps,
        "width_px": width,
        "height_px": height,
        "onset_s": max(cut.pour.start_s - cut.start_s, 0.0),
        "offset_s": min(cut.pour.stop_s - cut.start_s, duration_s),
        "level_dbfs": _level_dbfs(cut.waveform),
        "air_column_error_m": cut.air_column_error_m,
        "licence": job.candidate.licence,
        "sha256": file_sha256(recording.video),
    }
    return _Kept(row, onset_error_s)


def _true_onset_s(curves: pd.DataFrame) -> float:
    flowing = curves.loc[curves["flow_ml_s"] > _ONSET_FLOW_ML_S, "time_s"]
    return float(flowing.iloc[0])


def _splits(recordings: Sequence[str], experiment: Experiment) -> dict[str, str]:
    """Which recordings validate: those whose digest falls below the fraction, so that new clips move no old ones.

    With two recordings or more there is at least one on each side.
    """
    digests = {name: hashlib.sha256(f"{experiment.seed}/{name}".encode()).digest() for name in recordings}
    ordered = sorted(digests, key=lambda name: digests[name])
    limit = experiment.clips.validation_fraction * 2.0**64
    below = sum(int.from_bytes(digest[:8]) < limit for digest in digests.values())
    validating = set(ordered[: min(max(below, 1), len(ordered) - 1)])
    return {name: "validation" if name in validating else "train" for name in ordered}


def _summary(catalogue: pd.DataFrame, quarantine: pd.DataFrame, onset_errors_s: Sequence[float | None]) -> Summary:
    summary: Summary = {
        "accepted": len(catalogue),
        "clips": len(catalogue),
        "seconds": float(catalogue["duration_s"].sum()),
        "hours": float(catalogue["duration_s"].sum() / 3600.0),
        "train": int((catalogue["split"] == "train").sum()),
        "validation": int((catalogue["split"] == "validation").sum()),
        "rejected": len(quarantine),
        "quarantined": {reason: int((quarantine["reason"] == reason).sum()) for reason in REASONS},
        "onset_s_median": float(catalogue["onset_s"].median()),
        "level_dbfs_median": float(catalogue["level_dbfs"].median()),
    }
    summary |= {f"clips_{source}": int(count) for source, count in Counter(catalogue["source"]).items()}
    measured_m = catalogue["air_column_error_m"].dropna()
    summary["air_column_error_m"] = float(measured_m.median()) if len(measured_m) else None
    known = [abs(error) for error in onset_errors_s if error is not None]
    summary["reference_onset_error_s_median"] = float(np.median(known)) if known else None
    return summary


def _level_dbfs(waveform: Float32[np.ndarray, " samples"]) -> float:
    return float(min(10.0 * np.log10(np.mean(np.square(waveform, dtype=float)) + 1e-12), 0.0))
