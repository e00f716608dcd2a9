"""The stage table, dvc.yaml and Dagster's graph say the same."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ruamel.yaml import YAML

from multigen_core.params import load
from multigen_core.stages import STAGES, Stage, code_version, output_of, partitions_of, stage_named
from pipelines.declaration import group_of
from pipelines.definitions import ASSETS, defs
from pipelines.units import CHAMPIONS

# Dagster warns of a parameter that it passes to its own sensors by itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")

ROOT = Path(__file__).parents[1]
MATRIX = {"shard": "${episodes.shards}", "ablation": "${policy.ablations}"}
ITEM = "${item.partition}"


@pytest.fixture(scope="module")
def dvc_stages() -> dict[str, Any]:
    stages: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    return stages


def node_of(name: str) -> Any:
    return defs.resolve_asset_graph().get(dg.AssetKey(name))


def upstream_path(stage: Stage, name: str) -> str:
    """What dvc.yaml lists for an upstream: its folder, the matching partition's, or the parent of all partitions."""
    upstream = stage_named(name)
    if upstream.partitions and upstream.partitions != stage.partitions:
        return output_of(upstream, "all").parent.as_posix()
    return output_of(upstream, ITEM).as_posix()


def test_stages_stand_in_an_order_in_which_they_can_run() -> None:
    seen: set[str] = set()
    for stage in STAGES:
        assert set(stage.inputs) <= seen
        seen.add(stage.name)


def test_dvc_has_every_stage_and_no_other(dvc_stages: dict[str, Any]) -> None:
    assert list(dvc_stages) == [stage.name for stage in STAGES]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_dvc_stage(stage: Stage, dvc_stages: dict[str, Any]) -> None:
    entry = dvc_stages[stage.name]
    inbox = {"${clips.inbox}"} if stage.name == "clips" else set()
    code = {f"multigen_core/{name}" for name in stage.code}
    assert set(entry["deps"]) == code | {upstream_path(stage, name) for name in stage.inputs} | inbox
    assert set(entry["params"]) == {"seed", *stage.params}
    assert entry["outs"] == [{output_of(stage, ITEM).as_posix(): {"persist": True}}]
    partition = f" --partition {ITEM}" if stage.partitions else ""
    assert entry["cmd"] == f"python -m multigen_core {stage.name}{partition}"
    assert entry.get("matrix") == ({"partition": MATRIX[stage.partitions]} if stage.partitions else None)


def test_code_exists() -> None:
    missing = [name for stage in STAGES for name in stage.code if not (ROOT / "multigen_core" / name).exists()]
    assert missing == []


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_shared_modules_that_decide_bytes_are_listed(stage: Stage) -> None:
    folders = [ROOT / "multigen_core" / name for name in stage.code if not name.endswith(".py")]
    text = "".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    used = {
        f"{name}.py"
        for name in ("containers", "media", "palette", "trainer", "spectrogram")
        if f"from multigen_core.{name} import" in text or f"from multigen_core import {name}" in text
    }
    assert used == {name for name in stage.code if name.endswith(".py")}


def test_dagster_has_every_stage_both_champions_and_the_copy() -> None:
    keys = [asset.key.to_user_string() for asset in ASSETS]
    assert sorted(keys) == sorted([*(stage.name for stage in STAGES), *CHAMPIONS, "remote_copy"])


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_dagster_asset(stage: Stage) -> None:
    node = node_of(stage.name)
    assert {key.to_user_string() for key in node.parent_keys} == set(stage.inputs)
    assert node.group_name == group_of(stage)
    assert node.code_version == code_version(stage)
    assert node.description and node.owners and node.kinds and node.pools
    keys = partitions_of(stage, load(ROOT / "params.yaml"))
    if stage.partitions:
        assert node.partitions_def is not None
        assert tuple(node.partitions_def.get_partition_keys()) == keys
    else:
        assert node.partitions_def is None


def test_a_stage_with_other_partitions_reads_all_of_them() -> None:
    """Every ablation learns from all shards; a shard's sound is made from the same shard."""
    mappings = node_of("policy").partition_mappings
    assert isinstance(mappings[dg.AssetKey("audiovisual")], dg.AllPartitionMapping)
    assert dg.AssetKey("episodes") not in node_of("audiovisual").partition_mappings


def test_code_version_follows_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the stage's own folders count, and files that Python writes beside them do not."""
    stage = stage_named("noise_augmented")
    for name in (*stage.code, "other"):
        module = tmp_path / name if name.endswith(".py") else tmp_path / name / "module.py"
        module.parent.mkdir(exist_ok=True)
        module.write_text("A = 1")
    monkeypatch.setattr("multigen_core.stages.CODE", tmp_path)
    before = code_version(stage)
    (tmp_path / "other" / "module.py").write_text("A = 2")
    (tmp_path / stage.code[0] / "__pycache__").mkdir()
    (tmp_path / stage.code[0] / "__pycache__" / "module.pyc").write_text("x")
    assert code_version(stage) == before
    (tmp_path / stage.code[0] / "module.py").write_text("A = 2")
    assert code_version(stage) != before
    edited = code_version(stage)
    (tmp_path / "media.py").write_text("A = 2")
    assert code_version(stage) != edited
