"""Every family of policies: what is saved decides again as it did."""

import dataclasses
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from multigen_core.errors import ConfigError, MissingInput
from multigen_core.masks.unet import PocketUNet, UNetProvider
from multigen_core.policy.config import PolicyConfig
from multigen_core.policy.contract import Policy
from multigen_core.policy.network import FAMILIES, PolicyNetwork
from multigen_core.policy.normaliser import Affine, Normaliser
from multigen_core.policy.trained import WEIGHTS, TrainedPolicy, load_policy
from multigen_core.records import ACTION_SPEC, Observation

LIMIT = 2.0
SCALE = (0.02, 0.01, 0.5)


def untrained(
    family: str = "diffusion",
    *,
    uses_sight: bool = True,
    uses_sound: bool = True,
    eye: str = "segmenter",
    ear: str = "pocket",
    samples: int = 1,
) -> TrainedPolicy:
    config = PolicyConfig(
        family=family,
        ablation="vision_audio" if uses_sound else "vision",
        uses_sight=uses_sight,
        uses_sound=uses_sound,
        spec=ACTION_SPEC,
        image_px=48,
        audio_window_s=1.0,
        chunk=7,
        executed=2,
        diffusion_steps=20,
        sampling_steps=4,
        samples=samples,
        image_encoder=eye,
        sound_encoder=ear,
    )
    one = Affine(offset=(0.0,), scale=(1.0,))
    normaliser = Normaliser(
        actions=Affine(offset=(0.0, 0.0, 0.0), scale=SCALE),
        action_limits=((-LIMIT,) * 3, (LIMIT,) * 3),
        joints=Affine(offset=(0.0,) * 7, scale=(1.0,) * 7),
        joint_speeds=Affine(offset=(0.0,) * 7, scale=(1.0,) * 7),
        goal=one,
        auxiliary=Affine(offset=(0.0,) * 3, scale=(1.0,) * 3),
        log_mel=Affine(offset=(-2.5,), scale=(1.0,)),
    )
    torch.manual_seed(0)
    return TrainedPolicy(PolicyNetwork(config, normaliser), arbitrary_segmenter())


def arbitrary_segmenter() -> UNetProvider:
    """Draws something else for every picture, since its weights are large."""
    network = PocketUNet(2)
    for weights in network.parameters():
        torch.nn.init.normal_(weights)
    return UNetProvider(network, image_px=32)


def observation(seed: int = 0) -> Observation:
    rng = np.random.default_rng(seed)
    return Observation(
        rgb=rng.integers(0, 255, (48, 48, 3), dtype=np.uint8),
        waveform=rng.normal(0.0, 0.1, 16_000).astype(np.float32),
        joints_rad=rng.normal(0.0, 1.0, 7).astype(np.float32),
        joint_speeds_rad_s=rng.normal(0.0, 0.2, 7).astype(np.float32),
        goal_fraction=0.5,
    )


@pytest.fixture(params=product(FAMILIES, (None, "segmenter", "pocket"), (True, False)), ids=str)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[TrainedPolicy, Path]:
    family, eye, uses_sound = request.param
    policy = untrained(family, uses_sight=eye is not None, uses_sound=uses_sound, eye=eye or "segmenter")
    policy.save(tmp_path)
    return policy, tmp_path


def test_loaded_policy_decides_as_the_saved_one(saved: tuple[TrainedPolicy, Path]) -> None:
    policy, folder = saved
    loaded: Policy = load_policy(folder)
    assert loaded.spec == ACTION_SPEC
    assert (loaded.uses_sound, loaded.executed, loaded.audio_window_s) == (policy.uses_sound, 2, 1.0)
    for seed in range(3):
        np.testing.assert_array_equal(loaded.act(observation(), seed), policy.act(observation(), seed))


@pytest.mark.parametrize(
    ("eye", "ear", "millions"), [("resnet18", "pocket", 11.2), ("vit", "pocket", 5.4), ("pocket", "ast", 85.0)]
)
def test_encoders_of_the_published_size_see_and_hear(eye: str, ear: str, millions: float) -> None:
    policy = untrained(eye=eye, ear=ear)
    large = policy.network.encoder.sound if ear == "ast" else policy.network.encoder.image
    assert sum(weights.numel() for weights in large.parameters()) / 1e6 == pytest.approx(millions, rel=0.03)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in large.modules())
    assert _sees(policy) and _hears(policy)


def _sees(policy: TrainedPolicy) -> bool:
    """Whether another picture makes it decide otherwise."""
    dark = dataclasses.replace(observation(), rgb=np.zeros((48, 48, 3), np.uint8))
    return not np.array_equal(policy.act(observation(), 1), policy.act(dark, 1))


def _hears(policy: TrainedPolicy) -> bool:
    """Whether another sound makes it decide otherwise."""
    quiet = dataclasses.replace(observation(), waveform=np.zeros(16_000, np.float32))
    return not np.array_equal(policy.act(observation(), 1), policy.act(quiet, 1))


def test_decision_follows_the_seed_and_the_limits(saved: tuple[TrainedPolicy, Path]) -> None:
    policy, _ = saved
    actions = policy.act(observation(), 1)
    assert actions.shape == (7, 3) and actions.dtype == np.float32
    assert (np.abs(actions) <= LIMIT * np.array(SCALE) * 1.0001).all()
    np.testing.assert_array_equal(actions, policy.act(observation(), 1))
    left_to_chance = not np.array_equal(actions, policy.act(observation(), 2))
    assert left_to_chance == (policy.config.family == "diffusion")


def test_only_a_policy_with_an_eye_sees(saved: tuple[TrainedPolicy, Path]) -> None:
    policy, _ = saved
    assert _sees(policy) == policy.uses_sight


def test_only_a_policy_with_an_ear_hears(saved: tuple[TrainedPolicy, Path]) -> None:
    policy, _ = saved
    assert _hears(policy) == policy.uses_sound


def test_saved_config_names_units_and_frame(saved: tuple[TrainedPolicy, Path]) -> None:
    config = json.loads((saved[1] / "config.json").read_text())
    assert config["family"] in FAMILIES
    assert config["spec"] == {
        "names": ["lip_velocity_y", "lip_velocity_z", "tilt_rate"],
        "units": ["m/s", "m/s", "rad/s"],
        "frame": "base",
        "rate_hz": 10.0,
    }


def test_observation_of_another_size_is_refused(saved: tuple[TrainedPolicy, Path]) -> None:
    policy, _ = saved
    small = dataclasses.replace(observation(), rgb=np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"image is \(32, 32, 3\)"):
        policy.act(small, 0)
    short = dataclasses.replace(observation(), waveform=np.zeros(99, np.float32))
    with pytest.raises(ValueError, match="waveform has 99 samples"):
        policy.act(short, 0)


def test_a_policy_that_sees_masks_needs_what_draws_them() -> None:
    with pytest.raises(ValueError, match="needs the segmenter"):
        TrainedPolicy(untrained(eye="segmenter").network)


def test_folder_without_policy_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="run the stage `policy` first"):
        load_policy(tmp_path)


def test_unknown_family_lists_the_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"family": "oracle"}')
    with pytest.raises(ConfigError, match=r"'oracle'; known families: diffusion, behaviour_cloning"):
        load_policy(tmp_path)


def test_weights_of_other_networks_are_refused(saved: tuple[TrainedPolicy, Path]) -> None:
    _, folder = saved
    weights = load_file(folder / WEIGHTS)
    weights.popitem()
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(ConfigError, match=r"weights.safetensors was made by a version with other networks: train"):
        load_policy(folder)


class Undecided(torch.nn.Module):
    """Turns back in one draw of three, else pours on; nothing in between."""

    def choose(self, features: torch.Tensor, noise: torch.Tensor, normaliser: Normaliser) -> torch.Tensor:
        back = noise[:, 0, 0] > 0.43
        return torch.where(back, -1.0, 1.0)[:, None, None].expand_as(noise)


def test_of_many_draws_the_likelier_kind_is_carried_out() -> None:
    for samples, kinds in ((1, {-1.0, 1.0}), (101, {1.0})):
        policy = untrained(samples=samples)
        policy.network.head = Undecided()
        assert {float(np.sign(policy.act(observation(), seed)[0, 2])) for seed in range(20)} == kinds
