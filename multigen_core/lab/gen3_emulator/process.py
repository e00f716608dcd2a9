"""An emulator in a process of its own, as a robot is a computer of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from multigen_core.errors import MissingExtra

__all__ = ["EmulatorProcess", "running_emulator"]

_START_S = 30.0


@dataclass(frozen=True)
class EmulatorProcess:
    """An emulator that runs beside this process."""

    port: int
    udp_port: int
    process: "subprocess.Popen[str]"

    def inject(self, words: str) -> None:
        """As on its standard input."""
        assert self.process.stdin
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()


@contextmanager
def running_emulator(*options: str) -> Iterator[EmulatorProcess]:
    """Starts an emulator on free ports and ends it; it ends by itself when this process dies.

    Raises MissingExtra when it does not start.
    """
    command = [sys.executable, "-m", "multigen_core.lab.gen3_emulator", "--port", "0", "--udp-port", "0"]
    process = subprocess.Popen(
        [*command, "--until-input-ends", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise MissingExtra(f"the Gen3 emulator did not start (exit code {process.wait(_START_S)}): see above")
        ports = json.loads(line)
        yield EmulatorProcess(ports["tcp"], ports["udp"], process)
    finally:
        process.terminate()
        process.wait(_START_S)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
