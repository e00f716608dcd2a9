"""Shards come back as they were written, in the layout that LeRobot v3 loads."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from multigen_core.dataset.features import AMODAL, FRONT, MIC, PLAIN
from multigen_core.dataset.lerobot import Shard, redub, write_shard
from multigen_core.errors import MissingInput
from multigen_core.records import Episode, Soundtrack
from multigen_core.storage import file_sha256
from tests.pours import made_up_episode, made_up_soundtrack

HOP = 1600
LOSSY = {"rgb"}


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    """Lengths that are no multiples of the key-frame distance, so that every seek lands between key frames."""
    goals = (0.3, 0.55, 0.55, 0.8)
    return [made_up_episode(k, steps=17 + 6 * k, goal_fraction=goal) for k, goal in enumerate(goals)]


@pytest.fixture(scope="module")
def soundtracks(episodes: list[Episode]) -> list[Soundtrack]:
    return [made_up_soundtrack(episode) for episode in episodes]


@pytest.fixture(scope="module")
def silent(episodes: list[Episode], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("silent")
    write_shard(folder, episodes)
    return folder


@pytest.fixture(scope="module")
def sounding(silent: Path, soundtracks: list[Soundtrack], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounding")
    redub(silent, folder, soundtracks)
    return folder


def files_of(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_field_of_every_episode_comes_back(silent: Path, episodes: list[Episode]) -> None:
    shard = Shard(silent)
    assert len(shard) == len(episodes)
    for k in (2, 0, 3, 1):
        read = shard.episode(k)
        for field in dataclasses.fields(Episode):
            before, after = getattr(episodes[k], field.name), getattr(read, field.name)
            if field.name in LOSSY:
                continue
            if isinstance(before, np.ndarray):
                assert after.dtype == before.dtype
                np.testing.assert_array_equal(after, before, err_msg=field.name)
            else:
                assert after == before, field.name


def test_colour_comes_back_nearly(silent: Path, episodes: list[Episode]) -> None:
    for k, episode in enumerate(episodes):
        rgb = Shard(silent).pixels(k, FRONT)
        assert rgb.shape == episode.rgb.shape
        assert np.abs(rgb.astype(int) - episode.rgb).mean() < 6.0


def test_sound_comes_back_with_16_bit(sounding: Path, soundtracks: list[Soundtrack]) -> None:
    shard = Shard(sounding)
    for k, soundtrack in enumerate(soundtracks):
        read = shard.soundtrack(k)
        assert (read.episode_id, read.origin) == (soundtrack.episode_id, soundtrack.origin)
        np.testing.assert_allclose(read.waveform, soundtrack.waveform, atol=2.0 / 2**15)


def test_microphone_rows_hold_only_what_was_heard_before_the_decision(sounding: Path) -> None:
    table = pq.ParquetFile(sounding / "data/chunk-000/file-000.parquet").read_row_group(1)
    rows = np.array(table[MIC].to_pylist(), dtype=np.float32)
    waveform = Shard(sounding).soundtrack(1).waveform
    assert not rows[0].any()
    np.testing.assert_array_equal(rows[1:].reshape(-1), waveform[:-HOP])


def test_dubbing_leaves_video_and_curves_alone(silent: Path, sounding: Path) -> None:
    before, after = files_of(silent), files_of(sounding)
    for name in before:
        assert name.startswith(("meta/", "data/")) or after[name] == before[name]
    for k in range(len(Shard(silent))):
        for key, values in Shard(silent).columns(k).items():
            np.testing.assert_array_equal(Shard(sounding).columns(k)[key], values)


def test_same_episodes_give_same_bytes_however_the_sound_came_in(
    sounding: Path, episodes: list[Episode], soundtracks: list[Soundtrack], tmp_path: Path
) -> None:
    write_shard(tmp_path, episodes, soundtracks)
    assert files_of(tmp_path) == files_of(sounding)


def test_layout_is_that_of_lerobot_v3(sounding: Path, episodes: list[Episode]) -> None:
    info = json.loads((sounding / "meta/info.json").read_text())
    total = sum(episode.steps for episode in episodes)
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 10, total)
    assert info["features"][MIC] == {"dtype": "float32", "shape": [HOP], "names": None}
    for key in (FRONT, PLAIN, AMODAL):
        assert (sounding / info["video_path"].format(video_key=key, chunk_index=0, file_index=0)).is_file()
    data = pq.ParquetFile(sounding / info["data_path"].format(chunk_index=0, file_index=0))
    assert data.num_row_groups == len(episodes)
    stored = {key for key, feature in info["features"].items() if feature["dtype"] != "video"}
    assert set(data.schema_arrow.names) == stored
    table = data.read()
    np.testing.assert_array_equal(table["index"], np.arange(total))
    np.testing.assert_allclose(table["timestamp"], np.array(table["frame_index"]) / 10.0, atol=1e-6)
    tasks = pd.read_parquet(sounding / "meta/tasks.parquet")
    assert list(tasks.index) == [f"Pour until the cup is {p} % full." for p in (30, 55, 80)]
    rows = pq.read_table(sounding / "meta/episodes/chunk-000/file-000.parquet").to_pandas()
    np.testing.assert_array_equal(rows["dataset_to_index"] - rows["dataset_from_index"], rows["length"])
    np.testing.assert_allclose(rows[f"videos/{PLAIN}/from_timestamp"], rows["dataset_from_index"] / 10.0)
    stats = json.loads((sounding / "meta/stats.json").read_text())
    assert set(stats) == set(info["features"]) - {"timestamp", "frame_index", "episode_index", "index", "task_index"}
    assert np.shape(stats[FRONT]["mean"]) == (3, 1, 1)
    assert np.shape(stats["observation.state"]["q99"]) == (7,)


def test_silent_shard_has_no_soundtrack(silent: Path) -> None:
    assert not Shard(silent).has_sound
    with pytest.raises(MissingInput, match="silent"):
        Shard(silent).soundtrack(0)


def test_folder_without_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=str(tmp_path)):
        Shard(tmp_path)


def test_sound_of_another_episode_is_refused(
    silent: Path, sounding: Path, soundtracks: list[Soundtrack], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="soundtrack 0 is of 'pour-0001'"):
        redub(silent, tmp_path / "swapped", [soundtracks[1], soundtracks[0], *soundtracks[2:]])
    with pytest.raises(ValueError, match="3 soundtracks for 4 episodes"):
        redub(silent, tmp_path / "short", soundtracks[:3])
    with pytest.raises(ValueError, match="has sound already"):
        redub(sounding, tmp_path / "twice", soundtracks)


def test_episodes_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_shard(tmp_path, [])
    with pytest.raises(ValueError, match="share rate and image size"):
        write_shard(tmp_path, [made_up_episode(0), made_up_episode(1, size_px=64)])
    with pytest.raises(ValueError, match="even sides"):
        write_shard(tmp_path, [made_up_episode(0, size_px=33)])
    with pytest.raises(ValueError, match="must divide 16000"):
        write_shard(tmp_path, [dataclasses.replace(made_up_episode(0), rate_hz=12.5)])
