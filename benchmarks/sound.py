"""How much sound is made per CPU second: by the audio model from masks, and by the physical synthesiser, its peer.

The audio model has random weights, which costs the same. And what the way through log-mel and vocoder costs: pitch
error and contrast of physical pours before and after it. A better vocoder could win back no more than that.
"""

import time

import numpy as np
import torch

from multigen_core.acoustics.resonance import quarter_wave_hz
from multigen_core.acoustics.synthesiser import TRAINING_SOUND_RANGES, draw_sound_scene, synthesise
from multigen_core.audio_model.conditioning import CONDITIONS
from multigen_core.audio_model.finetune import config_of
from multigen_core.audio_model.metrics import PourTruth, matched_track_contrast_db, pitch_error_octaves
from multigen_core.audio_model.pocket import Normaliser, PocketAudioModel
from multigen_core.audio_model.pocket_network import PocketTransformer
from multigen_core.audio_model.ruler import Ruler
from multigen_core.audio_model.vocoder import vocode
from multigen_core.experiment import Experiment
from multigen_core.spectrogram import MELS, log_mel

SECONDS = 12.0
RATE_HZ = 10.0
CLIPS = 4
POURS = 20
RADIUS_M, HEIGHT_M = 0.035, 0.11


def figures(experiment: Experiment) -> dict[str, float]:
    """Seconds of sound per CPU second on one core; medians of errors over pours."""
    torch.set_num_threads(1)
    own, peer = _generated(experiment), _physical(experiment)
    return {
        "generated_s_per_cpu_s": own,
        "physical_synthesiser_s_per_cpu_s": peer,
        "generated_over_physical": own / peer,
        **_vocoded(experiment),
    }


def _generated(experiment: Experiment) -> float:
    scales = Normaliser(torch.zeros(MELS), torch.ones(MELS), torch.zeros(len(CONDITIONS)), torch.ones(len(CONDITIONS)))
    model = PocketAudioModel(PocketTransformer(config_of(experiment.audio_model)), scales, Ruler())
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
    started_s = time.process_time()
    _pour(experiment.seed)
    return SECONDS / (time.process_time() - started_s)


def _pour(seed: int) -> tuple[np.ndarray, PourTruth]:
    """A glass that fills, in a room of the training ranges, and what is true of it."""
    scene = draw_sound_scene(np.random.default_rng(seed), "glass", TRAINING_SOUND_RANGES)
    steps = int(SECONDS * RATE_HZ)
    flow_ml_s, air_column_m = np.full(steps, 30.0), np.linspace(0.1, 0.02, steps)
    waveform = synthesise(
        scene,
        flow_ml_s=flow_ml_s,
        air_column_m=air_column_m,
        fall_height_m=np.full(steps, 0.08),
        radius_m=RADIUS_M,
        height_m=HEIGHT_M,
        seed=seed,
        rate_hz=RATE_HZ,
    )
    return waveform, PourTruth(RATE_HZ, flow_ml_s, np.asarray(quarter_wave_hz(air_column_m, RADIUS_M)))


def _vocoded(experiment: Experiment) -> dict[str, float]:
    """Pours before and after the vocoder."""
    rows = []
    for number in range(POURS):
        waveform, truth = _pour(experiment.seed + number)
        mel = log_mel(torch.from_numpy(waveform)).T
        again = vocode(mel[None], iterations=experiment.audio_model.vocoder_iterations, seed=number)[0].numpy()
        for sound in (waveform, again):
            rows.append((pitch_error_octaves(sound, truth), matched_track_contrast_db(sound, truth)))
    before, after = np.median(np.array(rows, float).reshape(POURS, 2, 2), axis=0)
    return {
        "pitch_error_before_the_vocoder_octaves": float(before[0]),
        "pitch_error_after_the_vocoder_octaves": float(after[0]),
        "contrast_before_the_vocoder_db": float(before[1]),
        "contrast_after_the_vocoder_db": float(after[1]),
    }
