"""Exact access to a run of frames inside a constant-rate mp4 that holds many episodes end to end."""

from pathlib import Path
from typing import Literal

import av
import numpy as np
from jaxtyping import UInt8

__all__ = ["read_frames"]


def read_frames(
    path: Path, *, first: int, count: int, fps: float, pixels: Literal["rgb", "luma"]
) -> UInt8[np.ndarray, "count H W *channels"]:
    """Frames ``first`` to ``first + count - 1`` of the video, counted from its start.

    ``luma`` gives the brightness plane as it is stored, which is how mask videos carry their palette indices.
    Seeks to the key frame before ``first`` and drops what it decodes too early, so the cost is that of the run
    plus at most one group of pictures. Raises ValueError when the video ends before the run does.
    """
    frames: list[np.ndarray] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.time_base is None:
            raise ValueError(f"{path} has no time base")
        container.seek(round(first / fps / stream.time_base), stream=stream, backward=True)
        for frame in container.decode(stream):
            index = round((frame.time or 0.0) * fps)
            if index >= first + count:
                break
            if index >= first:
                frames.append(frame.to_ndarray(format="rgb24") if pixels == "rgb" else _luma(frame))
    if len(frames) != count:
        raise ValueError(f"{path} holds {len(frames)} of the {count} frames from {first} on")
    return np.stack(frames)


def _luma(frame: av.VideoFrame) -> UInt8[np.ndarray, "H W"]:
    return frame.to_ndarray()[: frame.height]
