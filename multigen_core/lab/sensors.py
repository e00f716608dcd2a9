"""Latency as data: what a camera, a microphone and an arm do to the time of a signal."""

import math
from collections import deque

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["ActionLine", "Camera", "Microphone"]


class Camera:
    """Frames are taken at control steps and arrive ``latency_s`` later: a decision sees one at least that old.

    A frame is taken only where it will be looked at: at the steps that lie the latency before a decision.
    """

    def __init__(self, *, latency_s: float, rate_hz: float, look_every: int) -> None:
        self._delay = math.ceil(round(latency_s * rate_hz, 6))
        self._look_every = look_every
        self._frames: deque[tuple[int, UInt8[np.ndarray, "H W 3"]]] = deque()

    def due(self, step: int) -> bool:
        """Whether the view at this step will be on a policy's table at a decision."""
        return step == 0 or (step + self._delay) % self._look_every == 0

    def take(self, step: int, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """A frame taken at a control step; steps must rise."""
        self._frames.append((step, rgb))

    def newest(self, step: int) -> UInt8[np.ndarray, "H W 3"]:
        """The newest frame that has arrived; before the first one has, the view of the waiting scene at step 0."""
        while len(self._frames) > 1 and self._frames[1][0] <= step - self._delay:
            self._frames.popleft()
        return self._frames[0][1]


class Microphone:
    """A ring buffer whose newest sample is ``latency_s`` old."""

    def __init__(self, *, latency_s: float, window_s: float) -> None:
        self._latency = round(latency_s * SAMPLE_RATE_HZ)
        self._window = round(window_s * SAMPLE_RATE_HZ)
        self._ring = np.zeros(self._window + self._latency, np.float32)

    @property
    def memory_s(self) -> float:
        """How far back the buffer reaches."""
        return len(self._ring) / SAMPLE_RATE_HZ

    def hear(self, block: Float32[np.ndarray, " samples"]) -> None:
        """Sound of the last control step."""
        self._ring = np.concatenate([self._ring, block])[-len(self._ring) :]

    def window(self) -> Float32[np.ndarray, " window"]:
        """What has arrived, oldest sample first."""
        return self._ring[: self._window].copy()


class ActionLine:
    """The arm follows an action ``latency_s`` after it was sent.

    A delay of ``n + f`` steps makes the mean command of one step ``f a[t-n-1] + (1-f) a[t-n]``; before the first
    action the command is zero.
    """

    def __init__(self, *, latency_s: float, rate_hz: float, size: int = 3) -> None:
        whole, self._fraction = divmod(round(latency_s * rate_hz, 6), 1.0)
        self._sent = deque([np.zeros(size, np.float32)] * (int(whole) + 2), maxlen=int(whole) + 2)

    def send(self, action: Float32[np.ndarray, " size"]) -> Float32[np.ndarray, " size"]:
        """Takes the action sent now, returns the command that takes effect during the step that follows."""
        self._sent.append(np.asarray(action, np.float32))
        older, newer = self._sent[0], self._sent[1]
        return (self._fraction * older + (1.0 - self._fraction) * newer).astype(np.float32)
