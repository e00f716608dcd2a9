"""The real SAM 2 package with a micro configuration and random weights: what it asks for and answers, not how well.

Real weights: MULTIGEN_SAM2 names a checkpoint of the configuration in params.yaml.
"""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multigen_core.experiment import Experiment
from multigen_core.masks.contract import open_provider
from multigen_core.masks.prompts import Prompt, write_prompts
from multigen_core.masks.sam2 import Sam2Provider, load_builder
from multigen_core.masks.unet import PocketUNet, save_unet
from multigen_core.params import load
from multigen_core.stages import Inputs
from multigen_core.storage import file_sha256

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(importlib.util.find_spec("sam2") is None, reason="needs the extra [sam2]: docs/going_real.md"),
    pytest.mark.filterwarnings("ignore"),  # of the package's own dependencies
]

MICRO = [
    "++model.image_size=128",
    "++model.image_encoder.trunk.embed_dim=16",
    "++model.image_encoder.trunk.stages=[1,1,2,1]",
    "++model.image_encoder.trunk.global_att_blocks=[3]",
    "++model.image_encoder.trunk.window_pos_embed_bkg_spatial_size=[2,2]",
    "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "++model.memory_attention.num_layers=1",
]
WEIGHTS = os.environ.get("MULTIGEN_SAM2", "")
CLIP = "kitchen"


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The package's own builder, which makes micro networks."""
    build_sam = load_builder()
    original = build_sam.build_sam2_video_predictor

    def micro(config: str, **options: Any) -> Any:
        torch.manual_seed(0)
        return original(config, hydra_overrides_extra=list(MICRO), **options)

    monkeypatch.setattr(build_sam, "build_sam2_video_predictor", micro)
    return micro


@pytest.fixture
def experiment() -> Experiment:
    params = load(Path("params.yaml"))
    return replace(params, masks=replace(params.masks, provider="sam2"))


def film(steps: int = 7) -> np.ndarray:
    frames = np.full((steps, 48, 64, 3), 40, np.uint8)
    for step in range(steps):
        frames[step, 10:40, 20 + step : 40 + step] = (200, 60, 60)
    return frames


def provider_at(root: Path, build: Callable[..., Any], experiment: Experiment, **values: Any) -> Sam2Provider:
    """As the stage opens it: checkpoint, digest, U-Net and prompts are files."""
    sam2 = experiment.masks.sam2
    checkpoint = root / sam2.checkpoint
    checkpoint.parent.mkdir(parents=True)
    torch.save({"model": build(sam2.model_config, device="cpu").state_dict()}, checkpoint)
    (root / "segmenter").mkdir()
    torch.manual_seed(1)
    save_unet(PocketUNet(4), root / "segmenter", image_px=64)
    changed = replace(sam2, sha256=file_sha256(checkpoint), **values)
    opened = replace(experiment, masks=replace(experiment.masks, sam2=changed))
    provider = open_provider(opened, Inputs(root, {"segmenter": (root / "segmenter",)}, None), [CLIP])
    assert isinstance(provider, Sam2Provider)
    return provider


def test_masks_of_the_clip_s_size_in_palette_colours_twice_the_same(
    tmp_path: Path, build: Callable[..., Any], experiment: Experiment
) -> None:
    receiver = Prompt("receiver", 0, box=(20.0, 10.0, 40.0, 40.0))
    liquid = Prompt("liquid", 4, points=((32.0, 30.0),), labels=(1,))
    write_prompts(tmp_path / experiment.masks.sam2.prompts, CLIP, (receiver, liquid))
    provider = provider_at(tmp_path, build, experiment)
    masks = provider.annotate(CLIP, film())
    assert masks.shape == (7, 48, 64) and masks.dtype == np.uint8
    assert set(np.unique(masks)) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(provider.annotate(CLIP, film()), masks)


def test_a_mask_that_is_carried_over_is_what_the_next_tile_begins_with(
    tmp_path: Path, build: Callable[..., Any], experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiles of four frames: never more pictures in memory, masks in every frame before and after the prompt."""
    liquid = Prompt("liquid", 5, box=(22.0, 12.0, 44.0, 38.0))
    sam2 = replace(experiment.masks.sam2, automatic_prompts=False)
    write_prompts(tmp_path / sam2.prompts, CLIP, (liquid, replace(liquid, object="receiver", frame=0)))
    provider = provider_at(tmp_path, build, experiment, automatic_prompts=False, tile_frames=4)
    pictures, begun = [], []
    load, add = provider._predictor.init_state, provider._predictor.add_new_mask

    def counted(**options: Any) -> Any:
        state = load(**options)
        pictures.append(len(state["images"]))
        return state

    monkeypatch.setattr(provider._predictor, "init_state", counted)
    monkeypatch.setattr(
        provider._predictor, "add_new_mask", lambda **given: begun.append(given["frame_idx"]) or add(**given)
    )
    masks = provider.annotate(CLIP, film(10))
    assert masks.shape == (10, 48, 64)
    assert pictures and max(pictures) == 4
    assert set(begun) <= {0, 3}


def test_real_weights_follow_a_square(tmp_path: Path, experiment: Experiment) -> None:
    if not WEIGHTS:
        pytest.skip("needs the path of a SAM 2.1 checkpoint in MULTIGEN_SAM2")
    sam2 = replace(experiment.masks.sam2, checkpoint=WEIGHTS, automatic_prompts=False)
    prompts = (
        Prompt("receiver", 0, box=(20.0, 10.0, 40.0, 40.0)),
        Prompt("liquid", 2, points=((30.0, 30.0),), labels=(1,)),
    )
    write_prompts(tmp_path / sam2.prompts, CLIP, prompts)
    opened = replace(experiment, masks=replace(experiment.masks, sam2=sam2))
    masks = open_provider(opened, Inputs(tmp_path, {}, None), [CLIP]).annotate(CLIP, film())
    for step, mask in enumerate(masks):
        inside = mask[10:40, 20 + step : 40 + step] > 0
        assert inside.mean() > 0.8 and (mask > 0).sum() < 1.4 * inside.size
