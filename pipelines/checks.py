"""The laws of ``pipelines.laws`` as blocking asset checks, held in the step that wrote the output."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import dagster as dg

from multigen_core.experiment import Experiment
from multigen_core.stages import Stage
from pipelines.laws import LAWS, Law

__all__ = ["hold", "specs_of"]

SHOWN = 20
"""Violations that a check lists."""


def specs_of(stage: Stage) -> list[dg.AssetCheckSpec]:
    """One blocking check per law: what is downstream does not run on a broken output."""
    return [
        dg.AssetCheckSpec(law.name, asset=stage.name, description=law.statement, blocking=True)
        for law in LAWS.get(stage.name, ())
    ]


def hold(stage: Stage, folder: Path, experiment: Experiment) -> Sequence[dg.AssetCheckResult]:
    """Reads the stage's output and says which laws it keeps."""
    return [_verdict(law, folder, experiment) for law in LAWS.get(stage.name, ())]


def _verdict(law: Law, folder: Path, experiment: Experiment) -> dg.AssetCheckResult:
    violations = list(islice(law.broken(folder, experiment), SHOWN))
    listed = "\n".join(f"- {line}" for line in violations) or "none"
    return dg.AssetCheckResult(
        check_name=law.name,
        passed=not violations,
        description=violations[0] if violations else None,
        metadata={"violations": dg.MetadataValue.md(listed)},
    )
