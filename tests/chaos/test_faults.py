"""Broken machines: each fault is said in one sentence, and the next run goes on when it is mended."""

import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from multigen_core.params import override
from multigen_core.storage import check_manifest, finished
from tests.skeleton import REPOSITORY, call, environment, lay_out

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

WRITE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from multigen_core.errors import UserError
    from multigen_core.storage import output_folder, write_json
    try:
        with output_folder(Path(sys.argv[1])) as out:
            (out / "video.mp4").write_bytes(b"x" * int(sys.argv[2]))
            write_json(out / "summary.json", {})
    except UserError as error:
        sys.exit(f"error: {error}")
    """
)


def write(place: Path, size: int, *, file_limit: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[str]:
    """A stage's output of ``size`` bytes, written by another process."""
    return subprocess.run(
        [sys.executable, "-c", WRITE, str(place), str(size)],
        env=environment(REPOSITORY),
        cwd="/",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose clips are made, as far as a tiny one needs them."""
    folder = tmp_path_factory.mktemp("faults")
    override(REPOSITORY / "experiments" / "tiny.yaml", ["clips.reference_count=2"], folder / "params.yaml")
    root = lay_out(folder / "project", folder / "params.yaml")
    first = call(root, "pipelines", "materialize", "--select", "clips")
    assert first.returncode == 0, first.stderr
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def make_clips(root: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return call(root, "pipelines", "materialize", "--select", "clips", "--force", extra=extra)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_keeps_the_old_output(small_disk: Path) -> None:
    place = small_disk / "clips"
    assert write(place, 1000).returncode == 0
    full = write(place, 2_000_000)
    assert f"the disk under {small_disk} is full" in full.stderr and "Traceback" not in full.stderr
    assert finished(place) and check_manifest(place) == []
    assert (place / "video.mp4").stat().st_size == 1000
    assert [path.name for path in small_disk.iterdir()] == ["clips"], "the space is free again"
    assert write(place, 2000).returncode == 0


def test_a_file_limit_is_a_full_disk(tmp_path: Path) -> None:
    """A quota, as containers and clusters set them."""
    limited = write(tmp_path / "clips", 300_000, file_limit=100_000)
    assert f"the disk under {tmp_path} is full" in limited.stderr and "Traceback" not in limited.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_became_read_only(small_disk: Path) -> None:
    """As Linux does with a failing disk."""
    place = small_disk / "clips"
    assert write(place, 1000).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = write(place, 2000)
    assert f"{small_disk} may not be written: check its owner" in refused.stderr and "Traceback" not in refused.stderr
    assert (place / "video.mp4").stat().st_size == 1000 and check_manifest(place) == []
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert write(place, 2000).returncode == 0


@pytest.mark.parametrize(
    ("store", "name"),
    [(".multigen/mlflow/mlflow.db", "MLflow's store"), (".multigen/dagster/history/runs.db", "Dagster's storage")],
)
def test_a_damaged_sqlite_is_named(project: Path, store: str, name: str) -> None:
    """Nothing is computed before it is said; with the file restored it goes on."""
    path = project / store
    whole = path.read_bytes()
    path.write_bytes(b"not a database at all, but long enough for a header" * 40)
    sentence = one_sentence(make_clips(project))
    assert f"error: {name}" in sentence and "not a database" in sentence and "docs/operations.md" in sentence
    path.write_bytes(whole)
    assert make_clips(project).returncode == 0


def test_a_locked_sqlite_is_named(project: Path) -> None:
    holder = sqlite3.connect(project / ".multigen/mlflow/mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    sentence = one_sentence(make_clips(project))
    assert "MLflow's store" in sentence and "locked" in sentence
    holder.execute("ROLLBACK")
    assert make_clips(project).returncode == 0


def test_an_mlflow_server_that_is_away_is_named(project: Path) -> None:
    """Before anything is computed; the output that was there stays."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"http://someone:secret@127.0.0.1:{taken.getsockname()[1]}"
        done = make_clips(project, MLFLOW_TRACKING_URI=address, MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
    sentence = one_sentence(done)
    assert "MLflow's store http://127.0.0.1" in sentence and "secret" not in done.stdout + done.stderr
    assert check_manifest(project / "data/clips") == []
    assert call(project, "dvc", "status", "clips", "--json").stdout.strip() == "{}"


def test_two_runs_of_the_same_partition_at_once(project: Path) -> None:
    """Both compute; one output stands in the end, whole, and is the same as of one alone."""
    before = (project / "data/clips/manifest.json").read_bytes()
    command = [sys.executable, "-m", "multigen_core", "clips"]
    runs = [subprocess.Popen(command, cwd=project, env=environment(project)) for _ in range(2)]
    assert [run.wait(300) for run in runs] == [0, 0]
    assert check_manifest(project / "data/clips") == []
    assert (project / "data/clips/manifest.json").read_bytes() == before
    assert list((project / "data").glob(".*.partial-*")) == []


def test_two_walks_at_once(project: Path) -> None:
    """The second one is sent away; the first one is not disturbed."""
    command = [sys.executable, "-m", "pipelines", "materialize", "--select", "clips", "--force"]
    runs = [
        subprocess.Popen(command, cwd=project, env=environment(project), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [(run.communicate(timeout=300)[1], run.returncode) for run in runs]
    assert sorted(code for _, code in ends) == [0, 2], ends
    (refused,) = [said for said, code in ends if code == 2]
    assert "another `python -m pipelines materialize` runs in" in refused
