"""What the audio model makes of recordings is measured against what is heard in them."""

import numpy as np
import pytest

from multigen_core.evaluation.figures import spectrograms_of_both
from multigen_core.evaluation.real_clips import HeardAgain, pitch_errors
from tests.audio_model.synthetic import Pour, pour


def _clip(recorded: Pour, generated: Pour) -> HeardAgain:
    pours_s = np.flatnonzero(recorded.flowing) / recorded.fps
    heard_s = (float(pours_s[0]), float(pours_s[-1]))
    return HeardAgain("clip", "clip", True, recorded.waveform, generated.waveform, heard_s)


def test_a_sound_that_was_understood_is_nearer_than_those_of_other_clips() -> None:
    pours = [pour(np.random.default_rng(seed)) for seed in (0, 1, 2)]
    for error, shuffled in pitch_errors([_clip(one, one) for one in pours]):
        assert error == pytest.approx(0.0, abs=1e-6)
        assert shuffled is not None
        assert shuffled > 0.1


def test_the_error_is_that_of_the_resonance() -> None:
    low, high = pour(np.random.default_rng(0)), pour(np.random.default_rng(1))
    ((error, shuffled),) = pitch_errors([_clip(low, high)])
    flowing = low.flowing & high.flowing
    assert error == pytest.approx(np.median(np.abs(np.log2(high.f0_hz / low.f0_hz))[flowing]), abs=0.1)
    assert shuffled is None


def test_both_are_drawn() -> None:
    one = _clip(pour(np.random.default_rng(0)), pour(np.random.default_rng(1)))
    png = spectrograms_of_both(one.waveform, one.generated, heard_s=one.heard_s)
    assert png.startswith(b"\x89PNG")
