"""Dagster's and MLflow's storage on a real PostgreSQL, named by the environment."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from multigen_core.errors import MissingExtra, UserError
from multigen_core.params import override
from pipelines.instance import dagster_home
from tests.skeleton import REPOSITORY, call, lay_out
from tests.waiting import free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
NOBODY = 65534


@pytest.fixture
def empty_server() -> Iterator[int]:
    """Port on loopback of a fresh PostgreSQL, whose superuser is ``multigen``."""
    if not BINARIES:
        pytest.skip("needs Debian's postgresql: apt-get install postgresql")
    user = NOBODY if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path("/tmp") / f"multigen-postgres-{os.getpid()}"
    folder.mkdir(mode=0o700)
    port = free_port()
    pg_ctl = ["pg_ctl", "--wait", "--pgdata", str(folder / "data")]
    try:
        if user is not None:
            os.chown(folder, user, -1)
        for command in (
            ["initdb", "--pgdata", str(folder / "data"), "--username", "multigen", "--auth", "trust", "--no-sync"],
            [*pg_ctl, "--log", str(folder / "log"), "--options", f"-h 127.0.0.1 -p {port} -k {folder} -F", "start"],
        ):
            subprocess.run(
                [str(BINARIES[-1].parent / command[0]), *command[1:]],
                user=user,
                cwd="/",
                check=True,
                stdout=subprocess.DEVNULL,
            )
        yield port
    finally:
        stop = [str(BINARIES[-1].parent / "pg_ctl"), *pg_ctl[1:], "--mode", "immediate", "stop"]
        subprocess.run(stop, user=user, cwd="/", check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(empty_server: int) -> str:
    """Its address, with the databases ``dagster`` and ``mlflow``."""
    absent = [package for package in ("dagster_postgres", "psycopg2") if find_spec(package) is None]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}: pip install -e .[postgres]")
    for name in ("dagster", "mlflow"):
        _client(empty_server, "createdb", "multigen", name)
    return f"postgresql+psycopg2://multigen:hunter2@127.0.0.1:{empty_server}"


def _client(port: int, program: str, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of PostgreSQL's programs, as the user."""
    command = [str(BINARIES[-1].parent / program), "-h", "127.0.0.1", "-p", str(port), "-U", user, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.extra
def test_both_keep_their_things_there(server: str, tmp_path: Path) -> None:
    """A materialization leaves nothing in sqlite, its run is found by a second call, and no password in any file."""
    override(REPOSITORY / "experiments" / "tiny.yaml", ["clips.reference_count=2"], tmp_path / "params.yaml")
    root = lay_out(tmp_path / "project", tmp_path / "params.yaml")
    stores = {"DAGSTER_POSTGRES_URL": f"{server}/dagster", "MLFLOW_TRACKING_URI": f"{server}/mlflow"}
    # environment() drops the shell's own MLFLOW_TRACKING_URI; this one is meant.
    first = call(root, "pipelines", "materialize", "--select", "clips", extra=stores)
    assert first.returncode == 0, first.stdout + first.stderr
    again = call(root, "pipelines", "materialize", "--select", "clips", extra=stores)
    assert "0 made, 1 fresh" in again.stdout
    assert not list((root / ".multigen").rglob("*.db"))
    import psycopg2

    notes = json.loads((root / ".multigen/journal/clips.json").read_text())
    for store, table, column, key in (
        ("dagster", "runs", "run_id", notes["dagster_run_id"]),
        ("mlflow", "runs", "run_uuid", notes["mlflow_run_id"]),
    ):
        with (
            psycopg2.connect(f"{server}/{store}".replace("+psycopg2", "")) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s", (key,))
            assert cursor.fetchone() == (1,)
    kept = [path for path in (root / ".multigen").rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert kept == [] and "hunter2" not in first.stdout + first.stderr


@pytest.mark.extra
def test_a_database_that_is_away_is_one_sentence(server: str, tmp_path: Path) -> None:
    root = lay_out(tmp_path / "project", REPOSITORY / "experiments" / "tiny.yaml")
    started_s = time.monotonic()
    away = call(
        root,
        "pipelines",
        "materialize",
        "--select",
        "clips",
        extra={"DAGSTER_POSTGRES_URL": f"postgresql+psycopg2://multigen:hunter2@127.0.0.1:{free_port()}/dagster"},
    )
    assert away.returncode == 2 and "Traceback" not in away.stderr, away.stderr
    assert "Dagster's storage" in away.stderr and "hunter2" not in away.stderr
    assert time.monotonic() - started_s < 120


def test_another_driver_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.instance.find_spec", lambda package: object())
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://nobody@127.0.0.1/dagster")
    with pytest.raises(UserError, match=r"must begin with postgresql\+psycopg2://"):
        dagster_home(tmp_path)


@pytest.mark.skipif(find_spec("dagster_postgres") is not None, reason="needs an environment without dagster-postgres")
def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql+psycopg2://nobody@127.0.0.1/dagster")
    with pytest.raises(MissingExtra, match=r"pip install -e \.\[postgres\]"):
        dagster_home(tmp_path)


@pytest.mark.extra
def test_the_compose_files_roles_do_not_read_each_others_databases(empty_server: int) -> None:
    """infra/postgres.sh on a real server; a password may hold what SQL would take for its own."""
    _client(empty_server, "createuser", "multigen", "--superuser", "postgres")
    secrets = {"DAGSTER_PASSWORD": "it's; DROP ROLE mlflow", "MLFLOW_PASSWORD": "hunter2"}
    there = {"PGHOST": "127.0.0.1", "PGPORT": str(empty_server), "PGDATABASE": "postgres"}
    path = f"{BINARIES[-1].parent}:{os.environ['PATH']}"
    script = ["sh", str(REPOSITORY / "infra" / "postgres.sh")]
    subprocess.run(script, env={**os.environ, **secrets, **there, "PATH": path}, check=True, capture_output=True)
    for role, other in (("dagster", "mlflow"), ("mlflow", "dagster")):
        told = _client(empty_server, "psql", role, "-d", role, "-Atc", "CREATE TABLE mine (); SELECT current_user")
        assert told.stdout.splitlines()[-1] == role
        with pytest.raises(AssertionError, match="permission denied for database"):
            _client(empty_server, "psql", role, "-d", other, "-c", "SELECT 1")
