"""The U-Net, its letterbox and its files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from multigen_core.errors import MissingInput
from multigen_core.masks.unet import Letterbox, PocketUNet, UNetProvider, load_unet, save_unet


@pytest.mark.parametrize("size", [(96, 96), (128, 228), (300, 120), (50, 51)])
def test_letterbox_there_and_back_keeps_places(size: tuple[int, int]) -> None:
    letterbox = Letterbox(height_px=size[0], width_px=size[1], square_px=96)
    ramp = torch.linspace(0.0, 1.0, size[0])[:, None] + torch.linspace(0.0, 1.0, size[1])
    images = ramp.expand(1, 3, *size).contiguous()
    square = letterbox.fit(images)
    assert square.shape == (1, 3, 96, 96)
    back = letterbox.restore(square)
    assert back.shape == images.shape
    assert (back - images).abs().mean() < 0.02


def test_letterbox_pads_with_black() -> None:
    square = Letterbox(height_px=20, width_px=40, square_px=96).fit(torch.ones(1, 3, 20, 40))
    assert square[..., :24, :].max() == 0.0 and square[..., 72:, :].max() == 0.0
    assert square[..., 25:71, :].min() > 0.99


def test_network_keeps_the_size_and_every_class() -> None:
    assert PocketUNet(4)(torch.rand(2, 3, 64, 96)).shape == (2, 4, 64, 96)


def test_saved_network_gives_the_same_masks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PocketUNet(4)
    frames = np.random.default_rng(0).integers(0, 256, (5, 40, 60, 3), dtype=np.uint8)
    save_unet(network, tmp_path, image_px=64)
    masks = load_unet(tmp_path).annotate("clip", frames)
    assert masks.shape == (5, 40, 60) and masks.dtype == np.uint8 and masks.max() <= 3
    assert np.array_equal(masks, UNetProvider(network, image_px=64).annotate("clip", frames))


def test_frames_are_judged_one_by_one() -> None:
    torch.manual_seed(0)
    provider = UNetProvider(PocketUNet(4), image_px=64)
    frames = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    assert np.array_equal(provider.annotate("a", frames)[1], provider.annotate("a", frames[1:2])[0])


def test_folder_without_weights_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="python -m multigen_core segmenter"):
        load_unet(tmp_path)
