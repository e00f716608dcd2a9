"""The trials, fixed by the experiment's seed alone: every policy gets the same cups, goals and seeds.

Cups take turns. Each meets the three kinds of goal in turn: half, nearly full, and a random fraction.
"""

import numpy as np

from multigen_core.experiment import Experiment, seed_for
from multigen_core.lab.conditions import CONDITIONS
from multigen_core.lab.robot import Task

__all__ = ["HALF", "NEARLY_FULL", "RANDOM_FRACTION", "plan"]

HALF = 0.5
NEARLY_FULL = 0.9
RANDOM_FRACTION = (0.3, 0.9)


def plan(experiment: Experiment) -> tuple[Task, ...]:
    """The tasks of an evaluation, ``evaluation.trials`` of them."""
    return tuple(_task(experiment, trial) for trial in range(experiment.evaluation.trials))


def _task(experiment: Experiment, trial: int) -> Task:
    receivers = CONDITIONS[experiment.evaluation.conditions].receivers
    turn, cup = divmod(trial, len(receivers))
    place = ("evaluation",) if experiment.evaluation.conditions == "test" else ("evaluation", "validation")
    drawn = np.random.default_rng(seed_for(experiment, *place, "goal", trial)).uniform(*RANDOM_FRACTION)
    # Shifted by cup (pairs of an opaque and a clear one), so that a short list has all three kinds too.
    goal = (HALF, NEARLY_FULL, float(drawn))[(turn + cup // 2) % 3]
    return Task(receiver=receivers[cup], goal_fraction=goal, seed=seed_for(experiment, *place, "trial", trial))
