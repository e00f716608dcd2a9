"""Why, not only how much: strips of a few trials, and a video of every failure, each carried out once more."""

from collections.abc import Sequence
from dataclasses import dataclass
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

__all__ = ["explain"]

_STRIPS = 3
"""Per kind of cup."""


@dataclass(frozen=True)
class _Again:
    """A trial to watch, as a worker process receives it."""

    job: Job
    trial: Trial
    picture: Path | None
    video: Path | None


def explain(study: Study, series: Sequence[Series]) -> Path:
    """Writes ``strips/`` for the first trials with opaque and with clear cups of the last of the series, and
    ``failures/`` with a video, named by its reason, of every trial of the series that failed. Returns the folder.
    """
    place = study.root / STUDY / study.experiment.evaluation.conditions / "why"
    with output_folder(place) as out:
        for name in ("strips", "failures"):
            (out / name).mkdir()
        todo = [again for one in series if study.has(one) for again in _again(study, one, series[-1], out)]
        engine = make_engine(study.experiment.compute.engine, study.experiment.compute.workers)
        engine.map(_watch, todo, study.progress("why"), "trials watched")
    return place


def _again(study: Study, series: Series, stripped: Series, out: Path) -> list[_Again]:
    chosen = []
    strips = {True: 0, False: 0}
    for job, trial in zip(study.jobs(series), read_trials(study.series_folder(series)), strict=True):
        kind = "opaque" if trial.opaque else "clear"
        picture = video = None
        if series == stripped and strips[trial.opaque] < _STRIPS:
            strips[trial.opaque] += 1
            picture = out / "strips" / f"{kind}-{strips[trial.opaque]}.png"
        if reason := failure(trial):
            video = out / "failures" / f"{reason}-{series.training.name}-trial-{trial.trial:03d}.mp4"
        if picture or video:
            chosen.append(_Again(job, trial, picture, video))
    return chosen


def _watch(again: _Again) -> None:
    watched = watch(again.job)
    if again.picture is not None:
        again.picture.write_bytes(_strip(watched, again.trial))
    if again.video is not None:
        write_recording(again.video, watched.recording)


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
