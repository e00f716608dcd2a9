"""Tracking: one MLflow run per asset step, with tags that lead back to Dagster, DVC and git."""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from multigen_core.errors import UserError
from pipelines.project import STATE, project_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Mlflow", "StepRun", "without_passwords"]

EXPERIMENT = "multigen"
LOCAL_SERVER = "http://127.0.0.1:5000"
"""Where `make ui` serves the sqlite file."""
CURVE_BATCH = 500
"""MLflow takes at most 1000 metrics in one call."""


@dataclass(frozen=True)
class StepRun:
    """The MLflow run of one asset step."""

    client: "MlflowClient"
    run_id: str
    page: str
    """Where the MLflow server shows the run."""

    def params(self, section: str, values: Mapping[str, Any]) -> None:
        """Logs ``section.key`` for every key, nested sections dotted."""
        from mlflow.entities import Param

        rows = [Param(name, str(value)) for name, value in _flat(section, values)]
        self.client.log_batch(self.run_id, params=rows)

    def figures(self, values: Mapping[str, Any]) -> None:
        """Logs numbers as metrics and words as tags, nested ones with dotted names."""
        for name, value in _flat("", values):
            if isinstance(value, bool | int | float):
                self.client.log_metric(self.run_id, name, float(value))
            elif isinstance(value, str):
                self.tag(f"summary.{name}", value)

    def curve(self, points: Sequence[tuple[str, float, int]]) -> None:
        """Logs ``(name, value, step)`` points of figures that develop during the run."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        rows = [Metric(name, value, now_ms, step) for name, value, step in points]
        for first in range(0, len(rows), CURVE_BATCH):
            self.client.log_batch(self.run_id, metrics=rows[first : first + CURVE_BATCH])

    def tag(self, name: str, value: str) -> None:
        self.client.set_tag(self.run_id, name, value)

    def file(self, path: Path) -> None:
        """Keeps a copy of the file with the run."""
        self.client.log_artifact(self.run_id, str(path))


class Mlflow(dg.ConfigurableResource):
    """A tracking server, or by default a sqlite file and a folder of artifacts below the project's state."""

    root: str = str(project_root())
    server: str = os.environ.get("MLFLOW_TRACKING_URI", "")
    """Address of the tracking server; empty: the sqlite file."""

    @property
    def tracking_uri(self) -> str:
        """What MLflow calls its store."""
        return self.server or f"sqlite:///{Path(self.root) / STATE / 'mlflow' / 'mlflow.db'}"

    def client(self) -> "MlflowClient":
        """A client on the tracking store, which is made on first use."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        # A server that is away is said within half a minute; MLflow alone would try for many.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        import mlflow

        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        return mlflow.MlflowClient()

    def opened(self) -> "tuple[MlflowClient, str]":
        """A client, and the id of the project's experiment in a store that answers.

        Raises UserError when it is unreachable, locked or damaged.
        """
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            client = self.client()
            return client, self._experiment_id(client)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            sentence = f"MLflow's store {self.tracking_uri} cannot be used: {' '.join(str(error).split())[:300]}"
            raise UserError(f"{without_passwords(sentence)}; see docs/operations.md") from error

    @contextmanager
    def step(self, name: str, tags: Mapping[str, str]) -> Iterator[StepRun]:
        """A run that is active inside the block and ends FINISHED, FAILED, or KILLED on Ctrl-C.

        Raises UserError when the store cannot be used.
        """
        client, experiment_id = self.opened()
        import mlflow

        with mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=dict(tags)) as active:
            try:
                yield StepRun(client, active.info.run_id, self._page(experiment_id, active.info.run_id))
            except BaseException as stop:
                if not isinstance(stop, Exception):
                    mlflow.end_run("KILLED")
                raise

    def end_runs_of(self, dagster_run_ids: Sequence[str]) -> None:
        """Marks the MLflow runs of killed Dagster runs as killed."""
        client, experiment_id = self.opened()
        for dagster_run_id in dagster_run_ids:
            query = f"attributes.status = 'RUNNING' and tags.`dagster.run_id` = '{dagster_run_id}'"
            for run in client.search_runs([experiment_id], query):
                client.set_terminated(run.info.run_id, "KILLED")

    def _page(self, experiment_id: str, run_id: str) -> str:
        server = self.tracking_uri if self.tracking_uri.startswith("http") else LOCAL_SERVER
        return f"{server}/#/experiments/{experiment_id}/runs/{run_id}"

    def _experiment_id(self, client: "MlflowClient") -> str:
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        # A server keeps the artifacts of its experiments by itself; a bare database needs a place for them.
        on_disk = not self.tracking_uri.startswith("http")
        artifacts = (Path(self.root) / STATE / "mlflow" / "artifacts").as_uri() if on_disk else None
        return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts))


def without_passwords(text: str) -> str:
    """The text without names and passwords in addresses, which are nobody's business in a log."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        dotted = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            yield from _flat(dotted, value)
        else:
            yield dotted, value
