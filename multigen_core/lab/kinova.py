"""A Kinova Gen3, as the lab uses it: lip twists in, measured postures out.

The driver runs in its own process (``arm_driver``). However this process ends, that one sends zero speeds, Stop, and
closes its sessions; only a killed driver or a dead computer leaves the arm moving, and against that there is the
emergency stop.
"""

import multiprocessing
import time
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float

from multigen_core.errors import MissingExtra, UserError
from multigen_core.lab.arm_driver import DriverOptions, run_driver
from multigen_core.lab.arm_link import Address
from multigen_core.lab.arm_track import Cycle, Track
from multigen_core.simulation.setup import PourSetup

__all__ = ["KinovaArm"]

_ANSWER_S = 90.0
"""Reaching a posture takes a while."""
_END_S = 10.0


class KinovaArm:
    """A running driver; a context manager. All its calls raise UserError with the driver's own sentence."""

    def __init__(self, address: Address, options: DriverOptions | None = None) -> None:
        self._address, self._options = address, options or DriverOptions()
        self._first = 0
        """Cycles before this pour."""

    def __enter__(self) -> "KinovaArm":
        """Starts the driver, which checks the arm. Raises MissingExtra or UserError when it cannot be used."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.track = Track(context)
        self._process = context.Process(
            target=run_driver, args=(self._address, self._options, theirs, self.track), daemon=True, name="gen3 driver"
        )
        self._process.start()
        # Only the driver holds this end now: it closes when the driver ends.
        theirs.close()
        try:
            self._answer()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_END_S)

    @property
    def process_id(self) -> int:
        """Of the driver."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the driver runs."""
        return self._process.is_alive()

    @property
    def faulted(self) -> bool:
        """Whether the driver has ended or a fault is latched."""
        newest = self.newest()
        return not self.alive or (newest is not None and newest.fault is not None)

    @property
    def obeys(self) -> bool:
        """Whether an action still moves the arm: no fault, and the policy has not been given up for its silence."""
        newest = self.newest()
        begun = self.track.count() > self._first
        return not self.faulted and not (begun and newest is not None and newest.abandoned)

    def begin(self, setup: PourSetup) -> Float[np.ndarray, "7"]:
        """Moves the lip to where the pour starts; returns the posture [rad]."""
        posture: np.ndarray = self._ask("begin", setup)
        self._first = self.track.count()
        return posture

    def act(self, twist: Float[np.ndarray, "3"]) -> None:
        """Sends one action (units as in ``ACTION_SPEC``) and returns at once."""
        try:
            self._pipe.send(("act", time.monotonic(), np.array(twist, float)))
        except (BrokenPipeError, ConnectionError) as error:
            raise UserError("the arm's driver has ended: press the emergency stop if anything moves") from error

    def end(self) -> None:
        """Brakes to rest and stops."""
        self._ask("end")

    def home(self) -> float:
        """Moves to Kinova's home; returns the largest deviation of a joint from it [rad]."""
        return self._ask("home")

    def grip(self, closed: float) -> None:
        """0 open to 1 closed."""
        self._ask("grip", closed)

    def clear_fault(self, operator: str) -> None:
        """For a person who has looked at the arm."""
        self._ask("clear", operator)

    def newest(self) -> Cycle | None:
        """What the driver did last."""
        return self.track.newest()

    def _ask(self, name: str, *arguments: object) -> Any:
        try:
            self._pipe.send((name, *arguments))
        except (BrokenPipeError, ConnectionError) as error:
            raise UserError("the arm's driver has ended: press the emergency stop if anything moves") from error
        return self._answer()

    def _answer(self) -> Any:
        try:
            if not self._pipe.poll(_ANSWER_S):
                raise MissingExtra(f"the arm's driver does not answer within {_ANSWER_S:.0f} s")
            kind, value = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise UserError("the arm's driver has ended: press the emergency stop if anything moves") from error
        if kind == "error":
            raise value
        return value
