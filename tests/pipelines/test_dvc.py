"""Data versions, with the real DVC."""

import shutil
from pathlib import Path

import pytest

from multigen_core.errors import UserError
from multigen_core.params import override
from multigen_core.stages import output_of, stage_named
from multigen_core.storage import output_folder, write_json
from pipelines.resources.dvc import Dvc
from tests.skeleton import REPOSITORY, lay_out


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("dvc") / "project", REPOSITORY / "params.yaml")


def write(root: Path, stage: str, partition: str | None, text: str) -> Path:
    place = root / output_of(stage_named(stage), partition)
    with output_folder(place) as out:
        write_json(out / "summary.json", {"text": text})
    return place


def test_a_commit_makes_the_stage_clean_and_later_changes_show(root: Path) -> None:
    """Only the partition that was committed is clean; other contents get another version."""
    dvc = Dvc(root=str(root))
    assert {"segmenter", "episodes@000", "episodes@001"} <= dvc.changed()
    assert dvc.recorded("episodes", "000") is None
    write(root, "episodes", "000", "first")
    md5 = dvc.commit("episodes", "000")
    assert md5.endswith(".dir") and md5 == dvc.recorded("episodes", "000")
    changed = dvc.changed()
    assert "episodes@000" not in changed and "episodes@001" in changed
    write(root, "episodes", "000", "second")
    assert "episodes@000" in dvc.changed()
    assert dvc.commit("episodes", "000") != md5
    assert not list((root / "data").glob("**/.*.partial-*"))


def test_more_shards_and_policies_leave_those_that_are_there_alone(root: Path) -> None:
    """And what makes one different does not."""
    dvc, params = Dvc(root=str(root)), root / "params.yaml"
    write(root, "episodes", "000", "pours")
    dvc.commit("episodes", "000")
    override(params, ["episodes.shards=['000', '777']", "policy.ablations=[vision, audio]"], params)
    changed = dvc.changed()
    assert "episodes@777" in changed and "episodes@000" not in changed
    override(params, ["episodes.stalls=0.123"], params)
    assert "episodes@000" in dvc.changed()
    shutil.copy(REPOSITORY / "params.yaml", params)


def test_bytecode_beside_the_code_changes_nothing(root: Path) -> None:
    dvc = Dvc(root=str(root))
    write(root, "segmenter", None, "weights")
    dvc.commit("segmenter", None)
    (root / "multigen_core" / "masks" / "__pycache__").mkdir()
    (root / "multigen_core" / "masks" / "__pycache__" / "unet.pyc").write_text("x")
    assert "segmenter" not in dvc.changed()


def test_dvc_refusing_is_one_sentence(root: Path) -> None:
    with pytest.raises(UserError, match=r"`dvc commit --force --quiet policy@vision` failed: .+"):
        Dvc(root=str(root)).commit("policy", "vision")


def test_a_folder_without_dvc_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.dvc folder"):
        Dvc(root=str(tmp_path)).changed()


def test_without_git_dvc_works_too(tmp_path: Path) -> None:
    """As in a container that holds the files only."""
    root = lay_out(tmp_path / "project", REPOSITORY / "params.yaml")
    shutil.rmtree(root / ".git")
    assert "segmenter" in Dvc(root=str(root)).changed()
