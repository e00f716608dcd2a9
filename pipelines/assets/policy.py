"""The pouring policy and its ablations."""

import dagster as dg

from pipelines.declaration import GPU, stage_asset
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import run_stage

__all__ = ["policy"]


@stage_asset(kinds={"pytorch", "mlflow", "dvc"}, owner="policy", pool=GPU)
def policy(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """Diffusion policy on images, sound, joints and goal, one per ablation; registered as ``multigen-policy``."""
    return run_stage(context, compute, dvc, mlflow)
