"""Finetuning on the features of three clips."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from multigen_core.audio_model import mmaudio_features
from multigen_core.audio_model.mmaudio_network import MaskedMMAudio, open_base
from multigen_core.audio_model.mmaudio_training import Finetuning, Job, draw, launch, train
from multigen_core.audio_model.mmaudio_weights import VARIANTS
from multigen_core.errors import UserError
from multigen_core.experiment import Experiment
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.audio_model.mmaudio_adapter.project import WINDOW_S, job_of


def curve_of(job: Job) -> pd.DataFrame:
    return pd.read_parquet(job.out / "curve.parquet")


def test_loss_falls_on_one_batch(experiment: Experiment, inputs: Inputs) -> None:
    job = job_of(experiment, inputs, "model")
    network = MaskedMMAudio(open_base(VARIANTS["small_16k"], WINDOW_S, weights=job.weights))
    features = [mmaudio_features.read_features(window.path) for window in job.windows[:2]]
    text = load_file(job.text)["text"]
    example = draw(features, [True, True], text, job.params, torch.Generator().manual_seed(0), dropout=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        loss = Finetuning.loss(network, example)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_training_that_is_taken_up_again_ends_as_if_it_had_not_stopped(
    experiment: Experiment, inputs: Inputs, stop_after: int
) -> None:
    whole, parts = (job_of(experiment, inputs, name) for name in ("whole", "parts"))
    train(whole, Silent())
    train(parts, Silent(), stop_after=stop_after)
    assert not list(parts.out.iterdir())
    train(parts, Silent())
    for name in ("mmaudio.safetensors", "masks.safetensors"):
        first, second = load_file(whole.out / name), load_file(parts.out / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    pd.testing.assert_frame_equal(curve_of(whole), curve_of(parts))


def test_at_first_only_the_mask_layers_learn(experiment: Experiment, inputs: Inputs) -> None:
    job = job_of(experiment, inputs, "model", steps=3, frozen_steps=3, ema=0.1)
    train(job, Silent())
    published = torch.load(inputs.root / "weights" / "mmaudio_small_16k.pth", weights_only=True)
    learned = load_file(job.out / "mmaudio.safetensors")
    assert all(torch.equal(learned[name], published[name]) for name in published)
    assert load_file(job.out / "masks.safetensors")["mask_projection.weight"].abs().max() > 0.0


@pytest.mark.parametrize("stop_after", [None, 3])
def test_a_low_rank_training_changes_linear_layers_by_that_rank(
    experiment: Experiment, inputs: Inputs, stop_after: int | None
) -> None:
    job = job_of(experiment, inputs, "model", lora_rank=2, ema=0.1)
    if stop_after:
        train(job, Silent(), stop_after=stop_after)
    train(job, Silent())
    published = torch.load(inputs.root / "weights" / "mmaudio_small_16k.pth", weights_only=True)
    learned = load_file(job.out / "mmaudio.safetensors")
    assert learned.keys() == published.keys()
    changed = {name for name in published if not torch.equal(learned[name], published[name])}
    assert changed == {f"{name}.weight" for name in ("clip", "sync", "text", "enter", "middle", "leave")}
    for name in changed:
        assert torch.linalg.matrix_rank(learned[name] - published[name], atol=1e-5) == 2


def test_masks_that_may_not_be_trusted_are_not_seen(experiment: Experiment, inputs: Inputs) -> None:
    job = job_of(experiment, inputs, "model", mask_dropout=1e-9, video_dropout=1e-9)
    job = replace(job, windows=tuple(replace(window, usable=window.clip_id != "a") for window in job.windows))
    module = Finetuning(MaskedMMAudio(open_base(VARIANTS["small_16k"], WINDOW_S, weights=None)), job, [])
    module.trainer = type("Trainer", (), {"world_size": 1, "global_rank": 0})()
    batches = iter(module.train_dataloader())
    seen = [bool(flag) for _ in range(6) for flag in next(batches).senses.see_mask]
    # Three training windows in turn, of which one is that of clip ``a``.
    assert sum(seen) == 8 and not all(seen)


def test_clips_that_are_all_too_short_are_told(experiment: Experiment, inputs: Inputs) -> None:
    job = replace(job_of(experiment, inputs, "model"), windows=())
    with pytest.raises(UserError, match=r"raise clips\.length_s"):
        train(job, Silent())


def test_two_processes_train_together(experiment: Experiment, inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two GPUs, under torchrun: the same model as one process with twice the batch, but for rounding."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    job = job_of(experiment, inputs, "model", devices=2, steps=2)
    launch(job, Silent())
    assert list(curve_of(job)["step"]) == [1.0, 2.0]
    assert load_file(job.out / "masks.safetensors")["mask_projection.weight"].abs().max() > 0.0


def test_a_job_is_the_same_after_it_was_written(experiment: Experiment, inputs: Inputs) -> None:
    job = job_of(experiment, inputs, "model")
    job.write(inputs.root / "job.json")
    assert Job.read(inputs.root / "job.json") == job
