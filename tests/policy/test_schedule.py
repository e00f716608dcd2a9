"""The cosine schedule and DDIM obey their definitions."""

import pytest
import torch
from torch import Tensor

from multigen_core.policy.schedule import CosineSchedule

SCHEDULE = CosineSchedule(100)


def test_signal_falls_from_all_to_nothing() -> None:
    signal = SCHEDULE.signal(torch.arange(101))
    assert signal[0] == 1.0
    assert signal[-1] < 1e-6
    assert (signal.diff() < 0).all()


def test_noising_keeps_the_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 4000, 4, 3, generator=generator)
    for level in (0, 30, 70, 100):
        noisy = SCHEDULE.add_noise(clean, noise, torch.full((4000,), level))
        assert noisy.var().item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("steps", [1, 2, 8, 100])
def test_ddim_with_a_perfect_denoiser_recovers_the_clean_chunk(steps: int) -> None:
    clean, noise = torch.randn(2, 5, 16, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(SCHEDULE.sample(lambda noisy, level: clean, noise, steps=steps), clean)


def test_ddim_samples_the_distribution_of_an_ideal_denoiser() -> None:
    """For data N(0, s^2) the ideal denoiser is linear, and the samples have deviation s again."""
    deviation = 0.5

    def ideal(noisy: Tensor, level: Tensor) -> Tensor:
        signal = SCHEDULE.signal(level)[:, None, None]
        return signal.sqrt() * deviation**2 / (signal * deviation**2 + 1.0 - signal) * noisy

    noise = torch.randn(5000, 2, 3, generator=torch.Generator().manual_seed(2))
    assert SCHEDULE.sample(ideal, noise, steps=100).std().item() == pytest.approx(deviation, rel=0.05)
