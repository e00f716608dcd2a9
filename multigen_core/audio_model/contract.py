"""What an audio model is, and the list of the members of the family."""

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.errors import MissingInput

__all__ = ["BACKENDS", "CONFIG", "AudioModel", "load_audio_model"]

CONFIG = "config.json"
"""In every model folder; its key ``backend`` names the member that can load it."""

BACKENDS: dict[str, str] = {"pocket": "multigen_core.audio_model.pocket:load_pocket"}
"""The values of ``audio_model.backend`` and the loader (``module:function``) of each."""


class AudioModel(Protocol):
    """Makes the sound of silent pours."""

    def generate(
        self, masks: Sequence[UInt8[np.ndarray, "T H W"]], *, fps: float, seeds: Sequence[int]
    ) -> list[Float32[np.ndarray, " S"]]:
        """One waveform of ``round(T / fps * 16000)`` samples per pour.

        ``masks`` hold palette indices with the liquid inside the receiver drawn (amodal); frame ``k`` is the state at
        ``k / fps`` seconds. The same masks and seed give the same sound, whatever else is in the batch.
        """
        ...


def load_audio_model(folder: Path) -> AudioModel:
    """The model that the ``audio_model`` stage wrote.

    Raises MissingInput when the folder holds no model or one of a backend that is not known.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise MissingInput(f"{folder} holds no audio model: run `python -m multigen_core audio_model` first")
    backend = json.loads(path.read_text()).get("backend")
    if backend not in BACKENDS:
        raise MissingInput(f"{path}: backend {backend!r} is not known; known are {', '.join(BACKENDS)}")
    module, function = BACKENDS[backend].split(":")
    load: Callable[[Path], AudioModel] = getattr(importlib.import_module(module), function)
    return load(folder)
