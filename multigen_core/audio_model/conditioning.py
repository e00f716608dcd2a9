"""Mask videos as a few numbers per frame: everything about a pour that its sound depends on.

Lengths are in units of the image's short side, so that a cup of a given size looks the same at every resolution.
The air column above the liquid sets the pitch, ``f = c / 4 (l + 0.62 R)``; flow and fall height set the loudness.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.optimize import isotonic_regression

from multigen_core.palette import Palette

__all__ = [
    "CONDITIONS",
    "FALL_S",
    "FEATURES",
    "PITCH",
    "STREAM",
    "features_at",
    "foot_height",
    "in_room",
    "mask_features",
    "pouring",
    "with_stream",
]

FEATURES = ("log_effective_length", "flow", "stream_seen", "stream_width")
"""Names of the columns of :func:`mask_features`.

Few on purpose: with a hundred clips every further number helps a network to recognise the clip instead of the pour
(seventeen of them led to a pitch error of 0.35 octave on unseen episodes where five led to 0.16). And none that only
goes along with a pour: with the pitcher's tilt among them, a pitcher that was tilted to wait was heard to pour.
"""

PITCH = FEATURES.index("log_effective_length")
"""The column that the pitch follows from, and that has to be read finely."""

STREAM = FEATURES.index("stream_seen")
_WIDTH = FEATURES.index("stream_width")

CONDITIONS = (*FEATURES, "room_level")
"""What the pocket model is told: the masks' features, and how loud the room is before anything pours.

No mask shows the room. Left to the noise, its level would be drawn anew at every moment, and a quiet room crackle.
"""

FALL_S = 0.03
"""Liquid is seen at the rim so much before it is heard to land: median of simulated pours."""
_TRICKLE = 0.25
"""Of the width that the pour's stream reaches, a sixteenth of its cross-section: what is thinner drips, and lasts."""
_SPECK_PX = 2
"""Rows and columns of a class with fewer pixels are noise of the segmenter."""
_NEAR_RIM = 0.04
"""Of the short side: the strip above the rim in which a stream is looked for."""
_SMOOTHING_S = 0.25
_GEOMETRY_WINDOW_S = 2.0
"""The receiver stands still: its box is the running median over this time."""
_END_CORRECTION = 0.62
"""Of a half-open tube, in radii (Levine and Schwinger 1948)."""
_RIM_AND_BOTTOM = 0.32
"""Also in radii: a camera from above sees the cup's far rim and the thickness of its bottom, neither of which is air.

So that over a pour the resonance follows the exact masks of the reference clips: without it a nearly full cup seems to
hold too much air.
"""
_MOUTH = (0.04, 0.16)
"""Of the cup's height below its rim: where the mouth is as wide as it is, above bellies and handles."""


def mask_features(masks: UInt8[np.ndarray, "T H W"], *, fps: float) -> Float32[np.ndarray, "T F"]:
    """Geometry of every frame, columns as in ``FEATURES``; finite whatever classes are missing."""
    side = float(min(masks.shape[1:]))
    receiver, liquid = (masks == index for index in (Palette.RECEIVER, Palette.LIQUID))
    seen, top, foot = _receiver_rows(receiver, fps)
    rows, columns = np.arange(masks.shape[1]), np.arange(masks.shape[2])
    under_rim = rows[None, :, None] >= top[:, None, None]  # (T, H, 1)
    left, right = _mouth((receiver | liquid) & under_rim, top, foot, fps)
    inside = liquid & under_rim & _between(columns, left, right)
    cup = (receiver | inside) & under_rim

    width_px = np.maximum(right - left + 1.0, 1.0)
    height = _still(_column_heights(cup, left, right, inner=0.5, keep=(0.0, 1.0)) / side, fps)
    # A stream that falls through the air column fills few columns: the lower ones tell the level.
    level = _column_heights(inside, left, right, inner=0.7, keep=(0.1, 0.6)) / side
    width = width_px / side
    level = np.minimum(_rising(level, fps), height)
    air = height - level

    level_rate = np.gradient(level) * fps if len(level) > 1 else np.zeros_like(level)
    seen_share, thickness = _stream(liquid & _between(columns, left, right), top, _NEAR_RIM * side)
    effective_length = air + (_END_CORRECTION - _RIM_AND_BOTTOM) * width / 2.0
    table = {
        "log_effective_length": np.log2(np.maximum(effective_length, 0.02)),
        "flow": level_rate * width**2,
        "stream_seen": seen_share,
        # Smoothed over its pixel steps; but it begins and ends when the stream does.
        "stream_width": _smooth(thickness / side, fps) * seen_share,
    }
    table_columns = [np.where(seen > 0.0, table[name], 0.0) for name in FEATURES]
    return np.stack(table_columns, axis=1).astype(np.float32)


def foot_height(masks: UInt8[np.ndarray, "T H W"]) -> float:
    """How far below the upper edge of the picture the receiver ends, in short sides; 0 without a receiver.

    A camera looks down on the table: the lower a cup stands in the picture, the nearer it is and the larger it looks.
    """
    in_row = (masks == Palette.RECEIVER).sum(2) >= _SPECK_PX  # (T, H)
    found = in_row.any(1)
    if not found.any():
        return 0.0
    below = in_row[found, ::-1].argmax(1)
    return float(masks.shape[1] - np.median(below)) / min(masks.shape[1:])


def features_at(
    features: Float32[np.ndarray, "T F"], times_s: Float[np.ndarray, " N"], *, fps: float
) -> Float32[np.ndarray, "N F"]:
    """Linear in time between frames (frame ``k`` at ``k / fps``); the ends are held."""
    frames_s = np.arange(len(features)) / fps
    return np.stack([np.interp(times_s, frames_s, column) for column in features.T], axis=1).astype(np.float32)


def pouring(features: Float32[np.ndarray, "N F"]) -> Bool[np.ndarray, " N"]:
    """When a stream is seen that is no trickle."""
    seen = features[:, STREAM] > 0.5
    if not seen.any():
        return seen
    return seen & (features[:, _WIDTH] >= _TRICKLE * np.percentile(features[seen, _WIDTH], 90.0))


def with_stream(features: Float32[np.ndarray, "N F"], flows: Bool[np.ndarray, " N"]) -> Float32[np.ndarray, "N F"]:
    """The features with a stream at exactly these moments: there is one or there is none, however thin."""
    changed = features.copy()
    changed[:, STREAM] = flows
    changed[~flows, _WIDTH] = 0.0
    return changed


def in_room(features: Float32[np.ndarray, "N F"], level: float) -> Float32[np.ndarray, "N C"]:
    """Columns as in ``CONDITIONS``: the same room at every moment; ``level`` is a mean log10 magnitude."""
    return np.column_stack([features, np.full(len(features), level)]).astype(np.float32)


def _receiver_rows(
    receiver: Bool[np.ndarray, "T H W"], fps: float
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Whether a receiver was seen in the clip, and its first and last row [px] in every frame."""
    in_row = receiver.sum(2) >= _SPECK_PX  # (T, H)
    found = in_row.any(1)
    if not found.any():
        zero = np.zeros(len(receiver))
        return zero, zero, zero
    first, last = _ends(in_row)
    return np.ones(len(receiver)), _where_found(first, found, fps), _where_found(last, found, fps)


def _mouth(
    cup: Bool[np.ndarray, "T H W"], top: Float[np.ndarray, " T"], foot: Float[np.ndarray, " T"], fps: float
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """First and last column [px] of the cup's mouth: those that the cup fills just below its rim."""
    rows, height = np.arange(cup.shape[1]), foot - top + 1.0
    start, stop = (np.round(top + share * height) for share in _MOUTH)
    strip = (rows >= start[:, None]) & (rows <= stop[:, None])  # (T, H)
    in_column = (cup & strip[:, :, None]).sum(1) > strip.sum(1)[:, None] / 2.0  # (T, W)
    found = in_column.any(1)
    if not found.any():
        zero = np.zeros(len(cup))
        return zero, zero
    first, last = _ends(in_column)
    return _where_found(first, found, fps), _where_found(last, found, fps)


def _ends(line: Bool[np.ndarray, "T N"]) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """The first and the last true element of every line."""
    return line.argmax(1).astype(float), line.shape[1] - 1.0 - line[:, ::-1].argmax(1)


def _where_found(edge: Float[np.ndarray, " T"], found: Bool[np.ndarray, " T"], fps: float) -> Float[np.ndarray, " T"]:
    """An edge that stands still; frames in which it was not found borrow it of the nearest frames that have it."""
    frames = np.arange(len(edge))
    return _still(np.interp(frames, frames[found], edge[found]), fps)


def _between(
    columns: np.ndarray, left: Float[np.ndarray, " T"], right: Float[np.ndarray, " T"]
) -> Bool[np.ndarray, "T 1 W"]:
    return (columns[None, None] >= left[:, None, None]) & (columns[None, None] <= right[:, None, None])


def _column_heights(
    region: Bool[np.ndarray, "T H W"],
    left: Float[np.ndarray, " T"],
    right: Float[np.ndarray, " T"],
    *,
    inner: float,
    keep: tuple[float, float],
) -> Float[np.ndarray, " T"]:
    """Mean height [px] of the region over the inner part of the box's columns, sorted by height and cut to ``keep``.

    The curved edges of a round cup spread the columns over several heights: the mean resolves less than a pixel.
    """
    counts = region.sum(1).astype(float)  # (T, W)
    heights = np.zeros(len(region))
    for frame, (first, last) in enumerate(zip(left, right, strict=True)):
        margin = (last - first + 1.0) * (1.0 - inner) / 2.0
        inner_columns = np.sort(
            counts[frame, round(first + margin) : max(round(last + 1 - margin), round(first + margin) + 1)]
        )
        start, stop = (round(share * len(inner_columns)) for share in keep)
        heights[frame] = inner_columns[start : max(stop, start + 1)].mean()
    return heights


def _stream(
    over_cup: Bool[np.ndarray, "T H W"], top: Float[np.ndarray, " T"], strip_px: float
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Share of the rows just above the rim that show liquid, and how much on average of those [px].

    The share is near 1 while it pours, thin or thick, else 0. Further up, liquid shows in a spout that waits to pour.
    """
    rows = np.arange(over_cup.shape[1])
    strip = (rows < top[:, None]) & (rows >= top[:, None] - strip_px)  # (T, H)
    liquid_px = over_cup.sum(2) * strip
    wet = (liquid_px > 0).sum(1)
    return wet / np.maximum(strip.sum(1), 1), liquid_px.sum(1) / np.maximum(wet, 1)


def _smooth(values: Float[np.ndarray, " T"], fps: float) -> Float[np.ndarray, " T"]:
    return gaussian_filter1d(np.asarray(values, float), _SMOOTHING_S * fps, mode="nearest")


def _still(values: Float[np.ndarray, " T"], fps: float) -> Float[np.ndarray, " T"]:
    return median_filter(values, size=2 * round(_GEOMETRY_WINDOW_S * fps / 2) + 1, mode="nearest")


def _rising(values: Float[np.ndarray, " T"], fps: float) -> Float[np.ndarray, " T"]:
    """The nearest curve that never falls, as no level does during a pour, smoothed over the pixel steps."""
    return _smooth(isotonic_regression(values).x, fps)
