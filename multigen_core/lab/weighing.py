"""A scale: its display read by a person, or its serial line."""

import os
import re
import select
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from multigen_core.errors import MissingExtra, UserError

__all__ = ["Scale", "SerialScale", "TypedScale"]

_NUMBER = re.compile(rb"[-+]?\s*\d+(?:[.,]\d+)?")
_STEADY = 3
"""Readings in a row that agree."""
_STEADY_G = 0.3
_WAIT_S = 15.0


class Scale(Protocol):
    """Says what something weighs."""

    def weigh(self, what: str) -> float:
        """In grams. Raises UserError when the scale says nothing."""


class TypedScale:
    """Asks a person, until a number comes."""

    def __init__(self, ask: Callable[[str], str] = input) -> None:
        self._ask = ask

    def weigh(self, what: str) -> float:
        while True:
            answer = self._ask(f"weigh {what} [g]: ").strip().removesuffix("g").replace(",", ".")
            try:
                grams = float(answer)
            except ValueError:
                print(f"{answer!r} is no weight; type the number on the display, like 123.4")
                continue
            if 0.0 <= grams < 20_000.0:
                return grams
            print(f"{grams:g} g cannot be; type what the display says in grams")


class SerialScale:
    """Reads lines with a number in them, at 9600 baud; waits until the number is steady."""

    def __init__(self, device: str, ask: Callable[[str], str] = input) -> None:
        """Raises MissingExtra when there is no such device."""
        self._ask = ask
        if not Path(device).exists():
            raise MissingExtra(f"there is no scale at {device}: check its cable, or set `scale: typed`")
        try:
            self._file = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            settings = termios.tcgetattr(self._file)
        except (OSError, termios.error) as error:
            raise MissingExtra(f"the scale at {device} cannot be opened ({error}): set `scale: typed`") from error
        settings[0] = settings[1] = settings[3] = 0
        settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[4] = settings[5] = termios.B9600
        termios.tcsetattr(self._file, termios.TCSANOW, settings)

    def weigh(self, what: str) -> float:
        self._ask(f"put {what} on the scale and press Enter: ")
        termios.tcflush(self._file, termios.TCIFLUSH)
        seen: list[float] = []
        stop_s, waiting = time.monotonic() + _WAIT_S, b""
        while time.monotonic() < stop_s:
            if not select.select([self._file], [], [], 0.2)[0]:
                continue
            *lines, waiting = (waiting + os.read(self._file, 1024)).split(b"\n")
            for line in lines:
                if found := _NUMBER.search(line):
                    seen.append(float(found[0].replace(b",", b".").replace(b" ", b"")))
                newest = seen[-_STEADY:]
                if len(newest) == _STEADY and max(newest) - min(newest) <= _STEADY_G:
                    return newest[-1]
        raise UserError(f"the scale was not steady within {_WAIT_S:.0f} s; it said {seen[-3:]}: set `scale: typed`")
