"""What an audio model is, and the list of the members of the family."""

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.errors import MissingInput

__all__ = ["BACKENDS", "CONFIG", "AudioModel", "Backend", "backend_of", "load_audio_model"]

CONFIG = "config.json"
"""In every model folder; its key ``backend`` names the member that can load it."""


@dataclass(frozen=True)
class Backend:
    """A member of the family."""

    load: str
    """``module:function`` of its loader."""
    at_once: int
    """Pours per call when many are to be dubbed: 1 for a small model that every worker process has a copy of; more
    for a large one that is held once, in the calling process, and fills a GPU."""


BACKENDS: dict[str, Backend] = {
    "pocket": Backend("multigen_core.audio_model.pocket:load_pocket", at_once=1),
    "mmaudio": Backend("multigen_core.audio_model.mmaudio:load_mmaudio", at_once=32),
}
"""The values of ``audio_model.backend``."""


class AudioModel(Protocol):
    """Makes the sound of silent pours."""

    def generate(
        self,
        masks: Sequence[UInt8[np.ndarray, "T H W"]],
        *,
        fps: float,
        seeds: Sequence[int],
        rgb: Sequence[UInt8[np.ndarray, "T H W 3"]] | None = None,
    ) -> list[Float32[np.ndarray, " S"]]:
        """One waveform of ``round(T / fps * 16000)`` samples per pour.

        ``masks`` hold palette indices with the liquid inside the receiver drawn (amodal); frame ``k`` is the state at
        ``k / fps`` seconds. ``rgb`` are the pictures of the same frames, for a model that looks at them too. The same
        frames and seed give the same sound, whatever else is in the batch.
        """
        ...


def backend_of(folder: Path) -> Backend:
    """The member of the family that the ``audio_model`` stage trained.

    Raises MissingInput when the folder holds no model or one of a backend that is not known.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise MissingInput(f"{folder} holds no audio model: run `python -m multigen_core audio_model` first")
    backend = json.loads(path.read_text()).get("backend")
    if backend not in BACKENDS:
        raise MissingInput(f"{path}: backend {backend!r} is not known; known are {', '.join(BACKENDS)}")
    return BACKENDS[backend]


def load_audio_model(folder: Path) -> AudioModel:
    """The model that the ``audio_model`` stage wrote. Raises what :func:`backend_of` and its own loader raise."""
    module, function = backend_of(folder).load.split(":")
    load: Callable[[Path], AudioModel] = getattr(importlib.import_module(module), function)
    return load(folder)
