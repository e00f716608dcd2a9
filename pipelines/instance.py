"""Dagster's own storage: the same for the terminal and for ``make ui``, so that each shows the other's runs."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from multigen_core.errors import UserError
from pipelines.project import DAGSTER_HOME

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["IN_PROCESS", "dagster_home", "open_instance"]

IN_PROCESS = "multigen/in_process"
"""Tag of runs that live in a ``python -m pipelines`` process."""
SETTINGS = "dagster.yaml"
"""Stands in the root under version control; Dagster reads it from its home."""
_KEEP_TERMINAL = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
    "config": {},
}
"""Runs in this process write to the terminal; only the runs that `dagster dev` launches have their output captured."""


def dagster_home(root: Path) -> Path:
    """The folder of Dagster's storage, made on first use, with the project's settings in it."""
    home = root / DAGSTER_HOME
    home.mkdir(parents=True, exist_ok=True)
    if (root / SETTINGS).is_file():
        shutil.copyfile(root / SETTINGS, home / SETTINGS)
    return home


def open_instance(root: Path) -> "dg.DagsterInstance":
    """Dagster's storage, for runs in this process. Raises UserError when it is locked, damaged or away."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef
    from sqlalchemy.exc import SQLAlchemyError

    home = dagster_home(root)
    try:
        reference = InstanceRef.from_dir(str(home), overrides={"compute_logs": _KEEP_TERMINAL})
        instance = dg.DagsterInstance.from_ref(reference)
        instance.get_runs_count()
    except (SQLAlchemyError, OSError) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(f"Dagster's storage in {home} cannot be used: {what}; see docs/operations.md") from error
    return instance
