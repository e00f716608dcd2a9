"""Reference clips: sight, sound and truth tell the same pour."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multigen_core.acoustics.resonance import quarter_wave_hz
from multigen_core.acoustics.tracker import track_resonance
from multigen_core.clips.catalogue import read_catalogue
from multigen_core.clips.curation import run
from multigen_core.clips.sources import SOURCES, configured_sources
from multigen_core.media import read_flac, read_masks, read_sound, read_video
from multigen_core.progress import Silent
from multigen_core.records import SAMPLE_RATE_HZ, Summary
from multigen_core.storage import file_sha256
from tests.clips.recordings import inputs_at, small_experiment

COUNT = 3
EXPERIMENT = small_experiment(sources=("reference",), reference_count=COUNT, size_px=64, length_s=4.0)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("clips")
    return out, run(EXPERIMENT, inputs_at(tmp_path_factory.mktemp("root")), out, Silent())


def test_every_pour_becomes_a_clip_of_full_length(stage: tuple[Path, Summary]) -> None:
    out, summary = stage
    catalogue = read_catalogue(out)
    assert summary["clips_reference"] == COUNT
    assert summary["rejected"] == 0
    assert (catalogue["duration_s"] == 4.0).all()
    assert (catalogue["start_s"] == 0.0).all()
    assert set(catalogue["split"]) == {"train", "validation"}
    assert summary["reference_onset_error_s_median"] < 0.25


def test_frames_masks_curves_and_samples_have_one_clock(stage: tuple[Path, Summary]) -> None:
    out, _ = stage
    for clip_id in read_catalogue(out)["clip_id"]:
        curves = pd.read_parquet(out / "truth" / f"{clip_id}.parquet")
        assert len(curves) == 40
        assert curves["time_s"].to_numpy() == pytest.approx(np.arange(40) / 10.0)
        assert read_masks(out / "truth" / f"{clip_id}.mp4").shape == (40, 64, 64)
        assert len(list(read_video(out / "media" / f"{clip_id}.mp4"))) == 40
        assert len(read_flac(out / "media" / f"{clip_id}.flac")) == 4 * SAMPLE_RATE_HZ


def test_the_mask_shows_the_stream_exactly_while_it_flows(stage: tuple[Path, Summary]) -> None:
    out, _ = stage
    for clip_id in read_catalogue(out)["clip_id"]:
        curves = pd.read_parquet(out / "truth" / f"{clip_id}.parquet")
        masks = read_masks(out / "truth" / f"{clip_id}.mp4")
        top_of_receiver = [np.flatnonzero((mask == 2).any(axis=1))[0] for mask in masks]
        # Rows in the air above the receiver: liquid there is the stream, or a few pixels inside the pitcher's mouth.
        in_air = np.array([(mask[: top - 1] == 3).sum() for mask, top in zip(masks, top_of_receiver, strict=True)])
        assert np.all(in_air[curves["flow_ml_s"] == 0] <= 3)
        assert np.mean(in_air[curves["flow_ml_s"] > 8] > 3) > 0.8


def test_the_liquid_in_the_mask_grows_with_the_level(stage: tuple[Path, Summary]) -> None:
    out, _ = stage
    for clip_id in read_catalogue(out)["clip_id"]:
        levels_m = pd.read_parquet(out / "truth" / f"{clip_id}.parquet")["level_m"].to_numpy()
        still = pd.read_parquet(out / "truth" / f"{clip_id}.parquet")["flow_ml_s"].to_numpy() == 0
        area = (read_masks(out / "truth" / f"{clip_id}.mp4") == 3).sum(axis=(1, 2))
        order = np.argsort(levels_m[still], kind="stable")
        assert np.all(np.diff(area[still][order]) >= -1)
        assert area[-1] > area[0]


def test_the_sound_is_that_of_the_level_shown(stage: tuple[Path, Summary]) -> None:
    out, _ = stage
    errors = []
    for clip_id in read_catalogue(out)["clip_id"]:
        curves = pd.read_parquet(out / "truth" / f"{clip_id}.parquet")
        track = track_resonance(read_flac(out / "media" / f"{clip_id}.flac"))
        shown = {
            name: np.interp(track.times_s, curves["time_s"], curves[name]) for name in ("flow_ml_s", "air_column_m")
        }
        expected_hz = quarter_wave_hz(shown["air_column_m"], curves["mouth_radius_m"].iloc[0])
        readable = (shown["flow_ml_s"] > 10) & (expected_hz < 2800)
        errors.append(np.median(np.abs(np.log2(track.f0_hz / expected_hz))[readable]))
    assert np.median(errors) < 0.03


def test_loudness_follows_the_flow_without_lag(stage: tuple[Path, Summary]) -> None:
    out, _ = stage
    clip_id = read_catalogue(out)["clip_id"].iloc[0]
    curves = pd.read_parquet(out / "truth" / f"{clip_id}.parquet")
    waveform = read_flac(out / "media" / f"{clip_id}.flac")
    blocks = waveform.reshape(-1, 160)  # 10 ms
    loud_db = 10.0 * np.log10(np.mean(blocks**2, axis=1) + 1e-12)
    floor_db = np.percentile(loud_db, 5)
    centre_s = (np.arange(len(blocks)) + 0.5) / 100.0

    def correlation(lag_s: float) -> float:
        flow = np.interp(centre_s - lag_s, curves["time_s"], curves["flow_ml_s"])
        return float(np.corrcoef(10.0 * np.log10(flow + 0.3), np.maximum(loud_db, floor_db + 3))[0, 1])

    lags_s = np.arange(-0.5, 0.51, 0.02)
    assert abs(lags_s[int(np.argmax([correlation(lag) for lag in lags_s]))]) <= 0.1


def test_the_track_inside_the_video_is_in_step_with_the_flac(stage: tuple[Path, Summary]) -> None:
    out, _ = stage
    clip_id = read_catalogue(out)["clip_id"].iloc[0]
    lossless = read_flac(out / "media" / f"{clip_id}.flac")
    inside = read_sound(out / "media" / f"{clip_id}.mp4")
    length = min(len(lossless), len(inside))
    spectrum = np.fft.rfft(lossless[:length], 2 * length).conj() * np.fft.rfft(inside[:length], 2 * length)
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    assert min(lag, 2 * length - lag) <= 16


def test_the_same_seed_gives_the_same_bytes_on_any_engine(stage: tuple[Path, Summary], tmp_path: Path) -> None:
    out, _ = stage
    source = configured_sources(EXPERIMENT, tmp_path)[0]
    again = pickle.loads(pickle.dumps(source))
    recording = again.fetch(again.discover()[1], tmp_path)
    row = read_catalogue(out).iloc[1]
    assert file_sha256(recording.video) == row["sha256"]
    np.testing.assert_array_equal(read_flac(recording.sound), read_flac(out / "media" / f"{row['clip_id']}.flac"))


def test_sources_have_names_and_steady_unique_candidates(tmp_path: Path) -> None:
    (tmp_path / "data" / "inbox").mkdir(parents=True)
    (tmp_path / "data" / "inbox" / "a_1_2.mp4").write_bytes(b"x")
    (tmp_path / "data" / "inbox" / "youtube.yaml").write_text("- {id: abcDEF_-123}\n- {id: abcDEF_-124}\n")
    epic = tmp_path / "data" / "epic"
    epic.mkdir()
    (epic / "EPIC_100_video_info.csv").write_text("video_id,duration\nP01_01,60\n")
    (epic / "EPIC_100_train.csv").write_text(
        "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun\n"
        "a,P01_01,00:00:05.0,00:00:08.0,9,water\nb,P01_01,00:00:45.0,00:00:48.0,9,water\n"
    )
    experiment = small_experiment(sources=tuple(source.name for source in SOURCES))
    sources = configured_sources(experiment, tmp_path)
    assert [source.name for source in sources] == [source.name for source in SOURCES]
    candidates = [candidate for source in sources for candidate in source.discover()]
    assert candidates == [candidate for source in sources for candidate in source.discover()]
    assert len({candidate.clip_id for candidate in candidates}) == len(candidates)
    assert all(candidate.licence for candidate in candidates)
