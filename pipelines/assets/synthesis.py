"""Episodes with sound: generated, and the noise baseline."""

import dagster as dg

from pipelines.declaration import CORES, GPU, stage_asset
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import run_stage

__all__ = ["audiovisual", "noise_augmented"]


@stage_asset(kinds={"lerobot", "audio", "dvc"}, owner="sound", pool=GPU)
def audiovisual(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """The episodes with the sound that the audio model made for their masks."""
    return run_stage(context, compute, dvc, mlflow)


@stage_asset(kinds={"lerobot", "audio", "dvc"}, owner="sound", pool=CORES)
def noise_augmented(
    context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow
) -> dg.MaterializeResult:
    """The baseline: the same episodes with environmental noise instead of generated sound."""
    return run_stage(context, compute, dvc, mlflow)
