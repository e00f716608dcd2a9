"""Stage ``audiovisual``: the episodes of a shard with the sound that the audio model makes for what it sees."""

from pathlib import Path
from typing import TYPE_CHECKING

from multigen_core.audio_model.contract import load_audio_model
from multigen_core.dataset.lerobot import Shard, redub
from multigen_core.dub.loudness import loudness_summary
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import Soundtrack, Summary

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["run"]

_BATCH = 4
"""Episodes per call of the model: few enough to show progress; the sound does not depend on it."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Generates one soundtrack per episode from its amodal masks."""
    model = load_audio_model(inputs.one("audio_model"))
    source = inputs.one("episodes")
    shard = Shard(source)
    soundtracks: list[Soundtrack] = []
    for first in range(0, len(shard), _BATCH):
        batch = [shard.episode(index) for index in range(first, min(first + _BATCH, len(shard)))]
        waveforms = model.generate(
            [episode.masks_amodal for episode in batch],
            fps=batch[0].rate_hz,
            seeds=[seed_for(experiment, "audiovisual", episode.episode_id) for episode in batch],
        )
        soundtracks += [
            Soundtrack(episode_id=episode.episode_id, waveform=waveform, origin="generated")
            for episode, waveform in zip(batch, waveforms, strict=True)
        ]
        progress.update(len(soundtracks), len(shard), "episodes dubbed")
    redub(source, out, soundtracks)
    return loudness_summary(soundtracks)
