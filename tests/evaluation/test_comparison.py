"""The sentence at the top of the report says what the trials say, and no more."""

from dataclasses import replace

import pytest

from multigen_core.evaluation.comparison import cups, differences, headlines, outcome_counts, verdict
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.records import Trial
from tests.evaluation.made_up_run import experiment, made_up_trials

BOOTSTRAP = Bootstrap(resamples=300, seed=0)
PARAMS = experiment(trials=24)
EXACT = made_up_trials(PARAMS, "vision_audio", spread=0.05, seed=1)
ROUGH = made_up_trials(PARAMS, "vision", spread=0.6, seed=2)


def _as(ablation: str, trials: list[Trial]) -> list[Trial]:
    return [replace(trial, ablation=ablation) for trial in trials]


@pytest.mark.parametrize(
    ("vision", "audio", "words"),
    [
        (ROUGH, EXACT, "Sound helped on opaque cups."),
        (EXACT, ROUGH, "it made the error larger"),
        (ROUGH, ROUGH, "did not surely help"),
    ],
)
def test_the_verdict_follows_the_interval(vision: list[Trial], audio: list[Trial], words: str) -> None:
    trials = {"vision": _as("vision", vision), "vision_audio": _as("vision_audio", audio)}
    assert words in verdict(trials, 250.0, BOOTSTRAP)


def test_the_verdict_says_when_sound_is_no_better_than_blind() -> None:
    trials = {"vision": ROUGH, "vision_audio": _as("vision_audio", ROUGH)}
    blind_is_perfect = [
        replace(trial, capacity_ml=250.0, target_ml=250.0 * trial.goal_fraction) for trial in trials["vision_audio"]
    ]
    paired = {"vision": blind_is_perfect, "vision_audio": blind_is_perfect}
    assert "it is not below the blind reference's 0.00" in verdict(paired, 250.0, BOOTSTRAP)


def test_no_verdict_without_both_policies() -> None:
    assert "cannot say" in verdict({"vision_audio": EXACT}, 250.0, BOOTSTRAP)


def test_headlines_end_with_the_blind_reference() -> None:
    rows = headlines({"vision": ROUGH, "vision_audio": EXACT}, 250.0, BOOTSTRAP)
    assert [row.reference for row in rows] == [False, False, True]
    assert rows[1].all.nmae.mean < rows[0].all.nmae.mean


def test_cups_have_one_score_per_policy() -> None:
    rows = cups({"vision": ROUGH, "vision_audio": EXACT}, BOOTSTRAP)
    assert len(rows) == 8
    assert [row.opaque for row in rows] == [True] * 4 + [False] * 4
    assert all(len(row.scores) == 2 and row.scores[0] is not None for row in rows)


def test_differences_are_signed_first_minus_second() -> None:
    rows = differences({"vision": ROUGH, "vision_audio": EXACT}, BOOTSTRAP)
    assert [row.cups for row in rows] == ["opaque", "clear", "all"]
    assert all(row.interval.mean > 0.0 for row in rows)
    assert rows[0].pairs + rows[1].pairs == rows[2].pairs == 24


def test_outcomes_are_counted() -> None:
    rows = [*ROUGH[:2], replace(ROUGH[2], outcome="aborted")]
    assert sum(outcome_counts(rows)) == 3
    assert outcome_counts(rows)[-1] == 1
