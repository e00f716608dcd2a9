"""The stages ``segmenter`` and ``masks`` on made-up scenes and clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from multigen_core.experiment import Experiment
from multigen_core.masks import annotation, segmenter
from multigen_core.masks.contract import PROVIDERS
from multigen_core.masks.training_frames import LabelledFrames, SceneItem
from multigen_core.masks.unet import PocketUNet, load_unet, save_unet
from multigen_core.media import read_masks, write_masks, write_video
from multigen_core.params import load
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.audio_model.synthetic import pour

PAINT = np.array([(40, 60, 50), (220, 160, 60), (200, 40, 140), (60, 120, 240)], np.uint8)


def made_up_scene(item: SceneItem) -> LabelledFrames:
    masks = pour(np.random.default_rng(item.seed), size_px=item.image_px).masks
    chosen = masks[np.linspace(0, len(masks) - 1, item.frames).astype(int)]
    return LabelledFrames(PAINT[chosen], chosen)


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages take every core for torch; the tests leave the rest of the machine alone."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})


@pytest.fixture
def experiment() -> Experiment:
    params = load(Path("params.yaml"))
    return replace(
        params,
        compute=replace(params.compute, engine="serial"),
        segmenter=replace(params.segmenter, frames=96, image_px=64, steps=120, batch=8, width=8, learning_rate=5e-3),
    )


def test_segmenter_learns_the_classes_and_writes_a_model(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenter, "render_scene", made_up_scene)
    summary = segmenter.run(experiment, Inputs(tmp_path, {}, None), tmp_path, Silent())
    assert summary["frames"] == 86 and summary["frames_validation"] == 10
    assert float(summary["iou_background"] or 0.0) > 0.9
    assert float(summary["iou_pourer"] or 0.0) > 0.5
    assert float(summary["iou_receiver"] or 0.0) > 0.25
    assert len(pd.read_parquet(tmp_path / segmenter.CURVE)) == 5
    scene = made_up_scene(SceneItem(seed=9, ranges="training", frames=2, image_px=64))
    assert load_unet(tmp_path).annotate("clip", scene.rgb).shape == scene.masks.shape


def test_network_is_trained_on_windows_whose_masks_fit_their_pictures(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def recorded(
        images: torch.Tensor, masks: torch.Tensor, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append((images, masks))
        return images, masks

    monkeypatch.setattr(segmenter, "augment", recorded)
    scenes = [made_up_scene(SceneItem(seed=k, ranges="training", frames=2, image_px=64)) for k in range(3)]
    segmenter.fit(scenes, replace(experiment.segmenter, steps=4), seed=0, progress=Silent())
    for images, masks in seen:
        assert images.shape == (8, 3, 48, 48) and masks.shape == (8, 48, 48)
        painted = torch.from_numpy(PAINT)[masks].permute(0, 3, 1, 2) / 255.0
        assert torch.equal(images, painted)
    places = {tuple(torch.nonzero(mask)[0].tolist()) for _, masks in seen for mask in masks}
    assert len(places) > 4, "the windows move"


def test_segmenter_is_skipped_for_another_provider(experiment: Experiment, tmp_path: Path) -> None:
    sam2 = replace(experiment.masks.sam2, automatic_prompts=False)
    other = replace(experiment, masks=replace(experiment.masks, provider="sam2", sam2=sam2))
    summary = segmenter.run(other, Inputs(tmp_path, {}, None), tmp_path, Silent())
    assert summary == {"skipped": True, "provider": "sam2"}
    assert not list(tmp_path.iterdir())


def test_every_clip_gets_masks_of_its_size_and_truth_is_scored(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, model, out = (tmp_path / name for name in ("clips", "segmenter", "out"))
    for folder in (clips / "media", clips / "truth", model, out):
        folder.mkdir(parents=True)
    true = pour(np.random.default_rng(0), duration_s=1.0, size_px=64).masks
    write_video(clips / "media" / "square.mp4", PAINT[true], fps=10.0)
    write_masks(clips / "truth" / "square.mp4", true, fps=10.0)
    write_video(clips / "media" / "wide.mp4", PAINT[np.pad(true, ((0, 0), (0, 0), (20, 20)))], fps=10.0)
    catalogue = pd.DataFrame({"clip_id": ["square", "wide"], "fps": [10.0, 10.0]})
    monkeypatch.setattr(annotation, "read_catalogue", lambda folder: catalogue)
    torch.manual_seed(0)
    save_unet(PocketUNet(4), model, image_px=64)
    inputs = Inputs(tmp_path, {"clips": (clips,), "segmenter": (model,)}, None)

    summary = annotation.run(experiment, inputs, out, Silent())
    assert read_masks(out / "square.mp4").shape == (10, 64, 64)
    assert read_masks(out / "wide.mp4").shape == (10, 64, 104)
    quality = pd.read_parquet(out / annotation.QUALITY).set_index("clip_id")
    assert quality.loc["square", "iou_background"] >= 0.0 and pd.isna(quality.loc["wide", "iou_background"])
    assert summary["clips"] == 2 and summary["clips_scored"] == 1
    iou = summary["iou"]
    assert isinstance(iou, dict) and list(iou) == ["background", "pourer", "receiver", "liquid"]
    assert iou["background"] == round(float(quality.loc["square", "iou_background"]), 4)


def test_every_provider_of_params_is_listed() -> None:
    assert set(PROVIDERS) == {"unet", "sam2"}
