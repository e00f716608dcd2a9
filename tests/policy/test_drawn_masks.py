"""An eye that is shown a segmenter's masks: where the level is, whatever the colours."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from multigen_core.dataset.windows import Recording
from multigen_core.errors import MissingInput
from multigen_core.experiment import EyeName
from multigen_core.masks.segmenter import fit
from multigen_core.masks.training_frames import LabelledFrames
from multigen_core.masks.unet import PocketUNet, UNetProvider, save_unet
from multigen_core.palette import Palette
from multigen_core.params import load
from multigen_core.policy.drawn_masks import MaskDrawer, drawer_for
from multigen_core.policy.mask_encoder import MaskEncoder
from multigen_core.policy.train import train
from multigen_core.progress import Silent

PARAMS = Path(__file__).parents[2] / "params.yaml"
SIDE = 32


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


class Counting(UNetProvider):
    """Counts what it is asked for."""

    calls = 0

    def annotate(self, clip_id: str, frames: np.ndarray) -> np.ndarray:
        self.calls += 1
        return super().annotate(clip_id, frames)


def taught(recordings: Sequence[Recording]) -> UNetProvider:
    """A segmenter that has learnt what a glass looks like."""
    scenes = [LabelledFrames(recording.rgb[:1], recording.masks[:1]) for recording in recordings]
    params = dataclasses.replace(load(PARAMS).segmenter, steps=120, batch=8, width=4, image_px=SIDE)
    network, _ = fit(scenes, params, seed=0, progress=Silent())
    return UNetProvider(network, image_px=SIDE)


def test_frames_are_drawn_once_whatever_is_heard(tmp_path: Path) -> None:
    segmenter = Counting(PocketUNet(2), image_px=SIDE)
    recordings = glasses(3)
    deafened = [dataclasses.replace(one, waveform=one.waveform + 1.0) for one in recordings]
    first, again = (MaskDrawer(segmenter, "float32", tmp_path).draw(each, Silent()) for each in (recordings, deafened))
    assert segmenter.calls == 3
    for drawn, same, one in zip(first, again, recordings, strict=True):
        np.testing.assert_array_equal(drawn.masks, segmenter.annotate("", one.rgb))
        np.testing.assert_array_equal(drawn.masks, same.masks)
        assert same.waveform is not drawn.waveform


def test_what_another_segmenter_drew_is_not_taken(tmp_path: Path) -> None:
    recordings = glasses(1)
    for number in range(2):
        network = PocketUNet(2)
        torch.nn.init.constant_(network.leave.bias, number)
        MaskDrawer(UNetProvider(network, image_px=SIDE), "float32", tmp_path).draw(recordings, Silent())
        assert len(list(tmp_path.iterdir())) == number + 1


@pytest.mark.parametrize("eye", ["segmenter", "pocket"])
def test_an_eye_learns_the_level(eye: EyeName, tmp_path: Path) -> None:
    params = dataclasses.replace(
        load(PARAMS).policy, image_encoder=eye, steps=200, batch=16, learning_rate=3e-3, ema=0.9, chunk=4
    )
    drawer = MaskDrawer(taught(glasses(12)), "float32", tmp_path) if eye == "segmenter" else None
    _, curve = train(glasses(), params, ablation="vision", seed=2, progress=Silent(), drawer=drawer)
    last = curve.groupby("name")["value"].last()
    # One that sees nothing errs by 0.2.
    assert last["validation_fill_error"] < 0.1
    assert last["validation_fill_error_by_sight"] < 0.1


def test_a_level_looks_the_same_in_every_cup() -> None:
    """Of cups of two sizes in two places the features differ only in what the whole picture and the box tell."""
    torch.manual_seed(0)
    eye = MaskEncoder(features=1, image_px=48)
    whole = 3 * 12**2
    with torch.no_grad():
        eye.leave.weight.fill_(0.0)
        eye.leave.weight[:, whole:-4] = torch.randn(1, 3 * 16**2)
    masks = torch.zeros(2, 48, 48, dtype=torch.uint8)
    for picture, (top, left, side) in enumerate([(10, 8, 16), (14, 12, 32)]):
        masks[picture, top : top + side, left : left + side] = Palette.RECEIVER
        inside = slice(left + side // 8, left + side - side // 8)
        masks[picture, top + side // 2 : top + side - side // 8, inside] = Palette.LIQUID
    features = eye(masks)
    torch.testing.assert_close(features[0], features[1], atol=0.02, rtol=0.02)
    masks[1, 26:30, 16:40] = Palette.LIQUID  # fuller
    assert not torch.allclose(eye(masks)[1], features[1], atol=0.1)
    assert torch.isfinite(eye(torch.zeros(1, 48, 48, dtype=torch.uint8))).all()


def test_an_eye_without_its_segmenter_names_the_stage(tmp_path: Path) -> None:
    params = dataclasses.replace(load(PARAMS).policy, image_encoder="segmenter")
    with pytest.raises(MissingInput, match="python -m multigen_core segmenter"):
        drawer_for(params, tmp_path, tmp_path)
    save_unet(PocketUNet(2), tmp_path, image_px=SIDE)
    assert isinstance(drawer_for(params, tmp_path, tmp_path), MaskDrawer)
    assert drawer_for(dataclasses.replace(params, image_encoder="pocket"), tmp_path / "nothing", tmp_path) is None
