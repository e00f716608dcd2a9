"""The driver's own process: forty times a second look, plan, check, command; and in the end zero, Stop, close.

Actions come through a pipe at the policy's pace; the joint speeds between them are those of a ``Servo``. Neither a
policy that thinks too long nor protobuf in pure Python can hold this loop up.
"""

import contextlib
import gc
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from jaxtyping import Float

from multigen_core.errors import UserError
from multigen_core.lab.arm_link import Address, ArmLink, LinkBroken, LinkRefused, Report, open_link
from multigen_core.lab.arm_track import Cycle, Track
from multigen_core.lab.safety import Measured
from multigen_core.lab.servo import Servo, ServoOptions
from multigen_core.simulation.gen3 import HOME_RAD
from multigen_core.simulation.setup import PourSetup

__all__ = ["DriverOptions", "run_driver"]

_ARRIVED_RAD = math.radians(1.0)
_REACH_LIMIT_S = 60.0
_AT_REST_RAD_S = 1e-3
"""The plan's own trimming is slower."""
_STATE_EVERY = 10
"""Cycles between two questions for the arm's state."""
_LOST_AFTER = 4
"""Calls in a row without an answer after which the connection counts as lost."""
_LOST_ON_THE_WAY_AFTER = 20
"""The same during a motion to a posture, which the arm ends by itself."""
_REBUILD_PAUSE_S = 0.05
_PAUSE_S = 0.008
"""Between two cycles at least, however many actions come."""


@dataclass(frozen=True)
class DriverOptions(ServoOptions):
    """How the driver moves the arm."""

    reach_deg_s: float = 20.0
    """Point-to-point motions: home, and to the start of a pour."""


def run_driver(address: Address, options: DriverOptions, pipe: Connection, track: Track) -> None:
    """The process: answers what comes through the pipe until it closes or a signal ends it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    # Late cycles are felt; where this is not allowed the process runs like any other.
    with contextlib.suppress(OSError):
        os.nice(-10)
    driver: _Driver | None = None
    try:
        try:
            driver = _Driver(address, options, pipe, track)
        except UserError as error:
            pipe.send(("error", error))
            return
        pipe.send(("ok", None))
        gc.freeze()
        driver.live()
    except (EOFError, BrokenPipeError):
        # The parent is gone or is done: what remains is to stop.
        return
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if driver:
            driver.leave()


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


class _Driver:
    def __init__(self, address: Address, options: DriverOptions, pipe: Connection, track: Track) -> None:
        self._address, self._options, self._pipe, self._track = address, options, pipe, track
        self._link: ArmLink = open_link(address)
        self._servo: Servo | None = None
        self._frame, self._measured_s = -1, -math.inf
        self._posture = HOME_RAD.copy()
        self._joints = 7
        self._faulty = False
        self._unanswered = 0
        self._idled = 0
        self._commands: dict[str, Callable[..., Any]] = {
            "begin": self._begin,
            "act": self._act,
            "end": self._end,
            "home": self._home,
            "grip": self._grip,
            "clear": self._clear,
        }
        try:
            self._check_arm()
        except (LinkBroken, LinkRefused) as error:
            self._link.close()
            raise UserError(f"the arm cannot be used: {error}") from error
        except UserError:
            self._link.close()
            raise

    def live(self) -> None:
        """Until the pipe closes."""
        cycle_s = self._options.limits.cycle_s
        due_s = time.monotonic()
        while True:
            self._answer_pipe()
            now_s = time.monotonic()
            late_s = max(now_s - due_s, 0.0)
            # An action that comes early brings the cycle forward; cycles that were missed are not made up for.
            due_s = now_s if late_s > cycle_s else min(due_s, now_s)
            self._cycle(late_s)
            due_s += cycle_s
            time.sleep(_PAUSE_S)
            self._pipe.poll(max(due_s - time.monotonic(), 0.0))

    def leave(self) -> None:
        """Zero speeds, Stop, close: whatever happened. A broken connection is rebuilt for it once."""
        for attempt in range(2):
            try:
                with contextlib.suppress(LinkRefused):
                    self._link.drive([0.0] * 7)
                with contextlib.suppress(LinkRefused):
                    self._link.stop()
                self._link.close()
                return
            except LinkBroken:
                self._link.close()
                try:
                    if attempt == 0:
                        self._link = open_link(self._address)
                except UserError as again:
                    error = LinkBroken(str(again))
                    attempt = 1
                if attempt == 1:
                    print(f"error: THE ARM WAS NOT STOPPED ({error}): press the emergency stop", file=sys.stderr)
                    return

    def _answer_pipe(self) -> None:
        """Carries out what came; an action has no answer. Raises EOFError when the parent is gone."""
        while self._pipe.poll():
            name, *arguments = self._pipe.recv()
            try:
                value = self._commands[name](*arguments)
            except UserError as error:
                self._pipe.send(("error", error))
                continue
            except (LinkBroken, LinkRefused) as error:
                self._pipe.send(("error", UserError(f"the arm did not do it ({name}): {error}")))
                continue
            if name != "act":
                self._pipe.send(("ok", value))

    def _check_arm(self) -> None:
        joints = self._link.joint_count()
        if joints != 7:
            raise UserError(f"the arm reports {joints} joints; this driver is for a Gen3 with seven")
        if not self._link.is_ready():
            raise UserError("the arm is in fault or busy: look at it, and clear the fault on Kinova's own page")
        self._link.take_control()
        self._link.gripper()
        self._look()

    def _look(self) -> Report:
        report = self._link.report()
        self._joints = len(report.angles_deg)
        if report.frame != self._frame and self._joints == 7:
            self._frame, self._measured_s = report.frame, time.monotonic()
            measured = np.radians(report.angles_deg)
            self._posture = self._posture + (measured - self._posture + np.pi) % (2.0 * np.pi) - np.pi
        return report

    def _begin(self, setup: PourSetup) -> Float[np.ndarray, "7"]:
        """Brings the lip to where the pour starts; returns the posture."""
        if self._servo and self._servo.gate.fault:
            raise UserError(f"a fault is latched ({self._servo.gate.fault}): an operator has to clear it first")
        self._servo = None
        servo = Servo(setup, self._options)
        self._reach(servo.start_rad)
        # The same posture up to whole turns, counted as the plan counts them.
        self._posture = servo.start_rad + (self._posture - servo.start_rad + np.pi) % (2.0 * np.pi) - np.pi
        servo.stand(self._posture)
        self._servo = servo
        return self._posture.copy()

    def _act(self, action_s: float, twist: Float[np.ndarray, "3"]) -> None:
        if self._servo:
            self._servo.hear(time.monotonic(), action_s, twist)

    def _end(self) -> None:
        """Brakes to rest."""
        servo = self._servo
        if servo is None:
            return
        servo.end()
        for _ in range(40):
            self._cycle(0.0)
            if np.abs(servo.gate.speeds_rad_s).max() < _AT_REST_RAD_S:
                break
            time.sleep(self._options.limits.cycle_s)
        self._link.stop()
        if not servo.gate.fault:
            self._servo = None

    def _home(self) -> float:
        """Kinova's home; returns the largest deviation from it [rad]."""
        self._end()
        self._reach(HOME_RAD)
        return float(np.abs((self._posture - HOME_RAD + np.pi) % (2 * np.pi) - np.pi).max())

    def _grip(self, closed: float) -> None:
        self._link.grip(closed)

    def _clear(self, operator: str) -> None:
        if self._servo:
            self._servo.gate.clear(operator)
        self._link.clear_faults()
        self._link.take_control()
        self._faulty = not self._link.is_ready()
        if self._faulty:
            raise UserError("the arm still reports a fault")
        if self._servo:
            self._look()
            self._servo.gate.halt(self._posture)

    def _reach(self, goal_rad: Float[np.ndarray, "7"]) -> None:
        """Point to point. Raises UserError when the arm does not get there."""
        self._link.reach(np.degrees(goal_rad) % 360.0, speed_deg_s=self._options.reach_deg_s)
        stop_s = time.monotonic() + _REACH_LIMIT_S
        try:
            while self._is_under_way():
                if time.monotonic() > stop_s:
                    raise UserError(f"the arm did not reach its posture within {_REACH_LIMIT_S:.0f} s")
                time.sleep(0.05)
        except (UserError, LinkBroken, LinkRefused):
            with contextlib.suppress(LinkBroken, LinkRefused):
                self._link.stop()
            raise
        time.sleep(0.15)
        self._look()
        off = float(np.abs((self._posture - goal_rad + np.pi) % (2 * np.pi) - np.pi).max())
        if off > _ARRIVED_RAD:
            raise UserError(f"the arm stopped {math.degrees(off):.1f} degrees short of its posture: is it in fault?")

    def _is_under_way(self) -> bool:
        """A question that was not answered is asked again before the connection counts as lost."""
        try:
            playing = self._link.is_playing()
            self._look()
            self._unanswered = 0
        except LinkBroken as error:
            self._unanswered += 1
            if error.gone or self._unanswered >= _LOST_ON_THE_WAY_AFTER:
                raise
            return True
        return playing

    def _cycle(self, late_s: float) -> None:
        """Look, plan, check, command, write down."""
        servo = self._servo
        if servo is None:
            self._idle()
            return
        now_s = time.monotonic()
        servo.gate.advance(now_s)
        self._ask(servo)
        verdict = servo.speeds(now_s, self._measured())
        commanded_s = self._command(servo, verdict.speeds_rad_s, now_s)
        self._track.add(
            Cycle(
                at_s=self._measured_s,
                posture_rad=self._posture,
                speeds_rad_s=verdict.speeds_rad_s,
                late_s=late_s,
                commanded_s=commanded_s,
                action_s=servo.action_s,
                reason=verdict.reason,
                fault=verdict.fault,
                abandoned=servo.abandoned,
            )
        )

    def _idle(self) -> None:
        """Keeps both sessions alive, and replaces a link that broke while nothing moved."""
        self._idled += 1
        try:
            self._look()
            if self._idled % _STATE_EVERY == 0:
                self._link.is_ready()
        except LinkRefused:
            self._faulty = True
        except LinkBroken as error:
            if error.gone:
                self._link.close()
                # What cannot be reached now is told when it is asked for.
                with contextlib.suppress(UserError, LinkBroken, LinkRefused):
                    self._link = open_link(self._address)
                    self._link.take_control()

    def _ask(self, servo: Servo) -> None:
        """Feedback every cycle, the arm's state now and then."""
        try:
            self._faulty = self._look().faulty or (self._faulty and servo.gate.fault is not None)
            if self._track.count() % _STATE_EVERY == 0 and not self._link.is_ready():
                self._faulty = True
            self._unanswered = 0
        except LinkRefused:
            self._faulty = True
        except LinkBroken as error:
            self._lose(servo, error)
        if self._joints == 7 and not servo.gate.fault:
            servo.correct(self._measured())

    def _measured(self) -> Measured:
        posture = self._posture if self._joints == 7 else np.zeros(self._joints)
        return Measured(self._measured_s, posture, self._faulty)

    def _command(self, servo: Servo, speeds_rad_s: Float[np.ndarray, "7"], now_s: float) -> float:
        """Sends; returns when the arm had acknowledged, 0 if it did not."""
        servo.sent(now_s, speeds_rad_s)
        try:
            self._link.drive(np.degrees(speeds_rad_s).tolist())
            self._unanswered = 0
            return time.monotonic()
        except LinkRefused:
            # In a fault that is known already the arm refuses everything.
            self._faulty = True
        except LinkBroken as error:
            self._lose(servo, error)
        return 0.0

    def _lose(self, servo: Servo, error: LinkBroken) -> None:
        """A call came to nothing. A connection that is gone is replaced at once, to stop what still moves."""
        self._unanswered += 1
        if not error.gone and self._unanswered < _LOST_AFTER:
            return
        servo.gate.lose_connection()
        self._link.close()
        time.sleep(_REBUILD_PAUSE_S)
        try:
            self._link = open_link(self._address)
            # Stop first: it is obeyed from whoever says it.
            self._link.stop()
            self._link.take_control()
            self._link.drive([0.0] * 7)
            self._look()
            servo.gate.halt(self._posture)
            self._unanswered = 0
        except LinkRefused:
            self._faulty = True
        except (UserError, LinkBroken) as again:
            print(f"error: the arm cannot be reached ({again}): press the emergency stop", file=sys.stderr)
            return
        print("the arm answers again, and was stopped", file=sys.stderr)
