"""A single trial to watch: `python -m multigen_core policy play`."""

from pathlib import Path

import pytest

from multigen_core.__main__ import main
from multigen_core.media import probe
from multigen_core.params import override
from tests.policy.test_contract import untrained

TINY = Path(__file__).parents[2] / "experiments" / "tiny.yaml"


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    # The untrained policy of the tests looks at 48 pixels.
    coarse = ["episodes.image_px=48", "episodes.particle_ml=6.0", "evaluation.max_duration_s=1.0"]
    override(TINY, coarse, path)
    return path


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies") / "vision_audio"
    folder.mkdir()
    untrained().save(folder)
    return folder


def test_a_trial_is_a_video_with_sound(
    params: Path, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trial.mp4"
    asked = ["--container", "metal_thermos", "--goal", "0.5", "--model", str(policy), "--params", str(params)]
    assert main(["policy", "play", *asked, "--out", str(out)]) == 0
    assert "vision_audio into metal_thermos: asked 155 ml, poured " in capsys.readouterr().out
    found = probe(out)
    assert found.duration_s > 0.9 and found.has_sound


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--container", "bucket"], "container 'bucket' is not in the lab; take one of red_cup, "),
        (["--goal", "1.5"], "goal is 1.5; ask for more than 0 and at most 1 of the cup"),
        (["--model", "nowhere"], "nowhere holds no policy"),
        (["--model", "shelf:/policy"], "--model is shelf:/policy: give a folder, or an address of a registry"),
    ],
)
def test_a_mistake_is_one_sentence(
    asked: list[str], said: str, params: Path, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trial.mp4"
    assert main(["policy", "play", "--model", str(policy), "--params", str(params), "--out", str(out), *asked]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
