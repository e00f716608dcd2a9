"""Hostile input at each trust border of docs/security.md."""

import ast
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file

from multigen_core.clips.local import LocalFolder
from multigen_core.errors import ConfigError
from multigen_core.params import load
from multigen_core.stages import execute, stage_named
from tests.skeleton import REPOSITORY

SOURCES = sorted(path for package in ("multigen_core", "pipelines") for path in (REPOSITORY / package).rglob("*.py"))


def calls_of(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Dotted name and keyword names of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {keyword.arg or "**" for keyword in node.keywords}


def unguarded_calls_of(path: Path) -> Iterator[str]:
    """Without PyTorch's loads that take tensors only: MMAudio's published files are pickles."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            only = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "weights_only"]
            if not (ast.unparse(node.func) == "torch.load" and only == ["True"]):
                yield ast.unparse(node.func)


def test_nothing_turns_data_into_code() -> None:
    """No eval, no exec, no pickle, no shell, no YAML that builds objects."""
    forbidden = {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "torch.load", "joblib.load"}
    found = [f"{path.name}: {name}" for path in SOURCES for name in unguarded_calls_of(path) if name in forbidden]
    found += [f"{path.name}: shell=" for path in SOURCES for _, keywords in calls_of(path) if "shell" in keywords]
    found += [
        f"{path.name}: import {line}"
        for path in SOURCES
        for line in re.findall(r"^import (yaml|pickle)", path.read_text(), re.M)
    ]
    assert found == []


@pytest.mark.parametrize(
    "payload",
    [
        "seed: !!python/object/apply:os.system ['touch {there}']",
        "seed: !!python/object/new:subprocess.Popen [['touch', '{there}']]",
        "seed: !!python/name:os.system",
    ],
)
def test_params_build_no_objects(tmp_path: Path, payload: str) -> None:
    there = tmp_path / "pwned"
    text = (REPOSITORY / "params.yaml").read_text().replace("seed: 7", payload.format(there=there), 1)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load(tmp_path / "params.yaml")
    assert not there.exists()


@pytest.mark.parametrize("key", ["../../etc", "000/../../x", "001;touch x", "/000", "0000"])
def test_a_partition_is_no_path(tmp_path: Path, key: str) -> None:
    """Neither in params nor on the command line."""
    text = re.sub(r"shards: \[.*\]", f'shards: ["{key}"]', (REPOSITORY / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"episodes\.shards"):
        load(tmp_path / "params.yaml")
    experiment = load(REPOSITORY / "params.yaml")
    with pytest.raises(ConfigError, match="has no partition"):
        execute(stage_named("episodes"), experiment, key, root=tmp_path, progress=None)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    "name",
    [
        b"$(touch pwned).mp4",
        b"; rm -rf x .mp4",
        b"-i.mp4",
        b"a\nb.mp4",
        b"\xff\xfe.mp4",
        b"%2e%2e%2f.mp4",
        b"x" * 250 + b".mp4",
    ],
)
def test_the_name_of_a_clip_is_data(tmp_path: Path, name: bytes) -> None:
    """What outputs are called holds letters, digits and dashes alone, however a video in the inbox is called."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    Path(os.fsdecode(os.fsencode(inbox) + b"/" + name)).touch()
    (candidate,) = LocalFolder(inbox).discover()
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", candidate.clip_id)


class Payload:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_weights_are_not_unpickled(tmp_path: Path) -> None:
    """A pickle in the place of weights is refused and not run, and all weights are loaded in this way."""
    there = tmp_path / "pwned"
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Payload(f"touch {there}")))
    with pytest.raises(SafetensorError):
        load_file(path)
    assert not there.exists()
    loaders = {path.name for path in SOURCES for name, _ in calls_of(path) if name.endswith("load_state_dict")}
    # `torch.load` takes tensors only: the test above.
    safe = {path.name for path in SOURCES for name, _ in calls_of(path) if name in {"load_file", "torch.load"}}
    assert loaders <= safe


def test_pages_are_on_loopback(tmp_path: Path) -> None:
    """Neither Dagster nor MLflow asks for a login."""
    from pipelines import ui

    (tmp_path / "dagster.yaml").write_text("")
    for server in (ui._dagster(tmp_path, 3000), ui._mlflow(tmp_path, 5000)):
        command = list(server.command)
        assert command[command.index("--host") + 1] == "127.0.0.1"


def test_a_password_reaches_neither_command_line_nor_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import ui
    from pipelines.instance import dagster_home

    secret = "hunter2"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://mlflow:{secret}@db/mlflow")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", f"postgresql+psycopg2://dagster:{secret}@db/dagster")
    monkeypatch.setattr("pipelines.instance.find_spec", lambda name: object())
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    home = dagster_home(tmp_path)
    assert "env: DAGSTER_POSTGRES_URL" in (home / "dagster.yaml").read_text()
    assert secret not in (home / "dagster.yaml").read_text()
    assert not any(secret in word for server in (ui._mlflow(tmp_path, 5000),) for word in server.command)


@pytest.mark.parametrize("page", ["security.md", "reliability.md"])
def test_the_tests_that_a_page_names_are_there(page: str) -> None:
    """``::test_...`` alone is one of this file's."""
    text = (REPOSITORY / "docs" / page).read_text()
    places = re.findall(r"`(tests/[\w/.]*|test_\w+\.py)?(?:::(test_\w+))?`", text)
    named = [(file, test) for file, test in places if file or test]
    assert len(named) > 5
    for file, test in named:
        # A second file of a row stands without its folder.
        (path,) = [REPOSITORY / file] if "/" in file else REPOSITORY.glob(f"tests/**/{file or Path(__file__).name}")
        assert path.exists(), file
        assert not test or f"def {test}(" in path.read_text(), test
