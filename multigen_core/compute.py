"""Where independent items of work run: one contract, one class per engine."""

import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from multigen_core.errors import MissingExtra, UserError
from multigen_core.progress import Progress

__all__ = ["ENGINES", "Engine", "ProcessPool", "RayCluster", "Serial", "make_engine"]

Item = TypeVar("Item")
Result = TypeVar("Result")


_DEATHS = 2
"""So often may a worker die, of a crash in a native library for example, before the work is given up."""
_KNOCK_S = 5.0


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


_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"), "1")
"""A worker owns one core: the array libraries it will import must not start more threads."""


def _use_one_thread() -> None:
    os.environ.update(_ONE_THREAD)


def _gave_up(what: str) -> UserError:
    return UserError(
        f"worker processes died {_DEATHS + 1} times over {what or 'the same work'}:"
        " memory may have run out; set compute.workers to 1 and start again"
    )


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
        raise _gave_up(what)

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


class RayCluster:
    """Tasks of one core on the Ray cluster that the environment variable RAY_ADDRESS names. All its nodes see the
    project's folder at the same path and have its environment.

    Raises MissingExtra without the extra ``[ray]``.
    """

    def __init__(self, workers: int = 0) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtra(
                "compute.engine is 'ray', which needs the extra [ray]: pip install -c constraints.txt -e .[ray]"
            ) from error
        self._ray: Any = ray
        self.workers = workers
        """Tasks at a time; 0 is what the cluster has room for."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], progress: Progress, what: str = ""
    ) -> list[Result]:
        if not items:
            return []
        self._connect()
        task = self._ray.remote(num_cpus=1, max_retries=_DEATHS)(function)
        waiting = list(reversed(range(len(items))))
        place_of: dict[Any, int] = {}
        results: dict[int, Result] = {}
        try:
            while waiting or place_of:
                while waiting and len(place_of) < (self.workers or len(items)):
                    place = waiting.pop()
                    place_of[task.remote(items[place])] = place
                (finished, *_), _ = self._ray.wait(list(place_of))
                results[place_of.pop(finished)] = self._result(finished, what)
                progress.update(len(results), len(items), what)
        finally:
            for left in place_of:
                self._ray.cancel(left, force=True)
        return [results[place] for place in range(len(items))]

    def _connect(self) -> None:
        """Once per process."""
        if self._ray.is_initialized():
            return
        address = os.environ.get("RAY_ADDRESS", "")
        if not address:
            raise UserError(
                "compute.engine is 'ray', but RAY_ADDRESS names no cluster: set it to the host:port that"
                " `ray start --head` printed, or set compute.engine to process_pool"
            )
        try:
            _knock(address)
            self._ray.init(
                address,
                runtime_env={"env_vars": _ONE_THREAD},
                logging_level="warning",
                log_to_driver=False,
            )
        except OSError as error:
            raise UserError(
                f"no Ray cluster lets us in at RAY_ADDRESS, {address!r}: start it, name another, or put its token into"
                " RAY_AUTH_TOKEN"
            ) from error

    def _result(self, finished: Any, what: str) -> Any:
        """Raises what the task raised, as it was raised there."""
        try:
            return self._ray.get(finished)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.WorkerCrashedError as error:
            raise _gave_up(what) from error


def _knock(address: str) -> None:
    """Raises OSError when nobody is there; Ray itself would go on trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


ENGINES: dict[str, type[Serial] | type[ProcessPool] | type[RayCluster]] = {
    "serial": Serial,
    "process_pool": ProcessPool,
    "ray": RayCluster,
}
"""The values of ``compute.engine``."""


def make_engine(name: str, workers: int) -> Engine:
    """The engine that ``compute.engine`` names; ``workers`` 0 means one per core."""
    return ENGINES[name](workers)
