"""The scale of a picture, which no mask tells, learnt from the clips in which the resonance is heard.

A mask shows the air column in units of the picture; what sets the pitch is its length in metres. Two cups of one size
look a tenth of an octave larger or smaller, according to where they stand and to the camera. In a clip with sound the
resonance itself tells the difference; for a silent pour it is guessed from how low the cup stands in the picture.

A segmenter's masks make cups a little larger or fuller than they are, and a simulator's do not: where a clip's exact
masks are known, the ruler is laid on those.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy.stats import theilslopes

from multigen_core.acoustics.tracker import ResonanceTrack
from multigen_core.audio_model.conditioning import PITCH, STREAM, features_at

__all__ = ["Reading", "Ruler", "fit_ruler", "heard_scale", "in_octaves"]

_LEAST_SALIENCE_DB = 9.0
"""Noise reaches 6 to 7 dB, pours 10 to 17 dB."""
_LEAST_FRAMES = 30
"""Half a second of clear resonance."""
_LEAST_CLIPS = 8


@dataclass(frozen=True)
class Reading:
    """What one clip tells about scales."""

    foot_height: float
    """Of the cup in the picture; see :func:`conditioning.foot_height`."""
    scale: float | None
    """As it is heard; None where no resonance is."""


@dataclass(frozen=True)
class Ruler:
    """``scale = constant + slope * foot_height``: the scale [octaves] of a picture.

    It is the sum of log2 of the resonance [Hz] and log2 of the effective length [short sides of the picture].
    """

    slope: float = 0.0
    constant: float = 0.0

    def scale(self, foot_height: float) -> float:
        return self.constant + self.slope * foot_height


def heard_scale(track: ResonanceTrack, features: Float32[np.ndarray, "T F"], *, fps: float) -> float | None:
    """The scale of a clip's picture by its sound: the median while a stream is seen and a resonance stands out.

    None when that is the case for less than half a second.
    """
    seen = features_at(features, track.times_s.astype(float), fps=fps)
    clear = (seen[:, STREAM] > 0.5) & (track.salience_db > _LEAST_SALIENCE_DB)
    if clear.sum() < _LEAST_FRAMES:
        return None
    return float(np.median(np.log2(track.f0_hz[clear]) + seen[clear, PITCH]))


def fit_ruler(readings: Sequence[Reading]) -> Ruler:
    """The line through what was heard: median of all slopes (Theil and Sen), for a few masks are badly wrong.

    With fewer than eight clips that are heard there is no slope, without any no scale.
    """
    heard = [(reading.foot_height, reading.scale) for reading in readings if reading.scale is not None]
    foot_heights, scales = [foot for foot, _ in heard], [scale for _, scale in heard]
    if not scales:
        return Ruler()
    if len(scales) < _LEAST_CLIPS:
        return Ruler(constant=float(np.median(scales)))
    slope, constant, *_ = theilslopes(scales, foot_heights)
    return Ruler(slope=float(slope), constant=float(constant))


def in_octaves(features: Float[np.ndarray, "N features"], scale: float) -> Float[np.ndarray, "N features"]:
    """The features with the pitch column as ``-log2`` of the resonance [Hz] that the air column has at this scale."""
    shifted = features.copy()
    shifted[:, PITCH] -= scale
    return shifted
