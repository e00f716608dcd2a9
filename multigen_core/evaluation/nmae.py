"""NMAE: the mean over trials of |poured - target| / target, and what stands beside it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from multigen_core.evaluation.statistics import Bootstrap, Interval
from multigen_core.records import Outcome, Summary, Trial

__all__ = ["BLIND", "Score", "blind_trials", "by_container", "score", "summarise"]

BLIND = "blind"
"""Name of the reference that neither sees nor hears."""


@dataclass(frozen=True)
class Score:
    """What a set of trials adds up to."""

    nmae: Interval
    nmae_of_capacity: float
    bias: float
    """Mean of (poured - target) / target: above zero, too much."""
    spilled_ml_mean: float
    trials: int


def score(trials: Sequence[Trial], bootstrap: Bootstrap) -> Score:
    """Raises ValueError when there are no trials."""
    errors = np.array([trial.error for trial in trials])
    return Score(
        nmae=bootstrap.mean(errors),
        nmae_of_capacity=float(np.mean([trial.error_of_capacity for trial in trials])),
        bias=float(np.mean([(trial.poured_ml - trial.target_ml) / trial.target_ml for trial in trials])),
        spilled_ml_mean=float(np.mean([trial.spilled_ml for trial in trials])),
        trials=len(trials),
    )


def by_container(trials: Sequence[Trial], bootstrap: Bootstrap) -> dict[str, Score]:
    """One score per cup, opaque cups first."""
    cups = sorted({(not trial.opaque, trial.container) for trial in trials})
    return {name: score([trial for trial in trials if trial.container == name], bootstrap) for _, name in cups}


def blind_trials(trials: Sequence[Trial], average_capacity_ml: float) -> list[Trial]:
    """The same tasks, had somebody metered goal x one average capacity perfectly without looking or listening.

    What does not fit into the cup is spilled. A policy that is worse than this uses its senses to no avail.
    """
    rows = []
    for trial in trials:
        metered_ml = trial.goal_fraction * average_capacity_ml
        poured_ml = min(metered_ml, trial.capacity_ml)
        rows.append(
            replace(
                trial,
                ablation=BLIND,
                poured_ml=poured_ml,
                spilled_ml=metered_ml - poured_ml,
                outcome="stopped",
            )
        )
    return rows


def summarise(trials: Sequence[Trial], *, average_capacity_ml: float, bootstrap: Bootstrap) -> Summary:
    """The figures of one ablation, flat, for the summary of its evaluation."""
    scores = {"": score(trials, bootstrap)}
    for kind, opaque in (("_opaque", True), ("_clear", False)):
        chosen = [trial for trial in trials if trial.opaque == opaque]
        if chosen:
            scores[kind] = score(chosen, bootstrap)
    scores |= {f"_{name}": row for name, row in by_container(trials, bootstrap).items()}
    figures: Summary = {"trials": len(trials), "lab": trials[0].lab}
    for suffix, row in scores.items():
        figures[f"nmae{suffix}"] = row.nmae.mean
        figures[f"nmae_low{suffix}"] = row.nmae.low
        figures[f"nmae_high{suffix}"] = row.nmae.high
    figures["nmae_of_capacity"] = scores[""].nmae_of_capacity
    figures["bias"] = scores[""].bias
    figures["spilled_ml_mean"] = scores[""].spilled_ml_mean
    outcomes = Counter(trial.outcome for trial in trials)
    for outcome in get_args(Outcome):
        figures[outcome] = outcomes[outcome]
    blind = score(blind_trials(trials, average_capacity_ml), bootstrap)
    figures["nmae_blind"] = blind.nmae.mean
    return figures
