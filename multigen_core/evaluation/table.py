"""The table of trials on disk: ``trials.parquet``, one row per trial, columns as in ``records.Trial``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow
import pyarrow.parquet

from multigen_core.errors import MissingInput
from multigen_core.records import Trial

__all__ = ["TRIALS", "read_trials", "write_trials"]

TRIALS = "trials.parquet"


def write_trials(folder: Path, trials: Sequence[Trial]) -> None:
    """Into ``folder/trials.parquet``."""
    table = pyarrow.Table.from_pylist([asdict(trial) for trial in trials])
    pyarrow.parquet.write_table(table, folder / TRIALS)


def read_trials(folder: Path) -> list[Trial]:
    """The trials that :func:`write_trials` wrote. Raises MissingInput when there are none."""
    path = folder / TRIALS
    if not path.is_file():
        raise MissingInput(f"{path} does not exist: run the stage 'evaluation' first")
    return [Trial(**row) for row in pyarrow.parquet.read_table(path).to_pylist()]
