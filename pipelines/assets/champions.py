"""Which model is used: the registry's alias ``champion`` of policy and audio model, moved only through a gate."""

from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg

from pipelines import previews
from pipelines.automation import WHEN_DATA_CHANGED
from pipelines.contests import CONTESTS
from pipelines.declaration import GPU
from pipelines.progress import StepProgress
from pipelines.promotion import judge
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import extend_journal, step_tags, user_errors_as_failures
from pipelines.units import AUDIO_CHAMPION, CHAMPION

__all__ = ["audio_champion", "champion"]

SURELY_BETTER = "surely_better"


def champion_asset(
    name: str, description: str, rule: str, *, deps: Sequence[dg.AssetDep], group: str, owner: str
) -> dg.AssetsDefinition:
    """The asset that judges a challenger; ``rule`` says what it has to be.

    A refused challenger is what the gate is for: the check warns, and the run does not fail.
    """

    @dg.asset(
        name=name,
        description=description,
        deps=deps,
        group_name=group,
        owners=[f"team:{owner}"],
        kinds={"mlflow"},
        pool=GPU,
        automation_condition=WHEN_DATA_CHANGED,
        check_specs=[dg.AssetCheckSpec(SURELY_BETTER, asset=name, blocking=True, description=rule)],
    )
    def body(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc, mlflow: Mlflow) -> dg.MaterializeResult:
        with user_errors_as_failures(), mlflow.step(name, step_tags(context, compute)) as run:
            contest = CONTESTS[name](compute.experiment(), compute.folder, dvc)
            verdict = judge(contest, run, StepProgress(context.log, run, also=compute.terminal()))
            run.figures(verdict.figures | {"promoted": verdict.promoted})
            extend_journal(compute.folder, name, asdict(verdict) | {"evidence": contest.evidence()})
        reasons = "; ".join(verdict.reasons)
        context.log.info(f"{'promoted' if verdict.promoted else 'not promoted'}: {reasons}")
        check = dg.AssetCheckResult(
            check_name=SURELY_BETTER,
            passed=verdict.settled,
            severity=dg.AssetCheckSeverity.WARN,
            description=reasons,
            metadata=previews.figures(verdict.figures),
        )
        return dg.MaterializeResult(
            metadata=previews.figures(asdict(verdict) | verdict.figures) | {"reasons": reasons},
            check_results=[check],
            data_version=dg.DataVersion(verdict.champion or "none"),
        )

    return body


champion = champion_asset(
    CHAMPION,
    "The policy in use: the alias `champion` of `multigen-policy`, moved only when the challenger passes the gate.",
    "On the same trials the challenger beats the champion by champion.margin with 95 % confidence, "
    "loses no container by more than champion.max_container_loss, and no trial was aborted.",
    deps=[dg.AssetDep("report"), dg.AssetDep("evaluation", partition_mapping=dg.AllPartitionMapping())],
    group="evaluation",
    owner="policy",
)

audio_champion = champion_asset(
    AUDIO_CHAMPION,
    "The audio model in use: the alias `champion` of `multigen-audio`, moved only when the challenger passes the gate.",
    "Its sounds fit their own pours better than other pours; on the same episodes its pitch is nearer to the truth "
    "than the champion's by audio_champion.margin with 95 % confidence, on no container further off by more than "
    "audio_champion.max_container_loss, and its fidelity falls by at most audio_champion.max_sdr_loss_db.",
    deps=[dg.AssetDep("audio_report")],
    group="audio_model",
    owner="sound",
)
