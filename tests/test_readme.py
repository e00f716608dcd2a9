"""What README says can be typed: every command of it is run, every link leads somewhere."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from multigen_core.study.pictures import figures_in
from multigen_core.study.table import BEGIN, END, results_text
from tests.skeleton import AFTER_A_DEMO, README, REPOSITORY, commands, environment, lay_out

MAKE = [line for line in commands(README) if line.startswith("make ")]
PYTHON = [line for line in commands(README) if line.startswith("python -m ")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("readme") / "project", REPOSITORY / "experiments" / "tiny.yaml")


def test_readme_has_commands() -> None:
    assert "make demo" in MAKE and "make test" in MAKE
    assert len(PYTHON) - len(AFTER_A_DEMO) >= 3 and len(AFTER_A_DEMO) >= 3


@pytest.mark.parametrize("line", MAKE)
def test_make_knows_the_target(line: str) -> None:
    dry = subprocess.run(["make", "-n", *shlex.split(line)[1:]], cwd=REPOSITORY, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("line", [line for line in PYTHON if line not in AFTER_A_DEMO])
def test_a_command_does_what_it_says(line: str, project: Path) -> None:
    arguments = shlex.split(line)[1:]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment(project), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (REPOSITORY / link).exists()


def test_the_studys_tables_are_those_of_its_result() -> None:
    result = REPOSITORY / "results/study.json"
    shown = README.split(BEGIN)[1].split(END)[0].strip()
    figures = [figure.relative_to(REPOSITORY) for figure in figures_in(result.parent / "figures")]
    assert shown == results_text(json.loads(result.read_text()), figures)
