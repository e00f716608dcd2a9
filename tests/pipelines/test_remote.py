"""Copies of the data elsewhere, and what is missing or damaged by name, with the real DVC."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pytest

from multigen_core.errors import UserError
from multigen_core.params import load, override
from multigen_core.stages import output_of, stage_named
from multigen_core.storage import output_folder, write_json
from pipelines.assets.remote import remote_copy
from pipelines.integrity import damaged_cache, damaged_outputs, missing_in_remote, require_sound_cache
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from tests.skeleton import REPOSITORY, call, lay_out

pytestmark = pytest.mark.filterwarnings("ignore")
EXPERIMENT = load(REPOSITORY / "params.yaml")
SECRETS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one recorded output of two files."""
    root = lay_out(tmp_path_factory.mktemp("remote") / "project", REPOSITORY / "params.yaml")
    with output_folder(root / output_of(stage_named("segmenter"), None)) as out:
        (out / "model.safetensors").write_bytes(b"weights")
        write_json(out / "summary.json", {"steps": 1})
    Dvc(root=str(root)).commit("segmenter", None)
    return root


@pytest.fixture
def project(recorded: Path, tmp_path: Path) -> Path:
    shutil.copytree(recorded, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def copy_of(root: Path, *, raises: bool = True) -> dg.ExecuteInProcessResult:
    resources = {"compute": Compute(root=str(root)), "dvc": Dvc(root=str(root))}
    return dg.materialize([remote_copy], resources=resources, raise_on_error=raises)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error)


def cached(root: Path, text: bytes) -> Path:
    """The object in DVC's cache that holds these bytes."""
    (path,) = [p for p in (root / ".dvc/cache/files/md5").rglob("*") if p.is_file() and p.read_bytes() == text]
    return path


def overwrite(path: Path, text: bytes) -> None:
    """As a failing disk would: the object in the cache is read-only."""
    path.chmod(0o644)
    path.write_bytes(text)


def test_a_folder_far_away_brings_everything_back(project: Path, tmp_path: Path) -> None:
    """Set up by the command line, filled by the asset, and a project that lost its data gets it back whole."""
    far = tmp_path / "far"
    told = call(project, "pipelines", "remote", str(far))
    assert told.returncode == 0 and str(far) in told.stdout, told.stderr
    assert (
        ".dvc/config"
        not in subprocess.run(
            ["git", "status", "--short"], cwd=project, capture_output=True, text=True, check=True
        ).stdout
    ), "an address of one machine is no part of the project"
    dvc = Dvc(root=str(project))
    assert list(missing_in_remote(EXPERIMENT, dvc)) == ["segmenter"], "nothing was copied yet"
    assert copy_of(project).success
    assert missing_in_remote(EXPERIMENT, dvc) == {}
    shutil.rmtree(project / "models")
    shutil.rmtree(project / ".dvc" / "cache")
    assert call(project, "dvc", "pull", "segmenter").returncode == 0
    assert (project / "models/segmenter/model.safetensors").read_bytes() == b"weights"
    assert list(damaged_outputs(project, EXPERIMENT)) == list(damaged_cache(project, EXPERIMENT, dvc)) == []


def test_an_object_that_the_remote_lost_is_named_and_sent_again(project: Path, tmp_path: Path) -> None:
    """`dvc push` would not: for it a folder is whole when its listing is there."""
    far = tmp_path / "far"
    dvc = Dvc(root=str(project))
    dvc.set_remote(str(far), None)
    copy_of(project)
    lost = cached(project, b"weights").relative_to(project / ".dvc/cache")
    (far / lost).unlink()
    assert missing_in_remote(EXPERIMENT, dvc) == {"segmenter": [lost.parent.name + lost.name]}
    checked = call(project, "pipelines", "verify", "--remote")
    assert checked.returncode == 2 and "segmenter: the data remote lacks" in checked.stderr
    assert copy_of(project).success
    assert missing_in_remote(EXPERIMENT, dvc) == {}
    assert (far / lost).read_bytes() == b"weights"


def test_bytes_that_were_changed_in_the_remote_are_not_taken(project: Path, tmp_path: Path) -> None:
    """Somebody who may write the remote cannot slip other data in under the md5 that dvc.lock names."""
    far = tmp_path / "far"
    dvc = Dvc(root=str(project))
    dvc.set_remote(str(far), None)
    copy_of(project)
    overwrite(far / cached(project, b"weights").relative_to(project / ".dvc/cache"), b"weighs!")
    shutil.rmtree(project / "models")
    shutil.rmtree(project / ".dvc" / "cache")
    assert call(project, "dvc", "pull", "segmenter").returncode != 0
    assert not (project / "models/segmenter/model.safetensors").exists()


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_cache_is_named_and_never_copied(project: Path, tmp_path: Path, damage: str) -> None:
    """DVC alone would push the damaged bytes under the name of the whole ones."""
    dvc = Dvc(root=str(project))
    dvc.set_remote(str(tmp_path / "far"), None)
    path = cached(project, b"weights")
    path.unlink() if damage == "gone" else overwrite(path, b"weighs!")
    (sentence,) = damaged_cache(project, EXPERIMENT, dvc)
    assert sentence.startswith("segmenter: DVC's cache lacks or has damaged") and "model.safetensors" in sentence
    with pytest.raises(UserError, match=r"model\.safetensors"):
        require_sound_cache(project, EXPERIMENT, dvc)
    result = copy_of(project, raises=False)
    assert not result.success and "model.safetensors" in failure_of(result)
    assert not list((tmp_path / "far").rglob("*.dir"))
    checked = call(project, "pipelines", "verify")
    assert checked.returncode == 2 and "model.safetensors" in checked.stderr


def test_a_damaged_output_is_named(project: Path) -> None:
    (project / "models/segmenter/summary.json").unlink()
    (sentence,) = damaged_outputs(project, EXPERIMENT)
    assert "segmenter: summary.json missing or changed" in sentence


def test_without_a_remote_it_says_how_to_name_one(project: Path) -> None:
    (project / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    result = copy_of(project, raises=False)
    assert not result.success and "`python -m pipelines remote ADDRESS`" in failure_of(result)


def test_a_password_in_an_address_is_refused(project: Path) -> None:
    with pytest.raises(UserError, match="must not hold a name or password"):
        Dvc(root=str(project)).set_remote("s3://key:secret@bucket/path", None)
    assert "secret" not in (project / ".dvc/config").read_text()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of a real S3 server on this machine with the bucket ``multigen``."""
    absent = [package for package in ("dvc_s3", "moto", "boto3", "flask") if find_spec(package) is None]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}: pip install dvc-s3 'moto[server]'")
    import boto3

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline_s = time.monotonic() + 60
            while time.monotonic() < deadline_s:
                with (
                    suppress(urllib.error.URLError, OSError),
                    urllib.request.urlopen(f"{address}/moto-api/", timeout=2),
                ):
                    break
                time.sleep(0.2)
            client = boto3.client(
                "s3",
                endpoint_url=address,
                region_name=SECRETS["AWS_DEFAULT_REGION"],
                aws_access_key_id=SECRETS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=SECRETS["AWS_SECRET_ACCESS_KEY"],
            )
            client.create_bucket(Bucket="multigen")
            yield address
        finally:
            server.terminate()


@pytest.mark.extra
def test_s3_brings_everything_back(project: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials come from the environment and are written nowhere."""
    import boto3

    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    dvc = Dvc(root=str(project))
    dvc.set_remote("s3://multigen/data", s3)
    assert copy_of(project).success
    assert missing_in_remote(EXPERIMENT, dvc) == {}
    shutil.rmtree(project / "models")
    shutil.rmtree(project / ".dvc" / "cache")
    pulled = call(project, "dvc", "pull", "segmenter", extra=SECRETS)
    assert pulled.returncode == 0, pulled.stderr
    assert list(damaged_outputs(project, EXPERIMENT)) == list(damaged_cache(project, EXPERIMENT, dvc)) == []
    secret = SECRETS["AWS_SECRET_ACCESS_KEY"].encode()
    kept = [path for path in (project / ".dvc").rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert kept == []

    client = boto3.client("s3", endpoint_url=s3)
    md5 = cached(project, b"weights").parent.name + cached(project, b"weights").name
    client.delete_object(Bucket="multigen", Key=f"data/files/md5/{md5[:2]}/{md5[2:]}")
    assert missing_in_remote(EXPERIMENT, dvc) == {"segmenter": [md5]}
    assert copy_of(project).success
    assert missing_in_remote(EXPERIMENT, dvc) == {}


@pytest.mark.extra
def test_a_server_that_is_away_is_tried_again(project: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four attempts, then one sentence; nothing is taken for copied."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        Dvc(root=str(project)).set_remote("s3://multigen/data", f"http://127.0.0.1:{taken.getsockname()[1]}")
        os.environ["AWS_MAX_ATTEMPTS"] = "1"
        result = copy_of(project, raises=False)
    assert not result.success
    retries = [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert len(retries) == 3 and "failed" in failure_of(result)


def test_an_old_commit_comes_back_exactly(tmp_path: Path) -> None:
    """`git checkout`, `dvc pull`: the same bytes; and computed anew by `dvc repro`: the same again."""
    override(REPOSITORY / "experiments" / "tiny.yaml", ["clips.reference_count=2"], tmp_path / "params.yaml")
    root = lay_out(tmp_path / "project", tmp_path / "params.yaml")
    Dvc(root=str(root)).set_remote(str(tmp_path / "far"), None)
    output = root / "data/clips"

    def done(*arguments: str) -> None:
        ended = call(root, *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    contents = []
    for seed in (7, 8):
        override(root / "params.yaml", [f"seed={seed}"], root / "params.yaml")
        done("dvc", "repro", "clips")
        done("dvc", "push", "clips")
        git("add", "--all")
        git("commit", "--message", f"seed {seed}")
        contents.append((output / "manifest.json").read_bytes())
    assert contents[0] != contents[1]
    shutil.rmtree(root / ".dvc/cache")
    shutil.rmtree(root / "data/clips")
    git("checkout", "--quiet", "HEAD~1")
    done("dvc", "pull", "clips")
    assert (output / "manifest.json").read_bytes() == contents[0]
    assert list(damaged_outputs(root, load(root / "params.yaml"))) == []
    shutil.rmtree(root / "data/clips")
    done("dvc", "repro", "--force", "clips")
    assert (output / "manifest.json").read_bytes() == contents[0]
    assert call(root, "dvc", "status", "clips", "--json").stdout.strip() == "{}"
