"""Copies are found whatever was done to them, and two pours are never taken for one."""

from pathlib import Path

import numpy as np
import pytest

from multigen_core.clips.duplicates import HeardClip, repetitions
from multigen_core.clips.fingerprint import HeardClips, fingerprint, likeness
from multigen_core.media import read_sound, write_video
from multigen_core.params import load
from multigen_core.records import SAMPLE_RATE_HZ
from tests.clips.recordings import ROOT, frames, pour_sound

FILTERS = load(ROOT / "params.yaml").clips.filters
POURS = [pour_sound(seed) for seed in range(8)]
NOISE = np.random.default_rng(5).standard_normal(len(POURS[0])).astype(np.float32)


def coded(sound: np.ndarray, folder: Path) -> np.ndarray:
    write_video(folder / "coded.mp4", frames(7.0), fps=25.0, sound=sound)
    return read_sound(folder / "coded.mp4")


def best(one: np.ndarray, other: np.ndarray) -> float:
    heard = HeardClips()
    heard.add(fingerprint(one))
    match = heard.most_alike(fingerprint(other))
    return match.likeness if match else 0.0


@pytest.mark.parametrize("pour", POURS[:3])
def test_copies_are_alike(pour: np.ndarray, tmp_path: Path) -> None:
    level = np.sqrt(np.mean(pour**2))
    copies = {
        "the same": pour,
        "quieter": 0.25 * pour,
        "coded": coded(pour, tmp_path),
        "cut later": pour[SAMPLE_RATE_HZ // 3 + 77 :],
        "cut shorter": pour[: 4 * SAMPLE_RATE_HZ],
        "in some noise": pour + 0.1 * level * NOISE[: len(pour)],
    }
    for name, copy in copies.items():
        assert best(pour, copy) > FILTERS.max_likeness, name


def test_different_pours_are_not_alike() -> None:
    words = [fingerprint(pour) for pour in POURS]
    for k, one in enumerate(words):
        for other in words[k + 1 :]:
            figures = [likeness(one, other, lag) for lag in range(-200, 201, 10)]
            assert max(figures) < FILTERS.max_likeness - 0.08
            assert 0.4 < np.median(figures) < 0.6


def test_the_same_sound_has_the_same_words() -> None:
    np.testing.assert_array_equal(fingerprint(POURS[0]), fingerprint(POURS[0].copy()))
    assert len(fingerprint(POURS[0][:100])) == 0


def test_silence_is_like_nothing() -> None:
    silence = fingerprint(np.zeros(5 * SAMPLE_RATE_HZ, np.float32))
    assert not silence.any()
    assert likeness(silence, silence) == 0.0
    assert best(np.zeros(5 * SAMPLE_RATE_HZ, np.float32), np.zeros(5 * SAMPLE_RATE_HZ, np.float32)) == 0.0


def clip(sound: np.ndarray, recording: str | None = None, start_s: float = 0.0) -> HeardClip:
    return HeardClip(recording, start_s, start_s + len(sound) / SAMPLE_RATE_HZ, fingerprint(sound))


def found(clips: list[HeardClip]) -> list[tuple[int, int]]:
    return [(one.number, one.of) for one in repetitions(clips, FILTERS)]


def test_the_first_stays_and_every_repetition_names_it() -> None:
    clips = [clip(POURS[0]), clip(POURS[1]), clip(0.5 * POURS[0]), clip(POURS[2]), clip(POURS[0][3000:])]
    assert found(clips) == [(2, 0), (4, 0)]


def test_one_moment_of_one_recording_is_there_once_however_it_sounds() -> None:
    clips = [
        clip(POURS[0], "abc", 10.0),
        clip(POURS[1], "abc", 12.0),  # five of seven seconds are the same
        clip(POURS[2], "abc", 15.5),  # less than half
        clip(POURS[3], "other", 10.0),
        clip(POURS[4], None, 10.0),  # only a file's name: may be another recording
    ]
    assert found(clips) == [(1, 0)]
    (repetition,) = repetitions(clips, FILTERS)
    assert repetition.figure == pytest.approx(5.0 / 7.0)


def test_thresholds_of_one_take_everything() -> None:
    everything = type(FILTERS)(**vars(FILTERS) | {"max_likeness": 1.0, "max_overlap": 1.0})
    assert list(repetitions([clip(POURS[0], "abc"), clip(POURS[0], "abc")], everything)) == []
