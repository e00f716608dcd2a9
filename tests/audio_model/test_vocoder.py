"""The vocoder: lengths, and a log-mel that comes back."""

import numpy as np
import torch

from multigen_core.audio_model.vocoder import vocode
from multigen_core.spectrogram import log_mel
from tests.audio_model.synthetic import pour


def _target() -> torch.Tensor:
    waveform = pour(np.random.default_rng(0), duration_s=2.0).waveform
    return log_mel(torch.from_numpy(waveform)).T


def test_log_mel_of_the_waveform_is_near_the_given_one() -> None:
    target = _target()
    waveform = vocode(target[None], iterations=32, seed=0)[0]
    assert waveform.shape == (len(target) * 256,)
    loud = target > target.max() - 2.0
    assert (log_mel(waveform).T - target)[loud].abs().mean() < 0.1


def test_more_iterations_come_nearer() -> None:
    target = _target()
    few, many = (
        (log_mel(vocode(target[None], iterations=steps, seed=0)[0]).T - target).abs().mean() for steps in (0, 24)
    )
    assert many < 0.8 * few


def test_an_item_does_not_depend_on_its_neighbours() -> None:
    target = _target()
    pair = vocode(torch.stack([target, target.flip(0)]), iterations=4, seed=3)
    assert torch.allclose(pair[0], vocode(target[None], iterations=4, seed=3)[0], atol=1e-6)
