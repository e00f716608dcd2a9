"""Live sensors with files that play as devices: times, windows, losses, and the tap."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from multigen_core.errors import MissingExtra, MissingInput, UserError
from multigen_core.lab.live_camera import LiveCamera, square_view
from multigen_core.lab.live_microphone import LiveMicrophone, SoundRing
from multigen_core.lab.tap import measure_tap_offset
from multigen_core.media import write_flac, write_video
from multigen_core.records import SAMPLE_RATE_HZ

FPS = 20


def _gray(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds that get brighter by 5 with every frame."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(path, (_gray(20 + 5 * k) for k in range(2 * FPS)), fps=FPS, crf=1)
    return path


def _number(rgb: np.ndarray) -> int:
    return round((float(rgb.mean()) - 20.0) / 5.0)


def test_the_newest_frame_is_the_one_of_now(film: Path) -> None:
    with LiveCamera(str(film), latency_s=0.17) as camera:
        first = camera.newest()
        began_s = first.arrived_s - _number(first.rgb) / FPS
        for _ in range(5):
            time.sleep(0.2)
            frame = camera.newest()
            due = (frame.arrived_s - began_s) * FPS
            assert _number(frame.rgb) == pytest.approx(due, abs=2.0)
            assert time.monotonic() - frame.arrived_s < 0.3
            assert frame.arrived_s - frame.taken_s == pytest.approx(0.17)
        earlier = camera.at(began_s + 0.5 - 0.17)
        assert _number(earlier.rgb) == pytest.approx(0.5 * FPS, abs=2)
        time.sleep(1.5)
        assert camera.ended == "the stream ended"
        assert camera.arrived == 2 * FPS


_SENDER = """
import sys, time
import av, numpy as np
print("listening", flush=True)
with av.open(f"tcp://127.0.0.1:{sys.argv[1]}?listen=1", "w", format="mpegts") as out:
    stream = out.add_stream("libx264", rate=20)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.options = {"tune": "zerolatency", "preset": "ultrafast", "g": "5"}
    for k in range(200):
        picture = np.full((48, 64, 3), min(20 + 2 * k, 250), np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        time.sleep(0.05)
"""


def test_a_camera_over_the_network(film: Path) -> None:
    """A real stream over a socket: MPEG-TS over TCP on the loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    # A process of its own: a listening PyAV holds the interpreter's lock.
    sender = subprocess.Popen([sys.executable, "-c", _SENDER, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert sender.stdout and sender.stdout.readline() == "listening\n"
        time.sleep(0.5)
        with LiveCamera(f"tcp://127.0.0.1:{port}", latency_s=0.0) as camera:
            first = _number(camera.newest().rgb)
            time.sleep(1.0)
            assert _number(camera.newest().rgb) > first + 3
    finally:
        sender.kill()
        sender.wait()
        if sender.stdout:
            sender.stdout.close()


@pytest.mark.parametrize("source", ["nowhere.mp4", "rtsp://127.0.0.1:1/color"])
def test_a_camera_that_is_not_there_is_one_sentence(source: str) -> None:
    with pytest.raises(MissingExtra, match="shows nothing"), LiveCamera(source, latency_s=0.0):
        raise AssertionError("it opened")


def test_the_view_is_the_middle_square() -> None:
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:, 24:72] = 200
    assert (square_view(picture, 16) > 190).all()


def test_a_window_of_the_ring_is_where_its_time_says() -> None:
    ring = SoundRing(2.0)
    clock = np.arange(3 * SAMPLE_RATE_HZ, dtype=np.float32)
    for start in range(0, len(clock), 320):
        ring.write(clock[start : start + 320], 50.0 + start / SAMPLE_RATE_HZ)
    window = ring.window(52.5, 0.5)
    np.testing.assert_allclose(window, clock[2 * SAMPLE_RATE_HZ : round(2.5 * SAMPLE_RATE_HZ)])
    # Older than the memory and newer than now is silence.
    assert not ring.window(50.5, 0.4).any()
    assert not ring.window(54.0, 0.5).any()
    half = ring.window(53.25, 0.5)
    assert half[: SAMPLE_RATE_HZ // 4].all() and not half[SAMPLE_RATE_HZ // 4 :].any()


def test_what_was_lost_is_silence_and_counted() -> None:
    ring = SoundRing(2.0)
    ring.write(np.ones(1600, np.float32), 10.0)
    ring.write(np.ones(1600, np.float32), 10.4)
    assert ring.gaps == 1
    window = ring.window(10.5, 0.5)
    assert window[:1600].all() and window[-1600:].all()
    assert not window[1700:6300].any()


def test_blocks_that_come_unevenly_do_not_tear_the_sound() -> None:
    rng = np.random.default_rng(0)
    ring = SoundRing(2.0)
    clock = np.arange(1, 2 * SAMPLE_RATE_HZ + 1, dtype=np.float32)
    for start in range(0, len(clock), 320):
        ring.write(clock[start : start + 320], 50.0 + start / SAMPLE_RATE_HZ + rng.uniform(-0.01, 0.01))
    window = ring.window(51.5, 1.0)
    assert (np.diff(window) == 1.0).all()
    assert window[-1] == pytest.approx(1.5 * SAMPLE_RATE_HZ, abs=0.005 * SAMPLE_RATE_HZ)
    assert ring.gaps == 0


def test_a_file_plays_as_a_microphone(tmp_path: Path) -> None:
    time_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    write_flac(tmp_path / "ramp.flac", (0.4 * time_s / 2.0).astype(np.float32))
    with LiveMicrophone(str(tmp_path / "ramp.flac"), latency_s=0.1) as microphone:
        began_s = time.monotonic()
        time.sleep(1.2)
        window = microphone.ring.window(began_s + 0.9, 0.2)
        # Sound that is heard now was made a latency ago.
        assert window[-1] == pytest.approx(0.2 * (0.9 + 0.1), abs=0.01)
        assert time.monotonic() - microphone.ring.heard_until_s == pytest.approx(0.1, abs=0.06)
        assert microphone.overflows == 0


def test_a_microphone_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(MissingInput, match="does not exist"), LiveMicrophone("nowhere.flac", latency_s=0.0):
        raise AssertionError("it opened")
    with pytest.raises(MissingExtra, match="microphone"), LiveMicrophone("no such device", latency_s=0.0):
        raise AssertionError("it opened")


def _tapping(path: Path, offset_s: float, *, clicks: bool = True) -> None:
    """A spoon comes down on a table six times and stays there for a moment; pictures come ``offset_s`` late."""
    fps, seconds = 30, 9.0
    taps_s = 1.0 + 1.3 * np.arange(6) + np.random.default_rng(0).uniform(0.0, 0.2, 6)
    rng = np.random.default_rng(1)
    sound = 0.002 * rng.standard_normal(round(seconds * SAMPLE_RATE_HZ))
    decay = np.exp(-np.arange(3200) / 400.0)
    for tap_s in taps_s if clicks else ():
        first = round(tap_s * SAMPLE_RATE_HZ)
        sound[first : first + 3200] += 0.3 * decay * np.sin(2 * np.pi * 900 * np.arange(3200) / SAMPLE_RATE_HZ)

    def height(time_s: float) -> float:
        """0 on the table, 1 up; down within 0.25 s, a rest of 0.15 s, slowly up again."""
        since = time_s - taps_s
        for one in since:
            if -0.25 <= one < 0.0:
                return -one / 0.25
            if 0.0 <= one < 0.15:
                return 0.0
            if 0.15 <= one < 0.75:
                return (one - 0.15) / 0.6
        return 1.0

    def frames() -> "list[np.ndarray]":
        pictures = []
        for k in range(round(seconds * fps)):
            picture = np.full((64, 64, 3), 30, np.uint8)
            row = round(40 - 32 * height(k / fps - offset_s))
            picture[row : row + 8, 20:44] = 220
            pictures.append(picture)
        return pictures

    write_video(path, frames(), fps=fps, sound=sound.astype(np.float32), crf=10)


@pytest.mark.parametrize("offset_s", [-0.1, 0.0, 0.06, 0.2])
def test_taps_tell_the_offset_to_a_frame(tmp_path: Path, offset_s: float) -> None:
    _tapping(tmp_path / "taps.mp4", offset_s)
    measured = measure_tap_offset(tmp_path / "taps.mp4")
    assert measured.picture_after_sound_s == pytest.approx(offset_s, abs=0.03)


def test_a_recording_without_taps_is_refused(tmp_path: Path) -> None:
    _tapping(tmp_path / "silent.mp4", 0.0, clicks=False)
    with pytest.raises(UserError, match="no clear taps"):
        measure_tap_offset(tmp_path / "silent.mp4")
    write_video(tmp_path / "mute.mp4", [_gray(30)] * 30, fps=10)
    with pytest.raises(UserError, match="second of sound"):
        measure_tap_offset(tmp_path / "mute.mp4")
