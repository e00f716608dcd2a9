"""Turns a row of the stage table into a Dagster asset, so that both always say the same."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import dagster as dg

import multigen_core
from multigen_core.stages import Stage, stage_named
from pipelines import automation, checks
from pipelines.partitions import partitions_def_of, upstream_of

__all__ = ["CORES", "GPU", "code_version", "group_of", "stage_asset"]

GPU = "gpu"
"""Pool of the steps that use a graphics card where there is one: learning, generating, rendering."""
CORES = "cores"
"""Pool of the steps that spread their items over all cores of the machine by themselves."""

CODE = Path(multigen_core.__file__).parent


def stage_asset(
    *, kinds: set[str], owner: str, pool: str
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Declares the asset of the stage that is named like the decorated body."""

    def declare(body: Callable[..., dg.MaterializeResult]) -> dg.AssetsDefinition:
        stage = stage_named(body.__name__)
        return dg.asset(
            name=stage.name,
            deps=upstream_of(stage),
            partitions_def=partitions_def_of(stage),
            group_name=group_of(stage),
            code_version=code_version(stage),
            check_specs=checks.specs_of(stage),
            automation_condition=automation.WHEN_DATA_CHANGED if stage.inputs else None,
            owners=[f"team:{owner}"],
            kinds=kinds,
            pool=pool,
        )(body)

    return declare


def group_of(stage: Stage) -> str:
    """The folder of ``multigen_core`` that holds the stage."""
    return stage.run.split(".")[1]


def code_version(stage: Stage) -> str:
    """A digest of the code that decides the stage's output."""
    digest = hashlib.sha256()
    for name in stage.code:
        for path in sorted((CODE / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(CODE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
