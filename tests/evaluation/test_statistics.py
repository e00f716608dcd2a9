"""Intervals behave as intervals, and pairs are pairs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multigen_core.evaluation.statistics import Bootstrap, paired, paired_difference
from tests.evaluation.made_up_run import experiment, made_up_trials

BOOTSTRAP = Bootstrap(resamples=300, seed=5)
PARAMS = experiment(trials=24)


@given(st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=30))
def test_the_interval_lies_within_the_values_and_mostly_around_the_mean(values: list[float]) -> None:
    interval = BOOTSTRAP.mean(np.array(values))
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9
    assert interval.mean == pytest.approx(np.mean(values))


def test_the_interval_has_the_width_that_theory_gives() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    interval = Bootstrap(resamples=4000, seed=1).mean(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.high - interval.mean == pytest.approx(half, rel=0.1)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.1)


def test_over_one_training_the_interval_is_that_over_trials() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 200)
    bootstrap = Bootstrap(resamples=4000, seed=1)
    one, nested = bootstrap.mean(values), bootstrap.mean_over_seeds(values[None])
    assert nested.mean == pytest.approx(one.mean)
    assert (nested.low, nested.high) == pytest.approx((one.low, one.high), abs=0.05)


def test_trainings_that_differ_widen_the_interval() -> None:
    """Two sources of chance: their variances add, a mean over all rows would know of one alone."""
    rng = np.random.default_rng(2)
    seeds, trials = 40, 60
    values = rng.normal(0.0, 1.0, (seeds, 1)) + rng.normal(0.0, 1.0, (1, trials))
    interval = Bootstrap(resamples=4000, seed=1).mean_over_seeds(values)
    spread = np.sqrt(values.mean(axis=1).var() / seeds + values.mean(axis=0).var() / trials)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * spread, rel=0.1)
    assert interval.high - interval.low > 4.0 * (lambda i: i.high - i.low)(BOOTSTRAP.mean(values.ravel()))


def test_equal_values_have_no_width() -> None:
    interval = BOOTSTRAP.mean(np.full(7, 0.25))
    assert (interval.low, interval.mean, interval.high) == (0.25, 0.25, 0.25)


def test_no_values_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no trials"):
        BOOTSTRAP.mean(np.zeros(0))


def test_pairs_share_cup_goal_and_seed_whatever_the_order() -> None:
    first = made_up_trials(PARAMS, "vision", spread=0.3)
    second = made_up_trials(PARAMS, "vision_audio", spread=0.1, seed=1)
    pairs = paired(first, second[::-1])
    assert [one.trial for one, _ in pairs] == list(range(24))
    assert all(one.seed == other.seed and one.container == other.container for one, other in pairs)


def test_trials_of_other_tasks_do_not_pair() -> None:
    first = made_up_trials(PARAMS, "vision", spread=0.3)
    assert not paired(first, [replace(trial, seed=trial.seed + 1) for trial in first])
    assert not paired(first, [replace(trial, lab="other") for trial in first])
    assert not paired(first, [replace(trial, target_ml=trial.target_ml + 1.0) for trial in first])


def test_pairing_sees_a_gain_that_is_small_against_the_spread_of_tasks() -> None:
    worse = made_up_trials(PARAMS, "vision", spread=0.4)
    # Each trial a little nearer to its own target.
    better = [replace(t, poured_ml=t.target_ml + 0.9 * (t.poured_ml - t.target_ml)) for t in worse]
    gain = paired_difference(paired(worse, better), BOOTSTRAP)
    assert gain.low > 0.0
    assert gain.mean == pytest.approx(0.1 * np.mean([trial.error for trial in worse]))
