"""What the report shows and plays: clips with their masks, simulated pours with generated sound, trials in the lab."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from multigen_core.clips.catalogue import read_catalogue
from multigen_core.dataset.lerobot import Shard
from multigen_core.evaluation.failures import failure
from multigen_core.evaluation.figures import LABELS, overlay_strip, spectrogram, spectrograms_of_both
from multigen_core.evaluation.page import data_uri, file_uri
from multigen_core.evaluation.real_clips import HeardAgain
from multigen_core.evaluation.table import read_trials
from multigen_core.evaluation.trials import video_of
from multigen_core.media import read_flac, read_masks, read_video, write_flac, write_video

__all__ = [
    "ClipExhibit",
    "DubbedExhibit",
    "RealClipExhibit",
    "SoundExhibit",
    "TrialExhibit",
    "clip_exhibits",
    "dubbed_exhibits",
    "poster",
    "real_clip_exhibits",
    "sound_exhibits",
    "trial_exhibits",
]

_REAL_CLIPS = 6
_REFERENCE_CLIPS = 2
_DUBBED = 3
_STRIP_FRAMES = 6


@dataclass(frozen=True)
class ClipExhibit:
    """A clip of the catalogue; pictures, video and sound as ``data:`` addresses."""

    name: str
    real: bool
    """A recording of the world, not a rendered reference clip."""
    strip: str
    """Frames, and below them the same frames under their masks."""
    spectrogram: str
    video: str
    poster: str
    """What a video shows until it is played."""
    caption: str


@dataclass(frozen=True)
class RealClipExhibit:
    """A recording beside the sound that was generated for its masks."""

    name: str
    masks: str
    pitch_error: str
    shuffled_pitch_error: str
    spectrograms: str
    sound: str


@dataclass(frozen=True)
class DubbedExhibit:
    """A silent simulated pour beside the sound that was generated for it."""

    video: str
    poster: str
    spectrogram: str
    sound: str
    caption: str


@dataclass(frozen=True)
class SoundExhibit:
    """The same pour as it was generated, as physics has it, and with noise instead."""

    name: str
    spectrograms: str
    sounds: tuple[tuple[str, str], ...]
    """What it is, and where: name and ``data:`` address."""


@dataclass(frozen=True)
class TrialExhibit:
    """A trial in the lab, with sound."""

    label: str
    failure: str
    """Why it failed, in words; empty when it did not."""
    address: str
    poster: str
    caption: str


def clip_exhibits(clips: Path, masks: Path) -> list[ClipExhibit]:
    """The first real clips and, for comparison, a few reference clips."""
    catalogue = read_catalogue(clips).sort_values("clip_id")
    is_real = catalogue["source"] != "reference"
    shown = pd.concat([catalogue[is_real].head(_REAL_CLIPS), catalogue[~is_real].head(_REFERENCE_CLIPS)])
    quality = pd.read_parquet(masks / "quality.parquet").set_index("clip_id")
    return [_clip(row, bool(quality["usable"].get(row.clip_id, False)), clips, masks) for row in shown.itertuples()]


def _clip(row: Any, usable: bool, clips: Path, masks: Path) -> ClipExhibit:
    video = clips / "media" / f"{row.clip_id}.mp4"
    frames = list(read_video(video))
    labels = read_masks(masks / f"{row.clip_id}.mp4")
    picks = np.linspace(0, min(len(frames), len(labels)) - 1, _STRIP_FRAMES).round().astype(int)
    strip = overlay_strip([frames[k] for k in picks], [labels[k] for k in picks])
    sound = read_flac(clips / "media" / f"{row.clip_id}.flac")
    return ClipExhibit(
        name=str(row.source_id),
        real=row.source != "reference",
        strip=data_uri(strip, ".png"),
        spectrogram=data_uri(spectrogram(sound, heard_s=(row.onset_s, row.offset_s)), ".png"),
        video=file_uri(video),
        poster=poster(frames),
        caption=(
            f"{row.duration_s:.1f} s from second {row.start_s:.1f}, "
            f"pour from {row.onset_s:.1f} to {row.offset_s:.1f} s, "
            f"{row.level_dbfs:.0f} dBFS, {row.split}, licence {row.licence}, "
            f"masks {'usable' if usable else 'not usable: learned from its sound alone'}{_air_column(row)}"
        ),
    )


def _air_column(row: Any) -> str:
    """What the dashed track is worth, where the cup was measured."""
    if math.isnan(row.air_column_error_m):
        return ""
    return f"; air column heard to {100.0 * row.air_column_error_m:.1f} cm over the whole recording"


def real_clip_exhibits(
    clips: Sequence[HeardAgain], errors: Sequence[tuple[float, float | None]], media: Path
) -> list[RealClipExhibit]:
    """Every recording that the model was asked to sound; what it made is also kept in the folder ``media``."""
    exhibits = []
    for clip, (error, shuffled) in zip(clips, errors, strict=True):
        sound = media / f"{clip.clip_id}-generated.flac"
        write_flac(sound, clip.generated)
        both = spectrograms_of_both(clip.waveform, clip.generated, heard_s=clip.heard_s)
        exhibits.append(
            RealClipExhibit(
                name=clip.name,
                masks="usable" if clip.masks_usable else "not usable",
                pitch_error=f"{error:.2f}",
                shuffled_pitch_error="–" if shuffled is None else f"{shuffled:.2f}",
                spectrograms=data_uri(both, ".png"),
                sound=file_uri(sound),
            )
        )
    return exhibits


def dubbed_exhibits(shards: Sequence[Path], media: Path) -> list[DubbedExhibit]:
    """The first episodes of the first shards; their videos are also kept in the folder ``media``."""
    exhibits = []
    for place in range(_DUBBED):
        shard = Shard(shards[place % len(shards)])
        index = place // len(shards)
        if index >= len(shard):
            break
        episode, soundtrack = shard.episode(index), shard.soundtrack(index)
        video, sound = media / f"{episode.episode_id}.mp4", media / f"{episode.episode_id}.flac"
        write_video(video, episode.rgb, fps=episode.rate_hz, sound=soundtrack.waveform)
        write_flac(sound, soundtrack.waveform)
        exhibits.append(
            DubbedExhibit(
                video=file_uri(video),
                poster=poster(list(episode.rgb)),
                spectrogram=data_uri(spectrogram(soundtrack.waveform), ".png"),
                sound=file_uri(sound),
                caption=(
                    f"{episode.episode_id}: {episode.liquid.name.replace('_', ' ')} into "
                    f"{episode.receiver.name.replace('_', ' ')} ({'opaque' if episode.receiver.opaque else 'clear'}), "
                    f"{episode.poured_ml[-1]:.0f} of {episode.target_ml:.0f} ml. Together, and the sound alone."
                ),
            )
        )
    return exhibits


def sound_exhibits(audio_report: Path) -> list[SoundExhibit]:
    """The examples that the audio report wrote."""
    exhibits = []
    for picture in sorted(audio_report.glob("*-spectrograms.png")):
        episode = picture.stem.removesuffix("-spectrograms")
        sounds = [(name, audio_report / f"{episode}-{name}.flac") for name in ("generated", "physical", "noise")]
        exhibits.append(
            SoundExhibit(
                name=episode,
                spectrograms=file_uri(picture),
                sounds=tuple((name, file_uri(path)) for name, path in sounds),
            )
        )
    return exhibits


def trial_exhibits(folders: Mapping[str, Path]) -> list[TrialExhibit]:
    """The kept videos of every ablation, trial by trial so that the same task stands side by side."""
    rows = []
    for ablation, folder in folders.items():
        for trial in read_trials(folder):
            video = video_of(folder, trial.trial)
            if video.is_file():
                rows.append((trial, ablation, video))
    return [
        TrialExhibit(
            label=LABELS.get(ablation, ablation),
            address=file_uri(video),
            poster=poster(list(read_video(video))),
            caption=(
                f"Trial {trial.trial}, {trial.container.replace('_', ' ')}: asked for {trial.target_ml:.0f} ml, "
                f"poured {trial.poured_ml:.0f} ml, spilled {trial.spilled_ml:.0f} ml, {trial.outcome.replace('_', ' ')}"
            ),
            failure=(failure(trial) or "").replace("_", " "),
        )
        for trial, ablation, video in sorted(rows, key=lambda row: row[0].trial)
    ]


def poster(frames: Sequence[UInt8[np.ndarray, "H W 3"]]) -> str:
    """The middle frame as a ``data:`` address."""
    return data_uri(overlay_strip([frames[len(frames) // 2]]), ".png")
