"""Clips of pours and their masks."""

import dagster as dg

from pipelines.declaration import CORES, GPU, stage_asset
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import run_stage

__all__ = ["clips", "masks", "segmenter"]


@stage_asset(kinds={"parquet", "dvc"}, owner="perception", pool=CORES)
def clips(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """Trimmed videos with 16 kHz sound of pours from every source, their catalogue, and the quarantine with reasons."""
    return run_stage(context, compute, dvc, mlflow)


@stage_asset(kinds={"pytorch", "dvc"}, owner="perception", pool=GPU)
def segmenter(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """The pocket U-Net that draws masks, trained on simulator frames whose object ids come free."""
    return run_stage(context, compute, dvc, mlflow)


@stage_asset(kinds={"video", "dvc"}, owner="perception", pool=GPU)
def masks(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """A palette mask video (pourer, receiver, liquid) and a quality row for every clip."""
    return run_stage(context, compute, dvc, mlflow)
