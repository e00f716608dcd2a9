"""The job that makes everything. Dagster's asset jobs cannot mix shards and ablations, so it walks the graph itself."""

import os
import signal
import subprocess
import sys

import dagster as dg

from pipelines.resources.compute import Compute

__all__ = ["whole_graph"]


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
