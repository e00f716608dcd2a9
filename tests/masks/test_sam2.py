"""SAM 2 without SAM 2: refusals, tiles, and how its answers become palette masks."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from multigen_core.errors import ConfigError, MissingExtra, MissingInput
from multigen_core.experiment import Experiment
from multigen_core.masks.automatic_prompts import AutomaticPrompts
from multigen_core.masks.contract import open_provider
from multigen_core.masks.prompts import Prompt
from multigen_core.masks.sam2 import Sam2Provider, tiles_of
from multigen_core.params import load
from multigen_core.stages import Inputs

RECEIVER = Prompt("receiver", 0, points=((10.0, 20.0),), labels=(1,))
LIQUID = Prompt("liquid", 9, box=(4.0, 20.0, 12.0, 28.0))
SIZE_PX = 32


class TrackingPredictor:
    """Follows what it is prompted with one pixel to the right per frame, within the pictures that it was given."""

    def __init__(self) -> None:
        self.prompts: list[dict[str, Any]] = []
        self.pictures: list[list[str]] = []
        self.offloaded = False

    def init_state(self, video_path: str, offload_video_to_cpu: bool) -> dict[int, tuple[int, torch.Tensor]]:
        self.pictures.append(sorted(path.name for path in Path(video_path).iterdir()))
        self.offloaded = offload_video_to_cpu
        return {}

    def add_new_points_or_box(self, **prompt: Any) -> None:
        self.prompts.append(prompt)
        box = [2, 8, 20, 30] if prompt["box"] is None else prompt["box"].astype(int)
        mask = torch.zeros(SIZE_PX, SIZE_PX, dtype=torch.bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        prompt["inference_state"][prompt["obj_id"]] = (prompt["frame_idx"], mask)

    def add_new_mask(self, **prompt: Any) -> None:
        assert prompt["mask"].dtype == torch.bool and prompt["mask"].any()
        prompt["inference_state"][prompt["obj_id"]] = (prompt["frame_idx"], prompt["mask"])

    def propagate_in_video(
        self, state: dict[int, tuple[int, torch.Tensor]], reverse: bool = False
    ) -> Iterator[tuple[int, list[int], torch.Tensor]]:
        """As SAM 2 does: from the earliest prompt to the end, or back to the beginning."""
        start = min(frame for frame, _ in state.values())
        last = len(self.pictures[-1])
        for frame in range(start, -1, -1) if reverse else range(start, last):
            moved = [torch.roll(mask, frame - at, dims=1) for at, mask in state.values()]
            yield frame, list(state), torch.stack(moved)[:, None].float() - 0.5


def provider(predictor: Any, *prompts: Prompt, **options: Any) -> Sam2Provider:
    return Sam2Provider(predictor, {"kitchen": prompts}, **options)


def film(steps: int) -> np.ndarray:
    return np.zeros((steps, SIZE_PX, SIZE_PX, 3), np.uint8)


@pytest.fixture
def experiment() -> Experiment:
    params = load(Path("params.yaml"))
    return replace(params, masks=replace(params.masks, provider="sam2"))


def by_hand(experiment: Experiment, **values: Any) -> Experiment:
    sam2 = replace(experiment.masks.sam2, automatic_prompts=False, **values)
    return replace(experiment, masks=replace(experiment.masks, sam2=sam2))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(root=tmp_path, folders={"segmenter": (tmp_path / "segmenter",)}, partition=None)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("sam2")
    package.__spec__ = type(sys.__spec__)("sam2", None)  # type: ignore[misc]
    monkeypatch.setitem(sys.modules, "sam2", package)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_answers_become_palette_masks_with_the_liquid_on_top() -> None:
    predictor = TrackingPredictor()
    masks = provider(predictor, RECEIVER, LIQUID).annotate("kitchen", film(4))
    assert masks.shape == (4, 32, 32)
    assert masks[0, 10, 10] == 2 and masks[3, 25, 10] == 3 and masks[0, 0, 0] == 0
    assert predictor.pictures == [[f"{index:05d}.jpg" for index in range(4)]]
    receiver, liquid = predictor.prompts
    assert receiver["obj_id"] == 2 and receiver["points"].shape == (1, 2)
    # The clip has four frames only: the prompt of frame 9 moves to the last.
    assert liquid["obj_id"] == 3 and liquid["frame_idx"] == 3 and liquid["box"].shape == (4,)
    assert not predictor.offloaded


@pytest.mark.parametrize("tile_frames", [2, 5, 7, 100])
def test_tiles_change_the_memory_and_not_the_masks(tile_frames: int) -> None:
    """The receiver is prompted in the first frame, the liquid in the middle, the pourer in the last."""
    prompts = (RECEIVER, replace(LIQUID, frame=11), Prompt("pourer", 19, box=(20.0, 2.0, 26.0, 7.0)))
    whole = provider(TrackingPredictor(), *prompts).annotate("kitchen", film(20))
    assert {1, 2, 3} <= set(np.unique(whole[0])) | set(np.unique(whole[-1]))
    predictor = TrackingPredictor()
    tiled = provider(predictor, *prompts, tile_frames=tile_frames).annotate("kitchen", film(20))
    np.testing.assert_array_equal(tiled, whole)
    assert max(len(names) for names in predictor.pictures) == min(tile_frames, 20)


@pytest.mark.parametrize(("frames", "tile_frames"), [(1, 2), (2, 2), (20, 7), (19, 7), (80, 80), (81, 80)])
def test_tiles_cover_every_frame_and_share_one(frames: int, tile_frames: int) -> None:
    tiles = tiles_of(frames, tile_frames)
    assert sorted({frame for tile in tiles for frame in tile}) == list(range(frames))
    assert all(before.stop - 1 == after.start for before, after in pairwise(tiles))
    assert max(len(tile) for tile in tiles) <= tile_frames


def test_what_left_the_picture_is_not_looked_for() -> None:
    predictor = TrackingPredictor()
    gone = Prompt("liquid", 0, box=(30.0, 5.0, 31.0, 9.0))
    predictor.propagate_in_video = lambda state, reverse=False: iter(  # type: ignore[method-assign]
        [] if reverse else [(k, [3], torch.full((1, 1, 32, 32), 1.0 if k == 0 else -1.0)) for k in range(3)]
    )
    masks = provider(predictor, gone, tile_frames=3).annotate("kitchen", film(9))
    assert (masks[0] == 3).all() and not masks[1:].any()
    assert len(predictor.pictures) == 1


def test_the_unet_prompts_what_nobody_clicked() -> None:
    class Seen:
        def annotate(self, clip_id: str, frames: np.ndarray) -> np.ndarray:
            masks = np.zeros(frames.shape[:3], np.uint8)
            masks[:, 8:30, 2:20] = 2
            masks[6:, 20:28, 4:12] = 3
            return masks

    predictor = TrackingPredictor()
    automatic = AutomaticPrompts(Seen())
    clicked = Prompt("receiver", 0, box=(1.0, 7.0, 21.0, 31.0))
    masks = provider(predictor, clicked, automatic=automatic).annotate("kitchen", film(8))
    assert [prompt["obj_id"] for prompt in predictor.prompts] == [2, 3]
    np.testing.assert_array_equal(predictor.prompts[0]["box"], clicked.box)
    assert predictor.prompts[1]["frame_idx"] >= 6
    assert masks[0, 7, 2] == 2 and (masks[7] == 3).sum() == 64


def test_a_clip_without_anything_to_follow_has_empty_masks() -> None:
    assert not provider(TrackingPredictor()).annotate("kitchen", film(3)).any()


def test_a_prompt_outside_the_picture_is_named() -> None:
    outside = Prompt("liquid", 0, points=((300.0, 20.0),), labels=(1,))
    with pytest.raises(ConfigError, match=r"liquid of clip 'kitchen' is at \(300, 20\), outside its 32 x 32"):
        provider(TrackingPredictor(), outside).annotate("kitchen", film(2))


@pytest.mark.skipif(importlib.util.find_spec("sam2") is not None, reason="the package is installed")
def test_missing_package_says_what_to_install(experiment: Experiment, inputs: Inputs) -> None:
    with pytest.raises(MissingExtra, match=r"pip install -e \.\[sam2\]"):
        open_provider(experiment, inputs, ["kitchen"])


@pytest.mark.usefixtures("installed")
def test_checkpoint_then_its_digest_then_prompts_are_asked_for(experiment: Experiment, inputs: Inputs) -> None:
    with pytest.raises(MissingInput, match=r"masks\.sam2\.checkpoint"):
        open_provider(experiment, inputs, ["kitchen"])
    _write(inputs.root / experiment.masks.sam2.checkpoint, "weights")
    with pytest.raises(ConfigError, match=f"has sha256 {hashlib.sha256(b'weights').hexdigest()}, not 0000"):
        open_provider(by_hand(experiment, sha256="0" * 64), inputs, ["kitchen"])
    right = by_hand(experiment, sha256=hashlib.sha256(b"weights").hexdigest().upper())
    with pytest.raises(MissingInput, match=r"no prompt for liquid, receiver of clip 'kitchen'.*masks prompt kitchen"):
        open_provider(right, inputs, ["kitchen"])
    with pytest.raises(MissingInput, match="holds no U-Net"):
        open_provider(experiment, inputs, ["kitchen"])
