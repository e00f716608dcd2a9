"""The plots of the audio report, as PNG bytes."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float32

from multigen_core.audio_model.metrics import PourTruth
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.sheet import INK, sheet
from multigen_core.spectrogram import magnitude

__all__ = ["fidelity_and_diversity", "spectrograms"]

_HIGHEST_HZ = 4000.0
_MARKERS = {
    "generated": ("o", "#0ea5e9"),
    "noise": ("s", "#a1a1aa"),
    "shuffled": ("X", "#f59e0b"),
    "other_seed": ("D", "#22c55e"),
}


def fidelity_and_diversity(figures: Mapping[str, Mapping[str, float | None]]) -> bytes:
    """Figure 4a: how near to the physical sound, against how varied; one point per condition."""
    with sheet(4.4, 3.4) as drawn:
        axes = drawn.axes()
        for condition, row in figures.items():
            marker, color = _MARKERS[condition]
            point = (float(row["diversity"] or 0.0), float(row["sdr_db"] or 0.0))
            axes.scatter(*point, marker=marker, color=color, s=50, label=condition.replace("_", " "), zorder=3)
        axes.axvline(1.0, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel("diversity (physical sound = 1)")
        axes.set_ylabel("fidelity: band SDR [dB]")
        axes.grid()
        drawn.figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    return drawn.png


def spectrograms(heard: Mapping[str, Float32[np.ndarray, " S"]], truth: PourTruth) -> bytes:
    """One spectrogram per sound, with the true resonance drawn dashed where it pours."""
    with sheet(8.6, 2.0 * len(heard)) as drawn:
        rows = np.atleast_1d(drawn.figure.subplots(len(heard), 1, sharex=True))
        steps_s = np.arange(len(truth.f0_hz)) / truth.rate_hz
        resonance = np.where(truth.flowing, truth.f0_hz, np.nan)
        for axes, (name, waveform) in zip(rows, heard.items(), strict=True):
            level = 20.0 * np.log10(magnitude(torch.from_numpy(waveform)).numpy() + 1e-5)
            duration_s = len(waveform) / SAMPLE_RATE_HZ
            axes.imshow(
                level,
                origin="lower",
                aspect="auto",
                extent=(0.0, duration_s, 0.0, SAMPLE_RATE_HZ / 2),
                vmin=float(np.percentile(level, 20)),
                vmax=float(np.percentile(level, 99.7)),
                cmap="magma",
            )
            for partial in (1, 3):
                axes.plot(steps_s, partial * resonance, color="#7dd3fc", linewidth=1.0, linestyle="--")
            axes.set_ylim(0.0, _HIGHEST_HZ)
            axes.set_ylabel(f"{name} [Hz]")
        rows[-1].set_xlabel("time [s]; dashed: true resonance and its third partial")
    return drawn.png
