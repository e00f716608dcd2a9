"""Stage ``segmenter``: renders simulator frames with their masks and trains the pocket U-Net on them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from multigen_core.compute import make_engine
from multigen_core.experiment import Experiment, Segmenter, seed_for
from multigen_core.masks.agreement import intersection_over_union
from multigen_core.masks.augmentation import augment
from multigen_core.masks.training_frames import LabelledFrames, SceneItem, render_scene
from multigen_core.masks.unet import PocketUNet, UNetProvider, save_unet
from multigen_core.progress import Progress
from multigen_core.records import Summary
from multigen_core.trainer import trainer_for

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["CURVE", "fit", "run"]

CURVE = "curve.parquet"
_FRAMES_PER_SCENE = 2
"""Few: another room and cup teaches more than another moment of the same pour."""
_VALIDATION_FRACTION = 0.1
_REPORT_STEPS = 25
_CLASS_WEIGHTS = (0.7, 1.0, 1.5, 1.5)
"""Background, pourer, receiver, liquid: the small classes count somewhat more."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Trains the U-Net and scores it on scenes it has not seen; writes nothing when nobody has a use for it."""
    masks = experiment.masks
    if masks.provider != "unet" and not masks.sam2.automatic_prompts:
        progress.say(f"skipped: masks.provider is {masks.provider}, which gets no automatic prompts")
        return {"skipped": True, "provider": masks.provider}
    params = experiment.segmenter
    scenes = -(-params.frames // _FRAMES_PER_SCENE)
    items = [
        SceneItem(
            seed=seed_for(experiment, "segmenter", scene),
            ranges="reference" if scene % 2 else "training",
            frames=min(_FRAMES_PER_SCENE, params.frames - scene * _FRAMES_PER_SCENE),
            image_px=params.image_px,
        )
        for scene in range(scenes)
    ]
    engine = make_engine(experiment.compute.engine, experiment.compute.workers)
    rendered = engine.map(render_scene, items, progress, "scenes rendered")

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    held_out = max(1, round(_VALIDATION_FRACTION * scenes))
    # With a single scene there is nothing to hold out.
    training = rendered[:-held_out] or rendered
    network, curve = fit(training, params, seed=seed_for(experiment, "segmenter"), progress=progress)
    save_unet(network, out, image_px=params.image_px)
    curve.to_parquet(out / CURVE)

    images = np.concatenate([scene.rgb for scene in rendered[-held_out:]])
    predicted = UNetProvider(network, image_px=params.image_px).annotate("validation", images)
    scores = intersection_over_union(predicted, np.concatenate([scene.masks for scene in rendered[-held_out:]]))
    return {
        "skipped": False,
        "provider": masks.provider,
        "frames": sum(len(scene.rgb) for scene in training),
        "frames_validation": len(images),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "training_loss": round(float(curve["training_loss"].iloc[-1]), 4),
        **{f"iou_{name}": None if score is None else round(score, 4) for name, score in scores.items()},
    }


def fit(
    scenes: list[LabelledFrames], params: Segmenter, *, seed: int, progress: Progress
) -> tuple[PocketUNet, pd.DataFrame]:
    """A trained network and its curve (``step``, ``training_loss``)."""
    images = np.concatenate([scene.rgb for scene in scenes])
    masks = np.concatenate([scene.masks for scene in scenes])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Channels last: a fifth faster on a CPU's convolutions.
        network: PocketUNet = PocketUNet(params.width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    watcher = _Watcher(params.steps, progress)
    trainer = trainer_for(params.steps, callbacks=[watcher], precision=params.precision)
    trainer.fit(_Training(network, params), _Batches(images, masks, params.batch, seed))
    return network.cpu(), pd.DataFrame(watcher.rows)


class _Batches:
    """Endless augmented batches of windows into the frames; the same seed draws the same ones."""

    def __init__(
        self, images: UInt8[np.ndarray, "N H W 3"], masks: UInt8[np.ndarray, "N H W"], batch: int, seed: int
    ) -> None:
        self._images, self._masks, self._batch, self._seed = images, masks, batch, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(self._seed)
        frames, size_px = self._masks.shape[:2]
        side_px = _window_px(size_px)
        while True:
            chosen = torch.randint(0, frames, (self._batch,), generator=generator).tolist()
            corners = torch.randint(0, size_px - side_px + 1, (self._batch, 2), generator=generator).tolist()
            windows = [
                (frame, slice(top, top + side_px), slice(left, left + side_px))
                for frame, (top, left) in zip(chosen, corners, strict=True)
            ]
            images = torch.from_numpy(np.stack([self._images[window] for window in windows]))
            masks = torch.from_numpy(np.stack([self._masks[window] for window in windows]))
            yield augment(images.permute(0, 3, 1, 2) / 255.0, masks.long(), generator=generator)


def _window_px(size_px: int) -> int:
    """Side of a training window, in whole steps of the network's coarsest scale.

    Three quarters of the frame's side hold most of the vessels, for little more than half of a step's cost.
    """
    return max(16, 3 * size_px // 64 * 16)


class _Training(lightning.LightningModule):
    """Cross entropy plus the soft Dice loss, which keeps thin streams alive (Milletari et al. 2016)."""

    def __init__(self, network: PocketUNet, params: Segmenter) -> None:
        super().__init__()
        self.network = network
        self._params = params

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, masks = batch
        logits = self.network(images.contiguous(memory_format=torch.channels_last))
        share = logits.softmax(1)
        wanted = functional.one_hot(masks, share.shape[1]).permute(0, 3, 1, 2)
        overlap = (share * wanted).sum((0, 2, 3))
        dice = 2.0 * (overlap + 1.0) / (share.sum((0, 2, 3)) + wanted.sum((0, 2, 3)) + 2.0)
        weight = logits.new_tensor(_CLASS_WEIGHTS)
        return functional.cross_entropy(logits, masks, weight=weight) + 1.0 - dice.mean()

    def configure_optimizers(self) -> Any:
        rate, steps = self._params.learning_rate, self._params.steps
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=1e-4, fused=True)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class _Watcher(lightning.Callback):
    """Reports progress and the mean loss of the last steps."""

    def __init__(self, steps: int, progress: Progress) -> None:
        self.rows: list[dict[str, float]] = []
        self._steps, self._progress = steps, progress
        self._losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step
        self._losses.append(float(outputs["loss"]))
        self._progress.update(step, self._steps, "training steps")
        if step % _REPORT_STEPS == 0 or step == self._steps:
            self.rows.append({"step": float(step), "training_loss": float(np.mean(self._losses))})
            self._progress.metric("training_loss", self.rows[-1]["training_loss"], step)
            self._losses.clear()
