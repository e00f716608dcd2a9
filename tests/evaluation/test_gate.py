"""The gate promotes what is surely better, and says why when it does not."""

from dataclasses import replace

import pytest

from multigen_core.evaluation.gate import gate
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.experiment import Champion
from multigen_core.records import Trial
from tests.evaluation.made_up_run import experiment, made_up_trials

BOOTSTRAP = Bootstrap(resamples=400, seed=0)
CONFIG = Champion(ablation="vision_audio", max_nmae=0.6, margin=0.0, max_container_loss=0.2, max_spilled_ml=60.0)
PARAMS = experiment(trials=24)
GOOD = made_up_trials(PARAMS, "vision_audio", spread=0.1)


def _nearer(trials: list[Trial], share: float) -> list[Trial]:
    """Every error is multiplied by ``share``."""
    return [replace(t, poured_ml=t.target_ml + share * (t.poured_ml - t.target_ml)) for t in trials]


def test_the_first_good_policy_becomes_champion() -> None:
    decision = gate(GOOD, None, CONFIG, BOOTSTRAP)
    assert decision.promote
    assert "no champion yet" in " ".join(decision.reasons)


def test_a_surely_better_one_takes_over() -> None:
    decision = gate(_nearer(GOOD, 0.5), GOOD, CONFIG, BOOTSTRAP)
    assert decision.promote
    assert decision.figures["improvement_low"] > 0.0


def test_the_same_policy_again_does_not() -> None:
    decision = gate(GOOD, GOOD, CONFIG, BOOTSTRAP)
    assert not decision.promote
    assert "not surely above" in decision.reasons[0]


def test_better_by_less_than_the_margin_does_not() -> None:
    decision = gate(_nearer(GOOD, 0.5), GOOD, replace(CONFIG, margin=0.5), BOOTSTRAP)
    assert not decision.promote
    assert "champion.margin 0.5" in decision.reasons[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"poured_ml": 0.0}, "champion.max_nmae"),
        ({"spilled_ml": 100.0}, "champion.max_spilled_ml"),
        ({"outcome": "aborted"}, "not a number"),
    ],
)
def test_every_rule_alone_holds_it_back(change: dict[str, object], words: str) -> None:
    decision = gate([replace(trial, **change) for trial in GOOD], None, CONFIG, BOOTSTRAP)
    assert not decision.promote
    assert len(decision.reasons) == 1
    assert words in decision.reasons[0]


def test_a_container_it_forgot_holds_it_back() -> None:
    """Better on the whole, but one cup is poured far worse than by the champion."""
    cup = GOOD[0].container
    forgetful = [
        replace(new, poured_ml=(0.7 - old.error) * old.target_ml) if old.container == cup else new
        for old, new in zip(GOOD, _nearer(GOOD, 0.0), strict=True)
    ]
    clumsy = [replace(trial, poured_ml=0.5 * trial.target_ml) if trial.container != cup else trial for trial in GOOD]
    decision = gate(forgetful, clumsy, CONFIG, BOOTSTRAP)
    assert decision.figures["improvement_low"] > 0.0
    assert not decision.promote
    assert len(decision.reasons) == 1 and f"on {cup} its error is" in decision.reasons[0]
    assert gate(forgetful, clumsy, replace(CONFIG, max_container_loss=0.5), BOOTSTRAP).promote


def test_other_trials_than_the_champions_prove_nothing() -> None:
    other = [replace(trial, seed=trial.seed + 1) for trial in GOOD]
    decision = gate(_nearer(GOOD, 0.1), other, CONFIG, BOOTSTRAP)
    assert not decision.promote
    assert "only 0 of 24" in decision.reasons[0]


def test_no_trials_no_promotion() -> None:
    assert not gate([], None, CONFIG, BOOTSTRAP).promote
