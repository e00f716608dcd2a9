"""Trials that people carried out with the robot (``python -m multigen_core.lab run``), as rows of the evaluation."""

import json
from pathlib import Path

from multigen_core.errors import MissingInput, UserError
from multigen_core.lab.operator_session import TRIAL
from multigen_core.records import Trial
from multigen_core.storage import finished

__all__ = ["RECORDINGS", "recorded_trials"]

RECORDINGS = Path("data/robot")
"""``data/robot/<ablation>/trial-NNN``."""


def recorded_trials(root: Path, ablation: str, lab: str) -> list[Trial]:
    """The finished trials of a policy, in order.

    Raises MissingInput when there are none, UserError when one was not recorded in ``lab``.
    """
    folders = sorted(folder for folder in (root / RECORDINGS / ablation).glob("trial-*") if finished(folder))
    if not folders:
        raise MissingInput(
            f"{RECORDINGS / ablation} holds no recorded trials: run `python -m multigen_core.lab run --trials"
            " plan.yaml` at the robot first (docs/real_robot.md)"
        )
    trials = [Trial(**json.loads((folder / TRIAL).read_text())["trial"]) for folder in folders]
    for folder, trial in zip(folders, trials, strict=True):
        if trial.lab != lab:
            raise UserError(f"{folder} was recorded in {trial.lab}, not in {lab}: take it out of {RECORDINGS}")
    return trials
