"""What the clips stage keeps, how it cuts it, and what it does with the rest."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multigen_core.clips.catalogue import read_catalogue, read_quarantine
from multigen_core.clips.curation import LEAD_S, _splits, run
from multigen_core.errors import MissingInput, UserError
from multigen_core.experiment import Experiment
from multigen_core.media import probe, read_flac, read_video, write_video
from multigen_core.progress import Silent
from multigen_core.records import SAMPLE_RATE_HZ, Summary
from multigen_core.storage import file_sha256
from tests.clips import recordings
from tests.clips.recordings import POUR_START_S, inputs_at, small_experiment, write_pour

CYLINDER_CM = {"diameter_top": 7.0, "diameter_bottom": 7.0, "net_height": 12.0}


def curate(root: Path, out: Path, experiment: Experiment) -> Summary:
    out.mkdir()
    return run(experiment, inputs_at(root), out, Silent())


def counts(summary: Summary) -> dict[str, int]:
    """Of the quarantine, by reason."""
    found = summary["quarantined"]
    assert isinstance(found, dict)
    return {reason: int(str(count)) for reason, count in found.items()}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "inbox"
    folder.mkdir(parents=True)
    return folder


def test_a_pour_is_cut_from_just_before_its_start(inbox: Path, tmp_path: Path) -> None:
    write_pour(inbox / "pour.mp4")
    out = tmp_path / "out"
    summary = curate(tmp_path, out, small_experiment())
    (row,) = read_catalogue(out).to_dict("records")
    assert row["onset_s"] == pytest.approx(LEAD_S, abs=0.001)
    assert row["start_s"] == pytest.approx(POUR_START_S - LEAD_S, abs=0.15)
    assert row["duration_s"] == 4.0
    assert row["sha256"] == file_sha256(inbox / "pour.mp4")
    assert (row["width_px"], row["height_px"]) == (42, 32)
    assert len(read_flac(out / "media" / f"{row['clip_id']}.flac")) == 4 * SAMPLE_RATE_HZ
    kept = list(read_video(out / "media" / f"{row['clip_id']}.mp4"))
    assert len(kept) == 40
    assert kept[0].shape == (32, 42, 3)
    assert probe(out / "media" / f"{row['clip_id']}.mp4").has_sound
    assert (summary["accepted"], summary["clips_local"], summary["rejected"]) == (1, 1, 0)


def test_sight_and_sound_are_cut_at_the_same_moment(inbox: Path, tmp_path: Path) -> None:
    # The picture turns bright at the moment at which the flow begins (it rises over the 0.1 s before).
    write_pour(inbox / "pour.mp4")
    curate(tmp_path, tmp_path / "out", small_experiment(fps=20.0))
    (row,) = read_catalogue(tmp_path / "out").to_dict("records")
    brightness = [float(frame.mean()) for frame in read_video(tmp_path / "out" / "media" / f"{row['clip_id']}.mp4")]
    turns_bright_s = int(np.argmax(np.array(brightness) > 120)) / 20.0
    assert turns_bright_s == pytest.approx(POUR_START_S - row["start_s"], abs=0.051)
    assert row["onset_s"] == pytest.approx(turns_bright_s - 0.05, abs=0.12)


@pytest.mark.parametrize(("width", "height", "kept"), [(48, 64, (32, 42)), (64, 64, (32, 32)), (98, 50, (62, 32))])
def test_the_short_side_has_the_wanted_size_and_both_are_even(
    inbox: Path, tmp_path: Path, width: int, height: int, kept: tuple[int, int]
) -> None:
    write_pour(inbox / "pour.mp4", width=width, height=height)
    curate(tmp_path, tmp_path / "out", small_experiment())
    (row,) = read_catalogue(tmp_path / "out").to_dict("records")
    assert (row["width_px"], row["height_px"]) == kept


BAD: dict[str, tuple[str, Callable[[Path], None]]] = {
    "zero bytes": ("not_decodable", lambda path: path.write_bytes(b"")),
    "text": ("not_decodable", lambda path: path.write_text("this is no video")),
    "truncated header": ("not_decodable", lambda path: recordings.write_truncated(path, share=0.02)),
    "a third of the data": ("not_decodable", lambda path: recordings.write_truncated(path, share=0.3)),
    "two thirds of the data": ("not_decodable", lambda path: recordings.write_truncated(path, share=0.6)),
    "index lost": ("not_decodable", recordings.write_truncated_without_index),
    "no sound": ("no_sound", lambda path: write_video(path, recordings.frames(4.0), fps=25.0)),
    "no video": ("no_video", recordings.write_sound_only),
    "short": (
        "too_short",
        lambda path: write_video(path, recordings.frames(1.0), fps=25.0, sound=recordings.pour_sound()[16_000:32_000]),
    ),
    "silent": (
        "no_pour",
        lambda path: write_video(path, recordings.frames(4.0), fps=25.0, sound=np.zeros(64_000, np.float32)),
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_recording_goes_to_quarantine_and_the_others_go_on(inbox: Path, tmp_path: Path, kind: str) -> None:
    reason, write_bad = BAD[kind]
    write_bad(inbox / "bad.mp4")
    write_pour(inbox / "good.mp4")
    summary = curate(tmp_path, tmp_path / "out", small_experiment())
    assert list(read_catalogue(tmp_path / "out")["source_id"]) == ["good"]
    (row,) = read_quarantine(tmp_path / "out").to_dict("records")
    assert (row["source"], row["path"], row["reason"]) == ("local", "bad.mp4", reason)
    assert np.isfinite(row["figure"]) == (reason in {"too_short", "no_pour"})
    assert summary["rejected"] == 1
    assert {name: count for name, count in counts(summary).items() if count} == {reason: 1}


def test_any_name_is_taken(inbox: Path, tmp_path: Path) -> None:
    names = ["two words.mp4", 'it\'s "quoted" [x].MOV', "Кофе ☕.mkv", "deep/er/clip.mp4", os.fsdecode(b"b\xffd.mp4")]
    write_pour(inbox / "first.mp4")
    for name in names:
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes((inbox / "first.mp4").read_bytes())
    (inbox / "notes.txt").write_text("not a video")
    summary = curate(tmp_path, tmp_path / "out", small_experiment())
    assert (summary["accepted"], summary["rejected"]) == (6, 0)
    for clip_id in read_catalogue(tmp_path / "out")["clip_id"]:
        assert (tmp_path / "out" / "media" / f"{clip_id}.flac").is_file()


def test_clips_of_one_recording_stay_on_one_side(inbox: Path, tmp_path: Path) -> None:
    write_pour(inbox / "a_0_7.mp4")
    for name in ("a_7.5_14.mp4", "b_0.0_7.0.mp4", "b_9_16.mp4", "c.mp4"):
        (inbox / name).write_bytes((inbox / "a_0_7.mp4").read_bytes())
    summary = curate(tmp_path, tmp_path / "out", small_experiment(validation_fraction=0.01))
    catalogue = read_catalogue(tmp_path / "out")
    assert sorted(catalogue["source_id"]) == ["a", "a", "b", "b", "c"]
    assert (catalogue.groupby("source_id")["split"].nunique() == 1).all()
    assert summary["train"] and summary["validation"]


def test_the_same_inbox_gives_the_same_bytes(inbox: Path, tmp_path: Path) -> None:
    write_pour(inbox / "pour.mp4")
    (inbox / "bad.mp4").write_bytes(b"")
    digests = []
    for name in ("once", "again"):
        curate(tmp_path, tmp_path / name, small_experiment())
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        digests.append([(path.relative_to(tmp_path / name), file_sha256(path)) for path in files])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 4


@pytest.mark.parametrize(
    ("beside", "measured"),
    [
        ({"shape": "cylindrical", "flow_rate_appx": "constant", "measurements": CYLINDER_CM}, True),
        ({"shape": "cylindrical", "flow_rate_appx": "variable", "measurements": CYLINDER_CM}, False),
        ({"shape": "conical", "flow_rate_appx": "constant", "measurements": CYLINDER_CM}, False),
        ({"shape": "cylindrical", "flow_rate_appx": "constant", "measurements": {"net_height": "tall"}}, False),
        ([1, 2], False),
    ],
)
def test_only_a_measured_cylinder_gets_an_air_column_error(
    inbox: Path, tmp_path: Path, beside: object, measured: bool
) -> None:
    write_pour(inbox / "pour.mp4")
    (inbox / "pour.json").write_text(json.dumps(beside))
    summary = curate(tmp_path, tmp_path / "out", small_experiment())
    (row,) = read_catalogue(tmp_path / "out").to_dict("records")
    assert np.isnan(row["air_column_error_m"]) != measured
    assert (summary["air_column_error_m"] is not None) == measured


def test_a_missing_inbox_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"clips\.inbox is .*data/inbox"):
        curate(tmp_path, tmp_path / "out", small_experiment())


def test_nothing_usable_is_an_error_that_counts(inbox: Path, tmp_path: Path) -> None:
    (inbox / "bad.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r"none of 1 candidates became a clip \(1 not_decodable\)"):
        curate(tmp_path, tmp_path / "out", small_experiment())


def test_a_new_recording_moves_no_other_across_the_split() -> None:
    experiment = small_experiment()
    few = _splits([f"local/{k}" for k in range(40)], experiment)
    many = _splits([f"local/{k}" for k in range(80)], experiment)
    assert few == {name: many[name] for name in few}
    assert 0.05 < np.mean(pd.Series(many) == "validation") < 0.3


@pytest.mark.skipif(not recordings.REAL_CLIPS.is_dir(), reason="needs ../shared/data/real_clips, three real recordings")
def test_three_real_recordings_come_through(tmp_path: Path) -> None:
    experiment = small_experiment(inbox=str(recordings.REAL_CLIPS), length_s=6.0, size_px=64)
    summary = curate(tmp_path, tmp_path / "out", experiment)
    assert (summary["accepted"], summary["rejected"]) == (3, 0)
    rows = read_catalogue(tmp_path / "out").set_index("source_id")
    heard_s = rows["start_s"] + rows["onset_s"]
    # By eye from spectrograms: water sets in at 0.4, 1.6 and 2.4 s.
    expected = {"VID_20240116_230040": 0.4, "ayNzH0uygFw": 1.6, "biDn0Gi6V8U": 2.4}
    assert heard_s.to_dict() == pytest.approx(expected, abs=0.15)
    assert (rows["duration_s"] == 6.0).all()
    assert summary["air_column_error_m"] < 0.005
    assert rows["air_column_error_m"].notna().sum() == 1
    assert rows.loc["ayNzH0uygFw", "width_px"] == 114
