"""The scale of a picture: heard where there is sound, guessed from where the cup stands where there is none."""

import numpy as np
import pytest

from multigen_core.acoustics.tracker import track_resonance
from multigen_core.audio_model.conditioning import FEATURES, PITCH, mask_features
from multigen_core.audio_model.corpus import make_clip, measured
from multigen_core.audio_model.ruler import Reading, Ruler, fit_ruler, heard_scale, in_octaves
from tests.audio_model.synthetic import Pour, pour


def _heard(drawn: Pour, waveform: np.ndarray) -> float | None:
    return heard_scale(track_resonance(waveform), mask_features(drawn.masks, fps=drawn.fps), fps=drawn.fps)


@pytest.mark.parametrize("seed", range(3))
def test_the_scale_is_heard_within_a_twentieth_octave(seed: int) -> None:
    drawn = pour(np.random.default_rng(seed))
    length = mask_features(drawn.masks, fps=drawn.fps)[:, PITCH]
    truth = np.median((length + np.log2(drawn.f0_hz))[drawn.flowing])
    assert _heard(drawn, drawn.waveform) == pytest.approx(truth, abs=0.05)


def test_no_scale_is_heard_in_noise() -> None:
    drawn = pour(np.random.default_rng(3))
    noise = np.random.default_rng(4).standard_normal(len(drawn.waveform)).astype(np.float32)
    assert _heard(drawn, 0.1 * noise) is None


def test_a_few_wrong_masks_do_not_bend_the_ruler() -> None:
    rng = np.random.default_rng(5)
    feet = rng.uniform(0.8, 0.95, 60)
    scales = 6.6 + 1.4 * feet + 0.01 * rng.standard_normal(60)
    scales[:8] += 0.7
    ruler = fit_ruler([Reading(*one) for one in zip(feet, scales, strict=True)])
    assert ruler.scale(0.87) == pytest.approx(6.6 + 1.4 * 0.87, abs=0.04)
    assert ruler.slope == pytest.approx(1.4, abs=0.25)


def test_few_clips_give_a_scale_and_no_slope() -> None:
    heard, unheard = [Reading(0.8, 7.0), Reading(0.9, 8.0)], [Reading(0.5, None)]
    assert fit_ruler(heard + unheard) == Ruler(slope=0.0, constant=7.5)
    assert fit_ruler(unheard) == Ruler()


def test_the_ruler_is_laid_on_exact_masks_where_they_are_known() -> None:
    """A segmenter that swells every cup by a pixel must not lengthen the cups of the simulator."""
    drawn = [pour(np.random.default_rng(seed)) for seed in range(3)]
    swollen = [np.where(one.masks == 0, np.roll(one.masks, -2, axis=1), one.masks) for one in drawn]

    def laid(masks: list[np.ndarray], exact: list[np.ndarray] | None) -> Ruler:
        clips = [
            make_clip("", waveform=one.waveform, masks=m, fps=one.fps, split="train", usable=True, exact_masks=e)
            for one, m, e in zip(drawn, masks, exact or [None] * len(drawn), strict=True)
        ]
        return measured(clips)[1]

    exact = [one.masks for one in drawn]
    assert laid(swollen, exact) == laid(exact, None)
    assert laid(swollen, None).constant > laid(exact, None).constant + 0.02


def test_octaves_are_those_of_the_resonance() -> None:
    features = np.zeros((4, len(FEATURES)), np.float32)
    features[:, PITCH] = np.log2(0.25)
    assert in_octaves(features, 8.0)[:, PITCH] == pytest.approx(-np.log2(1024.0))
    assert not in_octaves(features, 8.0)[:, PITCH + 1 :].any()


def test_clips_that_are_heard_are_measured_by_ear() -> None:
    drawn = [pour(np.random.default_rng(seed)) for seed in range(3)]
    silent = np.zeros_like(drawn[2].waveform)
    clips = [
        make_clip(str(k), waveform=sound, masks=one.masks, fps=one.fps, split="train", usable=True)
        for k, (one, sound) in enumerate(zip(drawn, (drawn[0].waveform, drawn[1].waveform, silent), strict=True))
    ]
    inked, ruler = measured(clips)
    assert clips[2].reading.scale is None
    for before, after in zip(clips, inked, strict=True):
        reading = before.reading
        scale = ruler.scale(reading.foot_height) if reading.scale is None else reading.scale
        assert np.allclose(after.features[:, PITCH], before.features[:, PITCH] - scale, atol=1e-5)
