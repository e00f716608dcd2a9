"""The emulated lab with its arm at the other end of a wire: the Gen3 emulator, moved by the robot's own driver.

Cups, liquid, camera and sound are those of the emulated lab; the pitcher is where the driver's feedback says. Time is
the clock's: what the policy and the simulation compute in is time in which the arm goes on.
"""

import time
from contextlib import ExitStack
from types import TracebackType

import numpy as np
from jaxtyping import Float, Float32

from multigen_core.lab.arm_driver import DriverOptions
from multigen_core.lab.arm_link import Address
from multigen_core.lab.emulated import EmulatedLab
from multigen_core.lab.gen3_emulator import running_emulator
from multigen_core.lab.kinova import KinovaArm
from multigen_core.lab.robot import Readings
from multigen_core.simulation.arm_motion import TICK_S
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.world import WorldState

__all__ = ["Gen3EmulatorLab"]

_SERVO_LAG_S = 0.035
"""Of the emulated arm behind its own command."""
_REACH_DEG_S = 40.0
_NO_FEEDBACK_S = 2.0


class Gen3EmulatorLab(EmulatedLab):
    """A member of the family of labs; a context manager, which starts and ends emulator and driver."""

    name = "gen3_emulator"

    def __enter__(self) -> "Gen3EmulatorLab":
        with ExitStack() as stack:
            latency_ms = 1e3 * self.arm_latency_s
            self.emulator = stack.enter_context(running_emulator("--arm-latency-ms", f"{latency_ms:g}"))
            address = Address("127.0.0.1", self.emulator.port, self.emulator.udp_port, client="wire")
            options = DriverOptions(arm_latency_s=self.arm_latency_s + _SERVO_LAG_S, reach_deg_s=_REACH_DEG_S)
            self._arm = stack.enter_context(KinovaArm(address, options))
            self._parts = stack.pop_all()
        self.late_s = 0.0
        """By how much control steps were longer than they should have been, in total: the arm went on meanwhile."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parts.close()

    def finish(self) -> Readings:
        readings = super().finish()
        if not self._arm.faulted:
            self._arm.end()
        return readings

    def _take_place(self, setup: PourSetup) -> None:
        self._arm.begin(setup)
        stop_s = time.monotonic() + _NO_FEEDBACK_S
        first = self._arm.track.count()
        while self._arm.track.count() == first and time.monotonic() < stop_s:
            time.sleep(0.01)
        self._read = self._arm.track.count()
        newest = self._arm.newest()
        assert newest is not None, "the driver has begun but written nothing"
        self._until_s, self._posture = newest.at_s, newest.posture_rad
        self._due_s: float | None = None

    def _move(self, action: Float32[np.ndarray, " 3"]) -> WorldState:
        self._arm.act(action)
        now_s = time.monotonic()
        due_s = (now_s if self._due_s is None else self._due_s) + 1.0 / self.rate_hz
        self.late_s += max(now_s - due_s, 0.0)
        self._due_s = max(due_s, now_s)
        time.sleep(self._due_s - now_s)
        return self._world.follow(self._way())

    @property
    def _halted(self) -> bool:
        return not self._arm.obeys

    def _way(self) -> Float[np.ndarray, "ticks 7"]:
        """The postures of the last control step, evenly in time."""
        cycles, self._read = self._arm.track.since(self._read)
        times = np.array([self._until_s, *(cycle.at_s for cycle in cycles)])
        postures = np.array([self._posture, *(cycle.posture_rad for cycle in cycles)])
        ticks = round(1.0 / self.rate_hz / TICK_S)
        wanted = np.linspace(times[0], times[-1], ticks + 1)[1:]
        self._until_s, self._posture = float(times[-1]), postures[-1]
        return np.stack([np.interp(wanted, times, postures[:, joint]) for joint in range(7)], axis=1)
