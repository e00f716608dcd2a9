"""A Kinova Gen3 on the wire without the Kinova; `python -m multigen_core.lab.gen3_emulator --help`."""

from multigen_core.lab.gen3_emulator.process import EmulatorProcess, running_emulator
from multigen_core.lab.gen3_emulator.server import Emulator, Manners

__all__ = ["Emulator", "EmulatorProcess", "Manners", "running_emulator"]
