"""Stage ``masks``: palette masks for every clip, by the provider that ``masks.provider`` names."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from multigen_core.clips.catalogue import read_catalogue, true_masks
from multigen_core.experiment import Experiment
from multigen_core.masks.agreement import intersection_over_union
from multigen_core.masks.contract import open_provider
from multigen_core.masks.quality import judge, steadied
from multigen_core.media import read_masks, read_video, write_masks
from multigen_core.palette import Palette
from multigen_core.progress import Progress
from multigen_core.records import Summary

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["QUALITY", "run"]

QUALITY = "quality.parquet"
"""One row per clip: ``clip_id``, the fields of :class:`~multigen_core.masks.quality.MaskQuality`, and ``iou_<class>``
against the true masks where the clip has any."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Writes ``<clip_id>.mp4`` (lossless palette video at the clip's size and rate) and the quality table."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    clips = inputs.one("clips")
    catalogue = read_catalogue(clips)
    provider = open_provider(experiment, inputs, list(catalogue["clip_id"]))
    rows = []
    for clip_id, fps in zip(catalogue["clip_id"], catalogue["fps"].astype(float), strict=True):
        frames = np.stack(list(read_video(clips / "media" / f"{clip_id}.mp4")))
        masks = steadied(provider.annotate(clip_id, frames))
        write_masks(out / f"{clip_id}.mp4", masks, fps=fps)
        scores = _scores(masks, true_masks(clips, clip_id))
        rows.append({"clip_id": clip_id, **asdict(judge(masks)), **scores})
        progress.update(len(rows), len(catalogue), "clips masked")
    table = pd.DataFrame(rows)
    table.to_parquet(out / QUALITY)
    means = {label.name.lower(): table[f"iou_{label.name.lower()}"].astype(float).mean() for label in Palette}
    return {
        "provider": experiment.masks.provider,
        "clips": len(table),
        "clips_usable": int(table["usable"].sum()),
        "clips_scored": int(table["iou_background"].notna().sum()),
        "iou": {name: None if np.isnan(mean) else round(float(mean), 4) for name, mean in means.items()},
    }


def _scores(masks: np.ndarray, truth: Path) -> dict[str, float | None]:
    """Agreement with the true masks; all None for a clip without them."""
    if not truth.is_file():
        return {f"iou_{label.name.lower()}": None for label in Palette}
    true = read_masks(truth)
    frames = min(len(masks), len(true))
    scores = intersection_over_union(masks[:frames], true[:frames])
    return {f"iou_{name}": score for name, score in scores.items()}
