"""A window is what was known at its step, and what the expert did from there on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from multigen_core.dataset.lerobot import Shard, write_shard
from multigen_core.dataset.sound_window import window_log_mel, window_samples
from multigen_core.dataset.windows import (
    LATENCY_S,
    Recording,
    WindowBatch,
    Windows,
    read_recordings,
    split_episodes,
)
from multigen_core.errors import MissingInput
from multigen_core.spectrogram import HOP
from tests.pours import made_up_episode, made_up_soundtrack

CHUNK = 6
WINDOW_S = 0.64
STEPS = (20, 26, 31)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    episodes = [made_up_episode(k, steps=steps) for k, steps in enumerate(STEPS)]
    folder = tmp_path_factory.mktemp("shard")
    write_shard(folder, episodes, [made_up_soundtrack(episode) for episode in episodes])
    return folder


@pytest.fixture(scope="module")
def recordings(folder: Path) -> list[Recording]:
    return read_recordings([folder])


@pytest.fixture(scope="module")
def windows(recordings: list[Recording]) -> Windows:
    return Windows(recordings, chunk=CHUNK, audio_window_s=WINDOW_S)


def at(windows: Windows, episode: int, step: int, *, camera_s: float = 0.0, microphone_s: float = 0.0) -> WindowBatch:
    place = np.array([sum(STEPS[:episode]) + step])
    return windows.batch(place, camera_lag_s=np.array([camera_s]), microphone_lag_s=np.array([microphone_s]))


def test_recordings_hold_the_pour(folder: Path, recordings: list[Recording]) -> None:
    for k, recording in enumerate(recordings):
        episode = Shard(folder).episode(k)
        truth = np.stack([episode.fill_fraction, episode.flow_ml_s, episode.air_column_m], axis=1)
        np.testing.assert_allclose(recording.auxiliary, truth, atol=1e-6)
        np.testing.assert_array_equal(recording.rgb, episode.rgb)
        assert recording.masks.shape == (len(episode.rgb), 0, 0)
        assert recording.goal_fraction == pytest.approx(episode.goal_fraction)


@pytest.mark.parametrize(("episode", "step"), [(0, 0), (0, 19), (1, 0), (1, 13), (2, 30)])
def test_window_belongs_to_its_own_episode(
    windows: Windows, recordings: list[Recording], episode: int, step: int
) -> None:
    batch, recording = at(windows, episode, step), recordings[episode]
    np.testing.assert_array_equal(batch.rgb[0], recording.rgb[step])
    np.testing.assert_array_equal(batch.joints_rad[0], recording.joints_rad[step])
    before = recording.joints_rad[max(step - 1, 0)]
    np.testing.assert_allclose(batch.joint_speeds_rad_s[0], 10.0 * (recording.joints_rad[step] - before), atol=1e-5)
    np.testing.assert_array_equal(batch.auxiliary[0], recording.auxiliary[step])
    ahead = recording.actions[step : step + CHUNK]
    np.testing.assert_array_equal(batch.actions[0, : len(ahead)], ahead)
    assert (batch.actions[0, len(ahead) :].numpy() == recording.actions[-1]).all()


@pytest.mark.parametrize("lag_s", [0.0, 0.13, 0.4])
@pytest.mark.parametrize("step", [0, 3, 25])
def test_sound_ends_a_lag_before_the_step(
    windows: Windows, recordings: list[Recording], step: int, lag_s: float
) -> None:
    end = int(np.floor((step * 1600 - lag_s * 16_000) / HOP)) * HOP
    silence = np.zeros(window_samples(WINDOW_S) + 8 * 1600, np.float32)
    heard = np.concatenate([silence, recordings[1].waveform])[: len(silence) + end][-window_samples(WINDOW_S) :]
    expected = window_log_mel(torch.from_numpy(heard))
    np.testing.assert_allclose(at(windows, 1, step, microphone_s=lag_s).log_mel[0], expected, atol=1e-4)


@pytest.mark.parametrize(("lag_s", "older"), [(0.0, 0), (0.05, 1), (0.17, 2), (0.4, 4)])
def test_image_is_the_newest_that_is_old_enough(
    windows: Windows, recordings: list[Recording], lag_s: float, older: int
) -> None:
    np.testing.assert_array_equal(at(windows, 2, 9, camera_s=lag_s).rgb[0], recordings[2].rgb[9 - older])
    np.testing.assert_array_equal(at(windows, 2, 0, camera_s=lag_s).rgb[0], recordings[2].rgb[0])


def test_random_batches_follow_the_seed(windows: Windows) -> None:
    first, again, other = (windows.random_batch(8, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.joints_rad, other.joints_rad)
    assert LATENCY_S[0] >= 0.0


def test_split_is_by_episode_and_loses_none() -> None:
    train, validation = split_episodes(20, validation_fraction=0.1, seed=1)
    assert sorted([*train, *validation]) == list(range(20))
    assert len(validation) == 2
    assert [len(part) for part in split_episodes(2, validation_fraction=0.01, seed=1)] == [1, 1]
    with pytest.raises(ValueError, match="1 episode"):
        split_episodes(1, validation_fraction=0.5, seed=1)


def test_silent_shard_names_the_stage(tmp_path: Path) -> None:
    write_shard(tmp_path, [made_up_episode(0)])
    with pytest.raises(MissingInput, match="audiovisual"):
        read_recordings([tmp_path])
