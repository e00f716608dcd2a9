"""Models that must not be used, made on purpose, and one that may."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from multigen_core.audio_model.conditioning import CONDITIONS, FEATURES, mask_features
from multigen_core.audio_model.pocket import Normaliser, PocketAudioModel
from multigen_core.audio_model.pocket_network import PocketConfig, PocketTransformer
from multigen_core.audio_model.probe import PROBE_HZ, deafness, faults, probe_masks
from multigen_core.audio_model.ruler import Ruler
from multigen_core.spectrogram import MELS


def model_of(level: float, *, broken: bool = False) -> PocketAudioModel:
    """An untrained pocket model whose mean log-mel is ``level``."""
    config = PocketConfig(
        hidden=16,
        depth=1,
        heads=2,
        window_s=1.0,
        sampling_steps=2,
        guidance=2.0,
        loudness_guidance=1.3,
        vocoder_iterations=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PocketTransformer(config)
    if broken:
        torch.nn.init.constant_(network.leave.bias, float("nan"))
    scales = Normaliser(
        mel_mean=torch.full((MELS,), level),
        mel_std=torch.full((MELS,), 0.1),
        feature_mean=torch.zeros(len(CONDITIONS)),
        feature_std=torch.ones(len(CONDITIONS)),
    )
    return PocketAudioModel(network, scales, Ruler())


def test_the_probe_is_a_pour() -> None:
    features = mask_features(probe_masks(), fps=PROBE_HZ)
    length, seen = (features[:, FEATURES.index(name)] for name in ("log_effective_length", "stream_seen"))
    assert length[0] - length[-1] > 0.8
    assert seen[20] > 0.5 > seen[0] and seen[-1] < 0.5


def test_a_model_with_a_plain_level_may_be_used() -> None:
    assert list(faults(model_of(-2.0), 0.01)) == []


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (model_of(-7.0), "is silent: -"),
        (model_of(3.0), "are clipped"),
        (model_of(-2.0, broken=True), "are not finite"),
    ],
    ids=["silent", "clipped", "not finite"],
)
def test_a_model_that_must_not_be_used_is_told(model: PocketAudioModel, sentence: str) -> None:
    (fault,) = faults(model, 0.01)
    assert sentence in fault


@pytest.mark.parametrize(
    ("right", "shuffled", "deaf"), [(0.29, 0.31, False), (0.31, 0.31, True), (0.33, 0.31, True), (np.nan, 0.3, True)]
)
def test_a_model_must_beat_its_shuffled_control(tmp_path: Path, right: float, shuffled: float, deaf: bool) -> None:
    rows = {"step": [1.0, 2.0], "validation_loss": [0.5, right], "validation_loss_shuffled": [0.4, shuffled]}
    pd.DataFrame(rows).to_parquet(tmp_path / "curve.parquet")
    sentences = list(deafness(tmp_path / "curve.parquet", 0.01))
    assert bool(sentences) is deaf
    assert not deaf or "audio_model.least_mask_gain asks for 1 %" in sentences[0]
