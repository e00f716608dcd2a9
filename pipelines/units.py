"""Asset partitions by address: all of a project, and what each reads."""

from dataclasses import dataclass

from multigen_core.experiment import Experiment
from multigen_core.stages import STAGES, partitions_of, stage_named
from pipelines.project import address

__all__ = [
    "AUDIO_CHAMPION",
    "CHAMPION",
    "CHAMPIONS",
    "REMOTE_COPY",
    "Unit",
    "ancestors_of",
    "read_by",
    "stage_units_of",
    "units_of",
]

AUDIO_CHAMPION, CHAMPION = "audio_champion", "champion"
CHAMPIONS = (AUDIO_CHAMPION, CHAMPION)
REMOTE_COPY = "remote_copy"
"""The assets that are no stages: the champions write the registry, the last one the data remote."""


@dataclass(frozen=True)
class Unit:
    """One asset partition."""

    asset: str
    partition: str | None

    @property
    def address(self) -> str:
        return address(self.asset, self.partition)


def stage_units_of(experiment: Experiment) -> list[Unit]:
    """Those with a folder that DVC knows, upstream first."""
    return [Unit(stage.name, key) for stage in STAGES for key in partitions_of(stage, experiment)]


def units_of(experiment: Experiment) -> list[Unit]:
    """What a walk over the whole graph makes: all asset partitions but the remote's copy, upstream first."""
    return [*stage_units_of(experiment), *(Unit(name, None) for name in CHAMPIONS)]


def read_by(unit: Unit, experiment: Experiment) -> set[Unit]:
    """The asset partitions whose outputs the unit's stage reads."""
    stage = stage_named(unit.asset)
    read = set()
    for name in stage.inputs:
        upstream = stage_named(name)
        same = upstream.partitions is not None and upstream.partitions == stage.partitions
        keys = (unit.partition,) if same else partitions_of(upstream, experiment)
        read |= {Unit(name, key) for key in keys}
    return read


def ancestors_of(unit: Unit, experiment: Experiment) -> list[Unit]:
    """Everything the unit rests on, directly or not, upstream first and without itself."""
    found: set[Unit] = set()
    waiting = [unit]
    while waiting:
        read = read_by(waiting.pop(), experiment) - found
        found |= read
        waiting.extend(read)
    return [known for known in units_of(experiment) if known in found]
