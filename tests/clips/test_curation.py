"""What the clips stage keeps, how it cuts it, and what it does with the rest."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multigen_core.clips.catalogue import read_catalogue, read_quarantine
from multigen_core.clips.curation import CUTS, _splits, run
from multigen_core.clips.cutting import LEAD_S
from multigen_core.errors import MissingInput, UserError
from multigen_core.experiment import Experiment
from multigen_core.media import probe, read_flac, read_video, write_video
from multigen_core.progress import Silent
from multigen_core.records import SAMPLE_RATE_HZ, Summary
from multigen_core.storage import file_sha256
from tests.clips import recordings
from tests.clips.recordings import POUR_START_S, inputs_at, small_experiment, write_pour
from tests.clips.sounds import tune, voice

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
    names = [
        "two words.mp4",
        'it\'s "quoted" [x].MOV',
        "Кофе ☕.mkv",
        "deep/er/clip.mp4",
        "two\nlines.mp4",
        "up ..\\..\\.mp4",
        "-rf $(id);`id`.mp4",
        "_...mp4.mp4",
        os.fsdecode(b"b\xffd.mp4"),
    ]
    for seed, name in enumerate(names):
        write_pour(tmp_path / "plain.mp4", seed=seed)
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain.mp4").replace(inbox / name)
    (inbox / "notes.txt").write_text("not a video")
    summary = curate(tmp_path, tmp_path / "out", small_experiment())
    assert (summary["accepted"], summary["rejected"]) == (len(names), 0)
    for clip_id in read_catalogue(tmp_path / "out")["clip_id"]:
        assert (tmp_path / "out" / "media" / f"{clip_id}.flac").is_file()


def test_clips_of_one_recording_stay_on_one_side(inbox: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("a_0_7.mp4", "a_7.5_14.mp4", "b_0.0_7.0.mp4", "b_9_16.mp4", "c.mp4")):
        write_pour(inbox / name, seed=seed)
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
        # At the size of params.yaml: of 64 pixels and less, x264 with its macroblock tree varies once in a hundred.
        curate(tmp_path, tmp_path / name, small_experiment(size_px=128))
        shutil.rmtree(tmp_path / CUTS)  # the second run shall cut by itself
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


def write_copy(path: Path, of: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(of.read_bytes())


FAULTS: dict[str, Callable[[Path], None]] = {
    "too_quiet": lambda path: write_video(path, recordings.frames(7.0), fps=25.0, sound=quiet(recordings.pour_sound())),
    "clipped": lambda path: write_video(
        path, recordings.frames(7.0), fps=25.0, sound=np.clip(30.0 * quiet(recordings.pour_sound()) * 100, -1.0, 1.0)
    ),
    "still": lambda path: write_video(
        path, [recordings.frames(0.04)[0]] * 175, fps=25.0, sound=recordings.pour_sound()
    ),
    "cut": lambda path: write_video(path, two_scenes(), fps=25.0, sound=recordings.pour_sound()),
    "speech": lambda path: write_video(path, recordings.frames(7.0), fps=25.0, sound=between_pauses(voice(5.0))),
    "music": lambda path: write_video(path, recordings.frames(7.0), fps=25.0, sound=between_pauses(tune(5.0))),
}


def quiet(sound: np.ndarray) -> np.ndarray:
    """At -60 dBFS."""
    return (1e-3 * sound / np.sqrt(np.mean(sound**2))).astype(np.float32)


def two_scenes() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    rooms = [np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(2)]
    return [rooms[k > 75] for k in range(175)]


def between_pauses(sound: np.ndarray) -> np.ndarray:
    """With hiss in it, as rushing liquid has: the detector of pours must be fooled before the filter can be tried."""
    rng = np.random.default_rng(4)
    hiss = np.concatenate([np.full(16_000, 1e-4), np.full(len(sound), 6e-3), np.full(16_000, 1e-4)])
    padded = np.pad(sound, (16_000, 16_000))
    return (padded + hiss * rng.standard_normal(len(padded))).astype(np.float32)


@pytest.mark.parametrize("reason", FAULTS)
def test_what_is_no_clean_pour_is_rejected_with_its_figure(inbox: Path, tmp_path: Path, reason: str) -> None:
    FAULTS[reason](inbox / "bad.mp4")
    write_pour(inbox / "good.mp4", seed=1)
    filters = small_experiment().clips.filters
    values = vars(filters) | ({"min_level_dbfs": -55.0} if reason == "too_quiet" else {})
    experiment = small_experiment(size_px=48, filters=type(filters)(**values))
    summary = curate(tmp_path, tmp_path / "out", experiment)
    (row,) = read_quarantine(tmp_path / "out").to_dict("records")
    assert (row["path"], row["reason"]) == ("bad.mp4", reason)
    assert np.isfinite(row["figure"])
    assert counts(summary)[reason] == summary["rejected"] == summary["accepted"] == 1
    assert {path.stem.split("-")[1] for path in (tmp_path / "out" / "media").iterdir()} == {"good"}


def test_a_filter_can_be_switched_off(inbox: Path, tmp_path: Path) -> None:
    for reason in ("still", "cut", "clipped"):
        FAULTS[reason](inbox / f"{reason}.mp4")
    filters = small_experiment().clips.filters
    values = vars(filters) | {"min_motion": 0.0, "min_continuity": -1.0, "max_clipped": 1.0, "max_likeness": 1.0}
    summary = curate(tmp_path, tmp_path / "out", small_experiment(size_px=48, filters=type(filters)(**values)))
    assert (summary["accepted"], summary["rejected"]) == (3, 0)


def test_a_copy_under_another_name_is_a_duplicate(inbox: Path, tmp_path: Path) -> None:
    write_pour(inbox / "a.mp4")
    write_copy(inbox / "copies" / "b.mp4", inbox / "a.mp4")
    quieter = 0.5 * recordings.pour_sound()[4000:]
    write_video(inbox / "c.mp4", recordings.frames(6.5), fps=25.0, sound=quieter)
    write_pour(inbox / "d.mp4", seed=1)
    summary = curate(tmp_path, tmp_path / "out", small_experiment())
    assert sorted(read_catalogue(tmp_path / "out")["source_id"]) == ["a", "d"]
    quarantine = read_quarantine(tmp_path / "out")
    assert list(quarantine["path"]) == ["c.mp4", "copies/b.mp4"]
    assert (quarantine["reason"] == "duplicate").all() and (quarantine["figure"] > 0.75).all()
    assert len(list((tmp_path / "out" / "media").iterdir())) == 4
    assert counts(summary)["duplicate"] == 2


def test_the_same_part_of_one_recording_is_there_once_in_all_sources(tmp_path: Path) -> None:
    """The local file was cut from second 9 of a video that the list of the other source names too."""
    write_pour(tmp_path / "data" / "inbox" / "abcDEF_-123_9_16.mp4")
    cache = tmp_path / "data" / "youtube"
    quiet_lead = [recordings.frames(1.0)[0]] * (9 * 25)
    other_sound = np.concatenate([1e-4 * np.ones(9 * 16_000, np.float32), recordings.pour_sound(5)])
    cache.mkdir(parents=True)
    write_video(cache / "abcDEF_-123.mp4", quiet_lead + recordings.frames(7.0), fps=25.0, sound=other_sound)
    (tmp_path / "data" / "inbox" / "youtube.yaml").write_text("- {id: abcDEF_-123, start_s: 8, stop_s: 16}\n")
    pytest.importorskip("yt_dlp", reason="needs the extra [youtube]")
    summary = curate(tmp_path, tmp_path / "out", small_experiment(sources=("local", "youtube")))
    assert (summary["accepted"], summary["clips_local"]) == (1, 1)
    (row,) = read_quarantine(tmp_path / "out").to_dict("records")
    assert (row["source"], row["reason"]) == ("youtube", "duplicate")
    assert 0.5 < row["figure"] <= 1.0


def test_a_date_and_a_time_are_no_part_of_a_video(inbox: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("VID_20240116_230040.mp4", "VID_20240117_120000.mp4")):
        write_pour(inbox / name, seed=seed)
    curate(tmp_path, tmp_path / "out", small_experiment())
    assert sorted(read_catalogue(tmp_path / "out")["source_id"]) == ["VID_20240116_230040", "VID_20240117_120000"]


def test_only_allowed_licences_are_taken_and_nothing_else_is_fetched(inbox: Path, tmp_path: Path) -> None:
    (inbox / "unknown.mp4").write_bytes(b"")  # would be not_decodable if it were opened
    experiment = small_experiment(
        sources=("reference", "local"), reference_count=1, length_s=2.0, licences=("mit", "CC BY 4.0")
    )
    summary = curate(tmp_path, tmp_path / "out", experiment)
    assert set(read_catalogue(tmp_path / "out")["licence"]) == {"MIT"}
    assert {name: count for name, count in counts(summary).items() if count} == {"licence": 1}


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
