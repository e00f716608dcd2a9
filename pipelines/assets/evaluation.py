"""Trials in the lab, the report, and which policy is used."""

import dagster as dg

from pipelines import promotion
from pipelines.declaration import CORES, GPU, group_of, stage_asset
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import run_stage

__all__ = ["champion", "evaluation", "report"]


@stage_asset(kinds={"mujoco", "parquet", "dvc"}, owner="policy", pool=GPU)
def evaluation(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """Closed-loop pours in the lab, one row per trial, for every ablation on the same cups and goals."""
    return run_stage(context, compute, dvc, mlflow)


@stage_asset(kinds={"html", "dvc"}, owner="policy", pool=CORES)
def report(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """The page to look at and listen to: NMAE per ablation and container, sound figures, videos, lineage."""
    return run_stage(context, compute, dvc, mlflow)
