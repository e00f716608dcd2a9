"""What a shard stores per control step, and how ``meta/info.json`` describes it (LeRobot v3)."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from multigen_core.media import MASK_GAIN
from multigen_core.records import ACTION_SPEC, SAMPLE_RATE_HZ, Episode

__all__ = [
    "AMODAL",
    "BOOKKEEPING",
    "FRONT",
    "MIC",
    "PLAIN",
    "VIDEOS",
    "describe_column",
    "describe_video",
    "episode_columns",
    "samples_per_step",
]

FRONT = "observation.images.front"
PLAIN = "observation.masks.plain"
AMODAL = "observation.masks.amodal"
MIC = "observation.audio.mic"

VIDEOS: dict[str, Literal["rgb", "luma"]] = {FRONT: "rgb", PLAIN: "luma", AMODAL: "luma"}
"""Video key -> what is read of it: colour, or the brightness plane, which holds palette indices."""

BOOKKEEPING = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""Columns that every LeRobot set has -> their type; all of shape [1]."""

_NAMES = {
    "observation.state": [f"joint_{k}_rad" for k in range(1, 8)],
    "action": [f"{name}_{unit}" for name, unit in zip(ACTION_SPEC.names, ACTION_SPEC.units, strict=True)],
}


def samples_per_step(rate_hz: float) -> int:
    """Sound samples in one control step. Raises ValueError unless the rate is whole and divides 16,000."""
    if rate_hz != int(rate_hz) or SAMPLE_RATE_HZ % int(rate_hz):
        raise ValueError(f"rate_hz is {rate_hz}: LeRobot needs a whole number, and it must divide {SAMPLE_RATE_HZ}")
    return SAMPLE_RATE_HZ // int(rate_hz)


def episode_columns(episode: Episode) -> dict[str, Float32[np.ndarray, "T *dims"]]:
    """The curves of an episode by column name; units stand in the names or in ``meta/info.json``."""
    return {
        "observation.state": episode.joints_rad,
        "action": episode.actions,
        "goal_fraction": np.full(episode.steps, episode.goal_fraction, np.float32),
        "tilt_rad": episode.tilt_rad,
        "poured_ml": episode.poured_ml,
        "spilled_ml": episode.spilled_ml,
        "flow_ml_s": episode.flow_ml_s,
        "level_m": episode.level_m,
        "fall_height_m": episode.fall_height_m,
    }


def describe_column(key: str, shape: tuple[int, ...], dtype: str = "float32") -> dict[str, Any]:
    """Entry of ``info.json`` for a data column; ``shape`` is that of one step, () for a scalar."""
    return {"dtype": dtype, "shape": list(shape) or [1], "names": _NAMES.get(key)}


def describe_video(key: str, *, height_px: int, width_px: int, fps: int) -> dict[str, Any]:
    """Entry of ``info.json`` for a video; the luma of a mask is its palette index times ``mask_gain``."""
    info = {
        "video.height": height_px,
        "video.width": width_px,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.fps": fps,
        "video.channels": 3,
        "video.is_depth_map": False,
        "has_audio": False,
        **({"mask_gain": MASK_GAIN} if VIDEOS[key] == "luma" else {}),
    }
    names = ["height", "width", "channels"]
    return {"dtype": "video", "shape": [height_px, width_px, 3], "names": names, "info": info}
