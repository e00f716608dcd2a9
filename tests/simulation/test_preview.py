"""Episodes as videos and recordings for people."""

import sys
from pathlib import Path

import numpy as np
import pytest

from multigen_core.errors import MissingExtra
from multigen_core.media import read_video
from multigen_core.palette import COLORS, Palette
from multigen_core.records import Episode
from multigen_core.simulation.__main__ import main
from multigen_core.simulation.preview import CURSOR_COLOR, PANEL_PX, panels, write_recording
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.rollout import roll_out
from tests.simulation.test_rollout import COARSE

PARAMS = str(Path(__file__).parents[2] / "experiments" / "tiny.yaml")


@pytest.fixture(scope="module")
def episode() -> Episode:
    return roll_out(draw_setup(5, TRAINING_RANGES), COARSE)


def test_panels_show_every_step_with_a_moving_cursor(episode: Episode) -> None:
    frames = panels(episode)
    assert frames.shape[:2] == (episode.steps, PANEL_PX)
    # Only the curves' panel has the cursor's colour, and it wanders from left to right.
    columns = [np.flatnonzero((frame[:, 3 * PANEL_PX :] == CURSOR_COLOR).all(-1).any(0)).mean() for frame in frames]
    assert (np.diff(columns) > 0.0).all()
    plain = frames[-1][:, PANEL_PX : 2 * PANEL_PX].reshape(-1, 3)
    assert {tuple(color) for color in np.unique(plain, axis=0)} <= {tuple(color) for color in COLORS}
    share = (frames[-1][:, 2 * PANEL_PX : 3 * PANEL_PX] == COLORS[Palette.LIQUID]).all(-1).mean()
    assert share == pytest.approx((episode.masks_amodal[-1] == Palette.LIQUID).mean())


def test_the_command_writes_a_video_that_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pour.mp4"
    assert main(["preview", "--seed", "5", "--out", str(out), "--params", PARAMS]) == 0
    frames = list(read_video(out))
    assert len(frames) > 20 and frames[0].shape[0] == PANEL_PX
    assert "asked" in capsys.readouterr().out


def test_the_command_pours_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pour.mp4"
    asked = ["--receiver", "wide_mug", "--liquid", "milk", "--goal-ml", "150"]
    assert main(["preview", "--seed", "5", *asked, "--out", str(out), "--params", PARAMS]) == 0
    said = capsys.readouterr().out
    assert "into wide_mug, milk: asked 150 ml" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--receiver", "bucket"], "--receiver 'bucket' is not known; take one of "),
        (["--receiver", "wide_mug", "--goal-ml", "5000"], "the goal is 5000 ml: 'wide_mug' holds "),
        (["--goal", "-0.5"], "ask for more than 0"),
    ],
)
def test_what_cannot_be_poured_is_one_sentence(
    asked: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pour.mp4"
    assert main(["preview", *asked, "--out", str(out), "--params", PARAMS]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_the_command_writes_a_sheet_of_scenes(tmp_path: Path) -> None:
    out = tmp_path / "scenes.png"
    assert main(["scenes", "--count", "3", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_without_rerun_the_extra_is_named(episode: Episode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingExtra, match=r"\[rerun\]"):
        write_recording(tmp_path / "pour.rrd", episode)


@pytest.mark.extra
def test_a_recording_holds_every_step(episode: Episode, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason='needs pip install "multigen[rerun]"')
    write_recording(tmp_path / "pour.rrd", episode)
    assert (tmp_path / "pour.rrd").read_bytes()[:4] in {b"RRF2", b"RRF1", b"RRF3"}
    assert (tmp_path / "pour.rrd").stat().st_size > episode.rgb.nbytes // 10
