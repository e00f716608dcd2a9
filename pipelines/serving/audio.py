"""``multigen-audio`` as MLflow loads it: mask videos in, waveforms out."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from multigen_core.audio_model.contract import load_audio_model


class PouringSound(PythonModel):
    """Makes the sound of silent pours of equal length."""

    def load_context(self, context: PythonModelContext) -> None:
        self.model = load_audio_model(Path(context.artifacts["weights"]))

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Amodal palette masks (B, T, H, W) -> waveforms (B, S) at 16 kHz."""
        options = {"fps": 10.0, "seed": 0} | (params or {})
        seeds = [int(options["seed"]) + k for k in range(len(model_input))]
        return np.stack(self.model.generate(list(model_input), fps=float(options["fps"]), seeds=seeds))


mlflow.models.set_model(PouringSound())
