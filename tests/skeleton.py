"""A fresh git and DVC project with the repository's files, for tests that run the pipeline for real."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["AFTER_A_DEMO", "README", "REPOSITORY", "call", "commands", "environment", "lay_out"]

REPOSITORY = Path(__file__).parents[1]
FILES = ("dvc.yaml", "dagster.yaml", "workspace.yaml", "pyproject.toml", ".dvcignore", ".gitignore")
PACKAGES = ("multigen_core", "pipelines")
README = (REPOSITORY / "README.md").read_text()


def commands(text: str) -> list[str]:
    """The lines that Markdown shows as code, without their comments."""
    return [line.split("#")[0].strip() for line in text.splitlines() if line.startswith("    ")]


AFTER_A_DEMO = commands(README.split("After a demo:\n\n")[1].split("\n\n")[0])
"""Commands of README that need a finished pipeline."""


def lay_out(root: Path, params: Path) -> Path:
    """Copies code and settings into ``root``, with ``params`` as its params.yaml, and makes the first commit."""
    (root / ".dvc").mkdir(parents=True)
    for name in FILES:
        shutil.copy(REPOSITORY / name, root / name)
    for name in ("config", ".gitignore"):
        shutil.copy(REPOSITORY / ".dvc" / name, root / ".dvc" / name)
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(params, root / "params.yaml")
    (root / "data" / "inbox").mkdir(parents=True)
    (root / "data" / "inbox" / ".gitkeep").touch()
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Skeleton"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return root


def environment(root: Path) -> dict[str, str]:
    """The variables of a shell in the project, whatever the tests' own shell points at."""
    variables = {key: value for key, value in os.environ.items() if key not in {"MLFLOW_TRACKING_URI", "DAGSTER_HOME"}}
    path = f"{Path(sys.executable).parent}{os.pathsep}{variables.get('PATH', '')}"
    return variables | {"MULTIGEN_ROOT": str(root), "PATH": path, "MUJOCO_GL": "egl", "PYTHONPATH": str(root)}


def call(root: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m ...`` in the project."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env=environment(root) | dict(extra or {}),
        capture_output=True,
        text=True,
        check=False,
    )
