"""Turns a row of the stage table into a Dagster asset, so that both always say the same."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from multigen_core.stages import Stage, code_version, stage_named
from pipelines import checks
from pipelines.automation import WHEN_DATA_CHANGED, fresh_enough
from pipelines.partitions import partitions_def_of, upstream_of
from pipelines.project import load_experiment, project_root
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import run_stage

__all__ = ["CORES", "GPU", "group_of", "stage_asset"]

GPU = "gpu"
"""Pool of the steps that use a graphics card where there is one: learning, generating, rendering."""
CORES = "cores"
"""Pool of the steps that spread their items over all cores of the machine by themselves."""


def stage_asset(
    name: str, description: str, *, kinds: set[str], owner: str, pool: str, ages: bool = False
) -> dg.AssetsDefinition:
    """The asset of the stage ``name``; ``kinds`` and ``owner`` are what Dagster's page shows beside it.

    One that ``ages`` raises an alarm when it was not made for ``automation.fresh_days``.
    """
    stage = stage_named(name)
    settings = load_experiment(project_root()).automation
    extras: dict[str, Any] = {"freshness_policy": fresh_enough(settings)} if ages else {}
    if stage.partitions == "shard":
        # One process that loads torch and mujoco once, instead of one for each shard.
        extras["backfill_policy"] = dg.BackfillPolicy.single_run()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies are, in Dagster 1.13
        decorate: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
            name=name,
            description=description,
            deps=upstream_of(stage),
            partitions_def=partitions_def_of(stage),
            group_name=group_of(stage),
            code_version=code_version(stage),
            check_specs=checks.specs_of(stage),
            automation_condition=WHEN_DATA_CHANGED if stage.inputs else None,
            owners=[f"team:{owner}"],
            kinds=kinds,
            pool=pool,
            **extras,
        )

    @decorate
    def body(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> Iterator[Any]:
        yield from run_stage(context, compute, dvc, mlflow)

    return body


def group_of(stage: Stage) -> str:
    """The folder of ``multigen_core`` that holds the stage."""
    return stage.run.split(".")[1]
