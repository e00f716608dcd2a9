"""The trials are fair: the same for all, every cup, every kind of goal."""

from collections import Counter
from dataclasses import replace

from multigen_core.evaluation.protocol import HALF, NEARLY_FULL, RANDOM_FRACTION, plan
from multigen_core.lab.receivers import LAB_RECEIVERS
from tests.evaluation.made_up_run import experiment


def test_every_cup_meets_every_kind_of_goal() -> None:
    tasks = plan(experiment(trials=24))
    assert set(Counter(task.receiver.name for task in tasks).values()) == {3}
    for cup in LAB_RECEIVERS:
        goals = [task.goal_fraction for task in tasks if task.receiver == cup]
        assert {HALF, NEARLY_FULL} < set(goals)
        assert all(RANDOM_FRACTION[0] <= goal <= RANDOM_FRACTION[1] for goal in goals)


def test_a_short_list_has_both_kinds_of_cup_and_several_goals() -> None:
    tasks = plan(experiment(trials=4))
    assert {task.receiver.opaque for task in tasks} == {True, False}
    assert len({task.goal_fraction for task in tasks}) > 1


def test_the_list_follows_from_the_seed_alone() -> None:
    params = experiment(trials=16)
    assert plan(params) == plan(replace(params, policy=replace(params.policy, steps=1)))
    assert plan(params) != plan(replace(params, seed=params.seed + 1))


def test_a_longer_list_begins_with_the_shorter_one() -> None:
    assert plan(experiment(trials=24))[:8] == plan(experiment(trials=8))


def test_no_two_trials_share_a_seed() -> None:
    seeds = [task.seed for task in plan(experiment(trials=96))]
    assert len(set(seeds)) == 96
