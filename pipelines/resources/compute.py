"""Where a stage computes: the project's root and params, and this machine."""

import os
from pathlib import Path

import dagster as dg

from multigen_core.experiment import Experiment
from multigen_core.progress import Progress, Silent, TerminalProgress
from multigen_core.records import Summary
from multigen_core.stages import execute, stage_named
from pipelines.project import load_experiment, project_root

__all__ = ["Compute"]


class Compute(dg.ConfigurableResource):
    """Runs stages in this process; how a stage spreads its items is ``compute.engine`` in params.yaml."""

    root: str = str(project_root())
    terminal_label: str | None = None
    """What stands before every line of progress on the terminal; None where nobody watches one."""

    @property
    def folder(self) -> Path:
        """The project root."""
        return Path(self.root)

    def experiment(self) -> Experiment:
        """The params as they stand now. Raises ConfigError naming the key that is wrong."""
        return load_experiment(self.folder)

    def terminal(self) -> Progress:
        """The listener on the terminal, if anybody watches it."""
        return Silent() if self.terminal_label is None else TerminalProgress(self.terminal_label)

    def run(self, stage: str, partition: str | None, progress: Progress) -> tuple[Path, Summary]:
        """Computes one output folder and puts it in place whole; returns it with its figures."""
        os.environ.setdefault("MUJOCO_GL", "egl")
        return execute(stage_named(stage), self.experiment(), partition, root=self.folder, progress=progress)
