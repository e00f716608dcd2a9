"""Training windows: what a policy would have known at a step, and what the expert did from there on.

Camera and microphone of a real set-up lag by a few hundred milliseconds. Each sample draws a lag of its own for
both, so the policy learns to act on what is a little old.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from multigen_core.dataset.features import FRONT
from multigen_core.dataset.lerobot import Shard
from multigen_core.dataset.sound_window import EDGE_FRAMES, kept_frames, long_log_mel
from multigen_core.errors import MissingInput
from multigen_core.spectrogram import FRAME_RATE_HZ

__all__ = ["AUXILIARY", "LATENCY_S", "Recording", "WindowBatch", "Windows", "read_recordings", "split_episodes"]

LATENCY_S = (0.0, 0.4)
"""Range of the lag [s] of camera and of microphone, drawn uniformly and independently for every sample."""

AUXILIARY = ("fill_fraction", "flow_ml_s", "air_column_m")
"""What the auxiliary head of a policy learns to tell, at the moment of the decision."""


class WindowBatch(NamedTuple):
    """Samples of a batch; a named tuple, since Lightning moves those between devices."""

    rgb: UInt8[Tensor, "B H W 3"]
    masks: UInt8[Tensor, "B H W"]
    """What a segmenter drew on the image, as palette indices; of no size for an eye that is shown none."""
    log_mel: Float32[Tensor, "B mels frames"]
    joints_rad: Float32[Tensor, "B 7"]
    joint_speeds_rad_s: Float32[Tensor, "B 7"]
    """Mean over the control step before; zeros at the first one."""
    goal_fraction: Float32[Tensor, "B 1"]
    actions: Float32[Tensor, "B chunk 3"]
    """Beyond the end of the episode its last one, as LeRobot pads."""
    auxiliary: Float32[Tensor, "B 3"]
    """In the order and units of ``AUXILIARY``."""


@dataclass(frozen=True)
class Recording:
    """What training needs of one episode."""

    rate_hz: float
    rgb: UInt8[np.ndarray, "T H W 3"]
    masks: UInt8[np.ndarray, "T H W"]
    """What a segmenter drew, as palette indices; (T, 0, 0) where none did."""
    waveform: Float32[np.ndarray, " S"]
    joints_rad: Float32[np.ndarray, "T 7"]
    actions: Float32[np.ndarray, "T 3"]
    goal_fraction: float
    auxiliary: Float32[np.ndarray, "T 3"]
    """In the order and units of ``AUXILIARY``."""


def read_recordings(folders: Sequence[Path]) -> list[Recording]:
    """Every episode of the shards, in order, without masks. Raises MissingInput when a shard is silent."""
    recordings = []
    for folder in folders:
        shard = Shard(folder)
        if not shard.has_sound:
            raise MissingInput(f"{folder} is silent: run `audiovisual` or `noise_augmented` and train on its shards")
        for k in range(len(shard)):
            columns, receiver = shard.columns(k), shard.receiver(k)
            fill = columns["poured_ml"] / receiver.capacity_ml
            air_m = receiver.height_m - columns["level_m"]
            rgb = shard.pixels(k, FRONT)
            recordings.append(
                Recording(
                    rate_hz=shard.rate_hz,
                    rgb=rgb,
                    masks=np.empty((len(rgb), 0, 0), np.uint8),
                    waveform=shard.soundtrack(k).waveform,
                    joints_rad=columns["observation.state"],
                    actions=columns["action"],
                    goal_fraction=float(columns["goal_fraction"][0]),
                    auxiliary=np.stack([fill, columns["flow_ml_s"], air_m], axis=1).astype(np.float32),
                )
            )
    return recordings


def split_episodes(
    count: int, *, validation_fraction: float, seed: int
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " validation"]]:
    """Episode numbers for training and for validation, at least one each.

    Raises ValueError when there are fewer than two episodes.
    """
    if count < 2:
        raise ValueError(f"{count} episode cannot be split: training and validation need one each")
    order = np.random.default_rng(seed).permutation(count)
    held_out = min(max(1, round(validation_fraction * count)), count - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


class Windows:
    """Recordings in memory, ready to be cut into windows: images as bytes, sound as one log-mel per episode.

    ``len`` is the number of steps, over all recordings, at which a window can end.
    """

    def __init__(self, recordings: Sequence[Recording], *, chunk: int, audio_window_s: float) -> None:
        self.rate_hz = recordings[0].rate_hz
        self._chunk = chunk
        self._kept = kept_frames(audio_window_s)
        # Windows may end before the episode begins: that much silence stands before each recording.
        self._silence = self._kept + 2 * EDGE_FRAMES + math.ceil(LATENCY_S[1] * FRAME_RATE_HZ)
        mels = [long_log_mel(recording.waveform, silence=self._silence) for recording in recordings]

        lengths = np.array([len(recording.actions) for recording in recordings])
        last = np.cumsum(lengths)
        self._first = np.repeat(last - lengths, lengths)  # (N,) first step of the step's episode
        self._last = np.repeat(last - 1, lengths)  # (N,) its last step
        self._first_mel = np.repeat(np.cumsum([0, *map(len, mels[:-1])]), lengths)  # (N,) its first log-mel frame

        self.rgb = torch.from_numpy(np.concatenate([recording.rgb for recording in recordings]))
        self.masks = torch.from_numpy(np.concatenate([recording.masks for recording in recordings]))
        self.log_mel = torch.from_numpy(np.concatenate(mels))  # (frames, mels)
        self.joints_rad = torch.from_numpy(np.concatenate([recording.joints_rad for recording in recordings]))
        speeds = [
            np.diff(recording.joints_rad, axis=0, prepend=recording.joints_rad[:1]) * np.float32(recording.rate_hz)
            for recording in recordings
        ]
        self.joint_speeds_rad_s = torch.from_numpy(np.concatenate(speeds))
        self.actions = torch.from_numpy(np.concatenate([recording.actions for recording in recordings]))
        self.auxiliary = torch.from_numpy(np.concatenate([recording.auxiliary for recording in recordings]))
        goals = np.repeat([recording.goal_fraction for recording in recordings], lengths)
        self.goal_fraction = torch.from_numpy(goals.astype(np.float32)[:, None])

    def __len__(self) -> int:
        return len(self._first)

    def batch(
        self,
        steps: Int64[np.ndarray, " B"],
        *,
        camera_lag_s: Float64[np.ndarray, " B"],
        microphone_lag_s: Float64[np.ndarray, " B"],
    ) -> WindowBatch:
        """The windows that end at the given steps.

        The image is the newest one that is at least the lag old; the sound ends on the last hop (16 ms) before. A chunk
        that reaches past the end of its episode repeats the last action.
        """
        step = steps - self._first[steps]
        shown = np.maximum(np.floor(step - camera_lag_s * self.rate_hz).astype(int), 0)
        heard = np.floor((step / self.rate_hz - microphone_lag_s) * FRAME_RATE_HZ).astype(int)
        newest = self._first_mel[steps] + self._silence + heard - EDGE_FRAMES
        frames = newest[:, None] + np.arange(-self._kept, 0)  # (B, frames)
        image = self._first[steps] + shown
        ahead = np.minimum(steps[:, None] + np.arange(self._chunk), self._last[steps][:, None])  # (B, chunk)
        return WindowBatch(
            rgb=self.rgb[image],
            masks=self.masks[image],
            log_mel=self.log_mel[frames].transpose(1, 2),
            joints_rad=self.joints_rad[steps],
            joint_speeds_rad_s=self.joint_speeds_rad_s[steps],
            goal_fraction=self.goal_fraction[steps],
            actions=self.actions[ahead],
            auxiliary=self.auxiliary[steps],
        )

    def random_batch(self, size: int, rng: np.random.Generator) -> WindowBatch:
        """Windows that end at random steps, each with lags of its own."""
        steps, camera_lag_s, microphone_lag_s = self._drawn(size, rng)
        return self.batch(steps, camera_lag_s=camera_lag_s, microphone_lag_s=microphone_lag_s)

    def skip_batch(self, size: int, rng: np.random.Generator) -> None:
        """Leaves ``rng`` as :meth:`random_batch` would."""
        self._drawn(size, rng)

    def _drawn(
        self, size: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, " B"], Float64[np.ndarray, " B"], Float64[np.ndarray, " B"]]:
        """Steps, and the lags [s] of camera and of microphone."""
        camera_lag_s, microphone_lag_s = rng.uniform(*LATENCY_S, (2, size))
        return rng.integers(len(self), size=size), camera_lag_s, microphone_lag_s
