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


SENSES = ("rgb", "waveform", "joints_rad", "joint_speeds_rad_s")


class PouringPolicy(PythonModel):
    """Decides for each observation by itself."""

    def load_context(self, context: PythonModelContext) -> None:
        self.policy = load_policy(Path(context.artifacts["weights"]))

    def predict(
        self, context: PythonModelContext, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Arrays of a batch by the names of ``Observation``'s fields -> actions (B, chunk, 3)."""
        seed = int((params or {}).get("seed", 0))
        goals = model_input["goal_fraction"]
        observations = [
            Observation(
                **{name: model_input[name][number] for name in SENSES},
                goal_fraction=float(goals[number]),
            )
            for number in range(len(goals))
        ]
        return np.stack([self.policy.act(observation, seed) for observation in observations])


mlflow.models.set_model(PouringPolicy())
