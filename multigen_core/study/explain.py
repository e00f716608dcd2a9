"""Why, not only how much: strips of a few trials, and a video of every failure, each carried out once more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from multigen_core.compute import make_engine
from multigen_core.evaluation.failures import failure
from multigen_core.evaluation.figures import pour_strip
from multigen_core.evaluation.table import read_trials
from multigen_core.evaluation.trials import Job, write_recording
from multigen_core.evaluation.watching import Watched, watch
from multigen_core.records import Trial
from multigen_core.storage import output_folder
from multigen_core.study.carry_out import STUDY, Study
from multigen_core.study.units import Series

__all__ = ["Failure", "Why", "explain"]

_STRIPS = 3
"""Per kind of cup."""


@dataclass(frozen=True)
class Failure:
    """A trial that failed."""

    video: Path
    reason: str
    training: str
    trial: int


@dataclass(frozen=True)
class Why:
    """What :func:`explain` made."""

    strips: tuple[Path, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Again:
    """A trial to watch, as a worker process receives it; paths are relative to the folder of all."""

    job: Job
    trial: Trial
    picture: Path | None
    failure: Failure | None
    folder: Path


def explain(study: Study, series: Sequence[Series], *, stripped: Series) -> Why:
    """Writes ``strips/`` for the first trials with opaque and with clear cups of ``stripped``, and ``failures/`` with a
    video of every trial of the series that failed, in the study's folder ``why``.
    """
    place = study.root / STUDY / study.experiment.evaluation.conditions / "why"
    with output_folder(place) as out:
        for name in ("strips", "failures"):
            (out / name).mkdir()
        todo = [again for one in series if study.has(one) for again in _again(study, one, stripped, out)]
        engine = make_engine(study.experiment.compute.engine, study.experiment.compute.workers)
        engine.map(_watch, todo, study.progress("why"), "trials watched")
    failures = [again.failure for again in todo if again.failure is not None]
    return Why(
        strips=tuple(place / again.picture for again in todo if again.picture is not None),
        failures=tuple(replace(one, video=place / one.video) for one in failures),
    )


def _again(study: Study, series: Series, stripped: Series, out: Path) -> list[_Again]:
    chosen = []
    strips = {True: 0, False: 0}
    for job, trial in zip(study.jobs(series), read_trials(study.series_folder(series)), strict=True):
        kind = "opaque" if trial.opaque else "clear"
        picture = failed = None
        if series == stripped and strips[trial.opaque] < _STRIPS:
            strips[trial.opaque] += 1
            picture = Path("strips") / f"{kind}-{strips[trial.opaque]}.png"
        if reason := failure(trial):
            name = f"{reason}-{series.training.name}-trial-{trial.trial:03d}"
            failed = Failure(Path("failures") / f"{name}.mp4", reason, series.training.name, trial.trial)
        if picture or failed:
            chosen.append(_Again(job, trial, picture, failed, out))
    return chosen


def _watch(again: _Again) -> None:
    watched = watch(again.job)
    if again.picture is not None:
        (again.folder / again.picture).write_bytes(_strip(watched, again.trial))
    if again.failure is not None:
        write_recording(again.folder / again.failure.video, watched.recording)


def _strip(watched: Watched, trial: Trial) -> bytes:
    times_s = np.array([readings.time_s for readings in watched.readings])
    poured_ml = np.array([readings.poured_ml for readings in watched.readings])
    tilt_rad = np.array([readings.tilt_rad for readings in watched.readings])
    shown = len(times_s) - 1
    return pour_strip(
        watched.recording.rgb[:shown],
        watched.recording.waveform,
        times_s=times_s,
        fill=poured_ml / trial.capacity_ml,
        tilt_deg=np.degrees(tilt_rad),
        decided_s=watched.decided_s,
        believed_fill=watched.believed[:, 0],
        goal=trial.goal_fraction,
        title=(
            f"{trial.container.replace('_', ' ')} ({'opaque' if trial.opaque else 'clear'}):"
            f" {trial.poured_ml:.0f} of {trial.target_ml:.0f} ml, {trial.outcome.replace('_', ' ')}"
        ),
    )
