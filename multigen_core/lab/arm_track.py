"""What the driver's process writes down every cycle, in memory that its parent reads without holding it up."""

from ctypes import c_double, c_uint64
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from typing import get_args

import numpy as np
from jaxtyping import Float

from multigen_core.lab.safety import Reason

__all__ = ["Cycle", "Track"]

_ROWS = 4096
"""A hundred seconds at 40 Hz."""
_REASONS: tuple[Reason | None, ...] = (None, *get_args(Reason))
_WIDTH = 21


@dataclass(frozen=True)
class Cycle:
    """One cycle of the driver; times on the machine's monotonic clock."""

    at_s: float
    """When the posture was measured."""
    posture_rad: Float[np.ndarray, "7"]
    """Measured, without jumps at full turns."""
    speeds_rad_s: Float[np.ndarray, "7"]
    """Sent."""
    late_s: float
    """After the time at which the cycle was due."""
    commanded_s: float
    """When the arm had acknowledged the speeds; 0 when it did not."""
    action_s: float
    """When the action behind them was sent; 0 before the first."""
    reason: Reason | None
    fault: Reason | None
    abandoned: bool = False
    """Whether the policy was given up for silence or nonsense: nothing that it says is obeyed any more."""


class Track:
    """One writer, readers at any pace: rows are written before they are counted."""

    def __init__(self, context: SpawnContext) -> None:
        self._cells = context.RawArray(c_double, _ROWS * _WIDTH)
        self._count = context.RawValue(c_uint64, 0)

    def add(self, cycle: Cycle) -> None:
        """For the writer."""
        count = self._count.value
        self._rows()[count % _ROWS] = (
            cycle.at_s,
            *cycle.posture_rad,
            *cycle.speeds_rad_s,
            cycle.late_s,
            cycle.commanded_s,
            cycle.action_s,
            _REASONS.index(cycle.reason),
            _REASONS.index(cycle.fault),
            cycle.abandoned,
        )
        self._count.value = count + 1

    def count(self) -> int:
        """Cycles written so far."""
        return int(self._count.value)

    def since(self, count: int) -> tuple[list[Cycle], int]:
        """The cycles from that number on, and the number to ask for next; those that were overwritten are left out."""
        end = self.count()
        rows = self._rows()
        return [_cycle(rows[number % _ROWS].copy()) for number in range(max(count, end - _ROWS + 8), end)], end

    def newest(self) -> Cycle | None:
        """The last cycle."""
        count = self.count()
        return _cycle(self._rows()[(count - 1) % _ROWS].copy()) if count else None

    def _rows(self) -> Float[np.ndarray, "rows width"]:
        return np.frombuffer(memoryview(self._cells), np.float64).reshape(_ROWS, _WIDTH)


def _cycle(row: Float[np.ndarray, " width"]) -> Cycle:
    return Cycle(
        at_s=float(row[0]),
        posture_rad=row[1:8],
        speeds_rad_s=row[8:15],
        late_s=float(row[15]),
        commanded_s=float(row[16]),
        action_s=float(row[17]),
        reason=_REASONS[int(row[18])],
        fault=_REASONS[int(row[19])],
        abandoned=bool(row[20]),
    )
