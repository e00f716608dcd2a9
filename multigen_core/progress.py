"""How long work tells the outside where it is, without knowing who listens."""

import time
from typing import Protocol

from rich.console import Console
from rich.markup import escape

__all__ = ["Progress", "Silent", "TerminalProgress", "time_left"]


class Progress(Protocol):
    """What a stage may report. Implementations: the terminal here, Dagster's log and MLflow in ``pipelines``."""

    def update(self, done: int, total: int, what: str = "") -> None:
        """``done`` of ``total`` items are finished; ``what`` names the item in a few words."""

    def metric(self, name: str, value: float, step: int) -> None:
        """A figure that develops during the run, for example a training loss."""

    def say(self, message: str) -> None:
        """One line worth reading."""


class Silent:
    """Nobody listens (tests, worker processes)."""

    def update(self, done: int, total: int, what: str = "") -> None:
        return None

    def metric(self, name: str, value: float, step: int) -> None:
        return None

    def say(self, message: str) -> None:
        return None


def time_left(started_s: float, done: int, total: int, *, now_s: float) -> str:
    """Estimated rest as ``m:ss``, from the mean time per finished item."""
    if done == 0:
        return "?"
    rest_s = (now_s - started_s) / done * (total - done)
    return f"{int(rest_s // 60)}:{int(rest_s % 60):02d}"


class TerminalProgress:
    """Prints stage, items done and time left: a line every few seconds, so that it also reads well in a log."""

    def __init__(self, stage: str, *, every_s: float = 5.0, console: Console | None = None) -> None:
        self._stage = stage
        self._every_s = every_s
        self._console = console or Console(stderr=True, highlight=False)
        self._started_s = time.monotonic()
        self._printed_s = 0.0

    def update(self, done: int, total: int, what: str = "") -> None:
        now_s = time.monotonic()
        if done < total and now_s - self._printed_s < self._every_s:
            return
        self._printed_s = now_s
        left = time_left(self._started_s, done, total, now_s=now_s)
        tail = f" · {escape(what)}" if what else ""
        self._console.print(f"[bold]{self._stage}[/] {done}/{total} · {left} left{tail}")

    def metric(self, name: str, value: float, step: int) -> None:
        return None

    def say(self, message: str) -> None:
        self._console.print(f"[bold]{self._stage}[/] {escape(message)}")
