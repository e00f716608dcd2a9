"""Whatever lies in the inbox or stands in a list, the stage goes on: a clip, or a row of the quarantine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multigen_core.clips.catalogue import read_catalogue, read_quarantine
from multigen_core.clips.curation import run
from multigen_core.clips.epic import EpicKitchens
from multigen_core.clips.youtube import YouTube
from multigen_core.errors import UserError
from multigen_core.experiment import Experiment
from multigen_core.media import read_flac, read_video
from multigen_core.progress import Silent
from multigen_core.records import SAMPLE_RATE_HZ, Summary
from tests.clips.odd_files import ODD
from tests.clips.recordings import POUR_START_S, inputs_at, small_experiment, write_pour

HEADER = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun\n"
GOOD_ROW = "good,P01_01,00:00:10.00,00:00:14.00,9,water\n"


def curate(root: Path, experiment: Experiment) -> Summary:
    (root / "out").mkdir()
    return run(experiment, inputs_at(root), root / "out", Silent())


@pytest.mark.parametrize("kind", ODD)
def test_a_file_of_an_odd_kind_becomes_a_clip_in_step(tmp_path: Path, kind: str) -> None:
    name, write = ODD[kind]
    (tmp_path / "data" / "inbox").mkdir(parents=True)
    write(tmp_path / "data" / "inbox" / name)
    curate(tmp_path, small_experiment(fps=20.0))
    (row,) = read_catalogue(tmp_path / "out").to_dict("records")
    portrait = kind == "portrait, rotated"
    assert (row["width_px"], row["height_px"]) == ((32, 42) if portrait else (42, 32))
    media = tmp_path / "out" / "media"
    sound = read_flac(media / f"{row['clip_id']}.flac")
    assert len(sound) == 4 * SAMPLE_RATE_HZ and row["level_dbfs"] > -60.0
    brightness = np.array([float(frame.mean()) for frame in read_video(media / f"{row['clip_id']}.mp4")])
    assert len(brightness) == 80 and brightness[-1] > brightness[0] + 50.0
    turns_bright_s = int(np.argmax(brightness > 0.5 * (brightness[0] + brightness[-1]))) / 20.0
    assert turns_bright_s == pytest.approx(POUR_START_S - row["start_s"], abs=0.051)
    assert row["onset_s"] == pytest.approx(turns_bright_s - 0.05, abs=0.15)


def epic_with(root: Path, annotations: str) -> Experiment:
    """A good local pour beside these annotations."""
    folder = root / "data" / "epic"
    folder.mkdir(parents=True)
    (folder / "annotations.csv").write_text(annotations)
    (folder / "info.csv").write_text("video_id,duration\nP01_01,100.0\n")
    experiment = small_experiment(sources=("local", "epic"))
    epic = replace(experiment.clips.epic, annotations="data/epic/annotations.csv", video_info="data/epic/info.csv")
    return replace(experiment, clips=replace(experiment.clips, epic=epic))


EPIC_ROWS = {
    "stamps that are none": ("a,P01_01,early,late,9,water\n", ["bad_annotation"]),
    "a minute of 99 seconds": ("a,P01_01,00:00:99.00,00:01:10.00,9,water\n", ["bad_annotation"]),
    "stop before start": ("a,P01_01,00:00:12.00,00:00:10.00,9,water\n", ["bad_annotation"]),
    "empty stamps": ("a,P01_01,,,9,water\n", ["bad_annotation"]),
    "a negative stamp": ("a,P01_01,-00:00:01.00,00:00:10.00,9,water\n", ["bad_annotation"]),
    "after the video's end": ("a,P01_01,00:09:00.00,00:09:05.00,9,water\n", ["missing_video"]),
    "an unknown video": ("a,P99_99,00:00:01.00,00:00:05.00,9,water\n", ["missing_video"]),
    "a path for a video": ("a,../../../etc/passwd,00:00:01.00,00:00:05.00,9,water\n", ["missing_video"]),
    "a verb that is no number": ("a,P01_01,00:00:01.00,00:00:05.00,pour,water\n", []),
    "too few cells": ("a,P01_01\n", []),
    "too many cells": ("a,P01_01,00:00:31.00,00:00:35.00,9,water,and,so,on\n", ["missing_video"]),
    "too many cells in one row": (
        "a,P01_01,00:00:31.00,00:00:35.00,9,water\nb,P01_01,00:00:51.00,00:00:55.00,9,water,and,so,on\n",
        ["missing_video", "missing_video"],
    ),
    "a line break in a cell": ('a,P01_01,00:00:01.00,00:00:05.00,9,"wa\nter"\n', []),
}
"""Kind -> rows, and the reasons they end with: none for those that are no pours of liquid."""


@pytest.mark.parametrize("kind", EPIC_ROWS)
def test_rows_of_annotations_that_make_no_sense(tmp_path: Path, kind: str) -> None:
    rows, reasons = EPIC_ROWS[kind]
    write_pour(tmp_path / "data" / "inbox" / "good.mp4")
    summary = curate(tmp_path, epic_with(tmp_path, HEADER + rows + GOOD_ROW))
    quarantine = read_quarantine(tmp_path / "out")
    assert sorted(quarantine["reason"]) == sorted([*reasons, "missing_video"])
    assert set(quarantine["source"]) == {"epic"}
    assert (summary["accepted"], summary["clips_local"]) == (1, 1)


@pytest.mark.parametrize("missing", HEADER.strip().split(","))
def test_annotations_without_a_column(tmp_path: Path, missing: str) -> None:
    write_pour(tmp_path / "data" / "inbox" / "good.mp4")
    summary = curate(tmp_path, epic_with(tmp_path, HEADER.replace(missing, "else") + GOOD_ROW))
    (row,) = read_quarantine(tmp_path / "out").to_dict("records")
    assert row["reason"] == "bad_annotation" and row["path"].endswith("annotations.csv")
    assert (summary["accepted"], summary["epic_pour_segments"]) == (1, 0)


def test_ten_thousand_pours(tmp_path: Path) -> None:
    write_pour(tmp_path / "data" / "inbox" / "good.mp4")
    rows = "".join(
        f"n{k},P{k % 50:02d}_{k // 50:03d},00:00:{k % 50:02d}.00,00:00:{k % 50 + 2:02d}.00,9,water\n"
        for k in range(10_000)
    )
    summary = curate(tmp_path, epic_with(tmp_path, HEADER + rows))
    assert summary["epic_pour_segments"] == 10_000
    assert len(read_quarantine(tmp_path / "out")) == summary["rejected"] == 10_000


def youtube_at(folder: Path, text: str, name: str) -> YouTube:
    (folder / name).write_text(text, encoding="utf-8", errors="replace")
    return YouTube(folder / name, folder / "cache", "http://127.0.0.1:1/{id}", pause_s=0.0, rate_limit_kb_s=1.0)


def check_candidates(youtube: YouTube) -> None:
    """Either a sentence, or candidates whose names are safe and whose parts can be sought."""
    try:
        candidates = youtube.discover()
    except UserError as error:
        assert "\n" not in str(error) and "clips.youtube.entries" in str(error)
        return
    assert len({one.clip_id for one in candidates}) == len(candidates)
    for one in candidates:
        assert one.clip_id.isascii() and one.clip_id.replace("-", "").replace("_", "").isalnum()
        assert 0.0 <= one.start_s < 1e7 and (one.stop_s is None or one.stop_s == 0.0 or one.stop_s > one.start_s)


WORDS = st.text(max_size=12) | st.sampled_from(["abcDEF_-123", "nan", "inf", "-1", "1e400", "2001-13-45", "0b2", "~"])
ROW = st.dictionaries(st.sampled_from(["id", "start_s", "stop_s", "licence", "other"]), WORDS, max_size=4)
UNHURRIED = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@UNHURRIED
@given(text=st.text(max_size=200))
def test_any_text_is_a_list_or_a_sentence(tmp_path: Path, text: str) -> None:
    for name in ("list.yaml", "list.csv"):
        check_candidates(youtube_at(tmp_path, text, name))


@UNHURRIED
@given(rows=st.lists(ROW, max_size=5))
def test_any_values_make_candidates_or_a_sentence(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    listed = "".join("- {" + ", ".join(f"{key}: {value}" for key, value in row.items()) + "}\n" for row in rows)
    check_candidates(youtube_at(tmp_path, listed, "list.yaml"))
    table = "id,start_s,stop_s,licence\n" + "".join(",".join(row.values()) + "\n" for row in rows)
    check_candidates(youtube_at(tmp_path, table, "list.csv"))


@pytest.mark.parametrize(
    "entry",
    [
        "{id: abcDEF_-123, start_s: .inf}",
        "{id: abcDEF_-123, start_s: .nan}",
        "{id: abcDEF_-123, start_s: 1e300}",
        "{id: abcDEF_-123, start_s: [1]}",
        "{id: abcDEF_-123, start_s: {a: 1}}",
        "{id: abcDEF_-123, start_s: 2001-02-03}",
        "{id: abcDEF_-123, start_s: 3, stop_s: .nan}",
        "{id: [abcDEF_-123]}",
        '{id: "\\ud800"}',
        "{? [a] : b}",
        "&a [*a]",
        "../../../etc",
    ],
)
def test_an_entry_that_makes_no_sense_stops_nothing(tmp_path: Path, entry: str) -> None:
    pytest.importorskip("yt_dlp", reason="needs the extra [youtube]")
    write_pour(tmp_path / "data" / "inbox" / "good.mp4")
    (tmp_path / "data" / "inbox" / "youtube.yaml").write_text(f"- {entry}\n")
    summary = curate(tmp_path, small_experiment(sources=("local", "youtube")))
    (row,) = read_quarantine(tmp_path / "out").to_dict("records")
    assert row["reason"] == "bad_annotation"
    assert summary["accepted"] == 1


CELL = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
STAMP = st.from_regex(r"\d{1,2}:\d{2}:\d{2}(\.\d+)?", fullmatch=True) | CELL


@UNHURRIED
@given(rows=st.lists(st.tuples(CELL, CELL | st.just("P01_01"), STAMP, STAMP, CELL | st.just("9"), CELL), max_size=6))
def test_any_cells_make_candidates(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    quoted = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
    (tmp_path / "annotations.csv").write_text(HEADER + quoted)
    (tmp_path / "info.csv").write_text("video_id,duration\nP01_01,100.0\n")
    epic = EpicKitchens(tmp_path / "annotations.csv", tmp_path / "info.csv", tmp_path / "videos", 9, (), 6.0)
    for one in epic.discover():
        assert one.clip_id.isascii() and "/" not in one.clip_id and "." not in one.clip_id
        assert one.start_s >= 0.0 and (
            one.stop_s is None or one.start_s < one.stop_s <= 100.0 or one.source_id != "P01_01"
        )
    funnel = list(epic.funnel().values())
    assert funnel[0] == len(rows) and all(kept <= len(rows) for kept in funnel)
