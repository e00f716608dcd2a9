"""Speech, music and overdriven sound are told from pours; a pour with a hum is still a pour."""

from pathlib import Path

import numpy as np
import pytest

from multigen_core.clips.foreign_sound import clipped_share, music_share, speech_share
from multigen_core.media import read_sound
from multigen_core.params import load
from multigen_core.records import SAMPLE_RATE_HZ
from tests.clips.recordings import REAL_CLIPS, ROOT, pour_sound
from tests.clips.sounds import hum, tune, voice

FILTERS = load(ROOT / "params.yaml").clips.filters
NOISE = 1e-3 * np.random.default_rng(0).standard_normal(6 * SAMPLE_RATE_HZ).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [95.0, 130.0, 220.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_voice_is_heard(pitch_hz: float, seed: int) -> None:
    """A low one may hold its tones long enough to be taken for music too: it is rejected either way."""
    assert speech_share(voice(6.0, pitch_hz=pitch_hz, seed=seed) + NOISE) > FILTERS.max_speech


def test_a_tune_is_heard_and_is_no_speech() -> None:
    sound = tune(6.0) + NOISE
    assert music_share(sound) > FILTERS.max_music
    assert speech_share(sound) < FILTERS.max_speech


@pytest.mark.parametrize("seed", range(6))
def test_a_pour_is_neither_even_with_a_hum(seed: int) -> None:
    pour = pour_sound(seed)
    for sound in (pour, pour + hum(7.0)[: len(pour)]):
        assert speech_share(sound) < 0.5 * FILTERS.max_speech
        assert music_share(sound) < 0.5 * FILTERS.max_music


def test_the_figures_do_not_depend_on_the_gain() -> None:
    sound = voice(6.0) + NOISE
    assert speech_share(0.1 * sound) == pytest.approx(speech_share(sound), abs=0.05)


def test_silence_noise_and_nothing_are_neither() -> None:
    for sound in (NOISE, np.zeros(SAMPLE_RATE_HZ, np.float32), np.zeros(100, np.float32), np.zeros(0, np.float32)):
        assert speech_share(sound) < 0.02
        assert music_share(sound) < 0.02


def test_overdriven_sound_is_counted() -> None:
    assert clipped_share(0.2 * pour_sound() / np.abs(pour_sound()).max()) == 0.0
    assert clipped_share(np.clip(40.0 * pour_sound() / np.abs(pour_sound()).max(), -1.0, 1.0)) > FILTERS.max_clipped
    assert clipped_share(np.zeros(0, np.float32)) == 0.0


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="needs ../shared/data/real_clips, three real recordings")
@pytest.mark.parametrize("path", sorted(REAL_CLIPS.glob("*.mp4")), ids=lambda path: path.stem)
def test_real_pours_pass_with_room_to_spare(path: Path) -> None:
    sound = read_sound(path)
    assert speech_share(sound) < 0.7 * FILTERS.max_speech
    assert music_share(sound) < 0.7 * FILTERS.max_music
    assert clipped_share(sound) < 0.5 * FILTERS.max_clipped
