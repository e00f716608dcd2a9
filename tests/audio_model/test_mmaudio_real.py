"""The adapter on the real MMAudio package, with random weights and a tiny configuration.

Needs the package on the path (docs/going_real.md), but none of its weights; on a CPU it takes half a minute.
"""

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from multigen_core.audio_model import mmaudio_training
from multigen_core.audio_model.mmaudio_features import Window
from multigen_core.audio_model.mmaudio_network import MaskedMMAudio, Senses, open_base, sample
from multigen_core.audio_model.mmaudio_training import Job, train
from multigen_core.audio_model.mmaudio_weights import PACKAGE, VARIANTS, Variant
from multigen_core.params import load
from multigen_core.progress import Silent

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(
        importlib.util.find_spec("mmaudio") is None,
        reason=f"MMAudio is not installed: pip install --no-deps '{PACKAGE}'",
    ),
    pytest.mark.filterwarnings("ignore"),  # of MMAudio's own dependencies
]


def tiny(*, v2: bool = False, channels: int = 20, latents: int = 250) -> Any:
    """MMAudio as it is built, but small, and with no layer left at zero."""
    networks = importlib.import_module("mmaudio.model.networks")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = networks.MMAudio(
            latent_dim=channels,
            clip_dim=1024,
            sync_dim=768,
            text_dim=1024,
            hidden_dim=64,
            depth=3,
            fused_depth=2,
            num_heads=2,
            latent_seq_len=latents,
            clip_seq_len=64,
            sync_seq_len=192,
            latent_mean=torch.linspace(-0.5, 0.5, channels),
            latent_std=torch.linspace(0.5, 1.5, channels),
            v2=v2,
        )
        for weights in network.parameters():
            if weights.requires_grad:
                torch.nn.init.normal_(weights, std=0.05)
    return network


def senses_of(count: int) -> Senses:
    generator, seen = torch.Generator().manual_seed(0), torch.ones(count, dtype=torch.bool)
    shapes = {"clip": (64, 1024), "sync": (192, 768), "text": (77, 1024), "mask": (192, 768)}
    drawn = {name: torch.randn(count, *shape, generator=generator) for name, shape in shapes.items()}
    return Senses(**drawn, see_video=seen, see_text=seen, see_mask=seen)


@pytest.mark.parametrize("v2", [False, True])
def test_at_first_it_is_mmaudio_bit_for_bit_and_the_masks_have_a_gradient(v2: bool) -> None:
    base = tiny(v2=v2)
    network, senses = MaskedMMAudio(base), senses_of(2)
    x, t = torch.randn(2, 250, 20), torch.tensor([0.2, 0.7])
    plain = base(x, senses.clip, senses.sync, senses.text, t)
    masked = network(x, t, senses)
    assert torch.equal(masked, plain) and plain.abs().max() > 1e-3
    masked.square().mean().backward()
    assert network.mask_projection.weight.grad.abs().max() > 0.0


@pytest.mark.parametrize("v2", [False, True])
def test_sampling_is_that_of_mmaudio_but_for_rounding(v2: bool) -> None:
    base = tiny(v2=v2)
    senses, x0 = senses_of(2), torch.randn(2, 250, 20)
    flow = importlib.import_module("mmaudio.model.flow_matching").FlowMatching(0.0, "euler", 4)
    with torch.inference_mode():
        seen = base.preprocess_conditions(senses.clip, senses.sync, senses.text)
        nothing = base.get_empty_conditions(2)
        theirs = base.unnormalize(flow.to_data(lambda t, x: base.ode_wrapper(t, x, seen, nothing, 4.5), x0))
    ours = sample(MaskedMMAudio(base), x0, senses, steps=4, guidance=4.5)
    assert torch.allclose(ours, theirs, atol=1e-5), (ours - theirs).abs().max()


@pytest.mark.parametrize("duration_s", [1.28, 2.0, 6.0, 8.0, 10.0])
@pytest.mark.parametrize(("name", "theirs"), [("small_16k", "CONFIG_16K"), ("large_44k_v2", "CONFIG_44K")])
def test_lengths_are_those_of_mmaudio(name: str, theirs: str, duration_s: float) -> None:
    module = importlib.import_module("mmaudio.model.sequence_config")
    config = importlib.import_module("dataclasses").replace(getattr(module, theirs), duration=duration_s)
    variant = VARIANTS[name]
    assert variant.latents(duration_s) == config.latent_seq_len
    assert variant.clip_tokens(duration_s) == config.clip_seq_len
    assert variant.sync_tokens(duration_s) == config.sync_seq_len
    assert variant.samples(duration_s) == config.num_audio_frames


def test_other_window_lengths_are_taken() -> None:
    base, variant = tiny(), VARIANTS["small_16k"]
    lengths = variant.latents(4.0), variant.clip_tokens(4.0), variant.sync_tokens(4.0)
    base.update_seq_lengths(*lengths)
    senses = senses_of(1)
    shorter = replace(
        senses, clip=senses.clip[:, : lengths[1]], sync=senses.sync[:, : lengths[2]], mask=senses.mask[:, : lengths[2]]
    )
    velocity = MaskedMMAudio(base)(torch.randn(1, lengths[0], 20), torch.tensor([0.5]), shorter)
    assert velocity.shape == (1, 125, 20)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Three windows of 1.28 s of made-up features; the network is the tiny one."""

    def open_tiny(variant: Variant, window_s: float, *, weights: Path | None) -> Any:
        base = tiny()
        base.update_seq_lengths(40, 10, 24)
        return base

    monkeypatch.setattr(mmaudio_training, "open_base", open_tiny)
    generator = torch.Generator().manual_seed(2)
    shapes = {"mean": (40, 20), "std": (40, 20), "clip": (10, 1024), "sync": (24, 768), "mask": (24, 768)}
    windows = []
    for k in range(3):
        features = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        features["std"] = 0.05 * features["std"].abs()
        save_file(features, tmp_path / f"{k}.safetensors")
        windows.append(Window(str(k), 0.0, "train", True, tmp_path / f"{k}.safetensors"))
    save_file({"text": torch.randn(77, 1024, generator=generator)}, tmp_path / "text.safetensors")
    params = replace(
        load(Path("params.yaml")).audio_model.mmaudio,
        variant="small_16k",
        window_s=1.28,
        steps=5,
        batch=2,
        accumulate=2,
        learning_rate=1e-3,
        warm_up_steps=1,
        frozen_steps=1,
        checkpoint_steps=1,
        precision="float32",
        devices=1,
    )
    out = tmp_path / "out"
    out.mkdir()
    return Job(params, tuple(windows), tmp_path / "text.safetensors", tmp_path, tmp_path / "checkpoints", out, seed=4)


def test_loss_falls_when_one_window_is_learned_by_heart(job: Job) -> None:
    params = replace(job.params, steps=60, learning_rate=1e-2, ema=0.5, frozen_steps=0)
    train(replace(job, windows=job.windows[:1], params=params), Silent())
    curve = pd.read_parquet(job.out / "curve.parquet")
    assert curve["validation_loss"].iloc[-1] < 0.8 * curve["validation_loss"].iloc[0]


def test_a_training_that_is_taken_up_again_takes_the_same_next_step(job: Job, tmp_path: Path) -> None:
    train(job, Silent())
    parts = replace(job, checkpoints=tmp_path / "others", out=tmp_path / "parts")
    parts.out.mkdir()
    train(parts, Silent(), stop_after=3)
    train(parts, Silent())
    for name in ("mmaudio.safetensors", "masks.safetensors"):
        first, second = load_file(job.out / name), load_file(parts.out / name)
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_the_finetuned_file_loads_in_mmaudios_own_inference(job: Job, lora_rank: int) -> None:
    job = replace(job, params=replace(job.params, lora_rank=lora_rank))
    train(job, Silent())
    theirs = tiny()
    before = {name: value.clone() for name, value in theirs.state_dict().items()}
    theirs.load_weights(load_file(job.out / "mmaudio.safetensors"))
    assert any(not torch.equal(before[name], value) for name, value in theirs.state_dict().items())
    ours = MaskedMMAudio(tiny())
    ours.load(job.out)
    senses, x, t = senses_of(1), torch.randn(1, 250, 20), torch.tensor([0.4])
    unmasked = replace(senses, see_mask=torch.zeros(1, dtype=torch.bool))
    with torch.no_grad():
        torch.nn.init.zeros_(ours.mask_projection.weight)
        torch.nn.init.zeros_(ours.mask_projection.bias)
        assert torch.equal(ours(x, t, unmasked), theirs(x, senses.clip, senses.sync, senses.text, t))


@pytest.mark.parametrize("name", list(VARIANTS))
def test_mmaudio_has_these_variants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name and size, without the memory of their weights."""
    with torch.device("meta"):
        networks = importlib.import_module("mmaudio.model.networks")
        monkeypatch.setattr(networks.MMAudio, "initialize_weights", lambda self: None)
        monkeypatch.setattr(networks.MMAudio, "initialize_rotations", lambda self: None)
        base: Any = open_base(VARIANTS[name], 8.0, weights=None)
    millions = sum(weights.numel() for weights in base.parameters()) / 1e6
    assert millions == pytest.approx({"small_16k": 157, "large_44k_v2": 1030}[name], rel=0.02)
    assert (base.latent_seq_len, base.sync_seq_len) == (VARIANTS[name].latents(8.0), 192)
