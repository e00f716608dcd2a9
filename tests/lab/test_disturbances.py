"""Each disturbance does what its name says, to the sense it names and to no other."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from multigen_core.experiment import DisturbanceName
from multigen_core.lab.control import pour
from multigen_core.lab.disturbances import DISTURBANCES, DisturbedSenses, Played
from multigen_core.lab.lost_senses import lost_sense
from multigen_core.records import Observation
from tests.lab.fakes import TASK, FakeLab, ScriptedPolicy

POUR_DBFS = -30.0
BLOCK = 1600


def senses(name: str, seed: int = 0) -> DisturbedSenses:
    return DisturbedSenses(DISTURBANCES[name], pour_level_dbfs=POUR_DBFS, samples_per_step=BLOCK, seed=seed)


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)


def block() -> np.ndarray:
    return np.random.default_rng(1).normal(0.0, 0.01, BLOCK).astype(np.float32)


def test_the_params_know_every_disturbance() -> None:
    assert tuple(DISTURBANCES) == get_args(DisturbanceName)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_only_the_named_sense_is_touched(name: str) -> None:
    disturbed = senses(name)
    sees = name in ("lights_off", "camera_covered")
    hears = name.startswith("chatter") or name == "microphone_dead"
    assert np.array_equal(disturbed.seen(picture()), picture()) != sees
    assert np.array_equal(disturbed.heard(block()), block()) != hears


@pytest.mark.parametrize("snr_db", [20, 10, 5, 0])
def test_chatter_stands_to_a_pour_as_its_name_says(snr_db: int) -> None:
    silence = np.zeros(BLOCK, np.float32)
    disturbed = senses(f"chatter_{snr_db}_db")
    heard = np.concatenate([disturbed.heard(silence) for _ in range(1200)])
    # Syllables swell log-normally: the mean power lies a little above that of their median.
    swell_db = 10.0 * np.log10(np.exp(0.5 * (4.0 / 10.0 * np.log(10.0)) ** 2))
    level_dbfs = 10.0 * np.log10(np.mean(heard**2))
    assert level_dbfs == pytest.approx(POUR_DBFS - snr_db + swell_db, abs=1.5)


def test_chatter_is_one_sound_not_a_row_of_blocks() -> None:
    disturbed = senses("chatter_0_db")
    silence = np.zeros(BLOCK, np.float32)
    heard = np.concatenate([disturbed.heard(silence) for _ in range(50)])
    jumps = np.abs(np.diff(heard))
    at_joints = jumps[BLOCK - 1 :: BLOCK]
    assert at_joints.mean() < 1.5 * jumps.mean()


def test_the_same_seed_gives_the_same_chatter() -> None:
    first, again, other = (senses("chatter_5_db", seed).heard(block()) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_with_the_lights_off_shapes_are_still_there() -> None:
    bright = np.zeros((48, 48, 3), np.uint8)
    bright[:, 24:] = 220
    dark = senses("lights_off").seen(bright).astype(float)
    assert dark.max() < 40.0
    assert dark[:, 24:].mean() - dark[:, :24].mean() > 8.0


def observation(rgb: np.ndarray, waveform: np.ndarray) -> Observation:
    still = np.zeros(7, np.float32)
    return Observation(rgb, waveform, still, still, 0.5)


def test_a_lost_sense_is_noticed_by_who_needs_it() -> None:
    seeing = replace(ScriptedPolicy(lambda _: 0.0), uses_sight=True)
    hearing = replace(ScriptedPolicy(lambda _: 0.0), uses_sound=True)
    covered = observation(senses("camera_covered").seen(picture()), block())
    deaf = observation(picture(), senses("microphone_dead").heard(block()))
    assert lost_sense(seeing, covered) == "the camera shows nothing"
    assert lost_sense(hearing, deaf) == "the microphone is dead"
    assert lost_sense(seeing, deaf) is None
    assert lost_sense(hearing, covered) is None
    for name in ("none", "lights_off", "chatter_0_db"):
        disturbed = senses(name)
        fine = observation(disturbed.seen(picture()), disturbed.heard(block()))
        assert lost_sense(seeing, fine) is None
        assert lost_sense(hearing, fine) is None


def test_a_quiet_room_is_not_a_dead_microphone() -> None:
    hearing = replace(ScriptedPolicy(lambda _: 0.0), uses_sound=True)
    quiet = 10.0 ** (-75.0 / 20.0) * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    assert lost_sense(hearing, observation(picture(), quiet.astype(np.float32))) is None


def test_a_trial_without_the_sense_ends_before_anything_is_poured() -> None:
    # The fake lab's picture is black.
    lab = FakeLab()
    result = pour(lab, replace(ScriptedPolicy(lambda _: 0.5), uses_sight=True), TASK, max_duration_s=15.0)
    assert result.outcome == "sense_lost"
    assert result.end.poured_ml == 0.0


def test_another_trial_is_silent_before_and_after() -> None:
    played = Played(TASK, ((10.0, 0.09, 0.1), (20.0, 0.08, 0.1)))
    assert [played.at(step)[0] for step in range(5)] == [0.0, 10.0, 20.0, 0.0, 0.0]
    assert played.at(9)[1] == 0.08
