"""What Dagster loads."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import ASSETS
from pipelines.laws import LAWS
from pipelines.units import CHAMPIONS
from tests.skeleton import REPOSITORY, environment, lay_out


def test_definitions_are_valid(tmp_path: Path) -> None:
    """In a project of its own, as a user would call it."""
    root = lay_out(tmp_path / "project", REPOSITORY / "params.yaml")
    call = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
    )
    assert call.returncode == 0, call.stdout + call.stderr
    assert "All code locations passed validation" in call.stdout + call.stderr


def test_loading_them_is_light() -> None:
    """Every run is a new process: what a stage needs is loaded when the stage runs."""
    code = (
        "import sys, pipelines.definitions\n"
        "heavy = {'torch', 'lightning', 'mlflow', 'mujoco', 'warp', 'matplotlib', 'pandas', 'av'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    call = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert call.returncode == 0, call.stderr


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("+policy", {"policy", "segmenter", "audiovisual", "noise_augmented"}),
        ('+key:"masks"', {"masks", "clips", "segmenter"}),
        ("audio_model+", {"audio_model", "audiovisual", "audio_report", "report"}),
    ],
)
def test_assets_are_selected_by_strings(selection: str, names: set[str]) -> None:
    """Breaks when DVC's hydra-core brings an antlr runtime that Dagster's parser does not understand."""
    keys = dg.AssetSelection.from_string(selection).resolve(ASSETS)
    assert {key.to_user_string() for key in keys} == names


def test_every_law_and_both_gates_are_blocking_checks() -> None:
    specs = [spec for asset in ASSETS for spec in asset.check_specs]
    laws = {(stage, law.name) for stage, laws in LAWS.items() for law in laws}
    gates = {(asset, "surely_better") for asset in CHAMPIONS}
    assert {(spec.asset_key.to_user_string(), spec.name) for spec in specs} == laws | gates
    assert all(spec.blocking for spec in specs)


def test_every_asset_says_what_it_is() -> None:
    """In words, whose it is, with what it was made, how many may run at once; and what each check means."""
    for asset in ASSETS:
        (node,) = asset.specs
        assert node.description and node.owners and node.kinds and node.group_name != "default", node.key
        assert asset.op.pool, node.key
        assert all(check.description for check in asset.check_specs), node.key
