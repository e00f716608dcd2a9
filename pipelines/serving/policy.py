"""``multigen-policy`` as MLflow loads it: a batch of observations in, chunks of actions out."""

from pathlib import Path
from typing import Any, cast

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from multigen_core.policy.trained import load_policy
from multigen_core.records import Observation

Batch = np.ndarray
"""MLflow hands over a dict of arrays, which the registered signature has checked; a hint that says so, or none at all,
makes it print a warning at every load, since it would rather find the signature by itself."""
SENSES = ("rgb", "waveform", "joints_rad", "joint_speeds_rad_s")


class PouringPolicy(PythonModel):
    """Decides for each observation by itself."""

    def load_context(self, context: PythonModelContext) -> None:
        self.policy = load_policy(Path(context.artifacts["weights"]))

    def predict(
        self, context: PythonModelContext, model_input: Batch, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Arrays of a batch by the names of ``Observation``'s fields -> actions (B, chunk, 3)."""
        seed = int((params or {}).get("seed", 0))
        arrays = cast("dict[str, np.ndarray]", model_input)
        goals = arrays["goal_fraction"]
        observations = [
            Observation(
                **{name: arrays[name][number] for name in SENSES},
                goal_fraction=float(goals[number]),
            )
            for number in range(len(goals))
        ]
        return np.stack([self.policy.act(observation, seed) for observation in observations])


mlflow.models.set_model(PouringPolicy())
