"""A real camera: RTSP, a video device or a file, read by a thread that keeps the newest frames with their times.

Times are the machine's monotonic clock at arrival; a frame was taken the camera's latency before that.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType

import av
import numpy as np
from jaxtyping import UInt8

from multigen_core.errors import MissingExtra

__all__ = ["LiveCamera", "LiveFrame", "square_view"]

_LOW_DELAY = {"fflags": "nobuffer", "flags": "low_delay"}
_RTSP = {"rtsp_transport": "tcp", "timeout": "3000000"}
_FIRST_FRAME_S = 8.0
_KEPT = 60


@dataclass(frozen=True)
class LiveFrame:
    """One picture."""

    rgb: UInt8[np.ndarray, "H W 3"]
    arrived_s: float
    taken_s: float
    """Arrival less the camera's latency."""


class LiveCamera:
    """A context manager. ``source``: ``rtsp://192.168.1.10/color``, ``/dev/video0``, or a file, which is played at its
    own pace and then ends."""

    def __init__(self, source: str, *, latency_s: float) -> None:
        self._source, self._latency_s = source, latency_s
        self._frames: deque[LiveFrame] = deque(maxlen=_KEPT)
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._failure: str | None = None
        self.arrived = 0
        """Frames so far; only the newest of them are kept."""

    def __enter__(self) -> "LiveCamera":
        """Waits for the first frame. Raises MissingExtra when none comes."""
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()
        with self._news:
            self._news.wait_for(lambda: self._frames or self._failure, _FIRST_FRAME_S)
        if not self._frames:
            self._stop.set()
            raise MissingExtra(
                f"the camera {self._source} shows nothing ({self._failure or 'no frame came'}): check address, cable"
                " and that nobody else reads it"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(5.0)

    @property
    def ended(self) -> str | None:
        """Why no more frames come; None while they do."""
        return self._failure

    def newest(self) -> LiveFrame:
        """The frame that arrived last."""
        with self._news:
            return self._frames[-1]

    def at(self, time_s: float) -> LiveFrame:
        """The kept frame that was taken nearest to a moment."""
        with self._news:
            return min(self._frames, key=lambda frame: abs(frame.taken_s - time_s))

    def _read(self) -> None:
        try:
            form = "v4l2" if self._source.startswith("/dev/") else None
            live = form is not None or "://" in self._source
            # Of a file these options would swallow the beginning.
            options = (_LOW_DELAY if live else {}) | (_RTSP if self._source.startswith("rtsp") else {})
            with av.open(self._source, format=form, options=options) as container:
                began_s = time.monotonic()
                for frame in container.decode(video=0):
                    if not live:
                        self._stop.wait(max(began_s + float(frame.time or 0.0) - time.monotonic(), 0.0))
                    if self._stop.is_set():
                        return
                    self._keep(frame.to_ndarray(format="rgb24"))
            self._fail("the stream ended")
        except (OSError, IndexError) as error:
            # av's errors are OSErrors; without a video stream there is no stream 0.
            self._fail(str(error) or type(error).__name__)

    def _keep(self, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        now_s = time.monotonic()
        with self._news:
            self._frames.append(LiveFrame(rgb, now_s, now_s - self._latency_s))
            self.arrived += 1
            self._news.notify_all()

    def _fail(self, why: str) -> None:
        with self._news:
            self._failure = why
            self._news.notify_all()


def square_view(rgb: UInt8[np.ndarray, "H W 3"], size_px: int) -> UInt8[np.ndarray, "size size 3"]:
    """The middle square of a picture at the policy's size, averaged over areas."""
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[top : top + side, left : left + side]), format="rgb24")
    frame.time_base = Fraction(1, 1000)
    return frame.reformat(size_px, size_px, format="rgb24", interpolation="AREA").to_ndarray()
