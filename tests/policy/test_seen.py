"""An eye learns where cup and liquid are, and through that how full the cup is."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from multigen_core.dataset.windows import Recording
from multigen_core.palette import Palette
from multigen_core.params import load
from multigen_core.policy.drawn_masks import SEGMENTER
from multigen_core.policy.encoders import IMAGE_ENCODERS
from multigen_core.policy.seen import shares, shares_loss
from multigen_core.policy.train import train
from multigen_core.progress import Silent

PARAMS = Path(__file__).parents[2] / "params.yaml"
SIDE = 32


def cup_and_liquid() -> torch.Tensor:
    """Masks (1, 24, 24), two pixels a cell: a cup in the left lower quarter, whose lower half the liquid fills."""
    masks = torch.full((1, 24, 24), Palette.POURER, dtype=torch.uint8)
    masks[0, 13:, :12] = Palette.RECEIVER
    masks[0, 18:, :12] = Palette.LIQUID
    return masks


def test_shares_count_pixels() -> None:
    receiver, liquid = shares(cup_and_liquid())[0]
    assert receiver[:, 0].tolist() == [0.0] * 6 + [0.5] + [1.0] * 2 + [0.0] * 3
    assert liquid[:, 0].tolist() == [0.0] * 9 + [1.0] * 3
    assert not receiver[:, 6:].any() and not liquid[:, 6:].any()


def test_the_truth_costs_least() -> None:
    masks = cup_and_liquid()
    truth = 8.0 * (2.0 * shares(masks) - 1.0)
    right = shares_loss(truth, masks)
    assert shares_loss(truth.flip(3), masks) > 10.0 * right
    assert shares_loss(truth.flip(1), masks) > 10.0 * right


@pytest.mark.parametrize("name", sorted(set(IMAGE_ENCODERS) - {SEGMENTER}))
def test_every_eye_that_is_shown_the_image_says_how_many_maps_it_has(name: str) -> None:
    eye = IMAGE_ENCODERS[name](features=5, image_px=64)
    features, maps = eye(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, 5)
    assert maps.shape[:2] == (2, eye.channels) and min(maps.shape[2:]) >= 2


def glasses(count: int = 24, steps: int = 20) -> list[Recording]:
    """Each episode a still picture of a glass that stands anywhere, filled to any level; the body tells nothing."""
    rng = np.random.default_rng(0)
    recordings = []
    for _ in range(count):
        left, fill = rng.integers(2, SIDE - 14), rng.uniform(0.1, 0.9)
        masks = np.zeros((SIDE, SIDE), np.uint8)
        masks[8:28, left : left + 12] = Palette.RECEIVER
        masks[28 - round(20 * fill) : 28, left : left + 12] = Palette.LIQUID
        paint = np.array([(30, 30, 30), (0, 0, 0), (200, 200, 200), (60, 110, 220)], np.uint8)
        recordings.append(
            Recording(
                rate_hz=10.0,
                rgb=np.tile(paint[masks], (steps, 1, 1, 1)),
                masks=np.tile(masks, (steps, 1, 1)),
                waveform=np.zeros(steps * 1600, np.float32),
                joints_rad=np.zeros((steps, 7), np.float32),
                actions=np.zeros((steps, 3), np.float32),
                goal_fraction=0.5,
                auxiliary=np.tile(np.array([fill, 0.0, 0.05], np.float32), (steps, 1)),
            )
        )
    return recordings


def test_an_eye_sees_where_things_are_and_the_level() -> None:
    params = dataclasses.replace(
        load(PARAMS).policy, image_encoder="pocket", steps=100, batch=16, learning_rate=3e-3, ema=0.9, chunk=4
    )
    policy, curve = train(glasses(), params, ablation="vision", seed=2, progress=Silent())
    fill_error = curve[curve["name"] == "validation_fill_error"]["value"].iloc[-1]
    assert fill_error < 0.1  # one that sees nothing errs by 0.2
    shown = glasses(32)[24:]  # never trained on
    masks = torch.from_numpy(np.stack([recording.masks[0] for recording in shown]))
    rgb = torch.from_numpy(np.stack([recording.rgb[0] for recording in shown])).permute(0, 3, 1, 2)
    eye = policy.network.encoder
    with torch.no_grad():
        told = eye.where(eye.image(rgb / 127.5 - 1.0).maps).sigmoid()
    truth = functional.adaptive_avg_pool2d(shares(masks), told.shape[2:])
    for thing in range(2):
        assert np.corrcoef(told[:, thing].flatten(), truth[:, thing].flatten())[0, 1] > 0.8
