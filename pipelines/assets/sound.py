"""The model that watches a pour and makes its sound."""

import dagster as dg

from pipelines.declaration import GPU, stage_asset
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import run_stage

__all__ = ["audio_model", "audio_report"]


@stage_asset(kinds={"pytorch", "mlflow", "dvc"}, owner="sound", pool=GPU)
def audio_model(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """Generates sound from mask videos; trained on the clips and registered as ``multigen-audio``."""
    return run_stage(context, compute, dvc, mlflow)


@stage_asset(kinds={"html", "dvc"}, owner="sound", pool=GPU)
def audio_report(
    context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow
) -> dg.MaterializeResult:
    """How true and how varied the generated sound is, beside controls: Figure 4a."""
    return run_stage(context, compute, dvc, mlflow)
