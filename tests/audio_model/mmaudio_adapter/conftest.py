"""The MMAudio adapter on a minimal stand-in of the package; ``test_mmaudio_real.py`` runs it on the real one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multigen_core.audio_model import corpus, mmaudio_features
from multigen_core.experiment import Experiment
from multigen_core.media import write_flac, write_masks, write_video
from multigen_core.palette import colorize
from multigen_core.params import load
from multigen_core.stages import Inputs
from tests.audio_model.mmaudio_adapter.project import CLIPS, WINDOW_S
from tests.audio_model.published_files import publish, standing_in
from tests.audio_model.synthetic import pour


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with standing_in(monkeypatch):
        yield


@pytest.fixture
def experiment() -> Experiment:
    loaded = load(Path("params.yaml"))
    params = replace(
        loaded.audio_model.mmaudio,
        variant="small_16k",
        weights="weights",
        cache="cache",
        checkpoints="checkpoints",
        window_s=WINDOW_S,
        steps=6,
        batch=2,
        accumulate=2,
        learning_rate=1e-2,
        warm_up_steps=1,
        frozen_steps=0,
        checkpoint_steps=1,
        precision="float32",
        devices=1,
        sampling_steps=3,
        generated_at_once=3,
    )
    return replace(loaded, audio_model=replace(loaded.audio_model, backend="mmaudio", mmaudio=params))


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    """A project folder with clips, masks and the files of ``small_16k``."""
    publish(tmp_path / "weights", "small_16k", monkeypatch)
    clips, masks = tmp_path / "clips", tmp_path / "masks"
    for folder in (clips / "media", masks):
        folder.mkdir(parents=True)
    for seed, (name, duration_s) in enumerate(CLIPS.items()):
        drawn = pour(np.random.default_rng(seed), duration_s=duration_s, size_px=32)
        write_flac(clips / "media" / f"{name}.flac", drawn.waveform)
        write_video(clips / "media" / f"{name}.mp4", colorize(drawn.masks), fps=10.0)
        write_masks(masks / f"{name}.mp4", drawn.masks, fps=10.0)
    names, durations = list(CLIPS), list(CLIPS.values())
    pd.DataFrame({"clip_id": names, "usable": [True, True, True, False]}).to_parquet(masks / "quality.parquet")
    split = ["train", "train", "validation", "train"]
    catalogue = pd.DataFrame({"clip_id": names, "fps": 10.0, "duration_s": durations, "split": split})
    catalogue["licence"] = "MIT"
    for module in (mmaudio_features, corpus):
        monkeypatch.setattr(module, "read_catalogue", lambda folder: catalogue)
    return Inputs(tmp_path, {"clips": (clips,), "masks": (masks,)}, None)
