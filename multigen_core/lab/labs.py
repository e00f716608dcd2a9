"""The labs by their names in ``evaluation.lab``."""

from collections.abc import Iterator
from contextlib import contextmanager

from multigen_core.experiment import Episodes, Evaluation
from multigen_core.lab.disturbances import Played
from multigen_core.lab.emulated import EmulatedLab
from multigen_core.lab.gen3_lab import Gen3EmulatorLab

__all__ = ["REAL_TIME_LABS", "open_lab"]

REAL_TIME_LABS = ("gen3_emulator",)
"""A second in these is a second."""


@contextmanager
def open_lab(
    episodes: Episodes,
    evaluation: Evaluation,
    *,
    audio_window_s: float,
    look_every: int,
    record: bool = False,
    played: Played | None = None,
) -> Iterator[EmulatedLab]:
    """The lab that ``evaluation.lab`` names, for one trial after the other; closed afterwards."""
    if evaluation.lab == "gen3_emulator":
        with Gen3EmulatorLab(
            episodes,
            evaluation,
            audio_window_s=audio_window_s,
            look_every=look_every,
            record=record,
            played=played,
        ) as lab:
            yield lab
    else:
        yield EmulatedLab(
            episodes,
            evaluation,
            audio_window_s=audio_window_s,
            look_every=look_every,
            record=record,
            played=played,
        )
