"""Where the project stands on disk and what its params say."""

import os
from pathlib import Path

from multigen_core.experiment import Experiment
from multigen_core.params import load

__all__ = ["DAGSTER_HOME", "PARAMS", "STATE", "address", "load_experiment", "project_root"]

PARAMS = "params.yaml"
STATE = Path(".multigen")
"""Below the root: everything that is neither code nor versioned data (journal, tracking, Dagster's storage, locks)."""
DAGSTER_HOME = STATE / "dagster"


def project_root() -> Path:
    """``MULTIGEN_ROOT``, else the working directory."""
    return Path(os.environ.get("MULTIGEN_ROOT", ".")).resolve()


def load_experiment(root: Path) -> Experiment:
    """The project's params. Raises ConfigError naming the key that is wrong."""
    return load(root / PARAMS)


def address(asset: str, partition: str | None) -> str:
    """``asset`` or ``asset@partition``: the name DVC, the journal and the terminal use for one asset partition."""
    return f"{asset}@{partition}" if partition else asset
