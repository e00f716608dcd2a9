"""Stage ``noise_augmented``: the baseline, whose episodes sound of their surroundings only."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from multigen_core.dataset.lerobot import Shard, redub
from multigen_core.dub.loudness import loudness_summary
from multigen_core.dub.noise import environment
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import SAMPLE_RATE_HZ, Soundtrack, Summary

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["run"]


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Gives every episode an environment of its own, as loud as ``noise_augmented.level_dbfs`` says."""
    source = inputs.one("episodes")
    shard = Shard(source)
    soundtracks = []
    for index in range(len(shard)):
        name = shard.episode_id(index)
        generator = np.random.default_rng(seed_for(experiment, "noise_augmented", name))
        samples = round(shard.steps(index) / shard.rate_hz * SAMPLE_RATE_HZ)
        waveform = environment(generator, samples, level_dbfs=experiment.noise_augmented.level_dbfs)
        soundtracks.append(Soundtrack(episode_id=name, waveform=waveform, origin="noise"))
        progress.update(index + 1, len(shard), "episodes dubbed")
    redub(source, out, soundtracks)
    return loudness_summary(soundtracks)
