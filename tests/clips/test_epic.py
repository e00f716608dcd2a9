"""EPIC-KITCHENS: annotations to candidates, whatever the files look like, and clips from where they point."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multigen_core.clips.catalogue import read_catalogue
from multigen_core.clips.contract import Unavailable
from multigen_core.clips.curation import run
from multigen_core.clips.epic import EpicKitchens
from multigen_core.clips.funnel import steps_of
from multigen_core.errors import MissingInput
from multigen_core.media import write_video
from multigen_core.progress import Silent
from tests.clips.recordings import POUR_START_S, frames, inputs_at, pour_sound, small_experiment

HEADER = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun\n"
REAL = os.environ.get("MULTIGEN_EPIC", "")


def source(folder: Path, rows: str, *, header: str = HEADER, nouns: tuple[str, ...] = ("water", "oil")) -> EpicKitchens:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.csv").write_text(header + rows)
    (folder / "info.csv").write_text("video_id,duration,fps,resolution\nP01_01,100.0,50,1x1\nP02_01,9.0,50,1x1\n")
    return EpicKitchens(folder / "annotations.csv", folder / "info.csv", folder / "videos", 9, nouns, 6.0)


def test_pours_of_liquids_are_widened_and_joined(tmp_path: Path) -> None:
    epic = source(
        tmp_path,
        "a,P01_01,00:00:10.00,00:00:12.00,9,water\n"  # widened to 8-14
        "b,P01_01,00:00:13.50,00:00:14.50,9,oil:olive\n"  # 11-17: overlaps
        "c,P01_01,00:00:40.00,00:00:52.00,9,water:hot\n"  # longer than a clip
        "d,P01_01,00:00:30.00,00:00:31.00,9,rice\n"
        "e,P01_01,00:00:30.00,00:00:31.00,3,water\n"
        "f,P02_01,00:00:08.00,00:00:09.00,9,water\n",  # at the end of a video of 9 s
    )
    parts = [(one.source_id, one.start_s, one.stop_s) for one in epic.discover()]
    assert parts == [("P01_01", 8.0, 17.0), ("P01_01", 40.0, 52.0), ("P02_01", 3.0, 9.0)]
    assert epic.funnel() == {"annotated": 6, "pours": 5, "liquids": 4, "candidates": 3, "videos_here": 0}
    assert len(replace(epic, nouns=()).discover()) == 4
    assert {one.licence for one in epic.discover()} == {"CC BY-NC 4.0"}


def test_with_epic_sounds_a_pour_must_be_heard(tmp_path: Path) -> None:
    epic = source(
        tmp_path,
        "a,P01_01,00:00:10.00,00:00:12.00,9,water\n"  # heard
        "b,P01_01,00:00:30.00,00:00:32.00,9,water\n"  # the sound ends as it begins
        "c,P01_01,00:00:50.00,00:00:52.00,9,water\n"  # another sound
        "d,P02_01,00:00:05.00,00:00:06.00,9,water\n",  # heard in another video
    )
    sounds = tmp_path / "sounds.csv"
    sounds.write_text(
        "video_id,start_timestamp,stop_timestamp,class_id\n"
        "P01_01,00:00:11.50,00:00:20.00,19\n"
        "P01_01,00:00:29.00,00:00:30.00,19\n"
        "P01_01,00:00:50.00,00:00:52.00,34\n"
        "P01_01,nonsense,00:00:52.00,19\n"
    )
    heard = replace(epic, sounds=sounds, sound_classes=(19, 5))
    assert [one.start_s for one in heard.discover()] == [8.0]
    assert heard.funnel() == {
        "annotated": 4,
        "pours": 4,
        "liquids": 4,
        "heard": 1,
        "candidates": 1,
        "videos_here": 0,
    }
    assert len(replace(heard, sound_classes=(19, 34)).discover()) == 2
    with pytest.raises(MissingInput, match=r"clips\.epic\.sounds is .*which is not there"):
        replace(heard, sounds=tmp_path / "none.csv").discover()
    with pytest.raises(MissingInput, match=r"has no columns video_id, .* or leave the key empty"):
        replace(heard, sounds=epic.video_info).discover()


def test_a_clip_is_cut_from_where_the_annotation_points(tmp_path: Path) -> None:
    """The pour lies 20 s deep in the video; sight and sound are found there without reading all before."""
    epic = source(tmp_path / "data" / "epic", "a,P01_01,00:00:21.00,00:00:25.00,9,water\n")
    video = epic.videos / "P01" / "P01_01.MP4"
    video.parent.mkdir(parents=True)
    quiet = 0.001 * pour_sound()[:16_000].repeat(20)
    pictures = [frames(1.0)[0]] * (20 * 25) + frames(7.0)
    write_video(video, pictures, fps=25.0, sound=np.concatenate([quiet, pour_sound()]))
    experiment = small_experiment(sources=("epic",))
    paths = {
        "annotations": "data/epic/annotations.csv",
        "video_info": "data/epic/info.csv",
        "videos": "data/epic/videos",
    }
    clips = replace(experiment.clips, epic=replace(experiment.clips.epic, **paths))
    out = tmp_path / "out"
    out.mkdir()
    summary = run(replace(experiment, clips=clips), inputs_at(tmp_path), out, Silent())
    (row,) = read_catalogue(out).to_dict("records")
    assert row["start_s"] + row["onset_s"] == pytest.approx(20.0 + POUR_START_S, abs=0.2)
    assert (row["source_id"], row["licence"]) == ("P01_01", "CC BY-NC 4.0")
    assert dict(steps_of(summary, "funnel_epic"))["videos_here"] == 1
    assert summary["epic_pour_segments"] == 1


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        ("a,P01_01,nonsense,00:00:12.00,9,water\n", HEADER),
        ("a,P01_01,00:00:12.00,00:00:10.00,9,water\n", HEADER),
        ("a,P01_01,00:99:12.00,00:99:14.00,9,water\n", HEADER),
        ("a,P01_01\n", "narration_id,video_id\n"),
        ("", ""),
    ],
)
def test_rows_that_make_no_sense_end_in_the_quarantine(tmp_path: Path, rows: str, header: str) -> None:
    epic = source(tmp_path, rows, header=header)
    (one,) = epic.discover()
    with pytest.raises(Unavailable, match="bad_annotation"):
        epic.fetch(one, tmp_path)


def test_a_video_that_is_not_here_is_counted(tmp_path: Path) -> None:
    epic = source(tmp_path / "data" / "epic", "a,P01_01,00:00:21.00,00:00:25.00,9,water\n")
    (one,) = epic.discover()
    with pytest.raises(Unavailable, match="missing_video"):
        epic.fetch(one, tmp_path)


@pytest.mark.parametrize("video_id", ["../../etc/passwd", "P01_01/../x", "*", ""])
def test_a_video_id_cannot_leave_the_folder(tmp_path: Path, video_id: str) -> None:
    epic = source(tmp_path, f"a,{video_id},00:00:10.00,00:00:12.00,9,water\n")
    (one,) = epic.discover()
    assert one.clip_id.replace("-", "").replace("_", "").isalnum()
    with pytest.raises(Unavailable, match="missing_video"):
        epic.fetch(one, tmp_path)


def test_the_folder_is_walked_once_and_the_table_joined_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"n{k},P01_{k:02d},00:00:21.00,00:00:25.00,9,water\n" for k in range(1, 60))
    epic = source(tmp_path, rows)
    for k in range(1, 60):
        (epic.videos / f"P{k:02d}").mkdir(parents=True)
        (epic.videos / f"P{k:02d}" / f"P01_{k:02d}.MP4").touch()
    walks, widened = [], []
    walk, widen = Path.rglob, EpicKitchens._widened
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: walks.append(self) or walk(self, pattern))
    monkeypatch.setattr(EpicKitchens, "_widened", lambda self, *row: widened.append(row) or widen(self, *row))
    found = [epic.fetch(one, tmp_path).video for one in epic.discover()]
    assert epic.funnel()["videos_here"] == len(set(found)) == 59
    assert len(walks) == 1 and len(widened) == 59


def test_a_table_that_changed_is_read_anew(tmp_path: Path) -> None:
    epic = source(tmp_path, "a,P01_01,00:00:21.00,00:00:25.00,9,water\n")
    assert len(epic.discover()) == 1
    epic = source(tmp_path, "a,P01_01,00:00:21.00,00:00:25.00,9,water\nb,P02_01,00:00:01.00,00:00:02.00,9,oil\n")
    os.utime(epic.annotations, ns=(1, 1))  # whatever the clock's resolution
    assert len(epic.discover()) == 2


def test_missing_files_are_named(tmp_path: Path) -> None:
    epic = source(tmp_path, "")
    with pytest.raises(MissingInput, match=r"clips\.epic\.annotations is .*take 'epic' out of clips\.sources"):
        replace(epic, annotations=tmp_path / "none.csv").discover()
    (tmp_path / "info.csv").write_text("nothing\n1\n")
    good = source(tmp_path / "other", "a,P01_01,00:00:10.00,00:00:12.00,9,water\n")
    with pytest.raises(MissingInput, match="no columns video_id and duration"):
        replace(good, video_info=tmp_path / "info.csv").discover()


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_is_read_without_a_crash(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    epic = source(folder, text.encode(errors="replace").decode())
    assert all(one.clip_id.isascii() for one in epic.discover())


def test_ten_thousand_rows(tmp_path: Path) -> None:
    rows = "".join(
        f"n{k},P01_01,{k // 3600:02d}:{k // 60 % 60:02d}:{k % 60:02d}.0,23:59:59.0,9,salt\n" for k in range(10_000)
    )
    epic = source(tmp_path, rows)
    assert epic.funnel()["annotated"] == 10_000 and epic.discover() == []


@pytest.mark.extra
@pytest.mark.skipif(not REAL, reason="needs the folder of EPIC-KITCHENS-100's validation CSVs in MULTIGEN_EPIC")
def test_the_published_validation_split_has_242_pours() -> None:
    folder = Path(REAL)
    epic = EpicKitchens(
        folder / "EPIC_100_validation.csv", folder / "EPIC_100_video_info.csv", folder, 9, ("water",), 6.0
    )
    funnel = epic.funnel()
    assert (funnel["annotated"], funnel["pours"]) == (9668, 242)
    assert 58 <= funnel["liquids"] < 80
    heard = replace(epic, nouns=(), sounds=folder / "EPIC_Sounds_validation.csv", sound_classes=(19, 5)).funnel()
    assert (heard["liquids"], heard["heard"]) == (242, 79)
