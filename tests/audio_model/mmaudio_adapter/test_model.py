"""The stage, and the model that it writes."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from multigen_core.audio_model import mmaudio_weights
from multigen_core.audio_model.contract import load_audio_model
from multigen_core.audio_model.finetune import run
from multigen_core.audio_model.mmaudio import _joined
from multigen_core.audio_model.mmaudio_network import open_base
from multigen_core.audio_model.mmaudio_weights import VARIANTS
from multigen_core.experiment import Experiment
from multigen_core.palette import colorize
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.audio_model.mmaudio_adapter.project import WINDOW_S
from tests.audio_model.published_files import publish
from tests.audio_model.synthetic import pour


@pytest.mark.parametrize("name", ["small_16k", "large_44k_v2"])
def test_the_stage_writes_a_model_that_sounds(
    experiment: Experiment, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    publish(tmp_path / "weights", name, monkeypatch)
    monkeypatch.setenv(mmaudio_weights.WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    params = replace(experiment.audio_model.mmaudio, variant=name)  # type: ignore[arg-type]
    out = tmp_path / "model"
    out.mkdir()
    summary = run(
        replace(experiment, audio_model=replace(experiment.audio_model, mmaudio=params)), inputs, out, Silent()
    )
    assert (
        summary["licences"] == ["CC BY-NC 4.0", "MIT"]
        and summary["non_commercial"] is True
        and summary["variant"] == name
    )
    assert (summary["clips"], summary["clips_validation"], summary["clips_too_short"]) == (2, 1, 1)

    # The finetuned network is one that MMAudio's own loader takes.
    base = open_base(VARIANTS[name], WINDOW_S, weights=None)
    base.load_weights(load_file(out / "mmaudio.safetensors"))

    model = load_audio_model(out)
    pours = [
        pour(np.random.default_rng(seed), duration_s=duration_s, size_px=32)
        for seed, duration_s in ((1, 0.5), (2, 3.3))
    ]
    masks, pictures = [one.masks for one in pours], [colorize(one.masks) for one in pours]
    together = model.generate(masks, fps=10.0, seeds=[7, 8], rgb=pictures)
    assert [sound.shape for sound in together] == [(8_000,), (52_800,)]
    assert all(sound.dtype == np.float32 and np.isfinite(sound).all() for sound in together)
    assert all(abs(sound).max() <= 1.0 for sound in together)
    (alone,) = model.generate(masks[1:], fps=10.0, seeds=[8], rgb=pictures[1:])
    assert np.allclose(together[1], alone, atol=1e-4)
    (other,) = model.generate(masks[1:], fps=10.0, seeds=[9], rgb=pictures[1:])
    (unseen,) = model.generate(masks[1:], fps=10.0, seeds=[8])
    assert not np.allclose(other, alone, atol=1e-4) and not np.allclose(unseen, alone, atol=1e-5)


def test_a_served_model_finds_its_files_above_itself(
    experiment: Experiment, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    model = tmp_path / ".multigen" / "mlflow" / "artifacts" / "model"
    model.mkdir(parents=True)
    assert mmaudio_weights.find_weights("weights", model) == tmp_path / "weights"
    monkeypatch.setenv(mmaudio_weights.WEIGHTS_VARIABLE, "/elsewhere")
    assert mmaudio_weights.find_weights("weights", model) == Path("/elsewhere")


def test_windows_are_joined_with_constant_power() -> None:
    generator = np.random.default_rng(0)
    windows = [generator.standard_normal(16_000).astype(np.float32) for _ in range(3)]
    joined = _joined(windows, 12_000)
    assert len(joined) == 40_000
    assert np.array_equal(joined[:12_000], windows[0][:12_000])
    for seam in (12_000, 24_000):
        assert np.std(joined[seam : seam + 4_000]) == pytest.approx(1.0, abs=0.05)


def test_the_config_file_says_all_that_a_reader_needs(experiment: Experiment, inputs: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    run(experiment, inputs, out, Silent())
    config = json.loads((out / "config.json").read_text())
    assert config["backend"] == "mmaudio" and config["licence"] == "CC BY-NC 4.0"
    params = asdict(experiment.audio_model.mmaudio)
    assert all(params[name] == value for name, value in config["mmaudio"].items())
