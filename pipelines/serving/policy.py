"""``multigen-policy`` as MLflow loads it: a batch of observations in, chunks of actions out."""

import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from multigen_core.policy.contract import load_policy
from multigen_core.records import Observation

# The registered signature checks shapes; MLflow would want the same again as a type hint that cannot say them.
warnings.filterwarnings("ignore", message=r".*[Tt]ype hint", category=UserWarning)


class PouringPolicy(PythonModel):
    """Decides for each observation by itself."""

    def load_context(self, context: PythonModelContext) -> None:
        self.policy = load_policy(Path(context.artifacts["weights"]))

    def predict(
        self, context: PythonModelContext, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """rgb (B, H, W, 3), waveform (B, S), joints_rad (B, 7), goal_fraction (B,) -> actions (B, chunk, 3)."""
        seed = int((params or {}).get("seed", 0))
        observations = [
            Observation(rgb=rgb, waveform=waveform, joints_rad=joints_rad, goal_fraction=float(goal))
            for rgb, waveform, joints_rad, goal in zip(
                *(model_input[name] for name in ("rgb", "waveform", "joints_rad", "goal_fraction")), strict=True
            )
        ]
        return np.stack([self.policy.act(observation, seed) for observation in observations])


mlflow.models.set_model(PouringPolicy())
