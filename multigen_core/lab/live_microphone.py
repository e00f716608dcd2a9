"""A real microphone, or a file that plays as one, into a ring buffer that knows when every sample was heard."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float32

from multigen_core.errors import MissingExtra, MissingInput
from multigen_core.media import read_sound
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["LiveMicrophone", "SoundRing"]

_BLOCK = 320
"""20 ms."""
_GAP_S = 0.05
"""Blocks that come further apart than they should by so much have lost something between them."""


class SoundRing:
    """The last seconds of sound on the monotonic clock; what was lost is silence."""

    def __init__(self, seconds: float) -> None:
        self._samples = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
        self._lock = threading.Lock()
        self._end_s: float | None = None
        """When the newest sample was heard."""
        self.gaps = 0

    def write(self, block: Float32[np.ndarray, " S"], first_s: float) -> None:
        """``first_s``: when the first sample of the block was heard."""
        with self._lock:
            if self._end_s is not None and first_s - self._end_s > _GAP_S:
                self._push(np.zeros(round((first_s - self._end_s) * SAMPLE_RATE_HZ), np.float32))
                self.gaps += 1
                self._end_s = None
            self._push(block)
            counted_s = first_s + len(block) / SAMPLE_RATE_HZ
            # The device's clock counts samples evenly; the machine's says when they came, unevenly.
            if self._end_s is None:
                self._end_s = counted_s
            else:
                expected_s = self._end_s + len(block) / SAMPLE_RATE_HZ
                self._end_s = expected_s + 0.05 * (counted_s - expected_s)

    def window(self, until_s: float, seconds: float) -> Float32[np.ndarray, " S"]:
        """The sound of ``seconds`` that ends at a moment; silence where nothing is known."""
        count = round(seconds * SAMPLE_RATE_HZ)
        out = np.zeros(count, np.float32)
        with self._lock:
            if self._end_s is None:
                return out
            ahead = round((until_s - self._end_s) * SAMPLE_RATE_HZ)
            # Index in the ring of the first wanted sample.
            first = len(self._samples) + ahead - count
            low, high = max(first, 0), min(first + count, len(self._samples))
            if low < high:
                out[low - first : high - first] = self._samples[low:high]
        return out

    @property
    def heard_until_s(self) -> float:
        """When the newest sample was heard; minus infinity before the first."""
        with self._lock:
            return -np.inf if self._end_s is None else self._end_s

    def _push(self, block: Float32[np.ndarray, " S"]) -> None:
        block = block[-len(self._samples) :]
        if len(block):
            self._samples = np.concatenate([self._samples[len(block) :], block])


class LiveMicrophone:
    """A context manager. ``source``: a device's name or number, ``default``, or a sound file, which plays once."""

    def __init__(self, source: str, *, latency_s: float, memory_s: float = 30.0) -> None:
        """``latency_s``: what sound was heard so much earlier than the device says (0.23 s were measured once)."""
        self._source, self._latency_s = source, latency_s
        self.ring = SoundRing(memory_s)
        self.overflows = 0
        """Times at which the machine came too late for a block."""

    def __enter__(self) -> "LiveMicrophone":
        """Raises MissingExtra without sounddevice or device."""
        self._close = self._play() if Path(self._source).suffix else self._open_device()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _hear(self, block: Float32[np.ndarray, " S"], first_s: float) -> None:
        self.ring.write(block, first_s - self._latency_s)

    def _open_device(self) -> Callable[[], object]:
        try:
            import sounddevice
        except (ImportError, OSError) as error:
            # OSError: the package is there, the PortAudio library is not.
            raise MissingExtra(
                "a microphone needs the packages sounddevice and libportaudio2: `pip install -c constraints.txt -e"
                " .[kinova]` and `apt-get install libportaudio2`"
            ) from error

        def heard(block: Any, frames: int, times: Any, status: Any) -> None:
            self.overflows += bool(status.input_overflow)
            age_s = times.currentTime - times.inputBufferAdcTime
            self._hear(block[:, 0].copy(), time.monotonic() - age_s)

        name = self._source
        device = None if name == "default" else int(name) if name.isdigit() else name
        try:
            stream = sounddevice.InputStream(
                device=device,
                samplerate=SAMPLE_RATE_HZ,
                channels=1,
                dtype="float32",
                blocksize=_BLOCK,
                callback=heard,
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise MissingExtra(
                f"the microphone {self._source!r} cannot be opened ({error}): `python -m sounddevice` lists the devices"
            ) from error
        return stream.close

    def _play(self) -> Callable[[], object]:
        path = Path(self._source)
        if not path.is_file():
            raise MissingInput(f"{path} does not exist: name a sound file or a device")
        samples, stop = read_sound(path), threading.Event()

        def play() -> None:
            began_s = time.monotonic()
            for start in range(0, len(samples), _BLOCK):
                block = samples[start : start + _BLOCK]
                due_s = began_s + (start + len(block)) / SAMPLE_RATE_HZ
                if stop.wait(max(due_s - time.monotonic(), 0.0)):
                    return
                self._hear(block, began_s + start / SAMPLE_RATE_HZ)

        thread = threading.Thread(target=play, name="microphone", daemon=True)
        thread.start()

        def close() -> None:
            stop.set()
            thread.join(5.0)

        return close
