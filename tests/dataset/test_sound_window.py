"""Slices of a long log-mel are what the robot computes from its newest samples."""

import numpy as np
import pytest
import torch

from multigen_core.dataset.sound_window import (
    EDGE_FRAMES,
    kept_frames,
    long_log_mel,
    window_log_mel,
    window_samples,
)
from multigen_core.spectrogram import HOP, MELS

HOPS = 40
SILENCE = 50


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    return np.random.default_rng(3).normal(0.0, 0.1, 90 * HOP).astype(np.float32)


@pytest.mark.parametrize("end", [0, 7, 40, 90])
def test_slice_equals_window(recording: np.ndarray, end: int) -> None:
    heard = np.concatenate([np.zeros(HOPS * HOP, np.float32), recording[: end * HOP]])[-HOPS * HOP :]
    direct = window_log_mel(torch.from_numpy(heard)).numpy()
    newest = SILENCE + end
    sliced = long_log_mel(recording, silence=SILENCE)[newest - HOPS + EDGE_FRAMES : newest - EDGE_FRAMES]
    assert direct.shape == (MELS, HOPS - 2 * EDGE_FRAMES)
    np.testing.assert_allclose(sliced.T, direct, atol=1e-4)


def test_nothing_of_the_future_is_heard(recording: np.ndarray) -> None:
    end, changed = 30, recording.copy()
    changed[end * HOP :] = 0.9
    before, after = (
        long_log_mel(sound, silence=SILENCE)[: SILENCE + end - EDGE_FRAMES] for sound in (recording, changed)
    )
    np.testing.assert_array_equal(before, after)


def test_lengths_follow_from_the_window() -> None:
    assert kept_frames(2.0) == 121
    for window_s in (0.5, 1.23, 2.0):
        waveform = torch.zeros(window_samples(window_s))
        assert window_log_mel(waveform).shape == (MELS, kept_frames(window_s))
    with pytest.raises(ValueError, match=r"audio_window_s is 0\.1"):
        kept_frames(0.1)
