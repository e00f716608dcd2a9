"""Every engine keeps order, passes failures on and reports progress."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from multigen_core.compute import ENGINES, make_engine
from multigen_core.errors import MissingExtra, UserError
from multigen_core.progress import Silent
from tests.waiting import free_port, wait_for


class Counting(Silent):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def update(self, done: int, total: int, what: str = "") -> None:
        self.seen.append((done, total))


def square(value: int) -> int:
    return value * value


def fail_on_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


def die_the_first_time(marker: Path) -> str:
    if marker.suffix == ".fatal" and not marker.exists():
        marker.touch()
        os.abort()
    return marker.stem


def die(_: int) -> None:
    os.abort()


def running_beside(folder: Path) -> int:
    """How many run at the same time, this one included."""
    mine = folder / str(os.getpid())
    mine.touch()
    time.sleep(0.2)
    count = len(list(folder.iterdir()))
    mine.unlink()
    return count


def threads(_: int) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Ray cluster of one node."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
    log = tmp_path_factory.mktemp("cluster") / "log"
    port = free_port()
    where = [f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    with pytest.MonkeyPatch.context() as patch, log.open("w") as stream:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex())
        # Ray reads these as it is imported.
        ray = pytest.importorskip("ray", reason="needs the extra [ray]")
        with subprocess.Popen([*command, *where], stdout=stream, stderr=stream) as head:
            wait_for(lambda: "Ray runtime started" in log.read_text(), 60.0)
            patch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
            yield
            ray.shutdown()
            head.terminate()


PARAMS = [pytest.param(name, marks=[pytest.mark.extra] if name == "ray" else []) for name in sorted(ENGINES)]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An engine's, with what it needs running."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return str(request.param)


every = pytest.mark.parametrize("name", PARAMS, indirect=True)
parallel = pytest.mark.parametrize("name", [one for one in PARAMS if one.values != ("serial",)], indirect=True)


@every
class TestEngine:
    def test_order_and_progress(self, name: str) -> None:
        progress = Counting()
        assert make_engine(name, 2).map(square, list(range(9)), progress) == [value**2 for value in range(9)]
        assert progress.seen[-1] == (9, 9)
        assert progress.seen == sorted(progress.seen)

    def test_a_failure_is_raised(self, name: str) -> None:
        with pytest.raises(ValueError, match="three"):
            make_engine(name, 2).map(fail_on_three, list(range(6)), Silent())

    def test_nothing_to_do(self, name: str) -> None:
        assert make_engine(name, 2).map(square, [], Silent()) == []


@parallel
def test_a_worker_owns_one_core(name: str) -> None:
    assert make_engine(name, 1).map(threads, [0], Silent()) == ["1"]


@pytest.mark.extra
@pytest.mark.usefixtures("cluster")
def test_ray_carries_out_no_more_at_a_time_than_asked(tmp_path: Path) -> None:
    assert make_engine("ray", 1).map(running_beside, [tmp_path] * 4, Silent()) == [1, 1, 1, 1]


@pytest.mark.extra
@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:1", "no Ray cluster lets us in at RAY_ADDRESS, '127.0.0.1:1'"),
        ("", "RAY_ADDRESS names no cluster: set it to the host:port"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence(
    address: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra [ray]")
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=re.escape(sentence)):
        make_engine("ray", 1).map(square, [1], Silent())


def test_without_the_extra_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"needs the extra \[ray\]: pip install"):
        make_engine("ray", 1)


def test_what_a_dead_worker_left_is_done_again(tmp_path: Path) -> None:
    items = [tmp_path / f"{number}{'.fatal' if number == 3 else ''}" for number in range(6)]
    progress = Counting()
    assert make_engine("process_pool", 2).map(die_the_first_time, items, progress) == [str(k) for k in range(6)]
    assert progress.seen == sorted(progress.seen)
    assert len(progress.said) == 1


@parallel
def test_work_that_always_kills_is_given_up_with_a_sentence(name: str) -> None:
    with pytest.raises(UserError, match=r"died 3 times over pours: .*compute\.workers"):
        make_engine(name, 2).map(die, [0, 1], Silent(), "pours")
