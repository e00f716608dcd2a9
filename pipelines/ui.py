"""Dagster's and MLflow's pages on loopback, over the same storage as ``python -m pipelines materialize``."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from multigen_core.errors import UserError
from pipelines.instance import dagster_home, open_instance
from pipelines.project import STATE
from pipelines.recovery import bury_killed_runs, only_walk

__all__ = ["serve"]

HOST = "127.0.0.1"
READY_S = 600.0
"""Longest start of both servers on a busy machine; 10 to 30 s are usual."""
_PR_SET_PDEATHSIG = 1
FAREWELL_S = 20.0
"""What a server may take to end its own children."""


@dataclass(frozen=True)
class _Server:
    name: str
    port: int
    command: Sequence[str]
    ready_path: str
    """Answers when the page can be opened."""
    log: Path


def serve(root: Path, *, dagster_port: int, mlflow_port: int, console: Console) -> None:
    """Starts both servers and returns only when one of them ends; on Ctrl-C or SIGTERM both are ended.

    Raises UserError when a port is taken or a server does not start, naming its log.
    """
    servers = (_dagster(root, dagster_port), _mlflow(root, mlflow_port))
    for server in servers:
        _require_free(server)
    # Somebody may be at work in another terminal; then nothing is dead.
    with suppress(UserError), only_walk(root):
        bury_killed_runs(root, open_instance(root))
    with ExitStack() as stack:
        running = []
        for server in servers:
            process = _start(server, root)
            stack.callback(_end, process)
            running.append((server, process))
        for server, process in running:
            _wait_until_ready(server, process)
            console.print(f"{server.name} on http://{HOST}:{server.port}")
        console.print("Ctrl-C ends both")
        while all(process.poll() is None for _, process in running):
            time.sleep(0.5)
        ended = next(server for server, process in running if process.poll() is not None)
        raise UserError(f"{ended.name} ended by itself: its log is {ended.log}")


def _dagster(root: Path, port: int) -> _Server:
    command = ["-W", "ignore", "-m", "dagster", "dev", "-w", "workspace.yaml", "--host", HOST, "--port", str(port)]
    return _Server("Dagster", port, command, "/server_info", dagster_home(root) / "server.log")


def _mlflow(root: Path, port: int) -> _Server:
    state = root / STATE / "mlflow"
    state.mkdir(parents=True, exist_ok=True)
    command = ["-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--default-artifact-root", (state / "artifacts").as_uri()]
    return _Server("MLflow", port, command, "/health", state / "server.log")


def _start(server: _Server, root: Path) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "MULTIGEN_ROOT": str(root),
        "DAGSTER_HOME": str(dagster_home(root)),
        "PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])]),
        # By the environment: an address may hold a password, and every user of a machine sees its command lines.
        "MLFLOW_BACKEND_STORE_URI": os.environ.get("MLFLOW_TRACKING_URI")
        or f"sqlite:///{root / STATE / 'mlflow' / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with server.log.open("wb") as log:
        # A session of its own: Ctrl-C reaches this process alone, which then ends the servers with all their children.
        return subprocess.Popen(
            [sys.executable, *server.command],
            cwd=root,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )


def _end_with_parent() -> None:
    """Asks Linux for a SIGTERM when the parent dies, even by kill -9; else its servers would keep the ports."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(FAREWELL_S)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _require_free(server: _Server) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, server.port))
        except OSError as error:
            option = f"--{server.name.lower()}-port"
            raise UserError(f"port {server.port} is taken: end what uses it or choose another with {option}") from error


def _wait_until_ready(server: _Server, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{server.port}{server.ready_path}", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise UserError(f"{server.name} did not start: its log is {server.log}")
