"""An eye learns where cup and liquid are, and through that how full the cup is."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from multigen_core.dataset.windows import Recording
from multigen_core.palette import Palette
from multigen_core.params import load
from multigen_core.policy.encoders import IMAGE_ENCODERS
from multigen_core.policy.seen import WhereThingsAre, shares
from multigen_core.policy.train import train
from multigen_core.progress import Silent

PARAMS = Path(__file__).parents[2] / "params.yaml"
SIDE = 32


def test_shares_count_pixels() -> None:
    masks = torch.full((1, 8, 8), Palette.POURER, dtype=torch.uint8)
    masks[0, 4:, :4] = Palette.RECEIVER
    masks[0, 6:, :4] = Palette.LIQUID
    receiver, liquid = shares(masks, (2, 2))[0]
    assert receiver.tolist() == [[0.0, 0.0], [0.5, 0.0]]
    assert liquid.tolist() == [[0.0, 0.0], [0.5, 0.0]]


def test_the_truth_costs_least() -> None:
    where = WhereThingsAre(channels=2)
    torch.nn.init.zeros_(where.tell.bias)
    with torch.no_grad():
        where.tell.weight.copy_(torch.eye(2)[:, :, None, None])
    masks = torch.zeros(1, 16, 16, dtype=torch.uint8)
    masks[0, 8:, :8] = Palette.LIQUID
    truth = 8.0 * (2.0 * shares(masks, (2, 2)) - 1.0)
    right = where.loss(truth, masks)
    assert right < 0.01
    assert where.loss(truth.flip(3), masks) > 10.0 * right
    assert where.loss(truth.flip(1), masks) > 10.0 * right


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_every_eye_says_how_many_maps_it_has(name: str) -> None:
    if name != "pocket":
        pytest.importorskip("transformers")
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
    params = dataclasses.replace(load(PARAMS).policy, steps=100, batch=16, learning_rate=3e-3, ema=0.9, chunk=4)
    policy, curve = train(glasses(), params, ablation="vision", seed=2, progress=Silent())
    fill_error = curve[curve["name"] == "validation_fill_error"]["value"].iloc[-1]
    assert fill_error < 0.1  # one that sees nothing errs by 0.2
    network, shown = policy.network, glasses(32)[24:]  # never trained on
    masks = torch.from_numpy(np.stack([recording.masks[0] for recording in shown]))
    rgb = torch.from_numpy(np.stack([recording.rgb[0] for recording in shown])).permute(0, 3, 1, 2)
    with torch.no_grad():
        maps = network.encoder.image(rgb / 127.5 - 1.0).maps
        told = network.where.tell(maps).sigmoid()
    truth = shares(masks, (maps.shape[2], maps.shape[3]))
    for thing in range(2):
        assert np.corrcoef(told[:, thing].flatten(), truth[:, thing].flatten())[0, 1] > 0.8
