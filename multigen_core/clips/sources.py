"""All sources of clips."""

from pathlib import Path

from multigen_core.clips.contract import ClipSource
from multigen_core.clips.epic import EpicKitchens
from multigen_core.clips.local import LocalFolder
from multigen_core.clips.reference import ReferenceClips
from multigen_core.clips.youtube import YouTube
from multigen_core.experiment import Experiment

__all__ = ["SOURCES", "configured_sources"]

SOURCES: tuple[type[ClipSource], ...] = (ReferenceClips, LocalFolder, YouTube, EpicKitchens)


def configured_sources(experiment: Experiment, root: Path) -> list[ClipSource]:
    """Those that ``clips.sources`` names, in the order of SOURCES."""
    return [source.configured(experiment, root) for source in SOURCES if source.name in experiment.clips.sources]
