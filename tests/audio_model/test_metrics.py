"""The figures rank sounds as they should: the right sound before every control."""

import numpy as np
import pytest

from multigen_core.audio_model.metrics import (
    PourTruth,
    band_sdr_db,
    diversity,
    lag_s,
    loudness_bias_db,
    matched_track_contrast_db,
    offset_lag_s,
    onset_lag_s,
    pairwise_distance,
    pitch_error_octaves,
)
from tests.audio_model.synthetic import Pour, pour


def _truth(drawn: Pour) -> PourTruth:
    return PourTruth(rate_hz=drawn.fps, flow_ml_s=30.0 * drawn.flowing, f0_hz=drawn.f0_hz)


@pytest.fixture(scope="module")
def pours() -> list[Pour]:
    return [pour(np.random.default_rng(seed), duration_s=5.0) for seed in range(4)]


def test_right_sound_beats_the_shuffled_and_the_reversed(pours: list[Pour]) -> None:
    for drawn, other in zip(pours, pours[1:] + pours[:1], strict=True):
        truth = _truth(drawn)
        right = pitch_error_octaves(drawn.waveform, truth)
        reversed_error = pitch_error_octaves(np.ascontiguousarray(drawn.waveform[::-1]), truth)
        assert right is not None and reversed_error is not None
        assert right < 0.05 < reversed_error
        contrast, shuffled = (matched_track_contrast_db(one.waveform, truth) for one in (drawn, other))
        assert contrast is not None and shuffled is not None
        assert contrast > shuffled + 3.0


def test_sdr_is_blind_to_gain_and_ranks_the_own_sound_first(pours: list[Pour]) -> None:
    own, other = pours[0].waveform, pours[1].waveform
    assert band_sdr_db(0.25 * own, own) > 40.0
    assert band_sdr_db(other, own) < 10.0
    cut = band_sdr_db(own[: len(own) // 2], own)
    assert cut > 40.0


def test_lags_find_a_delay(pours: list[Pour]) -> None:
    drawn = pours[0]
    truth = _truth(drawn)
    late = np.concatenate([drawn.waveform[:1600], drawn.waveform])[: len(drawn.waveform) + 1600]
    late = np.concatenate([late[:3200], late])[: len(drawn.waveform)]
    onset, onset_late = onset_lag_s(drawn.waveform, truth), onset_lag_s(late, truth)
    assert onset is not None and onset_late is not None
    assert abs(onset) < 0.2
    offset = offset_lag_s(drawn.waveform, truth)
    assert offset is not None and abs(offset) < 0.25
    assert onset_late - onset == pytest.approx(0.3, abs=0.06)
    assert lag_s(late, truth) - lag_s(drawn.waveform, truth) == pytest.approx(0.3, abs=0.1)


def test_loudness_bias_is_the_gain(pours: list[Pour]) -> None:
    own, truth = pours[0].waveform, _truth(pours[0])
    assert loudness_bias_db(own, own, truth) == 0.0
    assert loudness_bias_db(2.0 * own, own, truth) == pytest.approx(6.0, abs=0.2)


def test_no_flow_gives_no_figure(pours: list[Pour]) -> None:
    dry = PourTruth(rate_hz=10.0, flow_ml_s=np.zeros(50), f0_hz=np.full(50, 800.0))
    assert pitch_error_octaves(pours[0].waveform, dry) is None
    assert matched_track_contrast_db(pours[0].waveform, dry) is None
    assert onset_lag_s(pours[0].waveform, dry) is None
    assert offset_lag_s(pours[0].waveform, dry) is None
    assert loudness_bias_db(pours[0].waveform, pours[0].waveform, dry) is None


def test_diversity_is_one_for_the_reference_and_zero_for_copies(pours: list[Pour]) -> None:
    waveforms = [drawn.waveform for drawn in pours]
    assert diversity(waveforms, waveforms) == pytest.approx(1.0)
    assert diversity([waveforms[0]] * 3, waveforms) == pytest.approx(0.0, abs=1e-9)


def test_pairwise_distance_of_two_points() -> None:
    assert pairwise_distance([np.zeros(2), np.array([3.0, 8.0])], np.array([1.0, 2.0])) == pytest.approx(5.0)
    assert pairwise_distance([np.zeros(2)], np.ones(2)) == 0.0
