"""Each law holds on sound data and notices what is wrong."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from multigen_core.params import load
from multigen_core.stages import STAGES, stage_named
from pipelines import checks
from pipelines.laws import LAWS, curve_violations, trial_violations
from tests.audio_model.test_probe import model_of
from tests.skeleton import REPOSITORY

EXPERIMENT = load(REPOSITORY / "params.yaml")


def pour(steps: int = 60) -> dict[str, np.ndarray]:
    """Curves of a clean pour of 100 ml at 10 Hz."""
    poured_ml = np.clip(np.linspace(-20, 120, steps), 0, 100).astype(np.float32)
    flow_ml_s = np.diff(poured_ml, prepend=poured_ml[:1]) * 10
    return {"poured_ml": poured_ml, "spilled_ml": np.zeros(steps, np.float32), "flow_ml_s": flow_ml_s}


def broken(curves: dict[str, np.ndarray]) -> list[str]:
    return list(curve_violations(curves, rate_hz=10.0, capacity_ml=150.0))


def test_a_clean_pour_breaks_nothing() -> None:
    assert broken(pour()) == []


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("poured_ml", lambda curve: curve * 2, "200 ml were poured into a cup of 150 ml"),
        ("poured_ml", lambda curve: np.where(np.arange(60) > 50, curve - 40, curve), "vanish within one step"),
        ("spilled_ml", lambda curve: curve - 1, "an amount is negative"),
        ("flow_ml_s", lambda curve: curve * 1.5, "the flow adds up to 50.0 ml more or less"),
        ("flow_ml_s", lambda curve: np.where(np.arange(60) == 3, np.nan, curve), "an amount is not finite"),
    ],
)
def test_liquid_that_appears_or_vanishes_is_noticed(name: str, change: object, sentence: str) -> None:
    curves = pour()
    curves[name] = change(curves[name])  # type: ignore[operator]
    assert any(sentence in violation for violation in broken(curves))


@pytest.mark.parametrize(
    ("collisions", "least_m", "sentences"),
    [(0, 0.006, []), (2, -0.0081, ["in 2 episodes arm or pitcher go 8.1 mm too far"])],
)
def test_a_collision_is_noticed(tmp_path: Path, collisions: int, least_m: float, sentences: list[str]) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"collisions": collisions, "clearance_m_min": least_m}))
    law = next(law for law in LAWS["episodes"] if law.name == "nothing_touched")
    assert list(law.broken(tmp_path, EXPERIMENT)) == sentences


def trial(number: int, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "trial": number,
        "ablation": "vision",
        "lab": "emulated",
        "container": "red_cup",
        "opaque": True,
        "goal_fraction": 0.5,
        "target_ml": 100.0,
        "capacity_ml": 200.0,
        "poured_ml": 90.0,
        "spilled_ml": 0.0,
        "in_pitcher_ml": 300.0,
        "duration_s": 8.0,
        "outcome": "stopped",
        "seed": 1,
    }
    return row | changes


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([trial(0), trial(1)], None),
        ([trial(0)], "1 rows do not hold each of the trials 0 to 1 once"),
        ([trial(0), trial(0)], "2 rows do not hold each of the trials 0 to 1 once"),
        ([trial(0), trial(1, poured_ml=float("nan"))], "trial 1 has poured_ml = nan"),
        ([trial(0), trial(1, spilled_ml=-3.0)], "trial 1 has spilled_ml = -3.0"),
        ([trial(0), trial(1, outcome=None)], "trial 1 lacks outcome"),
    ],
)
def test_trials_are_complete(rows: list[dict[str, object]], sentence: str | None) -> None:
    assert list(trial_violations(rows, 2)) == ([sentence] if sentence else [])


@pytest.mark.parametrize(("value", "passes"), [(1.0, True), (float("nan"), False), (float("inf"), False)])
def test_weights_are_finite(tmp_path: Path, value: float, passes: bool) -> None:
    (tmp_path / "summary.json").write_text("{}")
    save_file({"layer": torch.tensor([0.0, value]), "counter": torch.tensor([3])}, tmp_path / "model.safetensors")
    (verdict,) = checks.hold(stage_named("policy"), tmp_path, EXPERIMENT)
    assert verdict.passed is passes
    assert passes or verdict.description == "model.safetensors: layer has weights that are not finite"


def test_a_model_without_weights_is_noticed_unless_it_was_skipped(tmp_path: Path) -> None:
    """With `masks.provider: sam2` there is no U-Net to train."""
    for summary, passes in (("{}", False), ('{"skipped": true}', True)):
        (tmp_path / "summary.json").write_text(summary)
        (verdict,) = checks.hold(stage_named("segmenter"), tmp_path, EXPERIMENT)
        assert verdict.passed is passes


@pytest.mark.parametrize(
    ("level", "losses", "broken_law", "sentence"),
    [
        (-2.0, (0.29, 0.31), None, ""),
        (-7.0, (0.29, 0.31), "model_sounds", "silent"),
        (3.0, (0.29, 0.31), "model_sounds", "clipped"),
        (-2.0, (0.31, 0.31), "model_listens", "lower the held-out loss by 0.0 %"),
    ],
    ids=["good", "silent", "clipped", "deaf"],
)
def test_an_audio_model_that_must_not_be_used_is_refused(
    tmp_path: Path, level: float, losses: tuple[float, float], broken_law: str | None, sentence: str
) -> None:
    """Its checks block: nothing is dubbed with it."""
    model_of(level).save(tmp_path)
    curve = {"step": [1.0], "validation_loss": [losses[0]], "validation_loss_shuffled": [losses[1]]}
    pd.DataFrame(curve).to_parquet(tmp_path / "curve.parquet")
    (tmp_path / "summary.json").write_text("{}")
    verdicts = {
        verdict.check_name: verdict for verdict in checks.hold(stage_named("audio_model"), tmp_path, EXPERIMENT)
    }
    assert [name for name, verdict in verdicts.items() if not verdict.passed] == ([broken_law] if broken_law else [])
    if broken_law:
        assert sentence in str(verdicts[broken_law].description)
    assert all(spec.blocking for spec in checks.specs_of(stage_named("audio_model")))


def test_an_audio_model_whose_sound_is_not_finite_is_refused(tmp_path: Path) -> None:
    model_of(-2.0, broken=True).save(tmp_path)
    curve = {"step": [1.0], "validation_loss": [0.29], "validation_loss_shuffled": [0.31]}
    pd.DataFrame(curve).to_parquet(tmp_path / "curve.parquet")
    (tmp_path / "summary.json").write_text("{}")
    failed = [one for one in checks.hold(stage_named("audio_model"), tmp_path, EXPERIMENT) if not one.passed]
    assert [verdict.check_name for verdict in failed] == ["finite_weights", "model_sounds"]
    assert "not finite" in str(failed[1].description)


def test_every_stage_with_data_has_a_law() -> None:
    assert {stage.name for stage in STAGES} - set(LAWS) == {"audio_report"}
