"""How sure a mean over trials is: percentile bootstrap (Efron and Tibshirani 1993, chapter 13)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from multigen_core.records import Trial

__all__ = ["Bootstrap", "Interval", "paired", "paired_difference"]


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """How an interval is drawn: the same settings give the same interval."""

    resamples: int
    seed: int

    def mean(self, values: Float[np.ndarray, " trials"]) -> Interval:
        """Mean of ``values`` with the 2.5 and 97.5 percentiles of the means of ``resamples`` draws with replacement.

        Raises ValueError when there are no values.
        """
        if len(values) == 0:
            raise ValueError("a mean over no trials has no interval")
        picks = np.random.default_rng(self.seed).integers(len(values), size=(self.resamples, len(values)))
        low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
        return Interval(float(values.mean()), float(low), float(high))

    def mean_over_seeds(self, values: Float[np.ndarray, "seeds trials"]) -> Interval:
        """Mean of ``values`` when trainings and trials are both samples: each resample draws rows and, independently,
        columns with replacement (the pigeonhole bootstrap, Owen 2007), since every training meets the same trials.

        With three trainings the interval is still a little too narrow. Raises ValueError when there are no values.
        """
        if values.size == 0:
            raise ValueError("a mean over no trials has no interval")
        rng = np.random.default_rng(self.seed)
        seeds, trials = values.shape
        rows = rng.integers(seeds, size=(self.resamples, seeds))
        columns = rng.integers(trials, size=(self.resamples, trials))
        means = values[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2))
        low, high = np.percentile(means, [2.5, 97.5])
        return Interval(float(values.mean()), float(low), float(high))


def paired(first: Sequence[Trial], second: Sequence[Trial]) -> list[tuple[Trial, Trial]]:
    """Trials of two policies on the same lab, cup, goal and seed, in the order of the first."""
    others = {_place(trial): trial for trial in second}
    return [(trial, others[_place(trial)]) for trial in first if _place(trial) in others]


def paired_difference(pairs: Sequence[tuple[Trial, Trial]], bootstrap: Bootstrap) -> Interval:
    """Mean of (error of the first - error of the second): above zero, the second pours more exactly."""
    return bootstrap.mean(np.array([first.error - second.error for first, second in pairs]))


def _place(trial: Trial) -> tuple[str, str, float, int]:
    return trial.lab, trial.container, trial.target_ml, trial.seed
