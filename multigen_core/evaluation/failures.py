"""Why a trial went wrong, in one word a person would use."""

from typing import Literal

from multigen_core.records import Trial

__all__ = ["FAILED", "Failure", "failure"]

Failure = Literal["never_poured", "spill", "late_stop", "early_stop", "sense_lost"]

FAILED = 0.5
"""A trial whose error is larger than this has failed."""
_MUCH_SPILLED = 0.25
"""Of the target."""


def failure(trial: Trial) -> Failure | None:
    """The reason class of a trial that failed; None when it did not."""
    if trial.error <= FAILED:
        return None
    if trial.outcome == "sense_lost":
        return "sense_lost"
    if trial.outcome == "never_started":
        return "never_poured"
    if trial.spilled_ml > _MUCH_SPILLED * trial.target_ml:
        return "spill"
    return "late_stop" if trial.poured_ml > trial.target_ml else "early_stop"
