"""What MMAudio is shown: squares, ticks, masks, and features that are made once."""

import shutil

import numpy as np
import pytest
import torch

from multigen_core.audio_model import mmaudio_features
from multigen_core.audio_model.mmaudio_encoders import Encoders, mask_frames, pour_square, rgb_frames, ticks
from multigen_core.audio_model.mmaudio_features import extract
from multigen_core.audio_model.mmaudio_weights import VARIANTS
from multigen_core.experiment import Experiment
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.audio_model.mmaudio_adapter.project import WINDOW_S, extracted


def test_the_square_follows_the_cup_and_stays_inside() -> None:
    masks = np.zeros((3, 60, 120), np.uint8)
    masks[:, 20:50, 95:115] = 2
    square = pour_square(masks)
    assert square.left + square.side <= 120 and square.top + square.side <= 60
    assert (square.cut(masks) == 2).sum() == (masks == 2).sum()
    middle = pour_square(np.zeros_like(masks))
    assert (middle.top, middle.left, middle.side) == (0, 30, 60)


def test_each_tick_shows_the_frame_of_its_moment_and_the_last_one_stays() -> None:
    assert ticks(10, fps=10.0, rate_hz=25.0, start_s=0.0, count=6).tolist() == [0, 0, 0, 1, 1, 2]
    assert ticks(10, fps=10.0, rate_hz=8.0, start_s=0.8, count=4).tolist() == [8, 9, 9, 9]
    assert ticks(20, fps=10.0, rate_hz=10.0, start_s=0.3, count=5).tolist() == [3, 4, 5, 6, 7]


def test_mask_ids_are_never_mixed() -> None:
    masks = np.random.default_rng(0).integers(0, 4, (2, 17, 17)).astype(np.uint8)
    frames = mask_frames(masks, 224)
    assert frames.shape == (2, 3, 224, 224)
    assert set(frames.unique().tolist()) == {0.0, 1.0}
    assert (frames.sum(1) <= 1.0).all()
    white = rgb_frames(np.full((1, 8, 8, 3), 255, np.uint8), 384)
    assert white.shape == (1, 3, 384, 384) and torch.allclose(white, torch.ones(()))


def test_features_are_made_once_and_only_what_changed_is_made_again(experiment: Experiment, inputs: Inputs) -> None:
    first = extracted(experiment, inputs)
    assert (first.made, len(first.windows), first.clips_too_short) == (4, 4, 1)
    assert [(window.clip_id, window.start_s) for window in first.windows] == [
        ("a", 0.0),
        ("b", 0.0),
        ("b", WINDOW_S),
        ("c", 0.0),
    ]
    features = mmaudio_features.read_features(first.windows[2].path)
    assert {name: tuple(value.shape) for name, value in vars(features).items()} == {
        "mean": (40, 20),
        "std": (40, 20),
        "clip": (10, 1024),
        "sync": (24, 768),
        "mask": (24, 768),
    }

    def must_not_open() -> Encoders:
        raise AssertionError("nothing is lacking")

    params, folder = experiment.audio_model.mmaudio, inputs.root / "cache"
    again = extract(
        inputs.one("clips"),
        inputs.one("masks"),
        folder,
        must_not_open,
        variant=VARIANTS["small_16k"],
        window_s=WINDOW_S,
        prompt=params.prompt,
        progress=Silent(),
    )
    assert again.windows == first.windows and again.made == 0

    first.windows[0].path.write_bytes(first.windows[0].path.read_bytes()[:100])
    shutil.copy(inputs.one("masks") / "a.mp4", inputs.one("masks") / "c.mp4")
    changed = extracted(experiment, inputs)
    assert changed.made == 2 and changed.windows[3].path != first.windows[3].path


def test_a_killed_extraction_goes_on_where_it_stopped(
    experiment: Experiment, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = Encoders.mask, []

    def killed(self: Encoders, *arguments: object, **options: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Encoders, "mask", killed)
    with pytest.raises(KeyboardInterrupt):
        extracted(experiment, inputs)
    assert extracted(experiment, inputs).made == 2
    assert not list((inputs.root / "cache").glob("*.partial*"))


def test_masks_and_pictures_are_seen_where_they_differ(experiment: Experiment, inputs: Inputs) -> None:
    """Two windows of one clip have other features: the second shows a fuller cup."""
    windows = extracted(experiment, inputs).windows
    early, late = (mmaudio_features.read_features(window.path) for window in windows[1:3])
    for name in ("clip", "sync", "mask", "mean"):
        assert not torch.allclose(getattr(early, name), getattr(late, name), atol=1e-3), name
