"""After a kill: what still looks alive is marked as dead, and only one walk over the graph goes on at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from multigen_core.errors import UserError
from pipelines.instance import IN_PROCESS
from pipelines.project import STATE
from pipelines.resources.mlflow import Mlflow

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["bury_killed_runs", "only_walk"]


@contextmanager
def only_walk(root: Path) -> Iterator[None]:
    """Held while this process makes assets of the project.

    Raises UserError when another process holds it.
    """
    (root / STATE).mkdir(exist_ok=True)
    lock = FileLock(root / STATE / "materialize.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another `python -m pipelines materialize` runs in {root}: wait for it or stop it") from error
    try:
        yield
    finally:
        lock.release()


def bury_killed_runs(root: Path, instance: "dg.DagsterInstance") -> None:
    """Ends the in-process runs that are still marked as running, here and in MLflow.

    To be called inside :func:`only_walk`, where no such run can be alive. A killed process cannot say goodbye, and
    Dagster's queue would wait for its runs for ever.
    """
    import dagster as dg

    alive = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(tags={IN_PROCESS: "true"}, statuses=alive))
    for run in runs:
        instance.report_run_failed(run, "The process was killed.")
    if runs:
        Mlflow(root=str(root)).end_runs_of([run.run_id for run in runs])
