"""Training on a few toy pours: it learns, repeats itself exactly, and shrugs off bad masks."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from multigen_core.audio_model.conditioning import FEATURES
from multigen_core.audio_model.contract import load_audio_model
from multigen_core.audio_model.corpus import TrainingClip, fit_normaliser, make_clip
from multigen_core.audio_model.finetune import crops, fit, run, validation_losses
from multigen_core.errors import UserError
from multigen_core.experiment import AudioModel
from multigen_core.media import write_flac, write_masks
from multigen_core.params import load
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.audio_model.synthetic import pour

PARAMS = AudioModel(
    backend="pocket",
    window_s=1.5,
    steps=40,
    batch=4,
    learning_rate=1e-2,
    hidden=32,
    depth=1,
    heads=2,
    condition_dropout=0.1,
    sampling_steps=2,
    guidance=2.0,
    loudness_guidance=1.3,
    vocoder_iterations=1,
    least_mask_gain=0.01,
    most_clipped=0.01,
    mmaudio=load(Path("params.yaml")).audio_model.mmaudio,
)


@pytest.fixture(scope="module")
def corpus() -> list[TrainingClip]:
    return [_clip(seed, split="validation" if seed >= 8 else "train") for seed in range(10)]


def _clip(seed: int, *, split: str = "train", usable: bool = True, duration_s: float = 3.0) -> TrainingClip:
    drawn = pour(np.random.default_rng(seed), duration_s=duration_s)
    return make_clip(
        f"clip-{seed}", waveform=drawn.waveform, masks=drawn.masks, fps=drawn.fps, split=split, usable=usable
    )


def test_loss_falls_and_the_same_seed_gives_the_same_weights(corpus: list[TrainingClip]) -> None:
    first, curve = fit(corpus, PARAMS, seed=1, progress=Silent())
    again, _ = fit(corpus, PARAMS, seed=1, progress=Silent())
    assert list(curve["step"]) == [4.0 * k for k in range(1, 11)]
    assert curve["validation_loss"].iloc[-1] < 0.95 * curve["validation_loss"].iloc[0]
    assert np.isfinite(curve.to_numpy()).all()
    for weights, others in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(weights, others)


def test_normaliser_gives_unit_size_and_inverts(corpus: list[TrainingClip]) -> None:
    normaliser = fit_normaliser(corpus)
    mel = torch.cat([clip.tokens for clip in corpus]).reshape(-1, 80)
    assert torch.allclose(normaliser.mel(mel).mean(0), torch.zeros(80), atol=1e-3)
    assert torch.allclose(normaliser.mel_inverse(normaliser.mel(mel)), mel, atol=1e-4)


def test_clips_with_bad_masks_train_blind(corpus: list[TrainingClip]) -> None:
    mixed = [replace(clip, usable=index % 2 == 0) for index, clip in enumerate(corpus)]
    normaliser = fit_normaliser(corpus)
    bad = [clip for clip in mixed if not clip.usable]
    batch = next(crops(bad, normaliser, PARAMS, seed=0, dropout=0.0))
    assert not batch.conditioned.any()
    batch = next(crops(mixed[::2], normaliser, PARAMS, seed=0, dropout=0.0))
    assert batch.conditioned.all()


def test_the_control_shuffles_masks_and_leaves_the_rooms(corpus: list[TrainingClip]) -> None:
    model, _ = fit(corpus, replace(PARAMS, steps=4), seed=1, progress=Silent())
    batch = next(crops(corpus, model.normaliser, PARAMS, seed=0, dropout=0.0))
    same_masks = batch.features.clone()
    same_masks[..., : len(FEATURES)] = same_masks[:1, ..., : len(FEATURES)]
    assert same_masks[..., -1].std(0).min() > 0.0
    right, shuffled = validation_losses(model.network, [replace(batch, features=same_masks)])
    assert shuffled == right
    right, shuffled = validation_losses(model.network, [batch])
    assert shuffled != right


def test_short_clips_shorten_their_batch_only(corpus: list[TrainingClip]) -> None:
    short = _clip(20, duration_s=1.0)
    batches = list(islice(crops([*corpus, short], fit_normaliser(corpus), PARAMS, seed=0, dropout=0.1), 12))
    lengths = {batch.x1.shape[1] for batch in batches}
    assert lengths == {len(short.tokens), round(1.5 * 31.25)}
    assert all(batch.x1.shape[:2] == batch.features.shape[:2] for batch in batches)


def test_dropout_hides_about_its_share(corpus: list[TrainingClip]) -> None:
    batches = islice(crops(corpus, fit_normaliser(corpus), PARAMS, seed=0, dropout=0.3), 100)
    share = np.mean([float(batch.conditioned.float().mean()) for batch in batches])
    assert 0.6 < share < 0.8


def test_stage_writes_a_model_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, masks, out = (tmp_path / name for name in ("clips", "masks", "out"))
    for folder in (clips / "media", masks, out):
        folder.mkdir(parents=True)
    names = ["a", "b", "c"]
    for seed, name in enumerate(names):
        drawn = pour(np.random.default_rng(seed), duration_s=2.0, size_px=32)
        write_flac(clips / "media" / f"{name}.flac", drawn.waveform)
        write_masks(masks / f"{name}.mp4", drawn.masks, fps=10.0)
    pd.DataFrame({"clip_id": names, "usable": [True, False, True]}).to_parquet(masks / "quality.parquet")
    catalogue = pd.DataFrame({"clip_id": names, "fps": 10.0, "split": ["train", "train", "validation"]})
    catalogue["licence"] = ["MIT", "CC BY-NC 4.0", "unknown"]
    monkeypatch.setattr("multigen_core.audio_model.corpus.read_catalogue", lambda folder: catalogue)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})
    params = replace(load(Path("params.yaml")), audio_model=replace(PARAMS, steps=3))
    inputs = Inputs(tmp_path, {"clips": (clips,), "masks": (masks,)}, None)
    summary = run(params, inputs, out, Silent())
    assert (summary["clips"], summary["clips_validation"], summary["clips_without_masks"]) == (2, 1, 1)
    assert (summary["licences"], summary["non_commercial"]) == (["CC BY-NC 4.0", "MIT"], True)
    (waveform,) = load_audio_model(out).generate([drawn.masks], fps=10.0, seeds=[0])
    assert waveform.shape == (32_000,)

    catalogue["split"] = "validation"
    with pytest.raises(UserError, match="reference_count"):
        run(params, inputs, out, Silent())
