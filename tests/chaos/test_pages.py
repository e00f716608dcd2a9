"""kill -9 of the pages and of Dagster's daemon."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.skeleton import REPOSITORY, environment, lay_out
from tests.waiting import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
PATIENCE_S = 90.0


@pytest.fixture
def pages(tmp_path: Path) -> "Iterator[tuple[subprocess.Popen[str], list[int]]]":
    root = lay_out(tmp_path / "project", REPOSITORY / "experiments" / "tiny.yaml")
    ports = [free_port(), free_port()]
    command = ["-m", "pipelines", "ui", "--dagster-port", str(ports[0]), "--mlflow-port", str(ports[1])]
    with subprocess.Popen(
        [sys.executable, "-u", *command],
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("Ctrl-C" in line for line in process.stdout), "the servers did not start"
        yield process, ports
        process.kill()


def all_free(ports: list[int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


def descendants(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from descendants(int(child))


def test_killed_pages_leave_no_server_behind(pages: "tuple[subprocess.Popen[str], list[int]]") -> None:
    """The next `make ui` finds its ports free."""
    process, ports = pages
    assert not all_free(ports)
    process.kill()
    process.wait()
    deadline_s = time.monotonic() + PATIENCE_S
    while not all_free(ports) and time.monotonic() < deadline_s:
        time.sleep(0.5)
    assert all_free(ports)


def test_a_killed_daemon_is_noticed(pages: "tuple[subprocess.Popen[str], list[int]]") -> None:
    """Without it nothing that was asked for would ever run: the pages end and say where to look."""
    process, ports = pages
    (daemon,) = [
        pid for pid in descendants(process.pid) if b"dagster._daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(daemon, signal.SIGKILL)
    assert process.wait(PATIENCE_S) == 2
    assert process.stderr is not None
    assert "Dagster ended by itself: its log is" in process.stderr.read()
    assert all_free(ports)
