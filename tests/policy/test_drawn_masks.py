"""An eye that is shown a segmenter's masks: where the level is, whatever the colours."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from multigen_core.dataset.windows import Recording
from multigen_core.errors import MissingInput
from multigen_core.masks.segmenter import fit
from multigen_core.masks.training_frames import LabelledFrames
from multigen_core.masks.unet import PocketUNet, UNetProvider, save_unet
from multigen_core.palette import Palette
from multigen_core.params import load
from multigen_core.policy.drawn_masks import MaskDrawer, drawer_for
from multigen_core.policy.mask_encoder import MaskEncoder
from multigen_core.policy.train import train
from multigen_core.progress import Silent
from tests.policy.test_seen import glasses

PARAMS = Path(__file__).parents[2] / "params.yaml"


class Counting(UNetProvider):
    """Counts what it is asked for."""

    calls = 0

    def annotate(self, clip_id: str, frames: np.ndarray) -> np.ndarray:
        self.calls += 1
        return super().annotate(clip_id, frames)


def taught(recordings: Sequence[Recording]) -> UNetProvider:
    """A segmenter that has learnt what a glass looks like."""
    scenes = [LabelledFrames(recording.rgb[:1], recording.masks[:1]) for recording in recordings]
    params = dataclasses.replace(load(PARAMS).segmenter, steps=120, batch=8, width=4, image_px=32)
    network, _ = fit(scenes, params, seed=0, progress=Silent())
    return UNetProvider(network, image_px=32)


def test_frames_are_drawn_once_whatever_is_heard(tmp_path: Path) -> None:
    segmenter = Counting(PocketUNet(2), image_px=32)
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
        MaskDrawer(UNetProvider(network, image_px=32), "float32", tmp_path).draw(recordings, Silent())
        assert len(list(tmp_path.iterdir())) == number + 1


def test_an_eye_learns_the_level_from_drawn_masks(tmp_path: Path) -> None:
    params = dataclasses.replace(
        load(PARAMS).policy, image_encoder="segmenter", steps=100, batch=16, learning_rate=3e-3, ema=0.9, chunk=4
    )
    drawer = MaskDrawer(taught(glasses(12)), "float32", tmp_path)
    _, curve = train(glasses(), params, ablation="vision", seed=2, progress=Silent(), drawer=drawer)
    fill_error = curve[curve["name"] == "validation_fill_error"]["value"].iloc[-1]
    assert fill_error < 0.1  # one that sees nothing errs by 0.2


def test_the_window_follows_the_cup() -> None:
    """Of two cups in different places the features differ only in what the whole picture tells."""
    eye = MaskEncoder(features=1, image_px=48)
    whole = 3 * 12**2
    with torch.no_grad():
        eye.leave.weight.fill_(0.0)
        eye.leave.weight[:, whole:-2] = torch.randn(1, 3 * 24**2)
    masks = torch.zeros(2, 48, 48, dtype=torch.uint8)
    for picture, (top, left) in enumerate([(10, 8), (22, 26)]):
        masks[picture, top : top + 12, left : left + 10] = Palette.RECEIVER
        masks[picture, top + 7 : top + 12, left : left + 10] = Palette.LIQUID
    features = eye(masks).features
    torch.testing.assert_close(features[0], features[1])
    masks[1, 27:29, 26:36] = Palette.LIQUID  # fuller
    assert not torch.allclose(eye(masks).features[1], features[1], atol=1e-3)
    assert torch.isfinite(eye(torch.zeros(1, 48, 48, dtype=torch.uint8)).features).all()


def test_an_eye_without_its_segmenter_names_the_stage(tmp_path: Path) -> None:
    params = dataclasses.replace(load(PARAMS).policy, image_encoder="segmenter")
    with pytest.raises(MissingInput, match="python -m multigen_core segmenter"):
        drawer_for(params, tmp_path, tmp_path)
    save_unet(PocketUNet(2), tmp_path, image_px=32)
    assert isinstance(drawer_for(params, tmp_path, tmp_path), MaskDrawer)
    assert drawer_for(dataclasses.replace(params, image_encoder="pocket"), tmp_path / "nothing", tmp_path) is None
