"""How a stage's progress reaches Dagster's log, MLflow and, for ``python -m pipelines``, the terminal."""

import math
import time
from collections import defaultdict

import dagster as dg

from multigen_core.progress import Progress, time_left
from pipelines.resources.mlflow import StepRun

__all__ = ["StepProgress"]

Point = tuple[str, float, int]
PAUSE_S = 60.0
"""Between two attempts to reach an MLflow server that is away."""


class StepProgress:
    """Listens to one stage: a log line and a batch of metrics every few seconds."""

    def __init__(
        self,
        log: dg.DagsterLogManager,
        run: StepRun,
        *,
        also: Progress,
        every_s: float = 5.0,
    ) -> None:
        self._log = log
        self._run = run
        self._also = also
        self._every_s = every_s
        self._started_s = time.monotonic()
        self._logged_s = 0.0
        self._sent_s = time.monotonic()
        self._waiting: list[Point] = []
        self._told = False
        self.curves: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        """Every figure that developed: name -> (step, value) in order."""

    def update(self, done: int, total: int, what: str = "") -> None:
        self._also.update(done, total, what)
        now_s = time.monotonic()
        if done < total and now_s - self._logged_s < self._every_s:
            return
        self._logged_s = now_s
        left = time_left(self._started_s, done, total, now_s=now_s)
        self._log.info(f"{done}/{total} · {left} left" + (f" · {what}" if what else ""))

    def metric(self, name: str, value: float, step: int) -> None:
        self._also.metric(name, value, step)
        self.curves[name].append((step, value))
        if math.isfinite(value):
            self._waiting.append((name, float(value), step))
        if time.monotonic() - self._sent_s > self._every_s:
            self._try_to_flush()

    def say(self, message: str) -> None:
        self._also.say(message)
        self._log.info(message)

    def flush(self) -> None:
        """Sends the metrics that wait. Raises what MLflow raises when it cannot take them."""
        self._run.curve(self._waiting)
        self._waiting.clear()
        self._sent_s = time.monotonic()

    def _try_to_flush(self) -> None:
        """In the midst of an hour's work a server that is away for a while costs points of a curve, not the hour."""
        try:
            self.flush()
        except Exception as error:
            self._sent_s = time.monotonic() + PAUSE_S
            if not self._told:
                self._told = True
                self._log.warning(f"MLflow takes no metrics, which wait until it does: {error}")
