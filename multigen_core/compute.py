"""Where independent items of work run: one contract, one class per engine."""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

from multigen_core.errors import UserError
from multigen_core.progress import Progress

__all__ = ["ENGINES", "Engine", "ProcessPool", "Serial", "make_engine"]

Item = TypeVar("Item")
Result = TypeVar("Result")


_DEATHS = 2
"""So often may a worker die, of a crash in a native library for example, before the work is given up."""


class Engine(Protocol):
    """Maps a picklable top-level function over items and keeps their order."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], progress: Progress, what: str = ""
    ) -> list[Result]:
        """``[function(item) for item in items]``; the first exception ends the work and is raised here.

        Raises UserError when workers die again and again.
        """


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
        results: dict[int, Result] = {}
        for death in range(_DEATHS + 1):
            missing = {place: item for place, item in enumerate(items) if place not in results}
            try:
                self._fill(results, missing, function, lambda: progress.update(len(results), len(items), what))
            except BrokenProcessPool:
                if death < _DEATHS:
                    progress.say("a worker process died; what it had not finished is done again")
                continue
            return [results[place] for place in range(len(items))]
        raise UserError(
            f"worker processes died {_DEATHS + 1} times over {what or 'the same work'}:"
            " memory may have run out; set compute.workers to 1 and start again"
        )

    def _fill(
        self,
        results: dict[int, Result],
        items: Mapping[int, Item],
        function: Callable[[Item], Result],
        report: Callable[[], None],
    ) -> None:
        """Puts the results of these items into ``results`` by their places, each as soon as it is there.

        Raises BrokenProcessPool when a worker dies.
        """
        if not items:
            return
        context = multiprocessing.get_context("spawn")
        workers = min(self.workers, len(items))
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_use_one_thread) as pool:
            try:
                place_of = {pool.submit(function, item): place for place, item in items.items()}
                pending = set(place_of)
                while pending:
                    finished, pending = wait(pending, timeout=1.0, return_when=FIRST_EXCEPTION)
                    # What is whole first: a worker that died takes nothing with it that another has finished.
                    for future in sorted(finished, key=lambda future: future.exception() is not None):
                        results[place_of[future]] = future.result()
                    report()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


ENGINES: dict[str, type[Serial] | type[ProcessPool]] = {"serial": Serial, "process_pool": ProcessPool}
"""The values of ``compute.engine``."""


def make_engine(name: str, workers: int) -> Engine:
    """The engine that ``compute.engine`` names; ``workers`` 0 means one per core."""
    return ENGINES[name](workers)
