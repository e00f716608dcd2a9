"""What the audio model makes of the masks of real recordings: its resonance against the one that is heard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from multigen_core.acoustics.tracker import ResonanceTrack, track_resonance
from multigen_core.audio_model.contract import load_audio_model
from multigen_core.clips.catalogue import read_catalogue
from multigen_core.media import read_flac, read_masks, read_video

__all__ = ["HeardAgain", "hear_again", "pitch_errors"]


@dataclass(frozen=True)
class HeardAgain:
    """A recording and what was made for its masks, both at 16 kHz."""

    clip_id: str
    name: str
    masks_usable: bool
    """Whether the masks pass for masks of a pour; the model did not learn from those that do not."""
    waveform: Float32[np.ndarray, " S"]
    generated: Float32[np.ndarray, " G"]
    heard_s: tuple[float, float]
    """First and last moment of the pour, by ear."""


def hear_again(audio_model: Path, clips: Path, masks: Path, seed_of: Callable[[str], int]) -> list[HeardAgain]:
    """Every clip of the catalogue that is no rendered reference clip; none without such clips."""
    catalogue = read_catalogue(clips).sort_values("clip_id")
    real = catalogue[catalogue["source"] != "reference"]
    if real.empty:
        return []
    usable = pd.read_parquet(masks / "quality.parquet").set_index("clip_id")["usable"]
    model = load_audio_model(audio_model)

    def heard(row: Any) -> HeardAgain:
        frames = np.stack(list(read_video(clips / "media" / f"{row.clip_id}.mp4")))
        labels = read_masks(masks / f"{row.clip_id}.mp4")
        (generated,) = model.generate([labels], fps=float(row.fps), seeds=[seed_of(row.clip_id)], rgb=[frames])
        return HeardAgain(
            clip_id=str(row.clip_id),
            name=str(row.source_id),
            masks_usable=bool(usable.get(row.clip_id, False)),
            waveform=read_flac(clips / "media" / f"{row.clip_id}.flac"),
            generated=generated,
            heard_s=(float(row.onset_s), float(row.offset_s)),
        )

    return [heard(row) for row in real.itertuples()]


def pitch_errors(clips: Sequence[HeardAgain]) -> list[tuple[float, float | None]]:
    """Per clip: median ``|log2(f_generated / f_heard)|`` over the pour, and its control.

    The control is the mean error of what was made for the other clips, taken at the same share of their pours; None
    for a single clip. Neither is left out where the tracker follows no resonance in the recording.
    """
    real = [track_resonance(clip.waveform) for clip in clips]
    made = [track_resonance(clip.generated) for clip in clips]
    shares = np.linspace(0.0, 1.0, 100)
    heard = [_along(track, clip, shares) for track, clip in zip(real, clips, strict=True)]
    asked = [_along(track, clip, shares) for track, clip in zip(made, clips, strict=True)]
    rows: list[tuple[float, float | None]] = []
    for index, true in enumerate(heard):
        errors = [float(np.median(np.abs(one - true))) for one in asked]
        others = [error for other, error in enumerate(errors) if other != index]
        rows.append((errors[index], float(np.mean(others)) if others else None))
    return rows


def _along(track: ResonanceTrack, clip: HeardAgain, shares: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """log2 of the resonance at these shares of the pour."""
    start_s, stop_s = clip.heard_s
    times_s = start_s + shares * (stop_s - start_s)
    return np.interp(times_s, track.times_s.astype(float), np.log2(track.f0_hz.astype(float)))
