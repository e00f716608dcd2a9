"""The gate of audio models: right about its own pour, and surely nearer to the truth than the champion."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multigen_core.audio_model.report import SCORES
from multigen_core.errors import MissingInput
from multigen_core.evaluation.audio_gate import Heard, gate_audio, read_scores
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.experiment import AudioChampion

BOOTSTRAP = Bootstrap(resamples=400, seed=0)
CONFIG = AudioChampion(margin=0.0, max_container_loss=0.2, max_sdr_loss_db=1.0)


def heard(error: float, *, shuffled: float = 0.4) -> list[Heard]:
    """Twelve episodes into two cups, with errors around ``error``."""
    spread = np.random.default_rng(3).normal(1.0, 0.2, 12)
    return [
        Heard(f"pour-{number}", ("mug", "glass")[number % 2], error * spread[number], shuffled, 9.0)
        for number in range(12)
    ]


GOOD = heard(0.15)


def test_the_first_that_hears_its_own_pour_becomes_champion() -> None:
    decision = gate_audio(GOOD, None, CONFIG, BOOTSTRAP)
    assert decision.promote and "no champion yet" in " ".join(decision.reasons)
    assert decision.figures["fits_own_octaves_low"] > 0.2


def test_no_better_than_another_pours_sound_is_refused() -> None:
    decision = gate_audio(heard(0.4), None, CONFIG, BOOTSTRAP)
    assert not decision.promote and "which may be chance" in decision.reasons[0]


def test_a_surely_better_one_takes_over_and_the_same_again_does_not() -> None:
    assert gate_audio(heard(0.1), GOOD, CONFIG, BOOTSTRAP).promote
    again = gate_audio(GOOD, GOOD, CONFIG, BOOTSTRAP)
    assert not again.promote and "not surely above audio_champion.margin 0" in again.reasons[0]


def test_one_cup_that_it_gets_wrong_holds_it_back() -> None:
    """Better in the mean and surely so, but not into the one glass."""
    champion = [replace(one, container="glass" if one.episode_id == "pour-1" else "mug") for one in GOOD]
    challenger = [replace(one, error=0.38 if one.container == "glass" else 0.01) for one in champion]
    decision = gate_audio(challenger, champion, CONFIG, BOOTSTRAP)
    assert decision.figures["improvement_low"] > 0.0
    assert not decision.promote and len(decision.reasons) == 1
    assert decision.reasons[0].startswith("on glass its error") and "max_container_loss 0.2" in decision.reasons[0]


def test_fidelity_must_not_pay_for_pitch() -> None:
    duller = [replace(one, sdr_db=7.5) for one in heard(0.1)]
    decision = gate_audio(duller, GOOD, CONFIG, BOOTSTRAP)
    assert not decision.promote and decision.reasons == (
        "its fidelity is 1.50 dB below the champion's, more than audio_champion.max_sdr_loss_db 1",
    )


@pytest.mark.parametrize(("champion", "words"), [(GOOD[:-1], "only 11 of 12 episodes pair"), ([], "only 0 of 12")])
def test_other_episodes_than_the_champions_prove_nothing(champion: Sequence[Heard], words: str) -> None:
    decision = gate_audio(heard(0.05), champion, CONFIG, BOOTSTRAP)
    assert not decision.promote and words in decision.reasons[0]


def test_no_scores_are_no_promotion() -> None:
    assert not gate_audio([], None, CONFIG, BOOTSTRAP).promote


def test_episodes_without_a_pour_are_left_out(tmp_path: Path) -> None:
    rows = [
        {
            "episode_id": name,
            "container": "mug",
            "condition": condition,
            "pitch_error_octaves": error,
            "sdr_db": 8.0,
        }
        for name, errors in (("a", (0.1, 0.3)), ("b", (None, None)))
        for condition, error in zip(("generated", "shuffled"), errors, strict=True)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / SCORES)
    assert read_scores(tmp_path) == [Heard("a", "mug", 0.1, 0.3, 8.0)]
    with pytest.raises(MissingInput, match="run the stage 'audio_report' first"):
        read_scores(tmp_path / "elsewhere")
