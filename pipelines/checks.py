"""The laws of ``pipelines.laws`` as blocking asset checks, held in the step that wrote the output."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import dagster as dg

from multigen_core.experiment import Experiment
from multigen_core.stages import Stage
from pipelines.laws import LAWS, Law

__all__ = ["hold", "specs_of", "together"]

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


def together(verdicts: Mapping[str, Sequence[dg.AssetCheckResult]]) -> Sequence[dg.AssetCheckResult]:
    """One verdict per law for a run of several partitions: that of the first one that breaks it, if there is one."""
    joined = []
    for same in zip(*verdicts.values(), strict=True):
        partition, worst = min(zip(verdicts, same, strict=True), key=lambda pair: pair[1].passed)
        description = None if worst.passed else f"{partition}: {worst.description}"
        joined.append(dg.AssetCheckResult(check_name=worst.check_name, passed=worst.passed, description=description))
    return joined


def _verdict(law: Law, folder: Path, experiment: Experiment) -> dg.AssetCheckResult:
    violations = list(islice(law.broken(folder, experiment), SHOWN))
    listed = "\n".join(f"- {line}" for line in violations) or "none"
    return dg.AssetCheckResult(
        check_name=law.name,
        passed=not violations,
        description=violations[0] if violations else None,
        metadata={"violations": dg.MetadataValue.md(listed)},
    )
