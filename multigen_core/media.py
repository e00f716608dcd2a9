"""Video and sound files, through PyAV and soundfile.

Mask videos hold palette indices (0-3) and must come back exactly: they are H.264 in its lossless mode, gray, with the
index times ``MASK_GAIN`` so that a person can look at them too.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from jaxtyping import Float32, UInt8

from multigen_core.records import SAMPLE_RATE_HZ

__all__ = [
    "MASK_GAIN",
    "MediaInfo",
    "data_uri",
    "probe",
    "read_flac",
    "read_masks",
    "read_sound",
    "read_video",
    "write_flac",
    "write_masks",
    "write_video",
]

MASK_GAIN = 80
_MIME_TYPES = {".mp4": "video/mp4", ".flac": "audio/flac", ".png": "image/png", ".jpg": "image/jpeg"}
SEEK_EARLY_S = 5.0
"""A seek lands this long before the moment that is wanted, or earlier."""


@dataclass(frozen=True)
class MediaInfo:
    """What a container says about itself; sizes are as displayed, after rotation."""

    duration_s: float
    fps: float
    width_px: int
    height_px: int
    has_video: bool
    has_sound: bool


def probe(path: Path) -> MediaInfo:
    """Raises ``av.error.FFmpegError`` when the file is no media file."""
    with av.open(str(path)) as container:
        video = container.streams.video[0] if container.streams.video else None
        duration_s = (container.duration or 0) / av.time_base
        fps, width, height = 0.0, 0, 0
        if video is not None:
            fps = float(video.average_rate or video.guessed_rate or 0)
            frame = next(container.decode(video=0), None)
            if frame is not None:
                height, width = _upright(frame).shape[:2]
        return MediaInfo(
            duration_s=duration_s,
            fps=fps,
            width_px=width,
            height_px=height,
            has_video=video is not None and width > 0,
            has_sound=bool(container.streams.audio),
        )


def _upright(frame: "av.VideoFrame") -> UInt8[np.ndarray, "H W 3"]:
    """The frame as RGB, turned as the recording phone was held."""
    pixels = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def read_video(
    path: Path, *, fps: float | None = None, start_s: float = 0.0, stop_s: float | None = None
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """RGB frames in order; with ``fps`` the frame shown at each tick ``start_s + k / fps`` (nearest earlier one)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        _seek(container, start_s)
        tick, shown = 0, None
        for frame in container.decode(stream):
            time_s = float(frame.time or 0.0)
            if stop_s is not None and time_s >= stop_s and fps is None:
                return
            if fps is None:
                if time_s >= start_s:
                    yield _upright(frame)
                continue
            while shown is not None and start_s + tick / fps < time_s:
                if stop_s is not None and start_s + tick / fps >= stop_s - 1e-9:
                    return
                yield shown
                tick += 1
            shown = _upright(frame)
        while fps is not None and shown is not None and stop_s is not None and start_s + tick / fps < stop_s - 1e-9:
            yield shown
            tick += 1


def write_video(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "H W 3"]],
    *,
    fps: float,
    sound: Float32[np.ndarray, " S"] | None = None,
    crf: int = 18,
) -> None:
    """H.264 (yuv420p) in mp4, with an AAC track when ``sound`` at 16 kHz is given. Sides must be even."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        video.pix_fmt = "yuv420p"
        # One thread: the bytes must not depend on the number of cores.
        video.options = {"crf": str(crf), "preset": "veryfast", "threads": "1", "bf": "0", "g": "10"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono") if sound is not None else None
        for pixels in frames:
            if not video.width or video.width != pixels.shape[1]:
                video.height, video.width = pixels.shape[:2]
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                block = np.ascontiguousarray(sound[None, start : start + 1024], dtype=np.float32)
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start
                frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


def write_masks(path: Path, masks: UInt8[np.ndarray, "T H W"], *, fps: float) -> None:
    """Palette masks as lossless gray video; sides must be even."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        video.height, video.width = masks.shape[1:]
        video.pix_fmt = "gray"
        video.options = {"qp": "0", "preset": "veryfast", "threads": "1", "bf": "0", "g": "10"}
        for mask in masks:
            container.mux(video.encode(av.VideoFrame.from_ndarray(mask * np.uint8(MASK_GAIN), format="gray")))
        container.mux(video.encode(None))


def read_masks(path: Path) -> UInt8[np.ndarray, "T H W"]:
    """The inverse of :func:`write_masks`, exactly."""
    with av.open(str(path)) as container:
        # The luma plane as it stands: asking for "gray" would stretch its range.
        frames = [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]
    return np.stack(frames) // MASK_GAIN


def read_sound(path: Path, *, start_s: float = 0.0, stop_s: float | None = None) -> Float32[np.ndarray, " S"]:
    """The first sound track of any media file as mono at 16 kHz; empty when there is none.

    With ``start_s`` and ``stop_s`` only that part, or what there is of it: a long file is not read from its beginning.
    """
    blocks: list[Float32[np.ndarray, " S"]] = []
    first_s: float | None = None
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32)
        _seek(container, start_s)
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE_HZ)
        for frame in container.decode(audio=0):
            first_s = frame.time if first_s is None else first_s
            if stop_s is not None and frame.time is not None and frame.time >= stop_s:
                break
            blocks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        blocks += [part.to_ndarray()[0] for part in resampler.resample(None)]
    waveform = np.concatenate(blocks).astype(np.float32) if blocks else np.zeros(0, np.float32)
    if start_s == 0.0 and stop_s is None:
        return waveform
    early = round(max(start_s - (first_s or 0.0), 0.0) * SAMPLE_RATE_HZ)
    wanted = None if stop_s is None else early + round((stop_s - start_s) * SAMPLE_RATE_HZ)
    return waveform[early:wanted]


def _seek(container: "av.container.InputContainer", start_s: float) -> None:
    """To a key frame safely before a moment; near the beginning, reading on is as fast."""
    if start_s > 2.0 * SEEK_EARLY_S:
        container.seek(int((start_s - SEEK_EARLY_S) * av.time_base))


def write_flac(path: Path, waveform: Float32[np.ndarray, " S"]) -> None:
    """Mono FLAC at 16 kHz, 16 bit."""
    soundfile.write(path, waveform, SAMPLE_RATE_HZ, subtype="PCM_16", format="FLAC")


def data_uri(content: bytes, suffix: str) -> str:
    """The content as a ``data:`` address for a page; ``suffix`` names its kind, for example ``.png``."""
    return f"data:{_MIME_TYPES[suffix]};base64,{base64.b64encode(content).decode()}"


def read_flac(path: Path) -> Float32[np.ndarray, " S"]:
    """The waveform of a file that :func:`write_flac` wrote."""
    waveform, _ = soundfile.read(path, dtype="float32")
    return np.asarray(waveform)
