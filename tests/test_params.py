"""params.yaml: what is allowed, and how a mistake is told."""

from pathlib import Path

import pytest

from multigen_core.errors import ConfigError
from multigen_core.params import load, override

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params.yaml"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = PARAMS.read_text()
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1))
    return tmp_path / "params.yaml"


@pytest.mark.parametrize("path", [PARAMS, *sorted((ROOT / "experiments").glob("*.yaml"))], ids=lambda path: path.name)
def test_every_params_file_of_the_project_is_valid(path: Path) -> None:
    load(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  fps: 10", "  fsp: 10", "unknown key 'clips.fsp'; allowed here: sources, inbox"),
        ("seed: 7", "seed: seven", "seed is 'seven'"),
        (
            "  provider: unet",
            "  provider: unett",
            "masks.provider is 'unett'; input should be 'unet' or 'sam2'",
        ),
        ("  trials: 24", "  trials: -1", "evaluation.trials is -1; input should be greater than 0"),
        ("seed: 7", "", "key 'seed' is missing"),
        ("seed: 7", "seed: [7", "is not valid YAML"),
        ("seed: 7", "sed: 7", "unknown key 'sed'; allowed here: profile, seed"),
    ],
)
def test_a_mistake_names_key_value_and_remedy(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(changed(tmp_path, old, new))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_an_override_keeps_comments_and_is_validated(tmp_path: Path) -> None:
    out = tmp_path / "changed.yaml"
    override(PARAMS, ["evaluation.trials=3", "clips.inbox=videos"], out)
    assert load(out).evaluation.trials == 3
    assert load(out).clips.inbox == "videos"
    assert "# measured on a published set-up" in out.read_text()
    for wrong in ("evaluation.trails=3", "evaluation.trials", "nowhere.trials=3", "evaluation.trials=none"):
        with pytest.raises(ConfigError):
            override(PARAMS, [wrong], tmp_path / "never.yaml")
    assert not (tmp_path / "never.yaml").exists()
