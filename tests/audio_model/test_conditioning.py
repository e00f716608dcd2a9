"""The mask features: sub-pixel levels, resolution independence, robustness."""

import numpy as np
import pytest
import torch

from multigen_core.audio_model.conditioning import (
    CONDITIONS,
    FEATURES,
    features_at,
    foot_height,
    in_room,
    mask_features,
    pouring,
)
from multigen_core.audio_model.corpus import poured_by_ear, room_level
from multigen_core.palette import Palette
from multigen_core.spectrogram import log_mel
from tests.audio_model.synthetic import pour


def _column(features: np.ndarray, name: str) -> np.ndarray:
    return features[:, FEATURES.index(name)]


@pytest.mark.parametrize("seed", range(4))
def test_effective_length_follows_the_pitch_within_a_twentieth_octave(seed: int) -> None:
    drawn = pour(np.random.default_rng(seed))
    length = _column(mask_features(drawn.masks, fps=drawn.fps), "log_effective_length")
    # f is proportional to 1 / length: the sum of both logarithms is one constant for all frames.
    assert np.std(length + np.log2(drawn.f0_hz)) < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_level_is_read_below_a_pixel(seed: int) -> None:
    drawn = pour(np.random.default_rng(seed))
    length = _column(mask_features(drawn.masks, fps=drawn.fps), "log_effective_length")
    length_px = 2.0**length * drawn.masks.shape[1]
    started = drawn.level_px > 2.0
    # The level takes from the air column what it gains; the end correction is the same in every frame.
    assert np.std((length_px + drawn.level_px)[started]) < 0.4


@pytest.mark.parametrize("seed", range(4))
def test_a_handle_and_a_belly_do_not_lengthen_the_air_column(seed: int) -> None:
    drawn = pour(np.random.default_rng(seed))
    bellied = drawn.masks.copy()
    rows, columns = np.nonzero((drawn.masks == Palette.RECEIVER).any(0))
    side, middle = columns.max() + 1, round(rows.min() + 0.6 * drawn.height_px)
    belly = bellied[:, middle - 8 : middle + 8, side - 1 : side + 10]
    belly[belly == Palette.BACKGROUND] = Palette.RECEIVER
    plain, wider = (_column(mask_features(m, fps=drawn.fps), "log_effective_length") for m in (drawn.masks, bellied))
    assert np.abs(plain - wider).max() < 0.01


def test_the_air_column_never_grows() -> None:
    features = mask_features(pour(np.random.default_rng(5)).masks, fps=10.0)
    assert np.all(np.diff(_column(features, "log_effective_length")) <= 1e-6)


def test_twice_the_pixels_give_the_same_features() -> None:
    masks = pour(np.random.default_rng(6)).masks
    small = mask_features(masks, fps=10.0)
    large = mask_features(masks.repeat(2, axis=1).repeat(2, axis=2), fps=10.0)
    for name, tolerance in (("log_effective_length", 0.06), ("flow", 0.002), ("stream_seen", 0.26)):
        assert np.allclose(_column(small, name), _column(large, name), atol=tolerance), name


def test_mirrored_masks_give_the_same_features() -> None:
    masks = pour(np.random.default_rng(7)).masks
    assert np.allclose(mask_features(masks, fps=10.0), mask_features(masks[:, :, ::-1], fps=10.0), atol=0.015)


def test_wider_image_of_the_same_scene_gives_the_same_features() -> None:
    masks = pour(np.random.default_rng(8)).masks
    wide = np.pad(masks, ((0, 0), (0, 0), (40, 40)))
    assert np.allclose(mask_features(masks, fps=10.0), mask_features(wide, fps=10.0), atol=1e-6)


@pytest.mark.parametrize("missing", [(1,), (2,), (3,), (1, 2, 3)])
def test_missing_classes_leave_the_features_finite(missing: tuple[int, ...]) -> None:
    masks = pour(np.random.default_rng(9)).masks
    features = mask_features(np.where(np.isin(masks, missing), 0, masks).astype(np.uint8), fps=10.0)
    assert np.isfinite(features).all()
    # Without a receiver nothing is known: the features say so by being zero, all of them.
    assert (features == 0.0).all() == (2 in missing)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_frames_are_enough(frames: int) -> None:
    masks = pour(np.random.default_rng(10)).masks[:frames]
    assert mask_features(masks, fps=10.0).shape == (frames, len(FEATURES))


def test_a_cup_that_stands_lower_in_the_picture_has_a_lower_foot() -> None:
    masks = pour(np.random.default_rng(11)).masks
    assert foot_height(np.roll(masks, 3, axis=1)) - foot_height(masks) == pytest.approx(3 / 96)
    assert foot_height(masks.repeat(2, axis=1).repeat(2, axis=2)) == pytest.approx(foot_height(masks))
    assert foot_height(np.zeros_like(masks)) == 0.0


def test_liquid_that_shows_in_the_spout_is_no_stream() -> None:
    """Behind the pitcher's lip, a few rows above the cup's rim."""
    masks = np.zeros((20, 96, 96), np.uint8)
    masks[:, 60:86, 38:57] = Palette.RECEIVER
    masks[:, 40:58, 45:80] = Palette.POURER
    waiting, pouring = masks.copy(), masks.copy()
    waiting[:, 55:57, 46:48] = Palette.LIQUID
    pouring[:, 55:70, 46:48] = Palette.LIQUID
    assert _column(mask_features(waiting, fps=10.0), "stream_seen").max() == 0.0
    assert _column(mask_features(pouring, fps=10.0), "stream_seen").min() == 1.0


def test_a_trickle_is_no_pour() -> None:
    """A stream of eight pixels, then of one: the last drops."""
    masks = np.zeros((40, 96, 96), np.uint8)
    masks[:, 60:86, 38:57] = Palette.RECEIVER
    masks[5:25, 40:70, 44:52] = Palette.LIQUID
    masks[25:35, 40:70, 47] = Palette.LIQUID
    features = mask_features(masks, fps=10.0)
    assert _column(features, "stream_seen")[5:35].min() == 1.0
    assert pouring(features)[5:25].all()
    assert not pouring(features)[:5].any()
    assert not pouring(features)[29:].any()
    assert not pouring(mask_features(np.where(masks == Palette.LIQUID, 0, masks), fps=10.0)).any()


def test_tokens_are_interpolated_between_frames() -> None:
    features = np.stack([np.arange(5.0), 10.0 * np.arange(5.0)], axis=1).astype(np.float32)
    at = features_at(features, np.array([0.0, 0.05, 0.1, 9.0]), fps=10.0)
    assert np.allclose(at, [[0.0, 0.0], [0.5, 5.0], [1.0, 10.0], [4.0, 40.0]])


def test_the_room_is_what_is_heard_before_the_pour() -> None:
    rng = np.random.default_rng(3)
    room = 1e-3 * rng.standard_normal(5 * 16_000).astype(np.float32)
    pour = room.copy()
    pour[16_000:] *= 50.0
    quiet, mixed = (room_level(log_mel(torch.from_numpy(sound)).T) for sound in (room, pour))
    assert mixed == pytest.approx(quiet, abs=0.05)


def test_a_room_stays_as_loud_as_it_is() -> None:
    features = np.random.default_rng(0).normal(size=(7, len(FEATURES))).astype(np.float32)
    conditions = in_room(features, -3.2)
    assert conditions.shape == (7, len(CONDITIONS))
    assert np.array_equal(conditions[:, : len(FEATURES)], features)
    assert np.allclose(conditions[:, CONDITIONS.index("room_level")], -3.2)


def test_a_stream_that_the_segmenter_overlooks_is_heard() -> None:
    drawn = pour(np.random.default_rng(13))
    mel = log_mel(torch.from_numpy(drawn.waveform)).T
    features = mask_features(drawn.masks, fps=drawn.fps)
    overlooked = features.copy()
    overlooked[:, [FEATURES.index("stream_seen"), FEATURES.index("stream_width")]] = 0.0
    times_s = np.arange(len(features)) / drawn.fps
    heard = _column(poured_by_ear(overlooked, mel, times_s), "stream_seen") > 0.5
    assert (heard != drawn.flowing).mean() < 0.1
    imagined = np.ones_like(features)
    corrected = poured_by_ear(imagined, mel, times_s)
    assert np.array_equal(_column(corrected, "stream_seen") > 0.5, heard)
    assert not _column(corrected, "stream_width")[~heard].any()


def test_what_is_equally_loud_throughout_is_left_as_seen() -> None:
    mel = torch.full((125, 80), -2.0)
    features = mask_features(pour(np.random.default_rng(14), duration_s=2.0).masks, fps=10.0)
    assert np.array_equal(poured_by_ear(features, mel, np.arange(20) / 10.0), features)
