"""Normalised quantities are of order one and come back."""

import json

import numpy as np
import pytest
import torch

from multigen_core.dataset.windows import Recording, Windows
from multigen_core.policy.normaliser import Affine, Normaliser


@pytest.fixture(scope="module")
def windows() -> Windows:
    rng = np.random.default_rng(0)
    recording = Recording(
        rate_hz=10.0,
        rgb=np.zeros((50, 32, 32, 3), np.uint8),
        masks=np.zeros((50, 32, 32), np.uint8),
        waveform=rng.normal(0.0, 0.1, 80_000).astype(np.float32),
        joints_rad=rng.normal(1.5, 0.2, (50, 7)).astype(np.float32),
        actions=np.concatenate([rng.normal(0.0, 0.02, (50, 2)), np.full((50, 1), 0.4)], axis=1).astype(np.float32),
        goal_fraction=0.6,
        auxiliary=(rng.normal(0.0, 1.0, (50, 3)) * (0.3, 40.0, 0.02)).astype(np.float32),
    )
    return Windows([recording], chunk=8, audio_window_s=0.5)


@pytest.fixture(scope="module")
def normaliser(windows: Windows) -> Normaliser:
    return Normaliser.fit(windows)


def test_round_trip(normaliser: Normaliser, windows: Windows) -> None:
    for scale, values in (
        (normaliser.actions, windows.actions),
        (normaliser.joints, windows.joints_rad),
        (normaliser.joint_speeds, windows.joint_speeds_rad_s),
        (normaliser.goal, windows.goal_fraction),
        (normaliser.auxiliary, windows.auxiliary),
    ):
        torch.testing.assert_close(scale.restore(scale.normalise(values)), values)


def test_order_one(normaliser: Normaliser, windows: Windows) -> None:
    joints = normaliser.joints.normalise(windows.joints_rad)
    torch.testing.assert_close(joints.mean(dim=0), torch.zeros(7), atol=1e-4, rtol=0)
    torch.testing.assert_close(joints.std(dim=0, correction=0), torch.ones(7))
    actions = normaliser.actions.normalise(windows.actions)
    torch.testing.assert_close(actions.square().mean(dim=0), torch.ones(3))


def test_holding_still_is_zero_on_both_sides(normaliser: Normaliser) -> None:
    assert not normaliser.actions.normalise(torch.zeros(1, 3)).any()
    assert not normaliser.clamp_actions(torch.zeros(1, 3)).any()


def test_clamp_keeps_the_expert_and_nothing_beyond(normaliser: Normaliser, windows: Windows) -> None:
    actions = normaliser.actions.normalise(windows.actions)
    torch.testing.assert_close(normaliser.clamp_actions(actions), actions)
    beyond = normaliser.clamp_actions(torch.full((1, 3), 50.0))
    torch.testing.assert_close(beyond[0], actions.amax(dim=0))


def test_quantity_that_never_moved_stays_finite(normaliser: Normaliser) -> None:
    assert torch.isfinite(normaliser.goal.normalise(torch.tensor([[0.3]]))).all()
    assert Affine.standard(torch.full((4, 1), 0.6)).scale[0] > 0.0


def test_json_round_trip(normaliser: Normaliser) -> None:
    assert Normaliser.from_json(json.loads(json.dumps(normaliser.to_json()))) == normaliser
