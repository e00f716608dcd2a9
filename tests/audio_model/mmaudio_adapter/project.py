"""A small project for the adapter: clips, masks, weights of the stand-in, and a training job."""

from dataclasses import replace

import torch

from multigen_core.audio_model.mmaudio import extract_features
from multigen_core.audio_model.mmaudio_features import Extraction
from multigen_core.audio_model.mmaudio_network import MaskedMMAudio, Senses
from multigen_core.audio_model.mmaudio_training import Job
from multigen_core.experiment import Experiment, MMAudio
from multigen_core.progress import Silent
from multigen_core.stages import Inputs

WINDOW_S = 1.28
CLIPS = {"a": 2.0, "b": 2.7, "c": 1.3, "short": 0.9}
"""Name -> length [s]; ``b`` holds two windows, ``short`` none."""


def extracted(experiment: Experiment, inputs: Inputs) -> Extraction:
    return extract_features(
        experiment, root=inputs.root, clips=inputs.one("clips"), masks=inputs.one("masks"), progress=Silent()
    )


def job_of(experiment: Experiment, inputs: Inputs, name: str, **changes: object) -> Job:
    extraction = extracted(experiment, inputs)
    out, checkpoints = inputs.root / name, inputs.root / f"{name}-checkpoints"
    for folder in (out, checkpoints):
        folder.mkdir()
    params: MMAudio = replace(experiment.audio_model.mmaudio, **changes)  # type: ignore[arg-type]
    return Job(params, extraction.windows, extraction.text, inputs.root / "weights", checkpoints, out, seed=5)


def senses_of(network: MaskedMMAudio, *, seen: bool = True) -> Senses:
    base, generator = network.base, torch.Generator().manual_seed(0)
    flags = torch.full((2,), seen)
    return Senses(
        clip=torch.randn(2, base.clip_seq_len, 1024, generator=generator),
        sync=torch.randn(2, base.sync_seq_len, 768, generator=generator),
        text=torch.randn(2, 77, 1024, generator=generator),
        mask=torch.randn(2, base.sync_seq_len, 768, generator=generator),
        see_video=flags,
        see_text=flags,
        see_mask=flags,
    )
