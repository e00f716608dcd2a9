"""The MMAudio adapter on a minimal stand-in of the package; ``test_mmaudio_real.py`` runs it on the real one."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from multigen_core.audio_model import corpus, mmaudio_features, mmaudio_weights
from multigen_core.audio_model.contract import load_audio_model
from multigen_core.audio_model.finetune import run
from multigen_core.audio_model.mmaudio import _joined, extract_features
from multigen_core.audio_model.mmaudio_encoders import Encoders, mask_frames, pour_square, rgb_frames, ticks
from multigen_core.audio_model.mmaudio_features import Extraction, extract
from multigen_core.audio_model.mmaudio_network import MaskedMMAudio, Senses, open_base
from multigen_core.audio_model.mmaudio_training import Finetuning, Job, draw, launch, train
from multigen_core.audio_model.mmaudio_weights import VARIANTS, check_package, check_weights
from multigen_core.errors import MissingExtra, MissingInput, UserError
from multigen_core.experiment import Experiment, MMAudio
from multigen_core.media import write_flac, write_masks, write_video
from multigen_core.palette import colorize
from multigen_core.params import load
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.audio_model.published_files import publish, standing_in
from tests.audio_model.synthetic import pour

WINDOW_S = 1.28
CLIPS = {"a": 2.0, "b": 2.7, "c": 1.3, "short": 0.9}
"""Name -> length [s]; ``b`` holds two windows, ``short`` none."""


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


def extracted(experiment: Experiment, inputs: Inputs) -> Extraction:
    return extract_features(
        experiment, root=inputs.root, clips=inputs.one("clips"), masks=inputs.one("masks"), progress=Silent()
    )


def job_of(experiment: Experiment, inputs: Inputs, name: str, **changes: object) -> Job:
    extraction = extracted(experiment, inputs)
    out, checkpoints = inputs.root / name, inputs.root / f"{name}-checkpoints"
    for folder in (out, checkpoints):
        folder.mkdir()
    params: MMAudio = replace(experiment.audio_model.mmaudio, **changes)  # type: ignore[arg-type]
    return Job(params, extraction.windows, extraction.text, inputs.root / "weights", checkpoints, out, seed=5)


def senses_of(network: MaskedMMAudio, *, seen: bool = True) -> Senses:
    base, generator = network.base, torch.Generator().manual_seed(0)
    flags = torch.full((2,), seen)
    return Senses(
        clip=torch.randn(2, base.clip_seq_len, 1024, generator=generator),
        sync=torch.randn(2, base.sync_seq_len, 768, generator=generator),
        text=torch.randn(2, 77, 1024, generator=generator),
        mask=torch.randn(2, base.sync_seq_len, 768, generator=generator),
        see_video=flags,
        see_text=flags,
        see_mask=flags,
    )


# -- what must be there --


def test_one_sentence_lists_every_file_that_is_missing_or_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = publish(tmp_path, "large_44k_v2", monkeypatch)
    check_weights(tmp_path, variant)
    (tmp_path / "v1-44.pth").unlink()
    (tmp_path / "bigvgan_v2" / "config.json").unlink()
    (tmp_path / "mmaudio_large_44k_v2.pth").write_bytes(b"another")
    with pytest.raises(MissingInput) as error:
        check_weights(tmp_path, variant)
    sentence = str(error.value)
    assert "lacks 3 of 7 files" in sentence and str(tmp_path) in sentence and "\n" not in sentence
    for part in ("v1-44.pth is not there", "bigvgan_v2/config.json is not there", "mmaudio_large_44k_v2.pth has md5"):
        assert part in sentence
    with pytest.raises(MissingInput, match="lacks 2 of 6 files"):
        check_weights(tmp_path, variant, network=False, digests=False)


def test_the_published_digests_are_those_of_the_facts() -> None:
    known = {file.name: file.md5 for variant in VARIANTS.values() for file in variant.files}
    assert known["mmaudio_small_16k.pth"] == "af93cde404179f58e3919ac085b8033b"
    assert known["mmaudio_large_44k_v2.pth"] == "01ad4464f049b2d7efdaa4c1a59b8dfe"
    assert sum(md5 is not None for md5 in known.values()) == 6


def test_lengths_are_those_of_the_paper() -> None:
    small, large = VARIANTS["small_16k"], VARIANTS["large_44k_v2"]
    assert (small.latents(8.0), large.latents(8.0)) == (250, 345)
    assert (small.clip_tokens(8.0), small.sync_tokens(8.0)) == (64, 192)
    assert (small.samples(8.0), large.samples(8.0)) == (128_000, 353_280)


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmaudio_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps 'mmaudio @ git") as error:
        check_package()
    assert "\n" not in str(error.value)


def test_nothing_is_computed_when_a_file_is_missing(experiment: Experiment, inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "weights" / "v1-16.pth").unlink()
    with pytest.raises(MissingInput, match=r"v1-16\.pth"):
        run(experiment, inputs, tmp_path, Silent())
    assert not (tmp_path / "cache").exists()


# -- what it sees --


def test_the_square_follows_the_cup_and_stays_inside() -> None:
    masks = np.zeros((3, 60, 120), np.uint8)
    masks[:, 20:50, 95:115] = 2
    square = pour_square(masks)
    assert square.left + square.side <= 120 and square.top + square.side <= 60
    assert (square.cut(masks) == 2).sum() == (masks == 2).sum()
    middle = pour_square(np.zeros_like(masks))
    assert (middle.top, middle.left, middle.side) == (0, 30, 60)


def test_each_tick_shows_the_frame_of_its_moment_and_the_last_one_stays() -> None:
    assert ticks(10, fps=10.0, rate_hz=25.0, start_s=0.0, count=6).tolist() == [0, 0, 0, 1, 1, 2]
    assert ticks(10, fps=10.0, rate_hz=8.0, start_s=0.8, count=4).tolist() == [8, 9, 9, 9]
    assert ticks(20, fps=10.0, rate_hz=10.0, start_s=0.3, count=5).tolist() == [3, 4, 5, 6, 7]


def test_mask_ids_are_never_mixed() -> None:
    masks = np.random.default_rng(0).integers(0, 4, (2, 17, 17)).astype(np.uint8)
    frames = mask_frames(masks, 224)
    assert frames.shape == (2, 3, 224, 224)
    assert set(frames.unique().tolist()) == {0.0, 1.0}
    assert (frames.sum(1) <= 1.0).all()
    white = rgb_frames(np.full((1, 8, 8, 3), 255, np.uint8), 384)
    assert white.shape == (1, 3, 384, 384) and torch.allclose(white, torch.ones(()))


# -- the network --


def test_at_first_it_is_mmaudio_bit_for_bit_and_the_masks_have_a_gradient() -> None:
    network = MaskedMMAudio(open_base(VARIANTS["small_16k"], WINDOW_S, weights=None))
    senses, base = senses_of(network), network.base
    x, t = torch.randn(2, base.latent_seq_len, 20), torch.tensor([0.2, 0.7])
    plain = base.predict_flow(x, t, base.preprocess_conditions(senses.clip, senses.sync, senses.text))
    masked = network(x, t, senses)
    assert torch.equal(masked, plain)
    masked.square().sum().backward()
    assert network.mask_projection.weight.grad.abs().max() > 0.0


def test_what_is_not_to_be_seen_changes_nothing() -> None:
    network = MaskedMMAudio(open_base(VARIANTS["small_16k"], WINDOW_S, weights=None))
    torch.nn.init.normal_(network.mask_projection.weight)
    x, t = torch.randn(2, network.base.latent_seq_len, 20), torch.tensor([0.2, 0.7])
    seen = senses_of(network)
    other = replace(seen, clip=-seen.clip, sync=-seen.sync, text=-seen.text, mask=-seen.mask)
    with torch.no_grad():
        assert torch.equal(network(x, t, seen.blind()), network(x, t, other.blind()))
        only_mask = replace(seen, mask=-seen.mask)
        assert not torch.allclose(network(x, t, seen), network(x, t, only_mask), atol=1e-3)


# -- features --


def test_features_are_made_once_and_only_what_changed_is_made_again(experiment: Experiment, inputs: Inputs) -> None:
    first = extracted(experiment, inputs)
    assert (first.made, len(first.windows), first.clips_too_short) == (4, 4, 1)
    assert [(window.clip_id, window.start_s) for window in first.windows] == [
        ("a", 0.0),
        ("b", 0.0),
        ("b", WINDOW_S),
        ("c", 0.0),
    ]
    features = mmaudio_features.read_features(first.windows[2].path)
    assert {name: tuple(value.shape) for name, value in vars(features).items()} == {
        "mean": (40, 20),
        "std": (40, 20),
        "clip": (10, 1024),
        "sync": (24, 768),
        "mask": (24, 768),
    }

    def must_not_open() -> Encoders:
        raise AssertionError("nothing is lacking")

    params, folder = experiment.audio_model.mmaudio, inputs.root / "cache"
    again = extract(
        inputs.one("clips"),
        inputs.one("masks"),
        folder,
        must_not_open,
        variant=VARIANTS["small_16k"],
        window_s=WINDOW_S,
        prompt=params.prompt,
        progress=Silent(),
    )
    assert again.windows == first.windows and again.made == 0

    first.windows[0].path.write_bytes(first.windows[0].path.read_bytes()[:100])
    shutil.copy(inputs.one("masks") / "a.mp4", inputs.one("masks") / "c.mp4")
    changed = extracted(experiment, inputs)
    assert changed.made == 2 and changed.windows[3].path != first.windows[3].path


def test_a_killed_extraction_goes_on_where_it_stopped(
    experiment: Experiment, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = Encoders.mask, []

    def killed(self: Encoders, *arguments: object, **options: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Encoders, "mask", killed)
    with pytest.raises(KeyboardInterrupt):
        extracted(experiment, inputs)
    assert extracted(experiment, inputs).made == 2
    assert not list((inputs.root / "cache").glob("*.partial*"))


def test_masks_and_pictures_are_seen_where_they_differ(experiment: Experiment, inputs: Inputs) -> None:
    """Two windows of one clip have other features: the second shows a fuller cup."""
    windows = extracted(experiment, inputs).windows
    early, late = (mmaudio_features.read_features(window.path) for window in windows[1:3])
    for name in ("clip", "sync", "mask", "mean"):
        assert not torch.allclose(getattr(early, name), getattr(late, name), atol=1e-3), name


# -- training --


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


# -- the stage and its model --


@pytest.mark.parametrize("name", ["small_16k", "large_44k_v2"])
def test_the_stage_writes_a_model_that_sounds(
    experiment: Experiment, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    publish(tmp_path / "weights", name, monkeypatch)
    monkeypatch.setenv(mmaudio_weights.WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    params = replace(experiment.audio_model.mmaudio, variant=name)  # type: ignore[arg-type]
    out = tmp_path / "model"
    out.mkdir()
    summary = run(
        replace(experiment, audio_model=replace(experiment.audio_model, mmaudio=params)), inputs, out, Silent()
    )
    assert (
        summary["licences"] == ["CC BY-NC 4.0", "MIT"]
        and summary["non_commercial"] is True
        and summary["variant"] == name
    )
    assert (summary["clips"], summary["clips_validation"], summary["clips_too_short"]) == (2, 1, 1)

    # The finetuned network is one that MMAudio's own loader takes.
    base = open_base(VARIANTS[name], WINDOW_S, weights=None)
    base.load_weights(load_file(out / "mmaudio.safetensors"))

    model = load_audio_model(out)
    pours = [
        pour(np.random.default_rng(seed), duration_s=duration_s, size_px=32)
        for seed, duration_s in ((1, 0.5), (2, 3.3))
    ]
    masks, pictures = [one.masks for one in pours], [colorize(one.masks) for one in pours]
    together = model.generate(masks, fps=10.0, seeds=[7, 8], rgb=pictures)
    assert [sound.shape for sound in together] == [(8_000,), (52_800,)]
    assert all(sound.dtype == np.float32 and np.isfinite(sound).all() for sound in together)
    assert all(abs(sound).max() <= 1.0 for sound in together)
    (alone,) = model.generate(masks[1:], fps=10.0, seeds=[8], rgb=pictures[1:])
    assert np.allclose(together[1], alone, atol=1e-4)
    (other,) = model.generate(masks[1:], fps=10.0, seeds=[9], rgb=pictures[1:])
    (unseen,) = model.generate(masks[1:], fps=10.0, seeds=[8])
    assert not np.allclose(other, alone, atol=1e-4) and not np.allclose(unseen, alone, atol=1e-5)


def test_a_served_model_finds_its_files_above_itself(
    experiment: Experiment, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    model = tmp_path / ".multigen" / "mlflow" / "artifacts" / "model"
    model.mkdir(parents=True)
    assert mmaudio_weights.find_weights("weights", model) == tmp_path / "weights"
    monkeypatch.setenv(mmaudio_weights.WEIGHTS_VARIABLE, "/elsewhere")
    assert mmaudio_weights.find_weights("weights", model) == Path("/elsewhere")


def test_windows_are_joined_with_constant_power() -> None:
    generator = np.random.default_rng(0)
    windows = [generator.standard_normal(16_000).astype(np.float32) for _ in range(3)]
    joined = _joined(windows, 12_000)
    assert len(joined) == 40_000
    assert np.array_equal(joined[:12_000], windows[0][:12_000])
    for seam in (12_000, 24_000):
        assert np.std(joined[seam : seam + 4_000]) == pytest.approx(1.0, abs=0.05)


def test_the_config_file_says_all_that_a_reader_needs(experiment: Experiment, inputs: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    run(experiment, inputs, out, Silent())
    config = json.loads((out / "config.json").read_text())
    assert config["backend"] == "mmaudio" and config["licence"] == "CC BY-NC 4.0"
    params = asdict(experiment.audio_model.mmaudio)
    assert all(params[name] == value for name, value in config["mmaudio"].items())
