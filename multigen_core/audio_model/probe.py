"""A pour that every audio model is asked to sound before it is used, and what may be wrong with the answer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8

from multigen_core.audio_model.contract import AudioModel
from multigen_core.palette import Palette, colorize

__all__ = ["PROBE_HZ", "deafness", "faults", "probe_masks"]

PROBE_HZ = 10.0
_SECONDS, _STARTS_S, _STOPS_S = 4.0, 0.5, 3.5
_SILENT_DBFS = -70.0
"""16-bit noise lies near -98 dBFS, a quiet room near -60."""
_FULL_SCALE = 0.999


def probe_masks(size_px: int = 96) -> UInt8[np.ndarray, "T H W"]:
    """A cup in the middle that is filled to four fifths, steadily, from a pitcher above it."""
    frames = round(_SECONDS * PROBE_HZ)
    masks = np.zeros((frames, size_px, size_px), np.uint8)
    rows, columns = np.mgrid[:size_px, :size_px] / size_px
    cup = (rows > 0.55) & (rows < 0.92) & (np.abs(columns - 0.5) < 0.12)
    inside = (rows < 0.91) & (np.abs(columns - 0.5) < 0.11)
    masks[:, (rows > 0.1) & (rows < 0.35) & (columns > 0.52) & (columns < 0.85)] = Palette.POURER
    masks[:, cup] = Palette.RECEIVER
    for frame in range(frames):
        filled = np.clip((frame / PROBE_HZ - _STARTS_S) / (_STOPS_S - _STARTS_S), 0.0, 1.0)
        surface = 0.91 - 0.8 * 0.36 * filled
        masks[frame][inside & (rows > surface)] = Palette.LIQUID
        if 0.0 < filled < 1.0:
            masks[frame][(np.abs(columns - 0.52) < 0.012) & (rows > 0.3) & (rows < surface)] = Palette.LIQUID
    return masks


def faults(model: AudioModel, most_clipped: float) -> Iterator[str]:
    """One sentence per fault of the sound that the model makes for the probe; none when all is well.

    ``most_clipped``: the share of its samples that may be at full scale.
    """
    masks = probe_masks()
    (sound,) = model.generate([masks], fps=PROBE_HZ, seeds=[0], rgb=[colorize(masks)])
    yield from _faults_of(sound, most_clipped)


def _faults_of(sound: Float32[np.ndarray, " S"], most_clipped: float) -> Iterator[str]:
    broken = int((~np.isfinite(sound)).sum())
    if broken:
        yield f"{broken} of {len(sound)} samples of a plain pour's sound are not finite"
        return
    level_dbfs = float(10.0 * np.log10(np.mean(np.square(sound, dtype=float)) + 1e-14))
    if level_dbfs <= _SILENT_DBFS:
        yield f"a plain pour's sound is silent: {level_dbfs:.1f} dBFS"
    clipped = float(np.mean(np.abs(sound) >= _FULL_SCALE))
    if clipped > most_clipped:
        limit = f"audio_model.most_clipped allows {100.0 * most_clipped:g} %"
        yield f"{100.0 * clipped:.1f} % of a plain pour's sound are clipped; {limit}"


def deafness(curve: Path, least_gain: float) -> Iterator[str]:
    """A sentence when the masks help the trained model less than by ``least_gain``, a share of its control's loss.

    The control is the same model on the same held-out sounds with the masks of others.
    """
    last = pd.read_parquet(curve).iloc[-1]
    right, shuffled = float(last["validation_loss"]), float(last["validation_loss_shuffled"])
    gain = (shuffled - right) / shuffled if shuffled > 0.0 else float("nan")
    if not gain >= least_gain:
        yield (
            f"the masks lower the held-out loss by {100.0 * gain:.1f} % against the masks of other clips "
            f"({right:.4f} against {shuffled:.4f}); audio_model.least_mask_gain asks for {100.0 * least_gain:g} %"
        )
