"""An empty registry on sqlite, and stand-ins for the served models."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from multigen_core.experiment import Experiment
from multigen_core.params import load
from pipelines.project import STATE
from pipelines.registry import SERVED
from pipelines.resources.mlflow import Mlflow
from tests.skeleton import REPOSITORY

STORE = STATE / "mlflow" / "mlflow.db"
ECHO = """
import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel


class Echo(PythonModel):
    def predict(self, context, model_input: np.ndarray, params=None):
        return model_input["goal_fraction"]


mlflow.models.set_model(Echo())
"""
"""Stands in for the served policy, whose weights take a training to make."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated store: making one takes seconds."""
    root = tmp_path_factory.mktemp("template")
    Mlflow(root=str(root), server="").client().search_experiments()
    return root / STORE


@pytest.fixture
def tracking(template: Path, tmp_path: Path) -> Mlflow:
    (tmp_path / STORE).parent.mkdir(parents=True)
    shutil.copy(template, tmp_path / STORE)
    return Mlflow(root=str(tmp_path), server="")


@pytest.fixture
def experiment() -> Experiment:
    return load(REPOSITORY / "experiments" / "tiny.yaml")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = tmp_path / "echo.py"
    code.write_text(ECHO)
    echoes = {stage: replace(row, code=code) for stage, row in SERVED.items()}
    monkeypatch.setattr("pipelines.registry.SERVED", echoes)
