"""The clips stage: every candidate becomes a clip of one shape, or a row of the quarantine."""

import hashlib
import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pandas as pd
from jaxtyping import UInt32

from multigen_core import media
from multigen_core.clips.catalogue import REASONS, true_masks, write_catalogue, write_quarantine
from multigen_core.clips.contract import Candidate, ClipSource, Media, Unavailable
from multigen_core.clips.cutting import Cut, Unusable, cut_around_pour, level_dbfs
from multigen_core.clips.duplicates import HeardClip, repetitions
from multigen_core.clips.filters import ClipFigures, fault_of, measure
from multigen_core.clips.fingerprint import fingerprint
from multigen_core.clips.finished_cuts import FinishedCuts, code_digest, digest_of
from multigen_core.clips.funnel import funnel_summary
from multigen_core.clips.sources import configured_sources
from multigen_core.compute import make_engine
from multigen_core.errors import UserError
from multigen_core.experiment import Clips, Experiment, Filters
from multigen_core.progress import Progress
from multigen_core.records import Summary
from multigen_core.storage import file_sha256

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["CUTS", "run"]

CUTS = Path(".multigen/cuts")
"""What a killed or an earlier run has cut already, below the project root."""
_ONSET_FLOW_ML_S = 1.0


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Writes catalogue, quarantine, ``media/<clip_id>.mp4`` and ``.flac``, and ``truth/`` for reference clips.

    Raises MissingInput when a source is not there, UserError when no candidate became a clip.
    """
    (out / "media").mkdir()
    (out / "truth").mkdir()
    sources = configured_sources(experiment, inputs.root)
    cuts = FinishedCuts(inputs.root / CUTS)
    jobs = [
        _Job(source=source, candidate=candidate, clips=experiment.clips, out=out, cuts=cuts)
        for source in sources
        for candidate in source.discover()
    ]
    engine = make_engine(experiment.compute.engine, experiment.compute.workers)
    outcomes = _judged(engine.map(_curate, jobs, progress, "clips"), experiment.clips.filters, out)
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
        progress.say(f"quarantine: {outcome.row['path']!r} ({outcome.row['reason']})")
    splits = _splits(_recordings(kept), experiment)
    rows = [{**outcome.row, "split": splits[name]} for outcome, name in zip(kept, _recordings(kept), strict=True)]
    catalogue = write_catalogue(out, rows)
    cuts.forget_others({outcome.cut for outcome in outcomes if outcome.cut})
    return _summary(catalogue, quarantine, [outcome.onset_error_s for outcome in kept]) | funnel_summary(
        {source.name: source.funnel() for source in sources}, len(jobs), quarantine
    )


@dataclass(frozen=True)
class _Job:
    source: ClipSource
    candidate: Candidate
    clips: Clips
    out: Path
    cuts: FinishedCuts


@dataclass(frozen=True)
class _Kept:
    row: dict[str, Any]
    """Of the catalogue, without its split."""
    onset_error_s: float | None
    """Heard less true onset; None without truth."""
    location: str
    """For the quarantine, where the clip may still end."""
    figures: ClipFigures
    heard: HeardClip
    cut: str
    """Name of its entry among the finished cuts."""


@dataclass(frozen=True)
class _Rejected:
    row: dict[str, Any]
    cut: str = ""
    """As above; empty for what no file decides."""


def _judged(outcomes: Sequence["_Kept | _Rejected"], filters: Filters, out: Path) -> list["_Kept | _Rejected"]:
    """The outcomes after the filters, in the same order; files of clips that are rejected here are removed."""
    judged = list(outcomes)
    for place, outcome in enumerate(judged):
        if isinstance(outcome, _Kept) and (fault := fault_of(outcome.figures, filters)):
            judged[place] = _withdrawn(outcome, *fault, out)
    staying = [(place, outcome) for place, outcome in enumerate(judged) if isinstance(outcome, _Kept)]
    for repetition in repetitions([outcome.heard for _, outcome in staying], filters):
        place, outcome = staying[repetition.number]
        judged[place] = _withdrawn(outcome, "duplicate", repetition.figure, out)
    return judged


def _withdrawn(outcome: _Kept, reason: str, figure: float, out: Path) -> _Rejected:
    for path in _files(out, outcome.row["clip_id"]):
        path.unlink()
    row = {"source": outcome.row["source"], "path": outcome.location, "reason": reason, "figure": figure}
    return _Rejected(row, outcome.cut)


def _files(out: Path, clip_id: str) -> list[Path]:
    """Of one clip, those that it has."""
    places = (("media", "mp4"), ("media", "flac"), ("truth", "mp4"), ("truth", "parquet"))
    paths = (out / folder / f"{clip_id}.{suffix}" for folder, suffix in places)
    return [path for path in paths if path.is_file()]


def _recordings(kept: Sequence[_Kept]) -> list[str]:
    """The recording of every clip as the splits name it: that of the first source that has it."""
    first: dict[str, str] = {}
    for outcome in kept:
        first.setdefault(outcome.row["source_id"], f"{outcome.row['source']}/{outcome.row['source_id']}")
    return [first[outcome.row["source_id"]] for outcome in kept]


def _curate(job: _Job) -> _Kept | _Rejected:
    """Fetches, cuts, measures and writes one candidate, or finds that done."""
    allowed = [licence.casefold() for licence in job.clips.licences]
    if allowed and job.candidate.licence.casefold() not in allowed:
        return _Rejected(_quarantine_row(job, "licence", math.nan))
    recipe = job.source.recipe(job.candidate)
    if recipe is not None and (done := _finished(job, name := _cut_name(job, recipe))):
        return done
    with tempfile.TemporaryDirectory() as scratch:
        try:
            recording = job.source.fetch(job.candidate, Path(scratch))
        except Unavailable as problem:
            return _Rejected(_quarantine_row(job, problem.reason, math.nan))
        try:
            sha256 = file_sha256(recording.video)
        except OSError:
            return _Rejected(_quarantine_row(job, "not_decodable", math.nan))
        if recipe is None:
            name = _cut_name(job, sha256, recording.measured)
            if done := _finished(job, name):
                return done
        try:
            kept = _write(job, recording, cut_around_pour(recording, job.candidate, job.clips), sha256, name)
        except Unusable as problem:
            rejected = _Rejected(_quarantine_row(job, problem.reason, problem.figure), name)
            job.cuts.keep(name, job.out, (), {"row": rejected.row})
            return rejected
    outcome = {"row": kept.row, "onset_error_s": kept.onset_error_s, "figures": asdict(kept.figures)}
    files = _files(job.out, job.candidate.clip_id)
    job.cuts.keep(name, job.out, files, outcome | {"words": kept.heard.words.tolist()})
    return kept


def _cut_name(job: _Job, *content: object) -> str:
    """A digest of everything that decides the clip."""
    clips = job.clips
    shape = (clips.length_s, clips.min_length_s, clips.fps, clips.size_px)
    return digest_of(code_digest(), job.source.name, job.candidate, shape, *content)


def _finished(job: _Job, name: str) -> _Kept | _Rejected | None:
    """What an earlier run made of the same candidate."""
    outcome = job.cuts.take(name, job.out)
    if outcome is None:
        return None
    if "words" not in outcome:
        return _Rejected(outcome["row"], name)
    return _Kept(
        row=outcome["row"],
        onset_error_s=outcome["onset_error_s"],
        location=_readable_location(job),
        figures=ClipFigures(**outcome["figures"]),
        heard=_heard(job, outcome["row"], np.array(outcome["words"], np.uint32)),
        cut=name,
    )


def _heard(job: _Job, row: dict[str, Any], words: UInt32[np.ndarray, " words"]) -> HeardClip:
    begins_s = job.candidate.recording_start_s
    return HeardClip(
        recording=None if begins_s is None else job.candidate.source_id,
        start_s=(begins_s or 0.0) + row["start_s"],
        stop_s=(begins_s or 0.0) + row["end_s"],
        words=words,
    )


def _readable_location(job: _Job) -> str:
    """A name may be no valid UTF-8."""
    return job.candidate.location.encode(errors="replace").decode()


def _quarantine_row(job: _Job, reason: str, figure: float) -> dict[str, Any]:
    return {"source": job.source.name, "path": _readable_location(job), "reason": reason, "figure": figure}


def _write(job: _Job, recording: Media, cut: Cut, sha256: str, name: str) -> _Kept:
    clip_id, fps, out = job.candidate.clip_id, job.clips.fps, job.out
    try:
        media.write_video(out / "media" / f"{clip_id}.mp4", cut.frames, fps=fps, sound=cut.waveform)
    except av.error.FFmpegError as error:  # pictures of a shape that no encoder takes
        (out / "media" / f"{clip_id}.mp4").unlink(missing_ok=True)
        raise Unusable("not_decodable") from error
    media.write_flac(out / "media" / f"{clip_id}.flac", cut.waveform)
    onset_error_s = None
    if recording.truth is not None:
        first = round(cut.start_s * fps)
        rows = slice(first, first + len(cut.frames))
        curves = recording.truth.curves.iloc[rows].reset_index(drop=True)
        media.write_masks(true_masks(out, clip_id), recording.truth.masks[rows], fps=fps)
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
        "level_dbfs": level_dbfs(cut.waveform),
        "air_column_error_m": cut.air_column_error_m,
        "licence": job.candidate.licence,
        "sha256": sha256,
    }
    return _Kept(
        row=row,
        onset_error_s=onset_error_s,
        location=_readable_location(job),
        figures=measure(cut.frames, cut.waveform, row["level_dbfs"]),
        heard=_heard(job, row, fingerprint(cut.waveform)),
        cut=name,
    )


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
