"""A trial of a registered policy: `python -m multigen_core policy play --model models:/multigen-policy@challenger`."""

import shutil
from pathlib import Path

import pytest

from multigen_core.__main__ import main
from multigen_core.experiment import Experiment
from multigen_core.media import probe
from multigen_core.params import load, override
from multigen_core.stages import output_of, stage_named
from pipelines.project import PARAMS
from pipelines.registry import AUDIO, register
from pipelines.resources.mlflow import Mlflow
from tests.policy.test_contract import untrained
from tests.skeleton import REPOSITORY

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("served")]


@pytest.fixture
def project(tmp_path: Path, tracking: Mlflow, experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registered policy whose folder is gone, beside a model that is no policy."""
    # The untrained policy of the tests looks at 48 pixels.
    coarse = ["episodes.image_px=48", "episodes.particle_ml=6.0", "evaluation.max_duration_s=1.0"]
    override(REPOSITORY / "experiments" / "tiny.yaml", coarse, tmp_path / "params.yaml")
    place = tmp_path / output_of(stage_named("policy"), "vision_audio")
    place.mkdir(parents=True)
    untrained().save(place)
    with tracking.step("policy@vision_audio", {}) as run:
        register(stage_named("policy"), "vision_audio", place, run, load(tmp_path / "params.yaml"), "md5")
    shutil.rmtree(place)
    tracking.client().create_registered_model(AUDIO)
    tracking.client().create_model_version(AUDIO, "nowhere")
    monkeypatch.setenv("MULTIGEN_ROOT", str(tmp_path))
    return tmp_path


def test_the_registry_keeps_all_that_a_trial_needs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = project / "trial.mp4"
    asked = ["--container", "metal_thermos", "--goal", "0.5", "--out", str(out), "--params", str(project / PARAMS)]
    assert main(["policy", "play", "--model", "models:/multigen-policy@challenger", *asked]) == 0
    assert "vision_audio into metal_thermos: asked 155 ml, poured " in capsys.readouterr().out
    found = probe(out)
    assert found.duration_s > 0.9 and found.has_sound


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("models:/multigen-policy@champion", "the registry has no models:/multigen-policy@champion"),
        ("models:/", "names no model: write models:/multigen-policy@champion"),
        ("models:/multigen-audio/1", "models:/multigen-audio/1 is not a policy: take a version of multigen-policy"),
    ],
)
def test_an_unknown_version_is_one_sentence(
    model: str, said: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--out", str(project / "trial.mp4"), "--params", str(project / PARAMS)]
    assert main(["policy", "play", "--model", model, *asked]) == 2
    assert said in capsys.readouterr().err
    assert not (project / "trial.mp4").exists()
