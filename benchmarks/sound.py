"""How much sound is made per CPU second: by the audio model from masks, and by the physical synthesiser, its peer.

The audio model has random weights, which costs the same.
"""

import time

import numpy as np
import torch

from multigen_core.acoustics.synthesiser import TRAINING_SOUND_RANGES, draw_sound_scene, synthesise
from multigen_core.audio_model.conditioning import CONDITIONS
from multigen_core.audio_model.pocket import Normaliser, PocketAudioModel
from multigen_core.audio_model.pocket_network import PocketConfig, PocketTransformer
from multigen_core.audio_model.ruler import Ruler
from multigen_core.experiment import Experiment
from multigen_core.spectrogram import MELS

SECONDS = 12.0
RATE_HZ = 10.0
CLIPS = 4


def figures(experiment: Experiment) -> dict[str, float]:
    """Seconds of sound per CPU second on one core."""
    torch.set_num_threads(1)
    own, peer = _generated(experiment), _physical(experiment)
    return {
        "generated_s_per_cpu_s": own,
        "physical_synthesiser_s_per_cpu_s": peer,
        "generated_over_physical": own / peer,
    }


def _generated(experiment: Experiment) -> float:
    params = experiment.audio_model
    config = PocketConfig(
        hidden=params.hidden,
        depth=params.depth,
        heads=params.heads,
        window_s=params.window_s,
        sampling_steps=params.sampling_steps,
        guidance=params.guidance,
        loudness_guidance=params.loudness_guidance,
        vocoder_iterations=params.vocoder_iterations,
    )
    scales = Normaliser(torch.zeros(MELS), torch.ones(MELS), torch.zeros(len(CONDITIONS)), torch.ones(len(CONDITIONS)))
    model = PocketAudioModel(PocketTransformer(config), scales, Ruler())
    masks = _filling_cup(int(SECONDS * RATE_HZ))
    model.generate([masks[:20]], fps=RATE_HZ, seeds=[0])
    started_s = time.process_time()
    model.generate([masks] * CLIPS, fps=RATE_HZ, seeds=range(CLIPS))
    return CLIPS * SECONDS / (time.process_time() - started_s)


def _filling_cup(steps: int) -> np.ndarray:
    masks = np.zeros((steps, 96, 96), np.uint8)
    masks[:, 10:30, 50:80] = 1
    masks[:, 50:90, 40:60] = 2
    for step in range(steps):
        masks[step, 90 - int(36 * (step + 1) / steps) : 90, 41:59] = 3
    return masks


def _physical(experiment: Experiment) -> float:
    rng = np.random.default_rng(experiment.seed)
    scene = draw_sound_scene(rng, "glass", TRAINING_SOUND_RANGES)
    steps = int(SECONDS * RATE_HZ)
    started_s = time.process_time()
    synthesise(
        scene,
        flow_ml_s=np.full(steps, 30.0),
        air_column_m=np.linspace(0.1, 0.02, steps),
        fall_height_m=np.full(steps, 0.08),
        radius_m=0.035,
        height_m=0.11,
        seed=experiment.seed,
        rate_hz=RATE_HZ,
    )
    return SECONDS / (time.process_time() - started_s)
