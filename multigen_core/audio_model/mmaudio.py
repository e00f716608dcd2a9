"""The real audio model: MMAudio finetuned with masks.

Training and generation work on windows of one length. A pour is generated in overlapping windows, all pours' windows
in common batches, and the windows' sounds are cross-faded with constant power: where liquid rushes, two noises are
joined without a seam.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor

from multigen_core.audio_model.contract import CONFIG
from multigen_core.audio_model.corpus import licences_of
from multigen_core.audio_model.mmaudio_encoders import Encoders, open_encoders, pour_square
from multigen_core.audio_model.mmaudio_features import Extraction, extract
from multigen_core.audio_model.mmaudio_network import MaskedMMAudio, Senses, open_base, sample
from multigen_core.audio_model.mmaudio_training import CURVE, Job, launch
from multigen_core.audio_model.mmaudio_weights import LICENCE, VARIANTS, check_package, check_weights, find_weights
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import SAMPLE_RATE_HZ, Summary

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["MMAudioConfig", "MMAudioModel", "extract_features", "load_mmaudio", "run"]

TEXT = "text.safetensors"
_OVERLAP = 1 / 8
"""Of a window: 1 s of 8."""


@dataclass(frozen=True)
class MMAudioConfig:
    """What a finetuned model needs to be opened and sampled; saved beside its weights."""

    variant: str
    weights: str
    """Folder of the published files, as ``audio_model.mmaudio.weights`` named it."""
    window_s: float
    prompt: str
    sampling_steps: int
    guidance: float
    generated_at_once: int


class MMAudioModel:
    """A finetuned network with its encoders: masks and pictures in, waveforms out."""

    def __init__(
        self, network: MaskedMMAudio, encoders: Encoders, text: Float[Tensor, "77 1024"], config: MMAudioConfig
    ) -> None:
        self.network = network.eval()
        self.encoders = encoders
        self.config = config
        self._text = text

    def generate(
        self,
        masks: Sequence[UInt8[np.ndarray, "T H W"]],
        *,
        fps: float,
        seeds: Sequence[int],
        rgb: Sequence[UInt8[np.ndarray, "T H W 3"]] | None = None,
    ) -> list[Float32[np.ndarray, " S"]]:
        """See :class:`multigen_core.audio_model.contract.AudioModel`.

        Without ``rgb`` only the masks and the prompt are seen. Another batch may round differently in the last digits.
        """
        pours = [_Pour(one, None if rgb is None else rgb[k], fps) for k, one in enumerate(masks)]
        pieces = [
            (number, start_s, seed, piece)
            for number, (pour, seed) in enumerate(zip(pours, seeds, strict=True))
            for piece, start_s in enumerate(self._starts(pour.duration_s))
        ]
        sounds: list[list[Float32[np.ndarray, " S"]]] = [[] for _ in pours]
        size = self.config.generated_at_once
        for first in range(0, len(pieces), size):
            part = pieces[first : first + size]
            senses = Senses.joined([self._senses(pours[number], start_s) for number, start_s, _, _ in part])
            noise = torch.stack([self._noise(seed, piece) for _, _, seed, piece in part])
            for (number, *_), waveform in zip(part, self._sounds(noise, senses), strict=True):
                sounds[number].append(waveform)
        hop = round(self._hop_s * SAMPLE_RATE_HZ)
        return [
            np.clip(_joined(windows, hop)[: pour.samples], -1.0, 1.0).astype(np.float32)
            for pour, windows in zip(pours, sounds, strict=True)
        ]

    @property
    def _hop_s(self) -> float:
        return self.config.window_s * (1.0 - _OVERLAP)

    def _starts(self, duration_s: float) -> list[float]:
        """Beginnings of the windows that cover a pour; the last one may reach beyond its end."""
        overlap_s = self.config.window_s - self._hop_s
        count = max(1, int(np.ceil((duration_s - overlap_s) / self._hop_s - 1e-9)))
        return [k * self._hop_s for k in range(count)]

    def _senses(self, pour: "_Pour", start_s: float) -> Senses:
        square = pour_square(pour.masks)
        mask = self.encoders.mask(pour.masks, square, fps=pour.fps, start_s=start_s)
        clip, sync = torch.zeros(self.network.base.clip_seq_len, self.network.base.empty_clip_feat.shape[-1]), mask
        if pour.rgb is not None:
            clip = self.encoders.clip(pour.rgb, square, fps=pour.fps, start_s=start_s)
            sync = self.encoders.sync(pour.rgb, square, fps=pour.fps, start_s=start_s)
        seen, video = torch.ones(1, dtype=torch.bool), torch.tensor([pour.rgb is not None])
        return Senses(
            clip[None], sync[None], self._text[None], mask[None], see_video=video, see_text=seen, see_mask=seen
        )

    def _noise(self, seed: int, piece: int) -> Float[Tensor, "latents channels"]:
        words = np.random.SeedSequence([seed, piece]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0] >> 1))
        return torch.randn(self.network.base.latent_seq_len, self.network.base.latent_dim, generator=generator)

    def _sounds(self, noise: Float[Tensor, "B latents channels"], senses: Senses) -> list[Float32[np.ndarray, " S"]]:
        device = self.network.base.device
        latents = sample(
            self.network,
            noise.to(device),
            senses.to(device),
            steps=self.config.sampling_steps,
            guidance=self.config.guidance,
        )
        return self.encoders.waveforms(latents)

    def save(self, folder: Path) -> None:
        """Writes weights, the prompt's features and the config; training wrote the weights already."""
        self.network.save(folder)
        _save_settings(folder, self.config, self._text)


def load_mmaudio(folder: Path) -> MMAudioModel:
    """The finetuned model in ``folder``; on the GPU when there is one.

    Raises MissingExtra without the package, MissingInput when encoders or codec are not where they should be.
    """
    config = MMAudioConfig(**json.loads((folder / CONFIG).read_text())["mmaudio"])
    variant = VARIANTS[config.variant]
    check_package()
    weights = find_weights(config.weights, folder)
    # Training checked the bytes; here every worker would read gigabytes again.
    check_weights(weights, variant, network=False, digests=False)
    network = MaskedMMAudio(open_base(variant, config.window_s, weights=None))
    network.load(folder)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    encoders = open_encoders(weights, variant, window_s=config.window_s)
    return MMAudioModel(network, encoders, load_file(folder / TEXT)["text"], config)


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Stage ``audio_model`` with ``audio_model.backend: mmaudio``: checks, extracts, finetunes.

    Raises MissingExtra or MissingInput for whatever is lacking, before anything is computed.
    """
    params = experiment.audio_model.mmaudio
    extraction = extract_features(
        experiment, root=inputs.root, clips=inputs.one("clips"), masks=inputs.one("masks"), progress=progress
    )
    seed = seed_for(experiment, "audio_model")
    names = [window.path.name for window in extraction.windows]
    decisive = {name: value for name, value in asdict(params).items() if name not in _HARMLESS}
    digest = hashlib.sha256(json.dumps([decisive, names, extraction.text.name, seed]).encode()).hexdigest()[:16]
    job = Job(
        params=params,
        windows=extraction.windows,
        text=extraction.text,
        weights=inputs.root / params.weights,
        checkpoints=inputs.root / params.checkpoints / digest,
        out=out,
        seed=seed,
    )
    job.checkpoints.mkdir(parents=True, exist_ok=True)
    launch(job, progress)
    config = MMAudioConfig(
        variant=params.variant,
        weights=params.weights,
        window_s=params.window_s,
        prompt=params.prompt,
        sampling_steps=params.sampling_steps,
        guidance=params.guidance,
        generated_at_once=params.generated_at_once,
    )
    _save_settings(out, config, load_file(extraction.text)["text"])
    last = pd.read_parquet(out / CURVE).iloc[-1]
    windows = extraction.windows
    heard = sorted({window.clip_id for window in windows if window.split == "train"})
    return {
        "backend": "mmaudio",
        "variant": params.variant,
        "licences": [*sorted({LICENCE, *licences_of(inputs.one("clips"), heard)})],
        # The published weights are, whatever the clips are.
        "non_commercial": True,
        "clips": len(heard),
        "clips_validation": len({window.clip_id for window in windows if window.split == "validation"}),
        "clips_without_masks": len({window.clip_id for window in windows if not window.usable}),
        "clips_too_short": extraction.clips_too_short,
        "windows": len(windows),
        **{name: round(float(last[name]), 5) for name in last.index if name != "step"},
    }


_HARMLESS = {"steps", "checkpoints", "checkpoint_steps", "cache", "devices", "sampling_steps", "guidance"}
"""Settings that may change between a checkpoint and its continuation."""


def extract_features(experiment: Experiment, *, root: Path, clips: Path, masks: Path, progress: Progress) -> Extraction:
    """The features of all clips, from the cache or made now.

    Raises MissingExtra without the package, MissingInput when a published file is missing or is another.
    """
    params = experiment.audio_model.mmaudio
    variant, weights = VARIANTS[params.variant], root / params.weights
    check_package()
    check_weights(weights, variant)
    return extract(
        clips,
        masks,
        root / params.cache,
        lambda: open_encoders(weights, variant, window_s=params.window_s),
        variant=variant,
        window_s=params.window_s,
        prompt=params.prompt,
        progress=progress,
    )


@dataclass(frozen=True)
class _Pour:
    masks: UInt8[np.ndarray, "T H W"]
    rgb: UInt8[np.ndarray, "T H W 3"] | None
    fps: float

    @property
    def duration_s(self) -> float:
        return len(self.masks) / self.fps

    @property
    def samples(self) -> int:
        return round(self.duration_s * SAMPLE_RATE_HZ)


def _save_settings(folder: Path, config: MMAudioConfig, text: Float[Tensor, "77 1024"]) -> None:
    save_file({"text": text.contiguous()}, folder / TEXT)
    values = {"backend": "mmaudio", "licence": LICENCE, "mmaudio": asdict(config)}
    (folder / CONFIG).write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")


def _joined(windows: Sequence[Float32[np.ndarray, " S"]], hop: int) -> Float[np.ndarray, " R"]:
    """Windows that begin every ``hop`` samples; where two overlap their weights' squares add up to 1."""
    length = len(windows[0])
    out = np.zeros(hop * (len(windows) - 1) + length)
    rise = np.sin(0.5 * np.pi * (np.arange(length - hop) + 0.5) / max(length - hop, 1))
    for k, window in enumerate(windows):
        weights = np.ones(length)
        if k > 0:
            weights[: length - hop] = rise
        if k + 1 < len(windows):
            weights[hop:] = rise[::-1]
        out[k * hop : k * hop + length] += weights * window
    return out
