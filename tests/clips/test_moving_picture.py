"""Still images and cut films are told from takes of one scene."""

from pathlib import Path

import numpy as np
import pytest

from multigen_core.clips.moving_picture import continuity, motion
from multigen_core.media import read_video, write_video
from multigen_core.params import load
from tests.clips.recordings import REAL_CLIPS, ROOT

FILTERS = load(ROOT / "params.yaml").clips.filters


def scene(seed: int, steps: int = 40, *, size_px: int = 128) -> list[np.ndarray]:
    """A textured room in which a bright block slides."""
    rng = np.random.default_rng(seed)
    room = np.kron(rng.integers(20, 230, (size_px // 16, size_px // 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    taken = []
    for step in range(steps):
        pixels = room.copy()
        pixels[40:72, step : step + 32] = 250
        taken.append(pixels)
    return taken


def test_one_take_moves_and_goes_on() -> None:
    assert motion(scene(0)) > 10.0 * FILTERS.min_motion
    assert continuity(scene(0)) > 0.9


def test_a_still_image_is_still_after_coding(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noisy = [np.clip(scene(0)[0] + rng.normal(0.0, 4.0, (128, 128, 3)), 0, 255).astype(np.uint8) for _ in range(40)]
    write_video(tmp_path / "still.mp4", noisy, fps=10.0)
    assert motion(list(read_video(tmp_path / "still.mp4"))) < FILTERS.min_motion


def test_a_cut_is_found_wherever_it_is() -> None:
    for place in (2, 10, 20, 37):
        film = scene(0)[:place] + [pixels[::-1] for pixels in scene(1)[place:]]
        assert continuity(film) < FILTERS.min_continuity, place


def test_light_flash_and_a_broken_frame_are_no_cut() -> None:
    film = scene(0)
    brighter = film[:20] + [(pixels // 3 + 160).astype(np.uint8) for pixels in film[20:]]
    torn = np.random.default_rng(2).integers(0, 255, film[0].shape).astype(np.uint8)
    broken = [*film[:20], torn, *film[21:]]
    for taken in (brighter, broken):
        assert continuity(taken) > 0.8


def test_plain_pictures_say_nothing() -> None:
    plain = [np.full((64, 64, 3), 40, np.uint8)] * 10 + [np.full((64, 64, 3), 200, np.uint8)] * 10
    assert continuity(plain) == 1.0
    assert continuity(plain[:3]) == 1.0


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="needs ../shared/data/real_clips, three real recordings")
@pytest.mark.parametrize("path", sorted(REAL_CLIPS.glob("*.mp4")), ids=lambda path: path.stem)
def test_real_pours_pass_with_room_to_spare(path: Path) -> None:
    film = list(read_video(path, fps=10.0, start_s=0.0, stop_s=6.0))
    assert motion(film) > 2.0 * FILTERS.min_motion
    assert continuity(film) > 0.5 * (1.0 + FILTERS.min_continuity)
