"""MMAudio's variants and published files: what must lie where before any work starts.

Nothing is downloaded here. MMAudio's own ``download_if_needed`` would fetch a file, and would overwrite one of the
same name whose bytes differ; it is never called.
"""

import hashlib
import importlib.util
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multigen_core.errors import MissingExtra, MissingInput

__all__ = [
    "LICENCE",
    "PACKAGE",
    "VARIANTS",
    "Variant",
    "WeightFile",
    "check_package",
    "check_weights",
    "find_weights",
    "stay_offline",
]

LICENCE = "CC BY-NC 4.0"
"""Of MMAudio's checkpoints, and so of whatever is finetuned from them; its code is MIT."""
PACKAGE = "mmaudio @ git+https://github.com/hkchengrex/MMAudio@974010a026c731054592d8f777218bd9d85a6c24"
WEIGHTS_VARIABLE = "MULTIGEN_MMAUDIO_WEIGHTS"
"""Environment variable with the folder of the files, for a model that is served outside the project."""

CLIP_HZ, CLIP_PX = 8, 384
SYNC_HZ, SYNC_PX = 25, 224
SYNC_SEGMENT, SYNC_STRIDE, SYNC_TOKENS = 16, 8, 8
"""Frames per segment, between the beginnings of two, and the features that a segment becomes."""

_RELEASE = "github.com/hkchengrex/MMAudio, release v0.1"
_HUB = "huggingface.co/hkchengrex/MMAudio"


@dataclass(frozen=True)
class WeightFile:
    """One published file."""

    name: str
    """Path below the folder of the weights."""
    source: str
    md5: str | None
    """As MMAudio publishes it; None for files of other projects, which publish none."""


@dataclass(frozen=True)
class Variant:
    """One of MMAudio's networks with the codec it makes sound through."""

    name: str
    mode: Literal["16k", "44k"]
    sound_hz: int
    samples_per_latent: int
    network: WeightFile
    codec: tuple[WeightFile, ...]
    """VAE first, then the vocoder's files."""

    @property
    def files(self) -> tuple[WeightFile, ...]:
        return (self.network, *self.codec, *_EYES)

    def latents(self, window_s: float) -> int:
        """250 (16 kHz) or 345 (44.1 kHz) for 8 s."""
        return math.ceil(window_s * self.sound_hz / self.samples_per_latent)

    def samples(self, window_s: float) -> int:
        """Samples of sound that make exactly ``latents(window_s)``."""
        return self.latents(window_s) * self.samples_per_latent

    @staticmethod
    def clip_tokens(window_s: float) -> int:
        """64 for 8 s."""
        return int(window_s * CLIP_HZ)

    @staticmethod
    def sync_tokens(window_s: float) -> int:
        """192 for 8 s; the same for RGB and for masks."""
        return (int(window_s * SYNC_HZ) - SYNC_SEGMENT) // SYNC_STRIDE * SYNC_TOKENS + SYNC_TOKENS


_EYES = (
    WeightFile("synchformer_state_dict.pth", _RELEASE, "5b2f5594b0730f70e41e549b7c94390c"),
    WeightFile("clip/open_clip_config.json", "huggingface.co/apple/DFN5B-CLIP-ViT-H-14-384", None),
    WeightFile("clip/open_clip_pytorch_model.bin", "huggingface.co/apple/DFN5B-CLIP-ViT-H-14-384", None),
)
"""What both variants see with."""

VARIANTS: dict[str, Variant] = {
    "small_16k": Variant(
        name="small_16k",
        mode="16k",
        sound_hz=16_000,
        samples_per_latent=512,
        network=WeightFile("mmaudio_small_16k.pth", _HUB, "af93cde404179f58e3919ac085b8033b"),
        codec=(
            WeightFile("v1-16.pth", _RELEASE, "69f56803f59a549a1a507c93859fd4d7"),
            WeightFile("best_netG.pt", _RELEASE, "eeaf372a38a9c31c362120aba2dde292"),
        ),
    ),
    "large_44k_v2": Variant(
        name="large_44k_v2",
        mode="44k",
        sound_hz=44_100,
        samples_per_latent=1024,
        network=WeightFile("mmaudio_large_44k_v2.pth", _HUB, "01ad4464f049b2d7efdaa4c1a59b8dfe"),
        codec=(
            WeightFile("v1-44.pth", _RELEASE, "fab020275fa44c6589820ce025191600"),
            WeightFile("bigvgan_v2/config.json", "huggingface.co/nvidia/bigvgan_v2_44khz_128band_512x", None),
            WeightFile("bigvgan_v2/bigvgan_generator.pt", "huggingface.co/nvidia/bigvgan_v2_44khz_128band_512x", None),
        ),
    ),
}
"""The values of ``audio_model.mmaudio.variant``."""


def check_package() -> None:
    """Raises MissingExtra when MMAudio is not installed."""
    if importlib.util.find_spec("mmaudio") is None:
        raise MissingExtra(
            "audio_model.backend is 'mmaudio' but the package is not installed: it is not on PyPI, so run "
            f"`pip install -e .[mmaudio]` and `pip install --no-deps '{PACKAGE}'` (docs/going_real.md), "
            "or set audio_model.backend to pocket"
        )


def check_weights(folder: Path, variant: Variant, *, network: bool = True, digests: bool = True) -> None:
    """Raises MissingInput with one sentence that lists every file that is missing or is not what MMAudio published.

    ``network``: also the published network, which a finetuned model no longer needs. ``digests``: also the bytes, not
    only that the files are there.
    """
    files = variant.files if network else variant.files[1:]
    wrong = list(_wrong(folder, files, digests=digests))
    if wrong:
        raise MissingInput(
            f"MMAudio {variant.name} lacks {len(wrong)} of {len(files)} files in audio_model.mmaudio.weights "
            f"({folder}): {'; '.join(wrong)}. Put them there (docs/going_real.md) or set audio_model.backend to pocket"
        )


def find_weights(weights: str, model: Path) -> Path:
    """The folder of the published files, for a model that was saved with ``weights`` relative to the project root.

    The environment variable comes first, then the working directory, then the folders above the model. When there is
    none, the place in the working directory, so that the complaint names it.
    """
    if named := os.environ.get(WEIGHTS_VARIABLE):
        return Path(named)
    here = Path.cwd() / weights
    places = [here, *(parent / weights for parent in model.resolve().parents)]
    return next((place for place in places if place.is_dir()), here)


def stay_offline() -> None:
    """Makes every hub client fail at once instead of fetching; call before MMAudio is imported."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ[name] = "1"


def _wrong(folder: Path, files: tuple[WeightFile, ...], *, digests: bool) -> Iterator[str]:
    for file in files:
        path = folder / file.name
        if not path.is_file():
            yield f"{file.name} is not there (from {file.source})"
        elif digests and file.md5 is not None and (md5 := _md5(path)) != file.md5:
            yield f"{file.name} has md5 {md5} instead of {file.md5} (from {file.source})"


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
