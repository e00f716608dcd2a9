"""What the tracker finds in sounds whose resonance is known exactly."""

import numpy as np
import pytest
from scipy.signal import lfilter

from multigen_core.acoustics.tracker import BINS_PER_OCTAVE, CANDIDATES_HZ, comb_salience, track_resonance


def resonant_noise(f0_hz: float, *, partials: tuple[int, ...], seconds: float = 2.0) -> np.ndarray:
    """Noise with resonances at multiples of f0, over a floor 12 dB below."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(int(16_000 * seconds))
    sound = noise.copy()
    for partial in partials:
        omega = 2.0 * np.pi * f0_hz * partial / 16_000
        alpha = np.sin(omega) / 40.0
        sound += 5.0 * lfilter((alpha, 0.0, -alpha), (1.0 + alpha, -2.0 * np.cos(omega), 1.0 - alpha), noise)
    before = 0.01 * rng.standard_normal(8_000)  # the tracker needs a background without the resonance
    return 0.05 * np.concatenate((before, sound)).astype(np.float32)


@pytest.mark.parametrize("f0_hz", [400.0, 750.0, 1400.0])
def test_finds_the_fundamental_of_odd_partials(f0_hz: float) -> None:
    track = track_resonance(resonant_noise(f0_hz, partials=(1, 3, 5)))
    assert np.median(track.f0_hz[40:]) == pytest.approx(f0_hz, rel=0.02)


def test_the_comb_prefers_the_fundamental_to_the_third_partial() -> None:
    white = np.zeros((1, BINS_PER_OCTAVE * 4 + 30))
    f0_bin = 40
    for partial in (1, 3, 5):
        white[0, f0_bin + round(BINS_PER_OCTAVE * np.log2(partial))] = 12.0
    assert int(np.argmax(comb_salience(white)[0])) == f0_bin


def test_times_and_values_have_one_entry_per_frame() -> None:
    track = track_resonance(resonant_noise(500.0, partials=(1, 3), seconds=1.0))
    assert track.times_s.shape == track.f0_hz.shape == track.salience_db.shape
    assert np.allclose(np.diff(track.times_s), 0.016, atol=1e-4)
    assert track.f0_hz.min() >= CANDIDATES_HZ[0] * 0.98
    assert track.f0_hz.max() <= CANDIDATES_HZ[-1] * 1.02


def test_silence_and_snippets_do_no_harm() -> None:
    assert len(track_resonance(np.zeros(100, np.float32)).f0_hz) == 0
    assert np.all(np.isfinite(track_resonance(np.zeros(16_000, np.float32)).f0_hz))
