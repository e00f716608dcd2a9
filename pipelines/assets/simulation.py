"""Silent pours in the simulator."""

import dagster as dg

from pipelines.declaration import CORES, stage_asset
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import run_stage

__all__ = ["episodes"]


@stage_asset(kinds={"mujoco", "lerobot", "dvc"}, owner="simulation", pool=CORES)
def episodes(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """Expert pours of the simulated arm as LeRobot v3 shards: images, masks, joints, actions, amounts; no sound."""
    return run_stage(context, compute, dvc, mlflow)
