"""Everything made from Dagster's page, as a person would: a click on "Materialize all" in a real browser."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from multigen_core.params import override
from tests.skeleton import REPOSITORY, call, environment, lay_out
from tests.waiting import free_port

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LIMIT_S = 1200.0
"""The daemon looks for the next runs every 30 s, and every run is a new process."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}: apt-get install chromium"),
]

PROGRESS = """{
  partitionBackfillsOrError { ... on PartitionBackfills { results { status } } }
  runsOrError { ... on Runs { results { status assetSelection { path } } } }
}"""


def ask(page: str, query: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{page}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        data: dict[str, Any] = json.load(answer)["data"]
    return data


def backfill_status(progress: dict[str, Any]) -> str:
    backfills = progress.get("partitionBackfillsOrError", {}).get("results", [])
    return str(backfills[0]["status"]) if backfills else "none yet"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shard and one ablation: the fewest runs that still mix partitions."""
    folder = tmp_path_factory.mktemp("browser")
    changes = ['episodes.shards=["000"]', "policy.ablations=[vision_audio]"]
    override(REPOSITORY / "experiments" / "tiny.yaml", changes, folder / "params.yaml")
    return lay_out(folder / "project", folder / "params.yaml")


@dataclass(frozen=True)
class Pages:
    """Addresses, and the process that serves them."""

    dagster: str
    mlflow: str
    process: "subprocess.Popen[str]"


@pytest.fixture(scope="module")
def pages(root: Path) -> Iterator[Pages]:
    """Dagster and MLflow while `make ui` runs."""
    ports = free_port(), free_port()
    command = ["-m", "pipelines", "ui", "--dagster-port", str(ports[0]), "--mlflow-port", str(ports[1])]
    with subprocess.Popen(
        [sys.executable, "-u", *command], cwd=root, env=environment(root), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("Ctrl-C" in line for line in process.stdout), "the servers did not start"
        yield Pages(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", process)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, "a server outlived its parent"


def test_materialize_all(root: Path, pages: Pages) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(f"{pages.dagster}/asset-groups")
        page.get_by_role("button", name="Materialize all").click(timeout=120_000)
        page.get_by_role("button", name="All", exact=True).click(timeout=30_000)
        page.get_by_role("button", name="Launch backfill").click(timeout=30_000)

        deadline_s = time.monotonic() + LIMIT_S
        progress: dict[str, Any] = {}
        while backfill_status(progress) in {"none yet", "REQUESTED"} and time.monotonic() < deadline_s:
            time.sleep(5)
            assert pages.process.poll() is None, "the servers ended"
            # A busy machine may answer late.
            with suppress(TimeoutError, urllib.error.URLError):
                progress = ask(pages.dagster, PROGRESS)
        assert backfill_status(progress) == "COMPLETED_SUCCESS", progress

        page.goto(f"{pages.dagster}/assets/report")
        page.get_by_text("dvc_md5").or_(page.get_by_text("DVC md5")).first.wait_for(timeout=60_000)
        page.goto(f"{pages.mlflow}/#/models/multigen-policy")
        page.get_by_text("challenger").first.wait_for(timeout=60_000)
        browser.close()
    assert json.loads(call(root, "dvc", "status", "--json").stdout) == {}
    assert (root / "reports/summary/index.html").is_file()
