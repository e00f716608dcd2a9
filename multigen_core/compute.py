"""Where independent items of work run: one contract, one class per engine."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from typing import Protocol, TypeVar

from multigen_core.progress import Progress

__all__ = ["ENGINES", "Engine", "ProcessPool", "Serial", "make_engine"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Maps a picklable top-level function over items and keeps their order."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], progress: Progress, what: str = ""
    ) -> list[Result]:
        """``[function(item) for item in items]``; the first exception ends the work and is raised here."""


class Serial:
    """In this process, one after the other."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = 1

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], progress: Progress, what: str = ""
    ) -> list[Result]:
        results = []
        for item in items:
            results.append(function(item))
            progress.update(len(results), len(items), what)
        return results


def _use_one_thread() -> None:
    """A worker owns one core: the array libraries it will import must not start more threads."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ[name] = "1"


class ProcessPool:
    """One fresh process per core of this machine (spawned: an OpenGL context or thread pool survives no fork)."""

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], progress: Progress, what: str = ""
    ) -> list[Result]:
        if not items:
            return []
        context = multiprocessing.get_context("spawn")
        workers = min(self.workers, len(items))
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_use_one_thread) as pool:
            try:
                futures = [pool.submit(function, item) for item in items]
                pending = set(futures)
                while pending:
                    finished, pending = wait(pending, timeout=1.0, return_when=FIRST_EXCEPTION)
                    for future in finished:
                        future.result()
                    progress.update(len(items) - len(pending), len(items), what)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            return [future.result() for future in futures]


ENGINES: dict[str, type[Serial] | type[ProcessPool]] = {"serial": Serial, "process_pool": ProcessPool}
"""The values of ``compute.engine``."""


def make_engine(name: str, workers: int) -> Engine:
    """The engine that ``compute.engine`` names; ``workers`` 0 means one per core."""
    return ENGINES[name](workers)
