"""A failed trial has one reason; a good one has none."""

from dataclasses import replace

import pytest

from multigen_core.evaluation.failures import failure
from multigen_core.records import Trial

GOOD = Trial(0, "vision", "emulated", "mug", True, 0.5, 100.0, 200.0, 110.0, 2.0, 300.0, 9.0, "stopped", 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"poured_ml": 149.0}, None),
        ({"poured_ml": 151.0}, "late_stop"),
        ({"poured_ml": 40.0}, "early_stop"),
        ({"poured_ml": 40.0, "spilled_ml": 60.0}, "spill"),
        ({"poured_ml": 0.0, "outcome": "never_started"}, "never_poured"),
        ({"poured_ml": 0.0, "outcome": "sense_lost"}, "sense_lost"),
    ],
)
def test_reasons(change: dict[str, object], reason: str | None) -> None:
    assert failure(replace(GOOD, **change)) == reason  # type: ignore[arg-type]
