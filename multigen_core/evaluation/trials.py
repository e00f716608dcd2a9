"""Stage ``evaluation``: closed-loop trials of one trained policy in the lab."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from multigen_core.compute import make_engine
from multigen_core.evaluation.failures import failure
from multigen_core.evaluation.nmae import summarise
from multigen_core.evaluation.protocol import plan
from multigen_core.evaluation.recorded import recorded_trials
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.evaluation.table import write_trials
from multigen_core.experiment import Episodes, Evaluation, Experiment, seed_for
from multigen_core.lab.control import Pour, pour
from multigen_core.lab.disturbances import Played
from multigen_core.lab.emulated import EmulatedLab, Recording
from multigen_core.lab.labs import REAL_TIME_LABS, open_lab
from multigen_core.lab.robot import Task
from multigen_core.media import write_video
from multigen_core.policy.contract import Policy
from multigen_core.policy.trained import load_policy
from multigen_core.progress import Progress
from multigen_core.records import Summary, Trial
from multigen_core.simulation.randomisation import TRAINING_RECEIVERS

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = [
    "AVERAGE_CAPACITY_ML",
    "VIDEOS",
    "Job",
    "carry_out",
    "opened_lab",
    "poured",
    "run",
    "trial_row",
    "video_of",
    "write_recording",
]

AVERAGE_CAPACITY_ML = float(np.mean([cup.capacity_ml for cup in TRAINING_RECEIVERS]))
"""What the blind reference takes every cup for."""
VIDEOS = "videos"
"""Subfolder with ``trial-NNN.mp4``; see :func:`video_of`."""
_WATCHABLE_PX = 192
"""Videos are enlarged to at least this."""


@dataclass(frozen=True)
class Job:
    """One trial, as a worker process receives it."""

    trial: int
    task: Task
    policy: Path
    episodes: Episodes
    evaluation: Evaluation
    video: Path | None
    heard_from: Task | None = None
    """Another trial, which the policy carries out before; its sound is then played instead of this one's own."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Writes ``trials.parquet`` and ``videos/``; returns NMAE with intervals, per cup and kind of cup."""
    evaluation, ablation = experiment.evaluation, str(inputs.partition)
    (out / VIDEOS).mkdir()
    if evaluation.lab == "kinova_gen3":
        trials = recorded_trials(inputs.root, ablation, evaluation.lab)
    else:
        trials = _carried_out(experiment, inputs, out, progress)
    write_trials(out, trials)
    return summarise(
        trials,
        average_capacity_ml=AVERAGE_CAPACITY_ML,
        bootstrap=Bootstrap(evaluation.bootstrap, seed_for(experiment, "evaluation", "bootstrap")),
    )


def _carried_out(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> list[Trial]:
    """The planned trials, poured now."""
    evaluation, ablation = experiment.evaluation, str(inputs.partition)
    jobs = [
        Job(
            trial=trial,
            task=task,
            policy=inputs.one("policy"),
            episodes=experiment.episodes,
            evaluation=evaluation,
            video=video_of(out, trial) if trial < evaluation.videos else None,
        )
        for trial, task in enumerate(plan(experiment))
    ]
    pours = poured(jobs, experiment, progress)
    progress.say(_decision_times(pours))
    rows = [trial_row(job, result, ablation) for job, result in zip(jobs, pours, strict=True)]
    if evaluation.lab not in REAL_TIME_LABS:
        # Once more for their video: out of real time the same trial is the same pour.
        failed = [
            replace(job, video=video_of(out, job.trial))
            for job, row in zip(jobs, rows, strict=True)
            if failure(row) and job.video is None
        ]
        poured(failed, experiment, progress, "failed trials filmed")
    return rows


def video_of(out: Path, trial: int) -> Path:
    """Where the video of a trial is, if it has one: the first few have, and those that failed."""
    return out / VIDEOS / f"trial-{trial:03d}.mp4"


def poured(jobs: Sequence[Job], experiment: Experiment, progress: Progress, what: str = "trials") -> list[Pour]:
    """The trials, carried out where ``compute`` says; an arm that moves in real time gets the machine to itself."""
    name = "serial" if experiment.evaluation.lab in REAL_TIME_LABS else experiment.compute.engine
    engine = make_engine(name, experiment.compute.workers)
    return engine.map(carry_out, jobs, progress, what)


@lru_cache(maxsize=1)
def _policy(folder: Path) -> Policy:
    """Loaded once per worker process."""
    return load_policy(folder)


def carry_out(job: Job) -> Pour:
    """One trial in the emulated lab; writes its video where the job asks for one."""
    policy = _policy(job.policy)
    with opened_lab(job, policy, record=job.video is not None) as lab:
        result = pour(lab, policy, job.task, max_duration_s=job.evaluation.max_duration_s)
        if job.video is not None:
            write_recording(job.video, lab.recording())
    return result


def opened_lab(job: Job, policy: Policy, *, record: bool) -> AbstractContextManager[EmulatedLab]:
    """The lab as the job wants it."""
    return open_lab(
        job.episodes,
        job.evaluation,
        audio_window_s=policy.audio_window_s,
        look_every=policy.executed,
        record=record,
        played=_played(job, policy),
    )


def _played(job: Job, policy: Policy) -> Played | None:
    """How the other trial sounds, when there is one."""
    if job.heard_from is None:
        return None
    with opened_lab(replace(job, heard_from=None), policy, record=False) as lab:
        pour(lab, policy, job.heard_from, max_duration_s=job.evaluation.max_duration_s)
        return Played(job.heard_from, lab.sounding())


def trial_row(job: Job, result: Pour, ablation: str) -> Trial:
    """What is kept of a trial."""
    receiver = job.task.receiver
    return Trial(
        trial=job.trial,
        ablation=ablation,
        lab=job.evaluation.lab,
        container=receiver.name,
        opaque=receiver.opaque,
        goal_fraction=job.task.goal_fraction,
        target_ml=job.task.goal_fraction * receiver.capacity_ml,
        capacity_ml=receiver.capacity_ml,
        poured_ml=result.end.poured_ml,
        spilled_ml=result.end.spilled_ml,
        in_pitcher_ml=result.end.in_pitcher_ml,
        duration_s=result.duration_s,
        outcome=result.outcome,
        seed=job.task.seed,
    )


def write_recording(path: Path, recording: Recording) -> None:
    """A video with sound, enlarged by a whole factor without smoothing: what is seen are the policy's own pixels."""
    factor = -(-_WATCHABLE_PX // recording.rgb[0].shape[0])
    frames = (frame.repeat(factor, axis=0).repeat(factor, axis=1) for frame in recording.rgb)
    write_video(path, frames, fps=recording.rate_hz, sound=recording.waveform)


def _decision_times(pours: Sequence[Pour]) -> str:
    """One line; computing times stay out of the output, whose bytes must not depend on the machine's load."""
    milliseconds = 1e3 * np.concatenate([result.decision_s for result in pours])
    median, slow = np.percentile(milliseconds, [50, 99])
    return f"{len(milliseconds)} decisions, {median:.1f} ms in the median, 99 % within {slow:.1f} ms"
