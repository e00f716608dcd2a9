"""The clips as the pocket model is trained on them: log-mel tokens with the mask features of the same moments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from multigen_core.audio_model.conditioning import features_at, in_room, mask_features
from multigen_core.audio_model.pocket import FRAMES_PER_TOKEN, Normaliser, mel_to_tokens, token_times_s, tokens_to_mel
from multigen_core.clips.catalogue import read_catalogue
from multigen_core.media import read_flac, read_masks
from multigen_core.progress import Progress
from multigen_core.spectrogram import log_mel

__all__ = [
    "TrainingClip",
    "fit_normaliser",
    "is_non_commercial",
    "licences_of",
    "make_clip",
    "read_corpus",
    "room_level",
]

_QUIET_PERCENTILE = 5.0
"""A clip is taken to be quiet for so much of its time, since it is cut from before its pour."""
_QUIET_FRAMES = 9
"""Over which the level is averaged, 0.14 s."""
_NON_COMMERCIAL = re.compile(r"\bNC\b|non.?commercial", re.I)


@dataclass(frozen=True)
class TrainingClip:
    """One clip; ``N`` tokens of two log-mel frames each."""

    clip_id: str
    split: str
    """``train`` or ``validation``."""
    usable: bool
    """Whether the masks may be trusted; the model learns the sound of the others without them."""
    tokens: Float[Tensor, "N channels"]
    features: Float[Tensor, "N conditions"]
    """Columns as in ``conditioning.CONDITIONS``."""


def make_clip(
    clip_id: str, *, waveform: np.ndarray, masks: np.ndarray, fps: float, split: str, usable: bool
) -> TrainingClip:
    """A clip from its sound (16 kHz) and palette masks (T, H, W)."""
    mel = log_mel(torch.from_numpy(waveform)).T
    tokens = mel_to_tokens(mel[: len(mel) // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN])
    features = in_room(features_at(mask_features(masks, fps=fps), token_times_s(len(tokens)), fps=fps), room_level(mel))
    return TrainingClip(clip_id=clip_id, split=split, usable=usable, tokens=tokens, features=torch.from_numpy(features))


def room_level(mel: Float[Tensor, "frames mels"]) -> float:
    """Mean log10 magnitude over the bands where the clip is quietest: what the room and the microphone make."""
    level = uniform_filter1d(mel.mean(1).numpy().astype(float), _QUIET_FRAMES, mode="nearest")
    return float(np.percentile(level, _QUIET_PERCENTILE))


def read_corpus(clips: Path, masks: Path, progress: Progress) -> list[TrainingClip]:
    """Every clip of the catalogue with its masks and their verdict."""
    catalogue = read_catalogue(clips)
    usable = pd.read_parquet(masks / "quality.parquet").set_index("clip_id")["usable"]
    rows = zip(catalogue["clip_id"], catalogue["fps"].astype(float), catalogue["split"], strict=True)
    corpus: list[TrainingClip] = []
    for clip_id, fps, split in rows:
        clip = make_clip(
            clip_id,
            waveform=read_flac(clips / "media" / f"{clip_id}.flac"),
            masks=read_masks(masks / f"{clip_id}.mp4"),
            fps=fps,
            split=split,
            usable=bool(usable.loc[clip_id]),
        )
        corpus.append(clip)
        progress.update(len(corpus), len(catalogue), "clips read")
    return corpus


def licences_of(clips: Path, clip_ids: Sequence[str]) -> list[str]:
    """The licences of these clips: what whoever uses a model trained on them must respect."""
    catalogue = read_catalogue(clips)
    chosen = catalogue.loc[catalogue["clip_id"].isin(list(clip_ids)), "licence"]
    return sorted(set(chosen.astype(str)))


def is_non_commercial(licence: str) -> bool:
    """Whether a licence forbids commercial use, as CC BY-NC does: then the model's use is bound by it too."""
    return bool(_NON_COMMERCIAL.search(licence))


def fit_normaliser(clips: Sequence[TrainingClip]) -> Normaliser:
    """Statistics of the log-mel over all clips, and of the features over those with usable masks."""
    mel = tokens_to_mel(torch.cat([clip.tokens for clip in clips]))
    features = torch.cat([clip.features for clip in clips if clip.usable] or [clip.features for clip in clips])
    return Normaliser(
        mel_mean=mel.mean(0),
        mel_std=mel.std(0).clamp(min=0.1),
        feature_mean=features.mean(0),
        feature_std=features.std(0).clamp(min=1e-4),
    )
