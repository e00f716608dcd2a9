"""The environmental noises of the baseline."""

import numpy as np
import pytest

from multigen_core.dub.noise import NOISES, environment


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.__name__)
def test_every_kind_sounds_for_its_whole_length(noise) -> None:
    waveform = noise(np.random.default_rng(0), 32_000)
    assert waveform.shape == (32_000,) and np.isfinite(waveform).all()
    assert min(part.std() for part in np.split(waveform, 4)) > 0.0


@pytest.mark.parametrize("seed", range(8))
def test_level_is_within_the_range(seed: int) -> None:
    waveform = environment(np.random.default_rng(seed), 48_000, level_dbfs=(-45.0, -15.0))
    level_dbfs = 10.0 * np.log10(np.mean(np.square(waveform, dtype=float)))
    assert waveform.dtype == np.float32 and abs(waveform).max() <= 1.0
    # Clipping the loudest clatter may cost a little.
    assert -45.1 <= level_dbfs <= -14.9


def test_the_seed_decides() -> None:
    first, again, other = (
        environment(np.random.default_rng(seed), 8_000, level_dbfs=(-30.0, -20.0)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_kinds_differ_in_spectrum() -> None:
    shares = []
    for noise in NOISES:
        power = np.abs(np.fft.rfft(noise(np.random.default_rng(3), 64_000))) ** 2
        shares.append(power[:1_000].sum() / power.sum())  # below 250 Hz
    hum, fan, chatter, clatter = shares
    assert hum > 0.5 and clatter < 0.2 and max(shares) - min(shares) > 0.5
    assert fan > clatter and chatter < hum
