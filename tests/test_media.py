"""Files come back as they were written."""

from pathlib import Path

import numpy as np
import pytest

from multigen_core.media import (
    probe,
    read_flac,
    read_masks,
    read_sound,
    read_video,
    write_flac,
    write_masks,
    write_video,
)
from multigen_core.records import SAMPLE_RATE_HZ


def moving_square(steps: int = 20) -> np.ndarray:
    frames = np.full((steps, 48, 64, 3), 30, np.uint8)
    for step in range(steps):
        frames[step, 10:20, 2 * step : 2 * step + 10] = (220, 40, 40)
    return frames


def tone(seconds: float) -> np.ndarray:
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


def test_masks_are_lossless(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).integers(0, 4, (15, 64, 48)).astype(np.uint8)
    write_masks(tmp_path / "masks.mp4", masks, fps=10)
    np.testing.assert_array_equal(read_masks(tmp_path / "masks.mp4"), masks)


def test_video_with_sound(tmp_path: Path) -> None:
    frames, path = moving_square(), tmp_path / "clip.mp4"
    write_video(path, frames, fps=10, sound=tone(2.0))
    info = probe(path)
    assert (info.width_px, info.height_px, info.fps) == (64, 48, 10.0)
    assert info.has_sound and info.duration_s == pytest.approx(2.0, abs=0.1)
    decoded = np.stack(list(read_video(path)))
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 6
    sound = read_sound(path)
    assert len(sound) == pytest.approx(2 * SAMPLE_RATE_HZ, rel=0.05)
    assert np.argmax(np.abs(np.fft.rfft(sound[8000:24000]))) == pytest.approx(440, abs=1)


def test_frames_at_another_rate(tmp_path: Path) -> None:
    frames, path = moving_square(), tmp_path / "clip.mp4"
    write_video(path, frames, fps=10)
    slower = list(read_video(path, fps=5, start_s=0.4, stop_s=1.4))
    assert len(slower) == 5
    for k, shown in enumerate(slower):
        assert np.abs(shown.astype(int) - frames[4 + 2 * k]).mean() < 6


def test_the_same_video_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        write_video(tmp_path / name, moving_square(), fps=10, sound=tone(2.0))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_flac_keeps_sixteen_bits(tmp_path: Path) -> None:
    write_flac(tmp_path / "tone.flac", tone(0.5))
    np.testing.assert_allclose(read_flac(tmp_path / "tone.flac"), tone(0.5), atol=2**-15)


def test_a_video_without_sound_has_an_empty_one(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4", moving_square(), fps=10)
    assert not probe(tmp_path / "mute.mp4").has_sound
    assert len(read_sound(tmp_path / "mute.mp4")) == 0
