"""The log-mel against its definition."""

import math

import pytest
import torch

from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.spectrogram import FLOOR, FRAME_RATE_HZ, HOP, MELS, log_mel, mel_filters


@pytest.mark.parametrize("seconds", [0.5, 2.0, 8.0])
def test_frames_are_samples_over_hop(seconds: float) -> None:
    samples = int(seconds * SAMPLE_RATE_HZ)
    assert log_mel(torch.randn(3, samples)).shape == (3, MELS, samples // HOP)
    assert samples // HOP == int(seconds * FRAME_RATE_HZ)


def test_silence_is_the_floor() -> None:
    assert torch.all(log_mel(torch.zeros(16_000)) == math.log10(FLOOR))


def test_ten_times_louder_is_one_more() -> None:
    sound = 0.05 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_mel(10 * sound), log_mel(sound) + 1, atol=1e-4, rtol=0)


def test_a_higher_tone_lights_a_higher_band() -> None:
    time_s = torch.arange(16_000) / SAMPLE_RATE_HZ
    peaks = [int(log_mel(torch.sin(2 * math.pi * hz * time_s)).mean(-1).argmax()) for hz in (300, 900, 2700, 7000)]
    assert peaks == sorted(set(peaks))


def test_filters_have_slaney_areas() -> None:
    """Each triangle has area 1 when it is wide against a bin (15.6 Hz)."""
    areas = mel_filters().sum(1) * SAMPLE_RATE_HZ / 1024
    torch.testing.assert_close(areas[40:], torch.ones(MELS - 40), atol=0.03, rtol=0)


def test_a_window_of_a_long_sound_is_the_sound_of_the_window() -> None:
    sound = torch.randn(32_000, generator=torch.Generator().manual_seed(1))
    inner = slice(8, -8)
    whole, part = log_mel(sound)[:, 50:100], log_mel(sound[50 * HOP : 100 * HOP])
    torch.testing.assert_close(whole[:, inner], part[:, inner], atol=1e-3, rtol=0)
