"""Media files as phones, cameras and downloads really make them, each showing and sounding one pour."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32

from multigen_core.records import SAMPLE_RATE_HZ
from tests.clips.recordings import frames, pour_sound

__all__ = ["ODD"]

FPS = 25


def encode(
    path: Path,
    *,
    video_codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    audio_codec: str = "aac",
    layout: str = "mono",
    sample_format: str = "fltp",
    rate_hz: int = 48_000,
    show_at_s: Callable[[int], float] = lambda k: k / FPS,
) -> None:
    """Frame k of the pour is shown at ``show_at_s(k)``; the sound is brought to the wanted form."""
    pictures = frames(7.0)
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=FPS)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = pix_fmt
        video.options = options or {}
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream(audio_codec, rate=rate_hz, layout=layout)
        for k, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(1000 * show_at_s(k)), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for frame in resampled(pour_sound(), layout, sample_format, rate_hz):
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def resampled(
    sound: Float32[np.ndarray, " samples"], layout: str, sample_format: str, rate_hz: int
) -> list[av.AudioFrame]:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound[None], dtype=np.float32), format="fltp", layout="mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, 0, Fraction(1, SAMPLE_RATE_HZ)
    resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate_hz, frame_size=1024)
    return [*resampler.resample(frame), *resampler.resample(None)]


def uneven(k: int) -> float:
    """Every other frame late, and slower in the second half."""
    time_s = k / FPS + (0.015 if k % 2 else 0.0)
    return time_s


def write_rotated(path: Path) -> None:
    """Upright pictures that lie on their side in the file, with the turn written into the track, as phones do."""
    encode(path)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # ISO 14496-12, track header of version 0
    turn = [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000]
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in turn)
    path.write_bytes(bytes(data))


def write_hdr(path: Path) -> None:
    colours = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    encode(path, pix_fmt="yuv420p10le", options={"x264-params": colours, "preset": "ultrafast"})


ODD: dict[str, tuple[str, Callable[[Path], None]]] = {
    "variable frame rate": ("odd.mkv", lambda path: encode(path, show_at_s=uneven)),
    "sound in 5.1": ("odd.mp4", lambda path: encode(path, layout="5.1")),
    "sound of 8 bit, mono, 8 kHz": (
        "odd.avi",
        lambda path: encode(
            path,
            video_codec="mpeg4",
            audio_codec="pcm_u8",
            sample_format="u8",
            rate_hz=8_000,
            show_at_s=lambda k: k / FPS,
        ),
    ),
    "portrait, rotated": ("odd.mov", write_rotated),
    "HDR of 10 bit": ("odd.mp4", write_hdr),
    "webm": ("odd.webm", lambda path: encode(path, video_codec="libvpx", audio_codec="libopus", sample_format="flt")),
    "96 kHz of 24 bit": (
        "odd.mov",
        lambda path: encode(path, audio_codec="pcm_s24le", layout="stereo", sample_format="s32", rate_hz=96_000),
    ),
}
"""Kind -> name of the file, and what writes it."""
