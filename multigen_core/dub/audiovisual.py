"""Stage ``audiovisual``: the episodes of a shard with the sound that the audio model makes for what it sees."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from multigen_core.audio_model.contract import AudioModel, backend_of, load_audio_model
from multigen_core.compute import make_engine
from multigen_core.dataset.lerobot import Shard, redub
from multigen_core.dub.loudness import loudness_summary
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import Soundtrack, Summary

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["Pours", "dub", "run"]


@dataclass(frozen=True)
class Pours:
    """Episodes to be given their sound in one call, by where things lie: an item for any worker."""

    model: Path
    shard: Path
    indices: tuple[int, ...]
    seeds: tuple[int, ...]
    """One per episode."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Generates one soundtrack per episode from its amodal masks and pictures.

    A small model's episodes are spread over the workers, one thread each; a large model works in this process, on
    many episodes at once. The sound of an episode does not depend on its neighbours.
    """
    source, model = inputs.one("episodes"), inputs.one("audio_model")
    at_once = backend_of(model).at_once
    everything = range(len(Shard(source)))
    items = []
    for first in range(0, len(everything), at_once):
        indices = tuple(everything[first : first + at_once])
        seeds = tuple(seed_for(experiment, "audiovisual", str(inputs.partition), index) for index in indices)
        items.append(Pours(model, source, indices, seeds))
    engine = make_engine("serial" if at_once > 1 else experiment.compute.engine, experiment.compute.workers)
    soundtracks = list(chain.from_iterable(engine.map(dub, items, progress, "episodes dubbed")))
    redub(source, out, soundtracks)
    return loudness_summary(soundtracks)


def dub(pours: Pours) -> list[Soundtrack]:
    """The sounds of the episodes, each as long as its video."""
    shard = Shard(pours.shard)
    episodes = [shard.episode(index) for index in pours.indices]
    waveforms = _model(pours.model).generate(
        [episode.masks_amodal for episode in episodes],
        fps=shard.rate_hz,
        seeds=pours.seeds,
        rgb=[episode.rgb for episode in episodes],
    )
    return [
        Soundtrack(episode_id=episode.episode_id, waveform=waveform, origin="generated")
        for episode, waveform in zip(episodes, waveforms, strict=True)
    ]


@lru_cache(maxsize=1)
def _model(folder: Path) -> AudioModel:
    return load_audio_model(folder)
