"""The job that makes everything, and the one that takes a promotion back.

Dagster's asset jobs cannot mix shards and ablations, so the first walks the graph itself.
"""

import os
import signal
import subprocess
import sys

import dagster as dg

from pipelines.registry import POLICY
from pipelines.resources.compute import Compute
from pipelines.resources.mlflow import Mlflow
from pipelines.step import DATA_VERSION, user_errors_as_failures

__all__ = ["roll_back_champion", "whole_graph"]


@dg.op
def materialize_stale(context: dg.OpExecutionContext, compute: Compute) -> None:
    """Runs ``python -m pipelines materialize``, whose runs show up beside this one; finished partitions are skipped.

    Raises dagster.Failure with the command's last line when it fails.
    """
    command = [sys.executable, "-m", "pipelines", "materialize"]
    environment = {**os.environ, "MULTIGEN_ROOT": compute.root, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=compute.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as call:
        line = ""
        try:
            for line in call.stdout or ():
                context.log.info(line.rstrip())
        except BaseException:
            call.send_signal(signal.SIGINT)
            raise
    if call.returncode:
        raise dg.Failure(description=line.strip() or f"exit code {call.returncode}", allow_retries=False)


@dg.job(description="Materializes every asset and partition that is not fresh, in order, and judges the champion.")
def whole_graph() -> None:
    materialize_stale()


class Withdrawal(dg.Config):
    """Which champion has to go, and why."""

    reason: str
    """Kept with the model version."""
    model: str = POLICY
    """Its name in the registry."""


@dg.op
def restore_previous(context: dg.OpExecutionContext, config: Withdrawal, compute: Compute, mlflow: Mlflow) -> None:
    """Raises dagster.Failure when there is no previous version."""
    from pipelines.contests import CONTESTS
    from pipelines.promotion import roll_back

    with user_errors_as_failures():
        withdrawn, restored = roll_back(
            mlflow.client(), compute.folder, config.reason, context.log.info, model=config.model
        )
    context.log.info(f"champion is version {restored} again; version {withdrawn} was withdrawn: {config.reason}")
    (asset,) = (contest.asset for contest in CONTESTS.values() if contest.model == config.model)
    tags = {DATA_VERSION: restored}
    context.log_event(dg.AssetMaterialization(asset, description=f"Rolled back: {config.reason}", tags=tags))


@dg.job(description="Makes the previous version the champion again; the withdrawn one keeps the reason as a tag.")
def roll_back_champion() -> None:
    restore_previous()
