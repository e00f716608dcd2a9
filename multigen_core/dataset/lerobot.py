"""Shards of episodes as LeRobotDataset v3.0 folders, with sound.

    meta/info.json  meta/stats.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
    data/chunk-000/file-000.parquet                      one row group per episode, one row per control step
    videos/{key}/chunk-000/file-000.mp4                  all episodes end to end; masks are lossless
    audio/observation.audio.mic/chunk-000/episode-000.flac     the whole sound of an episode, for listening too

What LeRobot has no place for (containers, liquid, scene, seed) stands as JSON in the column ``pour`` of
``meta/episodes``. Row ``t`` of ``observation.audio.mic`` is what was heard in the step *before* action ``t`` was
chosen, so a policy that reads it never hears the future; row 0 is silence, and the sound after the last decision
is in the FLAC file only. Sound is kept with 16 bit, as a microphone delivers it.

The same episodes give the same bytes.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, UInt8

from multigen_core.containers import Container
from multigen_core.dataset.features import (
    AMODAL,
    BOOKKEEPING,
    FRONT,
    MIC,
    PLAIN,
    VIDEOS,
    describe_column,
    describe_video,
    episode_columns,
    samples_per_step,
)
from multigen_core.dataset.frames import read_frames
from multigen_core.dataset.statistics import image_statistics, statistics_of
from multigen_core.errors import MissingInput
from multigen_core.media import MASK_GAIN, read_flac, write_flac, write_masks, write_video
from multigen_core.records import Episode, Liquid, Soundtrack
from multigen_core.storage import write_json

__all__ = ["Shard", "redub", "write_shard"]

_INFO = Path("meta/info.json")
_STATS = Path("meta/stats.json")
_TASKS = Path("meta/tasks.parquet")
_EPISODES = Path("meta/episodes/chunk-000/file-000.parquet")
_DATA = Path("data/chunk-000/file-000.parquet")
_DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

Table = dict[str, list[Any]]


def _video_file(key: str) -> Path:
    return Path(_VIDEO_PATH.format(video_key=key, chunk_index=0, file_index=0))


def _sound_file(episode: int) -> Path:
    return Path(f"audio/{MIC}/chunk-000/episode-{episode:03d}.flac")


def write_shard(folder: Path, episodes: Sequence[Episode], soundtracks: Sequence[Soundtrack] | None = None) -> None:
    """Writes the episodes, and their sound when given, into ``folder``.

    Raises ValueError when there is no episode, when rates or image sizes differ or sides are odd, or when a
    soundtrack is not of its episode's id and length.
    """
    rate_hz, (height_px, width_px) = _common_format(episodes)
    for place in (_INFO, _EPISODES, _DATA):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
    tasks = list(dict.fromkeys(_task(episode) for episode in episodes))
    columns = [episode_columns(episode) for episode in episodes]

    features = {key: describe_video(key, height_px=height_px, width_px=width_px, fps=rate_hz) for key in VIDEOS}
    features |= {key: describe_column(key, values.shape[1:]) for key, values in columns[0].items()}
    features |= {key: describe_column(key, (), dtype) for key, dtype in BOOKKEEPING.items()}
    frames = sum(episode.steps for episode in episodes)
    info = {
        "codebase_version": "v3.0",
        "robot_type": "kinova_gen3",
        "fps": rate_hz,
        "features": features,
        "total_episodes": len(episodes),
        "total_frames": frames,
        "total_tasks": len(tasks),
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": _DATA_PATH,
        "video_path": _VIDEO_PATH,
        "splits": {"train": f"0:{len(episodes)}"},
    }
    write_json(folder / _INFO, info)
    pd.DataFrame({"task_index": range(len(tasks))}, index=pd.Index(tasks, name="task")).to_parquet(folder / _TASKS)
    _write_videos(folder, episodes, rate_hz)
    _write_data(folder / _DATA, episodes, columns, tasks, rate_hz)
    _write_episode_rows(folder / _EPISODES, episodes, columns, rate_hz)
    stats = {key: statistics_of(np.concatenate([part[key] for part in columns])) for key in columns[0]}
    stats |= {key: image_statistics(np.concatenate([_pixels(episode)[key] for episode in episodes])) for key in VIDEOS}
    write_json(folder / _STATS, stats)
    if soundtracks is not None:
        _add_sound(folder, soundtracks)


def redub(source: Path, out: Path, soundtracks: Sequence[Soundtrack]) -> None:
    """Copies a silent shard into ``out`` and adds one soundtrack per episode; video is not encoded again.

    Raises ValueError when the source has sound already or a soundtrack does not fit its episode.
    """
    Shard(source)
    for part in ("meta", "data", "videos"):
        shutil.copytree(source / part, out / part)
    _add_sound(out, soundtracks)


class Shard:
    """Reads a folder that :func:`write_shard` or :func:`redub` wrote; ``len`` is its number of episodes.

    Raises MissingInput when the folder holds no shard.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / _INFO).is_file():
            raise MissingInput(f"{folder} holds no episodes ({_INFO} is missing): run the stage that writes it first")
        self.folder = folder
        self._info = json.loads((folder / _INFO).read_text())
        self._rows = pq.read_table(folder / _EPISODES, columns=["pour", "length", "dataset_from_index"]).to_pylist()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rate_hz(self) -> float:
        return float(self._info["fps"])

    @property
    def has_sound(self) -> bool:
        return MIC in self._info["features"]

    @cached_property
    def _data(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.folder / _DATA)

    def steps(self, episode: int) -> int:
        """Control steps of an episode."""
        return int(self._rows[episode]["length"])

    def columns(self, episode: int) -> dict[str, Float32[np.ndarray, "T *dims"]]:
        """The curves of an episode by column name, without decoding video or sound."""
        keys = [key for key, feature in self._info["features"].items() if _is_curve(key, feature)]
        table = self._data.read_row_group(episode, columns=keys)
        return {key: _array(table[key], tuple(self._info["features"][key]["shape"])) for key in keys}

    def pixels(self, episode: int, key: str) -> UInt8[np.ndarray, "T H W *channels"]:
        """One video of an episode: RGB for ``features.FRONT``, palette indices for ``PLAIN`` and ``AMODAL``."""
        first, count = self._rows[episode]["dataset_from_index"], self.steps(episode)
        path = self.folder / _video_file(key)
        frames = read_frames(path, first=first, count=count, fps=self.rate_hz, pixels=VIDEOS[key])
        return frames // np.uint8(MASK_GAIN) if VIDEOS[key] == "luma" else frames

    def episode_id(self, episode: int) -> str:
        """The name of an episode."""
        return str(self._pour(episode)["episode_id"])

    def receiver(self, episode: int) -> Container:
        """The cup of an episode."""
        return Container.from_json(self._pour(episode)["receiver"])

    def episode(self, episode: int) -> Episode:
        """The whole episode; RGB has been through H.264, everything else is as it was written."""
        pour, columns = self._pour(episode), self.columns(episode)
        return Episode(
            episode_id=pour["episode_id"],
            seed=pour["seed"],
            rate_hz=self.rate_hz,
            rgb=self.pixels(episode, FRONT),
            masks_plain=self.pixels(episode, PLAIN),
            masks_amodal=self.pixels(episode, AMODAL),
            joints_rad=columns["observation.state"],
            actions=columns["action"],
            tilt_rad=columns["tilt_rad"],
            poured_ml=columns["poured_ml"],
            spilled_ml=columns["spilled_ml"],
            flow_ml_s=columns["flow_ml_s"],
            level_m=columns["level_m"],
            fall_height_m=columns["fall_height_m"],
            goal_fraction=pour["goal_fraction"],
            receiver=Container.from_json(pour["receiver"]),
            pitcher=Container.from_json(pour["pitcher"]),
            liquid=Liquid(**{**pour["liquid"], "color": tuple(pour["liquid"]["color"])}),
            scene=pour["scene"],
        )

    def soundtrack(self, episode: int) -> Soundtrack:
        """The sound of an episode. Raises MissingInput when the shard is silent."""
        if not self.has_sound:
            raise MissingInput(f"{self.folder} is silent: read a shard of `audiovisual` or `noise_augmented` instead")
        origins = pq.read_table(self.folder / _EPISODES, columns=["sound_origin"])["sound_origin"].to_pylist()
        return Soundtrack(
            episode_id=self.episode_id(episode),
            waveform=read_flac(self.folder / _sound_file(episode)),
            origin=origins[episode],
        )

    def _pour(self, episode: int) -> dict[str, Any]:
        return json.loads(self._rows[episode]["pour"])


def _is_curve(key: str, feature: dict[str, Any]) -> bool:
    return feature["dtype"] == "float32" and key not in {*BOOKKEEPING, MIC}


def _common_format(episodes: Sequence[Episode]) -> tuple[int, tuple[int, int]]:
    """Rate [Hz] and image size (height, width) shared by all episodes."""
    if not episodes:
        raise ValueError("a shard needs at least one episode")
    formats = {(episode.rate_hz, episode.rgb.shape[1:3]) for episode in episodes}
    if len(formats) > 1:
        raise ValueError(f"episodes of a shard must share rate and image size, these differ: {sorted(formats)}")
    ((rate_hz, (height_px, width_px)),) = formats
    if height_px % 2 or width_px % 2:
        raise ValueError(f"images are {width_px} x {height_px}: H.264 needs even sides")
    samples_per_step(rate_hz)
    return int(rate_hz), (height_px, width_px)


def _task(episode: Episode) -> str:
    return f"Pour until the cup is {100 * episode.goal_fraction:.0f} % full."


def _pixels(episode: Episode) -> dict[str, UInt8[np.ndarray, "T H W *channels"]]:
    """What each video shows."""
    gain = np.uint8(MASK_GAIN)
    return {FRONT: episode.rgb, PLAIN: episode.masks_plain * gain, AMODAL: episode.masks_amodal * gain}


def _write_videos(folder: Path, episodes: Sequence[Episode], fps: int) -> None:
    for key in VIDEOS:
        (folder / _video_file(key)).parent.mkdir(parents=True)
    write_video(folder / _video_file(FRONT), chain.from_iterable(episode.rgb for episode in episodes), fps=fps)
    write_masks(folder / _video_file(PLAIN), np.concatenate([e.masks_plain for e in episodes]), fps=fps)
    write_masks(folder / _video_file(AMODAL), np.concatenate([e.masks_amodal for e in episodes]), fps=fps)


def _column(values: Float32[np.ndarray, "T *dims"]) -> pa.Array:
    """A scalar column, or one of fixed-size lists."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _array(column: pa.ChunkedArray, shape: tuple[int, ...]) -> Float32[np.ndarray, "T *dims"]:
    """The inverse of :func:`_column`; ``shape`` as in ``info.json``, where [1] is a scalar."""
    whole = column.combine_chunks()
    if not pa.types.is_fixed_size_list(whole.type):
        return whole.to_numpy(zero_copy_only=False)
    return whole.flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape)


def _write_row_groups(path: Path, tables: Sequence[pa.Table]) -> None:
    with pq.ParquetWriter(path, tables[0].schema, compression="snappy") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=len(table))


def _write_data(
    path: Path,
    episodes: Sequence[Episode],
    columns: Sequence[dict[str, Float32[np.ndarray, "T *dims"]]],
    tasks: Sequence[str],
    fps: int,
) -> None:
    tables, first = [], 0
    for k, (episode, curves) in enumerate(zip(episodes, columns, strict=True)):
        steps = np.arange(episode.steps, dtype=np.int64)
        counters = {
            "timestamp": (steps / fps).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full_like(steps, k),
            "index": first + steps,
            "task_index": np.full_like(steps, tasks.index(_task(episode))),
        }
        tables.append(pa.table({key: _column(values) for key, values in curves.items()} | counters))
        first += episode.steps
    _write_row_groups(path, tables)


def _write_episode_rows(
    path: Path,
    episodes: Sequence[Episode],
    columns: Sequence[dict[str, Float32[np.ndarray, "T *dims"]]],
    fps: int,
) -> None:
    rows, first = [], 0
    for k, (episode, curves) in enumerate(zip(episodes, columns, strict=True)):
        last = first + episode.steps
        row: dict[str, Any] = {
            "episode_index": k,
            "tasks": [_task(episode)],
            "length": episode.steps,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": first,
            "dataset_to_index": last,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for key in VIDEOS:
            row |= {f"videos/{key}/chunk_index": 0, f"videos/{key}/file_index": 0}
            row |= {f"videos/{key}/from_timestamp": first / fps, f"videos/{key}/to_timestamp": last / fps}
        for key, values in curves.items():
            row |= {f"stats/{key}/{name}": figure for name, figure in statistics_of(values).items()}
        for key, pixels in _pixels(episode).items():
            row |= {f"stats/{key}/{name}": figure for name, figure in image_statistics(pixels).items()}
        rows.append(row | {"pour": _pour_json(episode)})
        first = last
    pq.write_table(pa.Table.from_pylist(rows), path, compression="snappy")


def _pour_json(episode: Episode) -> str:
    values = {
        "episode_id": episode.episode_id,
        "seed": episode.seed,
        "goal_fraction": episode.goal_fraction,
        "receiver": episode.receiver.to_json(),
        "pitcher": episode.pitcher.to_json(),
        "liquid": asdict(episode.liquid),
        "scene": dict(episode.scene),
    }
    return json.dumps(values, sort_keys=True, allow_nan=False)


def _add_sound(folder: Path, soundtracks: Sequence[Soundtrack]) -> None:
    """Turns the silent shard in ``folder`` into one with sound."""
    shard = Shard(folder)
    hop = samples_per_step(shard.rate_hz)
    _check_fit(shard, soundtracks, hop)
    (folder / _sound_file(0)).parent.mkdir(parents=True)
    tables, heard = [], []
    for k, soundtrack in enumerate(soundtracks):
        write_flac(folder / _sound_file(k), soundtrack.waveform)
        waveform = read_flac(folder / _sound_file(k))
        before = np.concatenate([np.zeros(hop, np.float32), waveform[:-hop]]).reshape(-1, hop)  # (T, hop)
        tables.append(shard._data.read_row_group(k).append_column(MIC, _column(before)))
        heard.append(statistics_of(waveform))
    _write_row_groups(folder / _DATA, tables)

    rows = pq.read_table(folder / _EPISODES)
    rows = rows.append_column("sound_origin", pa.array([track.origin for track in soundtracks]))
    for name in heard[0]:
        rows = rows.append_column(f"stats/{MIC}/{name}", pa.array([figures[name] for figures in heard]))
    pq.write_table(rows, folder / _EPISODES, compression="snappy")
    whole = np.concatenate([read_flac(folder / _sound_file(k)) for k in range(len(soundtracks))])
    stats = json.loads((folder / _STATS).read_text())
    write_json(folder / _STATS, stats | {MIC: statistics_of(whole)})
    info = json.loads((folder / _INFO).read_text())
    info["features"][MIC] = describe_column(MIC, (hop,))
    write_json(folder / _INFO, info)


def _check_fit(shard: Shard, soundtracks: Sequence[Soundtrack], hop: int) -> None:
    if shard.has_sound:
        raise ValueError(f"{shard.folder} has sound already: dub the silent shard")
    if len(soundtracks) != len(shard):
        raise ValueError(f"{len(soundtracks)} soundtracks for {len(shard)} episodes")
    for k, soundtrack in enumerate(soundtracks):
        wanted = (shard._pour(k)["episode_id"], shard.steps(k) * hop)
        if (soundtrack.episode_id, len(soundtrack.waveform)) != wanted:
            raise ValueError(
                f"soundtrack {k} is of {soundtrack.episode_id!r} with {len(soundtrack.waveform)} samples; "
                f"its episode is {wanted[0]!r} and needs {wanted[1]}"
            )
