"""Stage ``audiovisual``: the episodes of a shard with the sound that the audio model makes for what it sees."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from multigen_core.audio_model.contract import AudioModel, load_audio_model
from multigen_core.compute import make_engine
from multigen_core.dataset.lerobot import Shard, redub
from multigen_core.dub.loudness import loudness_summary
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import Soundtrack, Summary

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["Pour", "dub", "run"]


@dataclass(frozen=True)
class Pour:
    """One episode to be given its sound, by where things lie: an item for any worker."""

    model: Path
    shard: Path
    index: int
    seed: int


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Generates one soundtrack per episode from its amodal masks.

    Episodes are spread over the workers, one thread each: small networks gain little from more, and the sound of an
    episode does not depend on its neighbours.
    """
    source, model = inputs.one("episodes"), inputs.one("audio_model")
    pours = [
        Pour(model, source, index, seed_for(experiment, "audiovisual", str(inputs.partition), index))
        for index in range(len(Shard(source)))
    ]
    engine = make_engine(experiment.compute.engine, experiment.compute.workers)
    soundtracks = engine.map(dub, pours, progress, "episodes dubbed")
    redub(source, out, soundtracks)
    return loudness_summary(soundtracks)


def dub(pour: Pour) -> Soundtrack:
    """The sound of one episode, as long as its video."""
    episode = Shard(pour.shard).episode(pour.index)
    model = _model(pour.model)
    (waveform,) = model.generate([episode.masks_amodal], fps=episode.rate_hz, seeds=[pour.seed])
    return Soundtrack(episode_id=episode.episode_id, waveform=waveform, origin="generated")


@lru_cache(maxsize=1)
def _model(folder: Path) -> AudioModel:
    return load_audio_model(folder)
