"""Policies that are registered and judged as the asset steps would, with made-up weights and trials."""

from pathlib import Path

from multigen_core.evaluation.table import write_trials
from multigen_core.experiment import Experiment
from multigen_core.progress import Silent
from multigen_core.records import Trial
from multigen_core.stages import output_of, stage_named
from pipelines import promotion
from pipelines.registry import register
from pipelines.resources.mlflow import Mlflow

__all__ = ["judge", "train", "trial_off_by", "write_trials_off_by"]


def train(tracking: Mlflow, root: Path, experiment: Experiment, ablation: str, md5: str) -> None:
    """Registers a policy as the asset step would."""
    place = root / output_of(stage_named("policy"), ablation)
    place.mkdir(parents=True, exist_ok=True)
    (place / "weights.txt").write_text(md5)
    with tracking.step(f"policy@{ablation}", {}) as run:
        register(stage_named("policy"), ablation, place, run, experiment, md5)


def judge(
    tracking: Mlflow,
    root: Path,
    experiment: Experiment,
    *,
    error: float,
    seed: int = 1,
    poured_with: str | None = None,
) -> promotion.Verdict:
    """Writes the challenger's trials, every one off by ``error`` of its target, and asks the gate."""
    write_trials_off_by(root, error, seed)
    with tracking.step("champion", {}) as run:
        return promotion.judge(experiment, root, run, Silent(), poured_with=poured_with)


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
