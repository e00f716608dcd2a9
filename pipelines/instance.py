"""Dagster's own storage: the same for the terminal and for ``make ui``, so that each shows the other's runs."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from multigen_core.errors import MissingExtra, UserError
from multigen_core.storage import replace_text
from pipelines.project import DAGSTER_HOME
from pipelines.resources.mlflow import without_passwords

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["IN_PROCESS", "dagster_home", "open_instance"]

IN_PROCESS = "multigen/in_process"
"""Tag of runs that live in a ``python -m pipelines`` process."""
SETTINGS = "dagster.yaml"
"""Stands in the root under version control; Dagster reads it from its home."""
POSTGRES = "DAGSTER_POSTGRES_URL"
"""Environment variable with the address of a PostgreSQL database for Dagster's storage; unset: sqlite files."""
_DRIVER = "postgresql+psycopg2://"
"""SQLAlchemy 2.1 takes psycopg 3 for a bare `postgresql://`, which cannot run dagster-postgres's NOTIFY."""
_ON_POSTGRES = f"""
storage:
  postgres:
    postgres_url: {{env: {POSTGRES}}}
"""
"""Names the variable and not its value, which holds a password."""
_KEEP_TERMINAL = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
    "config": {},
}
"""Runs in this process write to the terminal; only the runs that `dagster dev` launches have their output captured."""


def dagster_home(root: Path) -> Path:
    """The folder of Dagster's storage, made on first use, with the project's settings in it.

    Raises MissingExtra when the environment names a PostgreSQL database and the package for it is not installed,
    UserError when the address asks for another driver than it needs.
    """
    home = root / DAGSTER_HOME
    home.mkdir(parents=True, exist_ok=True)
    settings = (root / SETTINGS).read_text() if (root / SETTINGS).is_file() else ""
    if os.environ.get(POSTGRES):
        absent = [package for package in ("dagster_postgres", "psycopg2") if find_spec(package) is None]
        if absent:
            raise MissingExtra(f"{POSTGRES} is set, but {', '.join(absent)} is missing: pip install -e .[postgres]")
        if not os.environ[POSTGRES].startswith(_DRIVER):
            raise UserError(f"{POSTGRES} must begin with {_DRIVER}: dagster-postgres works with that driver alone")
        settings += _ON_POSTGRES
    replace_text(home / SETTINGS, settings)
    return home


def open_instance(root: Path) -> "dg.DagsterInstance":
    """Dagster's storage, for runs in this process. Raises UserError when it is locked, damaged or away."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    home = dagster_home(root)
    try:
        reference = InstanceRef.from_dir(str(home), overrides={"compute_logs": _KEEP_TERMINAL})
        instance = dg.DagsterInstance.from_ref(reference)
        instance.get_runs_count()
    except Exception as error:  # each kind of storage raises its own
        what = " ".join(str(error).split())[:200]
        sentence = f"Dagster's storage in {home} cannot be used: {without_passwords(what)}; see docs/operations.md"
        raise UserError(sentence) from error
    return instance
