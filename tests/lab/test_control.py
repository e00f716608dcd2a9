"""The loop ends every trial for the right reason and leaves the pitcher tilted back."""

import math

import numpy as np
import pytest

from multigen_core.lab.control import UPRIGHT_RAD, pour
from multigen_core.records import Outcome
from tests.lab.fakes import TASK, FakeLab, ScriptedPolicy


def _tilt_and_back(time_s: float) -> float:
    return 0.5 if time_s < 3.0 else -0.5


def test_pouring_and_tilting_back_is_a_stop() -> None:
    result = pour(FakeLab(in_pitcher_ml=900.0), ScriptedPolicy(_tilt_and_back), TASK, max_duration_s=15.0)
    assert result.outcome == "stopped"
    assert result.end.poured_ml > 100.0
    # Back at the first tilt three seconds after turning round, not a moment of pouring later.
    assert result.duration_s == pytest.approx(6.0, abs=0.3)


@pytest.mark.parametrize(
    ("rate_rad_s", "in_pitcher_ml", "outcome"),
    [(0.0, 300.0, "never_started"), (0.5, 5000.0, "never_stopped"), (0.5, 50.0, "pitcher_empty")],
)
def test_outcomes(rate_rad_s: float, in_pitcher_ml: float, outcome: Outcome) -> None:
    lab = FakeLab(in_pitcher_ml=in_pitcher_ml)
    policy = ScriptedPolicy(lambda time_s: rate_rad_s if time_s < 3.0 else 0.0)
    result = pour(lab, policy, TASK, max_duration_s=8.0)
    assert result.outcome == outcome
    assert result.end.tilt_rad <= lab.least_tilt_rad + UPRIGHT_RAD


def test_time_is_up_at_the_time() -> None:
    result = pour(FakeLab(), ScriptedPolicy(lambda _: 0.0), TASK, max_duration_s=2.0)
    assert result.duration_s == pytest.approx(2.0)
    assert len(result.decision_s) == 10


def test_what_runs_out_while_tilting_back_counts() -> None:
    lab = FakeLab(in_pitcher_ml=5000.0)
    result = pour(lab, ScriptedPolicy(lambda time_s: 0.5 if time_s < 3.0 else 0.0), TASK, max_duration_s=5.0)
    at_the_end_ml = 100.0 * (5.0 - (math.radians(60.0) - lab.start_tilt_rad) / 0.5)
    assert result.end.poured_ml > at_the_end_ml + 50.0


def test_a_pour_that_still_runs_is_not_over_however_upright_the_pitcher() -> None:
    """With the lip far over the cup the rim forces a tilt at which the pitcher may pour."""
    lab = FakeLab(in_pitcher_ml=900.0, start_tilt_rad=1.2, least_tilt_rad=1.2)
    result = pour(lab, ScriptedPolicy(lambda _: 0.0), TASK, max_duration_s=2.0)
    assert result.outcome == "never_stopped"


def test_a_drop_before_the_pitcher_was_tilted_does_not_end_the_trial() -> None:
    lab = FakeLab(start_tilt_rad=1.06, least_tilt_rad=1.06)
    result = pour(lab, ScriptedPolicy(lambda time_s: -0.1 if time_s < 0.2 else 0.0), TASK, max_duration_s=2.0)
    assert result.end.poured_ml == 10.0
    assert result.outcome == "never_stopped"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_none_aborts_and_never_reaches_the_arm(bad: float) -> None:
    lab = FakeLab()
    result = pour(lab, ScriptedPolicy(lambda time_s: 0.5 if time_s < 1.95 else bad), TASK, max_duration_s=15.0)
    assert result.outcome == "aborted"
    assert all(np.isfinite(action).all() for action in lab.sent)
    assert result.end.tilt_rad <= lab.least_tilt_rad + UPRIGHT_RAD


@pytest.mark.parametrize("executed", [1, 2, 5])
def test_actions_were_predicted_for_the_time_at_which_they_take_effect(executed: int) -> None:
    """A lab whose latency is 0.4 s receives, at time t, what the script says for t + 0.4 s."""
    lab = FakeLab(arm_latency_s=0.4)
    pour(lab, ScriptedPolicy(lambda time_s: -0.01 * time_s, executed=executed), TASK, max_duration_s=3.0)
    rates = [float(action[2]) for action in lab.sent]
    np.testing.assert_allclose(rates, [-0.01 * (step / 10.0 + 0.4) for step in range(len(rates))], atol=1e-5)


def test_a_latency_beyond_the_chunk_takes_its_last_actions() -> None:
    lab = FakeLab(arm_latency_s=5.0)
    pour(lab, ScriptedPolicy(lambda time_s: -0.01 * time_s, executed=2, chunk=8), TASK, max_duration_s=0.2)
    np.testing.assert_allclose([action[2] for action in lab.sent], [-0.006, -0.007], atol=1e-6)


def test_every_decision_has_its_own_seed_and_a_trial_its_own_row_of_them() -> None:
    first, second = ScriptedPolicy(lambda _: 0.0), ScriptedPolicy(lambda _: 0.0)
    for policy in (first, second):
        pour(FakeLab(), policy, TASK, max_duration_s=4.0)
    assert first.seeds == second.seeds
    assert len(set(first.seeds)) == len(first.seeds)
