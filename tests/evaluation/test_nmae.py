"""NMAE and what stands beside it, on trials small enough to check by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from multigen_core.errors import MissingInput
from multigen_core.evaluation.nmae import blind_trials, by_container, score, summarise
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.evaluation.table import read_trials, write_trials
from multigen_core.records import Trial
from tests.evaluation.made_up_run import experiment, made_up_trials

BOOTSTRAP = Bootstrap(resamples=200, seed=0)
TRIAL = Trial(
    trial=0,
    ablation="vision",
    lab="emulated",
    container="red_cup",
    opaque=True,
    goal_fraction=0.5,
    target_ml=200.0,
    capacity_ml=400.0,
    poured_ml=150.0,
    spilled_ml=2.0,
    in_pitcher_ml=90.0,
    duration_s=8.0,
    outcome="stopped",
    seed=1,
)
TRIALS = [
    TRIAL,
    replace(TRIAL, trial=1, seed=2, poured_ml=220.0, spilled_ml=4.0),
    replace(
        TRIAL, trial=2, seed=3, container="clear_short", opaque=False, target_ml=60.0, capacity_ml=120.0, poured_ml=0.0
    ),
]


def test_score_by_hand() -> None:
    result = score(TRIALS, BOOTSTRAP)
    assert result.nmae.mean == pytest.approx((0.25 + 0.10 + 1.0) / 3)
    assert result.nmae_of_capacity == pytest.approx((0.125 + 0.05 + 0.5) / 3)
    assert result.bias == pytest.approx((-0.25 + 0.10 - 1.0) / 3)
    assert result.spilled_ml_mean == pytest.approx(8.0 / 3)
    assert result.trials == 3


def test_cups_stand_apart_opaque_ones_first() -> None:
    rows = by_container(TRIALS, BOOTSTRAP)
    assert list(rows) == ["red_cup", "clear_short"]
    assert rows["red_cup"].nmae.mean == pytest.approx(0.175)
    assert rows["clear_short"].trials == 1


def test_blind_is_exact_for_the_average_cup_and_only_for_it() -> None:
    rows = blind_trials(TRIALS, average_capacity_ml=400.0)
    assert [row.error for row in rows[:2]] == [0.0, 0.0]
    # Half of 400 ml into a cup of 120 ml: it runs over.
    assert (rows[2].poured_ml, rows[2].spilled_ml) == (120.0, 80.0)


def test_summary_is_flat_and_counts_outcomes() -> None:
    trials = [replace(TRIALS[0], outcome="never_started"), *TRIALS[1:]]
    figures = summarise(trials, average_capacity_ml=300.0, bootstrap=BOOTSTRAP)
    assert all(not isinstance(value, list | dict) for value in figures.values())
    assert figures["never_started"] == 1
    assert figures["stopped"] == 2
    assert figures["nmae_red_cup"] == pytest.approx(0.175)
    assert figures["nmae_opaque"] == figures["nmae_red_cup"]
    assert figures["nmae_low"] <= figures["nmae"] <= figures["nmae_high"]


def test_a_lab_without_clear_cups_has_no_figure_for_them() -> None:
    assert "nmae_clear" not in summarise(TRIALS[:2], average_capacity_ml=300.0, bootstrap=BOOTSTRAP)


def test_trials_come_back_from_disk(tmp_path: Path) -> None:
    trials = made_up_trials(experiment(), "vision", spread=0.2)
    write_trials(tmp_path, trials)
    assert read_trials(tmp_path) == trials


def test_missing_trials_name_the_stage(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="'evaluation'"):
        read_trials(tmp_path)
