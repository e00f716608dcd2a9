"""The clips as the pocket model is trained on them: log-mel tokens with the mask features of the same moments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from multigen_core.acoustics.tracker import track_resonance
from multigen_core.audio_model.conditioning import (
    features_at,
    foot_height,
    in_room,
    mask_features,
    pouring,
    with_stream,
)
from multigen_core.audio_model.pocket import Normaliser
from multigen_core.audio_model.pocket_network import FRAMES_PER_TOKEN, mel_to_tokens, token_times_s, tokens_to_mel
from multigen_core.audio_model.ruler import Reading, Ruler, fit_ruler, heard_scale, in_octaves
from multigen_core.clips.catalogue import read_catalogue, true_masks
from multigen_core.media import read_flac, read_masks
from multigen_core.progress import Progress
from multigen_core.spectrogram import FRAME_RATE_HZ, log_mel

__all__ = [
    "TrainingClip",
    "fit_normaliser",
    "is_non_commercial",
    "licences_of",
    "make_clip",
    "measured",
    "poured_by_ear",
    "read_corpus",
    "room_level",
]

_QUIET_PERCENTILE = 5.0
"""A clip is taken to be quiet for so much of its time, since it is cut from before its pour."""
_QUIET_FRAMES = 9
"""Over which the level is averaged, 0.14 s."""
_LOUD_PERCENTILE = 95.0
_STREAM_FRAMES = 5
_FIRST_BAND = 11
"""Above 700 Hz, below which rooms hum."""
_LEAST_CONTRAST = 0.3
"""In log10: 6 dB."""
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
    reading: Reading
    """Of its masks, see ``ruler``."""
    exact_reading: Reading | None
    """Of the masks that it was rendered with, where they are known."""


def make_clip(
    clip_id: str,
    *,
    waveform: np.ndarray,
    masks: np.ndarray,
    fps: float,
    split: str,
    usable: bool,
    exact_masks: np.ndarray | None = None,
) -> TrainingClip:
    """A clip from its sound (16 kHz) and palette masks (T, H, W)."""
    mel = log_mel(torch.from_numpy(waveform)).T
    tokens = mel_to_tokens(mel[: len(mel) // FRAMES_PER_TOKEN * FRAMES_PER_TOKEN])
    times_s = token_times_s(len(tokens))
    seen = mask_features(masks, fps=fps)
    features = poured_by_ear(features_at(seen, times_s, fps=fps), mel, times_s)
    track = track_resonance(waveform)
    exact = None
    if exact_masks is not None:
        exact_scale = heard_scale(track, mask_features(exact_masks, fps=fps), fps=fps)
        exact = Reading(foot_height(exact_masks), exact_scale)
    return TrainingClip(
        clip_id=clip_id,
        split=split,
        usable=usable,
        tokens=tokens,
        features=torch.from_numpy(in_room(features, room_level(mel))),
        reading=Reading(foot_height(masks), heard_scale(track, seen, fps=fps)),
        exact_reading=exact,
    )


def measured(clips: Sequence[TrainingClip]) -> tuple[list[TrainingClip], Ruler]:
    """The clips with their pitch column in octaves, and the ruler that the ``train`` clips among them give.

    What is heard goes before what the ruler guesses: the network learns where the resonance of an air column stands,
    not how uncertain its length is, and makes one clear resonance instead of a blur of many.
    """
    trained = [clip for clip in clips if clip.split == "train"]
    readings = [clip.exact_reading or clip.reading for clip in trained if clip.exact_reading or clip.usable]
    ruler = fit_ruler(readings)
    own = [clip.reading for clip in clips]
    scales = [ruler.scale(one.foot_height) if one.scale is None else one.scale for one in own]
    features = [in_octaves(clip.features.numpy(), scale) for clip, scale in zip(clips, scales, strict=True)]
    return [replace(clip, features=torch.from_numpy(f)) for clip, f in zip(clips, features, strict=True)], ruler


def room_level(mel: Float[Tensor, "frames mels"]) -> float:
    """Mean log10 magnitude over the bands where the clip is quietest: what the room and the microphone make."""
    level = uniform_filter1d(mel.mean(1).numpy().astype(float), _QUIET_FRAMES, mode="nearest")
    return float(np.percentile(level, _QUIET_PERCENTILE))


def poured_by_ear(
    features: Float32[np.ndarray, "N F"], mel: Float[Tensor, "frames mels"], times_s: Float[np.ndarray, " N"]
) -> Float32[np.ndarray, "N F"]:
    """The features with a stream wherever the sound is louder than half way [dB] from quiet to loud, and only there.

    A segmenter overlooks a thin stream for a tenth of a second up to the whole pour. A network that learns from such
    clips lets every pour begin too early, and hears some in every silence. Left as seen where all is equally loud.
    """
    level = uniform_filter1d(mel[:, _FIRST_BAND:].mean(1).numpy().astype(float), _STREAM_FRAMES, mode="nearest")
    quiet, loud = np.percentile(level, (_QUIET_PERCENTILE, _LOUD_PERCENTILE))
    if loud - quiet < _LEAST_CONTRAST:
        return with_stream(features, pouring(features))
    frames_s = (np.arange(len(level)) + 0.5) / FRAME_RATE_HZ
    return with_stream(features, np.interp(times_s, frames_s, level) > (quiet + loud) / 2.0)


def read_corpus(clips: Path, masks: Path, progress: Progress) -> list[TrainingClip]:
    """Every clip of the catalogue with its masks and their verdict."""
    catalogue = read_catalogue(clips)
    usable = pd.read_parquet(masks / "quality.parquet").set_index("clip_id")["usable"]
    rows = zip(catalogue["clip_id"], catalogue["fps"].astype(float), catalogue["split"], strict=True)
    corpus: list[TrainingClip] = []
    for clip_id, fps, split in rows:
        exact = true_masks(clips, clip_id)
        clip = make_clip(
            clip_id,
            waveform=read_flac(clips / "media" / f"{clip_id}.flac"),
            masks=read_masks(masks / f"{clip_id}.mp4"),
            fps=fps,
            split=split,
            usable=bool(usable.loc[clip_id]),
            exact_masks=read_masks(exact) if exact.is_file() else None,
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
