"""Models that are registered and judged as the asset steps would, with made-up weights, trials and scores."""

from pathlib import Path

import pandas as pd

from multigen_core.audio_model.report import SCORES
from multigen_core.evaluation.table import write_trials
from multigen_core.experiment import Experiment
from multigen_core.progress import Silent
from multigen_core.records import Trial
from multigen_core.stages import output_of, stage_named
from pipelines import promotion
from pipelines.contests import AudioContest, PolicyContest
from pipelines.registry import register
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow

__all__ = [
    "judge",
    "judge_audio",
    "poured_with",
    "train",
    "train_audio",
    "trial_off_by",
    "write_scores_off_by",
    "write_trials_off_by",
]


def train(tracking: Mlflow, root: Path, experiment: Experiment, ablation: str, md5: str) -> None:
    """Registers a policy as the asset step would."""
    _train(tracking, root, experiment, "policy", ablation, md5)


def train_audio(tracking: Mlflow, root: Path, experiment: Experiment, md5: str) -> None:
    """Registers an audio model as the asset step would."""
    _train(tracking, root, experiment, "audio_model", None, md5)


def judge(tracking: Mlflow, root: Path, experiment: Experiment, *, error: float, seed: int = 1) -> promotion.Verdict:
    """Writes the challenger's trials, every one off by ``error`` of its target, and asks the gate."""
    write_trials_off_by(root, error, seed)
    with tracking.step("champion", {}) as run:
        return promotion.judge(PolicyContest(experiment, root, Dvc(root=str(root))), run, Silent())


def judge_audio(
    tracking: Mlflow, root: Path, experiment: Experiment, *, error: float, dvc: Dvc | None = None
) -> promotion.Verdict:
    """Writes the challenger's scores, every pitch off by ``error`` octaves, and asks the gate."""
    write_scores_off_by(root, error)
    with tracking.step("audio_champion", {}) as run:
        return promotion.judge(AudioContest(experiment, root, dvc or Dvc(root=str(root))), run, Silent())


def poured_with(root: Path, md5: str) -> None:
    """A dvc.lock that says which policy the trials on disk are of."""
    (root / "dvc.lock").write_text(
        f"stages:\n  evaluation@vision_audio:\n    deps:\n    - {{path: models/policy/vision_audio, md5: {md5}}}\n"
    )


def write_scores_off_by(root: Path, error: float, *, shuffled: float = 0.5, episodes: int = 8) -> None:
    """The audio report's output folder; half of the episodes pour into a mug, half into a glass."""
    folder = root / output_of(stage_named("audio_report"), None)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "episode_id": f"pour-{number}",
            "container": ("mug", "glass")[number % 2],
            "condition": condition,
            "pitch_error_octaves": octaves,
            "sdr_db": 9.0,
        }
        for number in range(episodes)
        for condition, octaves in (("generated", error), ("shuffled", shuffled))
    ]
    pd.DataFrame(rows).to_parquet(folder / SCORES)


def _train(tracking: Mlflow, root: Path, experiment: Experiment, stage: str, partition: str | None, md5: str) -> None:
    place = root / output_of(stage_named(stage), partition)
    place.mkdir(parents=True, exist_ok=True)
    (place / "weights.txt").write_text(md5)
    with tracking.step(stage, {}) as run:
        register(stage_named(stage), partition, place, run, experiment, md5)


def write_trials_off_by(root: Path, error: float, seed: int = 1) -> None:
    """The evaluation's output folder with eight trials."""
    folder = root / output_of(stage_named("evaluation"), "vision_audio")
    folder.mkdir(parents=True, exist_ok=True)
    write_trials(folder, [trial_off_by(number, error, seed) for number in range(8)])


def trial_off_by(number: int, error: float, seed: int) -> Trial:
    return Trial(
        trial=number,
        ablation="vision_audio",
        lab="emulated",
        container="red_cup",
        opaque=True,
        goal_fraction=0.5,
        target_ml=100.0,
        capacity_ml=200.0,
        poured_ml=100.0 * (1 - error),
        spilled_ml=0.0,
        in_pitcher_ml=300.0,
        duration_s=8.0,
        outcome="stopped",
        seed=100 * seed + number,
    )
