"""Trials in the lab, the report, and which policy is used."""

from dataclasses import asdict

import dagster as dg

from pipelines import previews
from pipelines.automation import WHEN_DATA_CHANGED
from pipelines.declaration import CORES, GPU, stage_asset
from pipelines.progress import StepProgress
from pipelines.promotion import evidence, judge, trained_policy
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import extend_journal, step_tags, user_errors_as_failures

__all__ = ["champion", "evaluation", "report"]

evaluation = stage_asset(
    "evaluation",
    "Closed-loop pours in the lab, one row per trial, for every ablation on the same cups and goals.",
    kinds={"mujoco", "parquet", "dvc"},
    owner="policy",
    pool=GPU,
    ages=True,
)

report = stage_asset(
    "report",
    "The page to look at and listen to: NMAE per ablation and container, sound figures, videos, lineage.",
    kinds={"html", "dvc"},
    owner="policy",
    pool=CORES,
)


SURELY_BETTER = "surely_better"


@dg.asset(
    deps=[dg.AssetDep("report"), dg.AssetDep("evaluation", partition_mapping=dg.AllPartitionMapping())],
    group_name="evaluation",
    owners=["team:policy"],
    kinds={"mlflow"},
    pool=GPU,
    automation_condition=WHEN_DATA_CHANGED,
    check_specs=[
        dg.AssetCheckSpec(
            SURELY_BETTER,
            asset="champion",
            blocking=True,
            description="On the same trials the challenger beats the champion by champion.margin with 95 % confidence, "
            "loses no container by more than champion.max_container_loss, and no trial was aborted.",
        )
    ],
)
def champion(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
    """The policy in use: the registry's alias ``champion``, moved only when the challenger passes the gate.

    A refused challenger is what the gate is for: the check warns, and the run does not fail.
    """
    with user_errors_as_failures(), mlflow.step("champion", step_tags(context, compute)) as run:
        experiment = compute.experiment()
        progress = StepProgress(context.log, run, also=compute.terminal())
        poured_with = trained_policy(experiment, dvc)
        verdict = judge(experiment, compute.folder, run, progress, poured_with=poured_with)
        run.figures(verdict.figures | {"promoted": verdict.promoted})
        extend_journal(compute.folder, "champion", asdict(verdict) | {"evidence": evidence(experiment, dvc)})
    context.log.info(f"{'promoted' if verdict.promoted else 'not promoted'}: {'; '.join(verdict.reasons)}")
    metadata = previews.figures(asdict(verdict) | verdict.figures) | {"reasons": "; ".join(verdict.reasons)}
    check = dg.AssetCheckResult(
        check_name=SURELY_BETTER,
        passed=verdict.settled,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(verdict.reasons),
        metadata=previews.figures(verdict.figures),
    )
    version = dg.DataVersion(verdict.champion or "none")
    return dg.MaterializeResult(metadata=metadata, check_results=[check], data_version=version)
