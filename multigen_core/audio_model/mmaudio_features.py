"""The clips as MMAudio is finetuned on them: one file of features per window, made once and kept.

A file's name holds a digest of everything it depends on, and it is put in place whole: an extraction that was killed
goes on with the next window, and a changed clip, mask or setting makes a new file.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from multigen_core.audio_model.mmaudio_encoders import Encoders, pour_square
from multigen_core.audio_model.mmaudio_weights import Variant
from multigen_core.clips.catalogue import read_catalogue
from multigen_core.media import read_flac, read_masks, read_video
from multigen_core.progress import Progress
from multigen_core.storage import file_sha256

__all__ = ["ClipFeatures", "Extraction", "Window", "extract", "read_features", "text_features"]

RECIPE = 1
"""Raised whenever the same clip would give other features."""


@dataclass(frozen=True)
class Window:
    """A part of a clip with its features on disk."""

    clip_id: str
    start_s: float
    split: str
    """``train`` or ``validation``."""
    usable: bool
    """Whether the masks may be trusted."""
    path: Path


@dataclass(frozen=True)
class ClipFeatures:
    """What :func:`read_features` gives for one window."""

    mean: Float[Tensor, "latents channels"]
    std: Float[Tensor, "latents channels"]
    clip: Float[Tensor, "clip_tokens 1024"]
    sync: Float[Tensor, "sync_tokens 768"]
    mask: Float[Tensor, "sync_tokens 768"]


@dataclass(frozen=True)
class Extraction:
    """All windows of the clips, and the prompt's features."""

    windows: tuple[Window, ...]
    text: Path
    made: int
    """Windows that were not in the cache."""
    clips_too_short: int
    """Clips shorter than one window, which are left out."""


def extract(
    clips: Path,
    masks: Path,
    cache: Path,
    open_encoders: Callable[[], Encoders],
    *,
    variant: Variant,
    window_s: float,
    prompt: str,
    progress: Progress,
) -> Extraction:
    """Makes the features that the cache lacks; the encoders are opened only when there are any."""
    cache.mkdir(parents=True, exist_ok=True)
    catalogue = read_catalogue(clips)
    usable = pd.read_parquet(masks / "quality.parquet").set_index("clip_id")["usable"]
    encoders: list[Encoders] = []

    def opened() -> Encoders:
        if not encoders:
            progress.say("opening MMAudio's encoders")
            encoders.append(open_encoders())
        return encoders[0]

    recipe = {"recipe": RECIPE, "variant": variant.name, "window_s": window_s}
    text = cache / f"text-{_digest({'prompt': prompt, **recipe})}.safetensors"
    if not _readable(text):
        _put(text, {"text": opened().text(prompt)})
    windows: list[Window] = []
    made = too_short = 0
    rows = catalogue[["clip_id", "fps", "duration_s", "split"]].itertuples(index=False)
    for number, (clip_id, fps, duration_s, split) in enumerate(rows, start=1):
        files = _Files(
            clips / "media" / f"{clip_id}.mp4", clips / "media" / f"{clip_id}.flac", masks / f"{clip_id}.mp4"
        )
        digest = _digest({**recipe, "fps": float(fps), **files.digests()})
        starts = list(_starts(float(duration_s), window_s))
        too_short += not starts
        mine = [
            Window(
                clip_id=str(clip_id),
                start_s=start_s,
                split=str(split),
                usable=bool(usable.loc[clip_id]),
                path=cache / f"{clip_id}-{round(start_s)}s-{digest}.safetensors",
            )
            for start_s in starts
        ]
        lacking = [window for window in mine if not _readable(window.path)]
        if lacking:
            _make(lacking, files, float(fps), opened())
        made += len(lacking)
        windows += mine
        progress.update(number, len(catalogue), "clips encoded")
    return Extraction(tuple(windows), text, made, too_short)


def read_features(path: Path) -> ClipFeatures:
    """The features of one window."""
    return ClipFeatures(**load_file(path))


@dataclass(frozen=True)
class _Files:
    video: Path
    sound: Path
    masks: Path

    def digests(self) -> dict[str, str]:
        return {name: file_sha256(path) for name, path in vars(self).items()}


def _starts(duration_s: float, window_s: float) -> Iterator[float]:
    """Beginnings of the whole windows of a clip, one after the other; a frame's rounding is forgiven."""
    for k in range(int(duration_s / window_s + 0.02)):
        yield k * window_s


def _make(windows: list[Window], files: _Files, fps: float, encoders: Encoders) -> None:
    rgb, masks, sound = np.stack(list(read_video(files.video))), read_masks(files.masks), read_flac(files.sound)
    square = pour_square(masks)
    for window in windows:
        mean, std = encoders.latents(sound, start_s=window.start_s)
        features = {
            "mean": mean,
            "std": std,
            "clip": encoders.clip(rgb, square, fps=fps, start_s=window.start_s),
            "sync": encoders.sync(rgb, square, fps=fps, start_s=window.start_s),
            "mask": encoders.mask(masks, square, fps=fps, start_s=window.start_s),
        }
        _put(window.path, features)


def _put(path: Path, tensors: dict[str, Tensor]) -> None:
    partial = path.with_suffix(f".partial-{os.getpid()}")
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial)
    partial.replace(path)


def _readable(path: Path) -> bool:
    """Whether the file is there and whole; safetensors checks its own length."""
    try:
        with safe_open(path, framework="pt") as file:
            return bool(list(file.keys()))
    except (FileNotFoundError, SafetensorError):
        return False


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def text_features(path: Path) -> Float[Tensor, "77 1024"]:
    """The prompt's features."""
    return load_file(path)["text"]
