"""The network and its sampler, untrained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from multigen_core.audio_model.conditioning import CONDITIONS, PITCH
from multigen_core.audio_model.contract import BACKENDS, load_audio_model
from multigen_core.audio_model.pocket import Normaliser, PocketAudioModel, guided
from multigen_core.audio_model.pocket_network import PocketConfig, PocketTransformer, mel_to_tokens, tokens_to_mel
from multigen_core.audio_model.ruler import Ruler
from multigen_core.errors import MissingInput
from multigen_core.palette import colorize
from multigen_core.spectrogram import MELS
from tests.audio_model.synthetic import pour

CONFIG = PocketConfig(
    hidden=16,
    depth=2,
    heads=2,
    window_s=1.0,
    sampling_steps=3,
    guidance=2.0,
    loudness_guidance=1.3,
    vocoder_iterations=2,
)


def _model(config: PocketConfig = CONFIG) -> PocketAudioModel:
    """A network whose last layers are not zero, as after some training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PocketTransformer(config)
        for weights in network.parameters():
            torch.nn.init.normal_(weights, std=0.1)
    normaliser = Normaliser(
        mel_mean=torch.full((MELS,), -3.0),
        mel_std=torch.ones(MELS),
        feature_mean=torch.zeros(len(CONDITIONS)),
        feature_std=torch.ones(len(CONDITIONS)),
    )
    return PocketAudioModel(network, normaliser, Ruler(slope=0.5, constant=8.0))


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    return pour(np.random.default_rng(0), duration_s=2.0).masks


def test_tokens_and_mel_invert_each_other() -> None:
    mel = torch.randn(3, 10, MELS)
    assert torch.equal(tokens_to_mel(mel_to_tokens(mel)), mel)
    assert torch.equal(mel_to_tokens(mel)[1, 2, :MELS], mel[1, 4])


@pytest.mark.parametrize("frames", [20, 33, 120, 300])
def test_any_length_gives_as_many_samples(masks: np.ndarray, frames: int) -> None:
    longer = np.resize(masks, (frames, *masks.shape[1:]))
    (waveform,) = _model().generate([longer], fps=10.0, seeds=[1])
    assert waveform.shape == (frames * 1600,)
    assert waveform.dtype == np.float32
    assert np.isfinite(waveform).all() and abs(waveform).max() <= 1.0


def test_seed_decides_and_the_batch_does_not_matter(masks: np.ndarray) -> None:
    model = _model()
    together = model.generate([masks, masks[::-1], masks], fps=10.0, seeds=[1, 2, 3])
    (alone,) = model.generate([masks], fps=10.0, seeds=[1])
    assert np.array_equal(together[0], alone)
    assert not np.array_equal(together[0], together[2])


@pytest.mark.parametrize("seconds", [2, 30])
def test_every_length_obeys_its_seed(masks: np.ndarray, seconds: int) -> None:
    """The same seed gives the same samples, another seed another sound of about the same loudness."""
    model = _model()
    longer = np.resize(masks, (10 * seconds, *masks.shape[1:]))
    first, again, other = (model.generate([longer], fps=10.0, seeds=[seed])[0] for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.2
    assert np.std(other) == pytest.approx(np.std(first), rel=0.5)


def test_pictures_change_nothing(masks: np.ndarray) -> None:
    model = _model()
    seen, unseen = (model.generate([masks], fps=10.0, seeds=[4], rgb=rgb)[0] for rgb in ([colorize(masks)], None))
    assert np.array_equal(seen, unseen)


def test_saved_model_makes_the_same_sound(masks: np.ndarray, tmp_path: Path) -> None:
    model = _model()
    model.save(tmp_path)
    loaded = load_audio_model(tmp_path)
    expected, actual = (one.generate([masks], fps=10.0, seeds=[5])[0] for one in (model, loaded))
    assert np.array_equal(expected, actual)


def test_every_listed_backend_has_a_loader() -> None:
    import importlib

    for backend in BACKENDS.values():
        module, function = backend.load.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_folder_without_a_model_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="python -m multigen_core audio_model"):
        load_audio_model(tmp_path)
    (tmp_path / "config.json").write_text('{"backend": "theremin"}')
    with pytest.raises(MissingInput, match="theremin"):
        load_audio_model(tmp_path)


def test_a_token_does_not_see_beyond_its_reach() -> None:
    """With one layer, a change further away than attention and the convolutions reach changes nothing."""
    config = replace(CONFIG, depth=1)
    network = _model(config).network
    features = torch.zeros(1, 80, len(CONDITIONS))
    xt, other = torch.randn(1, 80, 2 * MELS), torch.randn(1, 80, 2 * MELS)
    changed = xt.clone()
    changed[:, :20] = other[:, :20]
    t, seen = torch.tensor([0.3]), torch.tensor([True])
    with torch.no_grad():
        before, after = (network(x, t, network.sight(features, seen)) for x in (xt, changed))
    far = 20 + config.reach + 1
    assert torch.allclose(before[:, far:], after[:, far:], atol=1e-5)
    assert not torch.allclose(before[:, 20 : 20 + config.reach], after[:, 20 : 20 + config.reach], atol=1e-3)


def test_without_a_word_of_the_network_the_sound_is_as_restless_as_expected() -> None:
    """White noise of deviation sigma around mu comes from the equations alone: silence does not flicker."""
    model = _model(replace(CONFIG, sampling_steps=12, guidance=1.0, loudness_guidance=1.0))
    mean, deviation = torch.tensor([0.5, -1.0]), torch.tensor([0.05, 0.6])
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()
        bias = torch.cat([mean.repeat_interleave(MELS), deviation.log().repeat_interleave(MELS)])
        model.network.expect[-1].bias.copy_(bias)
    mel = model.normaliser.mel(model.sample(torch.zeros(200, len(CONDITIONS)), seed=0))
    frames = mel_to_tokens(mel).reshape(200, 2, MELS)
    assert frames.mean(dim=(0, 2)) == pytest.approx(mean, abs=0.02)
    assert frames.std(dim=(0, 2)) == pytest.approx(deviation, rel=0.05)


def test_a_cup_fuller_than_any_clip_is_taken_for_the_fullest_clip() -> None:
    far = _model().normaliser.features(torch.full((1, len(CONDITIONS)), -10.0))[0]
    assert far[PITCH] == -2.0
    assert (far[PITCH + 1 :] == -4.0).all()


def test_shifted_input_gives_shifted_output() -> None:
    """Positions are relative: in the middle of a long pour nothing depends on how long it has lasted."""
    network = _model(replace(CONFIG, depth=1)).network
    features, xt = torch.randn(1, 100, len(CONDITIONS)), torch.randn(1, 100, 2 * MELS)
    t, seen = torch.tensor([0.6]), torch.tensor([True])
    with torch.no_grad():
        whole = network(xt, t, network.sight(features, seen))
        part = network(xt[:, 20:], t, network.sight(features[:, 20:], seen))
    assert torch.allclose(whole[:, 50:80], part[:, 30:60], atol=1e-4)


def test_guidance_of_shape_leaves_loudness_alone() -> None:
    """A change of level obeys one factor, a resonance that stands out the other."""
    blind = torch.randn(1, 12, 2 * MELS)
    louder = guided(blind + 0.5, blind, shape=3.0, loudness=1.0)
    assert torch.allclose(louder, blind + 0.5, atol=1e-6)
    assert torch.allclose(guided(blind + 0.5, blind, shape=3.0, loudness=2.0), blind + 1.0, atol=1e-6)
    ridge = torch.zeros(1, 24, MELS)
    ridge[..., 40] = 1.0
    pushed = tokens_to_mel(guided(blind + mel_to_tokens(ridge), blind, shape=3.0, loudness=1.0) - blind)
    assert pushed[..., 40].mean() == pytest.approx(3.0, abs=0.15)
    assert pushed.mean(dim=-1) == pytest.approx(ridge.mean(dim=-1), abs=1e-5)


def test_guidance_of_one_is_none() -> None:
    seen, blind = torch.randn(2, 1, 10, 2 * MELS)
    assert torch.allclose(guided(seen, blind, shape=1.0, loudness=1.0), seen)


def test_dropped_condition_is_not_seen() -> None:
    network = _model().network
    xt, t = torch.randn(1, 40, 2 * MELS), torch.tensor([0.5])
    with torch.no_grad():
        first, second, third = (
            network(xt, t, network.sight(torch.full((1, 40, len(CONDITIONS)), value), torch.tensor([conditioned])))
            for value, conditioned in ((0.0, False), (2.0, False), (2.0, True))
        )
    assert torch.equal(first, second)
    assert not torch.allclose(second, third, atol=1e-3)
