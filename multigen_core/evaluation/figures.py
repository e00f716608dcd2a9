"""The plots of the report, as PNG bytes."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from matplotlib.axes import Axes

from multigen_core.acoustics.tracker import track_resonance
from multigen_core.evaluation.statistics import Interval
from multigen_core.palette import COLORS
from multigen_core.records import SAMPLE_RATE_HZ, Trial
from multigen_core.sheet import INK, picture, sheet
from multigen_core.spectrogram import FLOOR, log_mel, mel_filters

__all__ = [
    "LABELS",
    "condition_bars",
    "container_bars",
    "curves",
    "episodes_curve",
    "funnel",
    "overlay_strip",
    "pour_strip",
    "poured_against_target",
    "spectrogram",
    "spectrograms_of_both",
]

LABELS = {
    "vision": "Vision",
    "vision_audio": "Vision + generated sound",
    "vision_noise": "Vision + noise augmentation",
    "audio": "Generated sound alone",
    "joints": "Joints and goal alone",
    "blind": "Blind reference",
}
"""Names of the ablations as people read them."""

_COLORS = {
    "vision": "#4c8dde",
    "vision_audio": "#e0703a",
    "vision_noise": "#8c78c0",
    "audio": "#3f9e6b",
    "joints": "#b08d57",
    "blind": "#8a8f98",
}


def _whiskers(intervals: Sequence[Interval]) -> Float32[np.ndarray, "2 points"]:
    return np.array(
        [[row.mean - row.low for row in intervals], [row.high - row.mean for row in intervals]], np.float32
    ).clip(min=0.0)


def container_bars(nmae: Mapping[str, Mapping[str, Interval]], opaque: Mapping[str, bool]) -> bytes:
    """NMAE per cup (groups) and ablation (bars) with 95 % intervals; ``nmae`` is ablation -> cup -> NMAE."""
    with sheet(8.6, 3.2) as drawn:
        axes = drawn.axes()
        cups = list(opaque)
        width = 0.8 / max(len(nmae), 1)
        for index, (ablation, rows) in enumerate(nmae.items()):
            places = [cups.index(name) + (index - (len(nmae) - 1) / 2) * width for name in rows]
            intervals = list(rows.values())
            axes.bar(
                places,
                [row.mean for row in intervals],
                width * 0.92,
                yerr=_whiskers(intervals),
                color=_COLORS.get(ablation, INK),
                error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 2},
                label=LABELS.get(ablation, ablation),
            )
        names = [f"{name.replace('_', ' ')}\n{'opaque' if opaque[name] else 'clear'}" for name in cups]
        axes.set_xticks(range(len(cups)), names, fontsize=8)
        axes.set_ylabel("NMAE")
        axes.set_ylim(bottom=0.0)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        drawn.figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    return drawn.png


def condition_bars(nmae: Mapping[str, Interval]) -> bytes:
    """NMAE of one policy in each condition, from top to bottom, with 95 % intervals."""
    with sheet(5.6, 0.7 + 0.3 * max(len(nmae), 1)) as drawn:
        axes = drawn.axes()
        axes.barh(
            range(len(nmae)),
            [row.mean for row in nmae.values()],
            0.7,
            xerr=_whiskers(list(nmae.values())),
            color=_COLORS["vision_audio"],
            error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 2},
        )
        axes.set_yticks(range(len(nmae)), list(nmae), fontsize=8)
        axes.set_xlabel("NMAE")
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_axisbelow(True)
    return drawn.png


def poured_against_target(trials: Mapping[str, Sequence[Trial]]) -> bytes:
    """One panel per ablation: every trial, poured over asked for; filled marks are opaque cups."""
    with sheet(2.9 * max(len(trials), 1), 2.9) as drawn:
        panels = drawn.figure.subplots(1, len(trials), sharex=True, sharey=True, squeeze=False)[0]
        far = 1.08 * max(max(row.target_ml, row.poured_ml) for rows in trials.values() for row in rows)
        for axes, (ablation, rows) in zip(panels, trials.items(), strict=True):
            color = _COLORS.get(ablation, INK)
            axes.plot([0.0, far], [0.0, far], color=INK, linewidth=0.8, linestyle=":")
            for opaque in (True, False):
                chosen = [row for row in rows if row.opaque == opaque]
                axes.scatter(
                    [row.target_ml for row in chosen],
                    [row.poured_ml for row in chosen],
                    s=22,
                    facecolors=color if opaque else "none",
                    edgecolors=color,
                    label="opaque" if opaque else "clear",
                )
            axes.set_title(LABELS.get(ablation, ablation))
            axes.set_xlabel("asked for [ml]")
            axes.set_xlim(0.0, far)
            axes.set_ylim(0.0, far)
            axes.grid()
        panels[0].set_ylabel("poured [ml]")
        panels[0].legend(fontsize=8, loc="upper left")
    return drawn.png


def episodes_curve(points: Mapping[str, Sequence[tuple[int, Interval]]], blind: float) -> bytes:
    """Figure 4b style: NMAE against the number of training episodes, ablation -> (episodes, NMAE)."""
    with sheet(4.4, 3.4) as drawn:
        axes = drawn.axes()
        for shift, (ablation, rows) in enumerate(points.items()):
            # Ablations stand a few per cent apart, so that their whiskers do not hide each other.
            places = [episodes * 1.03 ** (shift - (len(points) - 1) / 2) for episodes, _ in rows]
            intervals = [row for _, row in rows]
            axes.errorbar(
                places,
                [row.mean for row in intervals],
                yerr=_whiskers(intervals),
                color=_COLORS.get(ablation, INK),
                marker="o",
                capsize=3,
                label=LABELS.get(ablation, ablation),
            )
        axes.axhline(blind, color=_COLORS["blind"], linestyle="--", linewidth=1.0, label=LABELS["blind"])
        sizes = sorted({episodes for rows in points.values() for episodes, _ in rows})
        axes.set_xscale("log")
        axes.set_xlim(sizes[0] / 1.6, sizes[-1] * 1.6)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("training episodes")
        axes.set_ylabel("NMAE")
        axes.set_ylim(bottom=0.0)
        axes.grid()
        drawn.figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return drawn.png


def funnel(steps: Sequence[tuple[str, int]]) -> bytes:
    """Bars from top to bottom: how many are left after each step; steps that took none away are left out."""
    ends = {0, len(steps) - 1}
    shown = [step for k, step in enumerate(steps) if k in ends or step[1] != steps[k - 1][1]]
    with sheet(6.4, 0.5 + 0.32 * max(len(shown), 1)) as drawn:
        axes = drawn.axes()
        places = range(len(shown))
        axes.barh(places, [kept for _, kept in shown], 0.7, color=_COLORS["vision"])
        for place, (_, kept) in enumerate(shown):
            axes.annotate(f"{kept:,}", (kept, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_yticks(places, [name.replace("_", " ") for name, _ in shown], fontsize=8)
        axes.set_xlim(0.0, 1.12 * max([kept for _, kept in shown], default=0) + 1e-3)
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_axisbelow(True)
    return drawn.png


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, y_label: str) -> bytes:
    """Figures that develop during training: name -> (steps, values); logarithmic where all values are positive."""
    with sheet(4.4, 2.6) as drawn:
        axes = drawn.axes()
        for name, (steps, values) in series.items():
            axes.plot(steps, values, linewidth=1.3, color=_COLORS.get(name), label=LABELS.get(name, name))
        if series and all(value > 0.0 for _, values in series.values() for value in values):
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel(y_label)
        axes.grid()
        if series:
            axes.legend(fontsize=8)
    return drawn.png


def spectrogram(
    waveform: Float32[np.ndarray, " samples"], *, width_in: float = 4.4, heard_s: tuple[float, float] | None = None
) -> bytes:
    """The log-mel spectrogram that the models see, time to the right, frequency upward.

    With ``heard_s``, the resonance that is tracked from the first to the second moment is drawn over it.
    """
    with sheet(width_in, 1.5) as drawn:
        _draw_spectrogram(drawn.axes(), waveform, heard_s=heard_s)
    return drawn.png


def spectrograms_of_both(
    waveform: Float32[np.ndarray, " samples"],
    generated: Float32[np.ndarray, " other"],
    *,
    heard_s: tuple[float, float],
) -> bytes:
    """A recording above what was generated for it; the resonance of each is dashed, that of the recording in both."""
    with sheet(4.4, 3.0) as drawn:
        upper, lower = drawn.figure.subplots(2, 1, sharex=True)
        _draw_spectrogram(upper, waveform, heard_s=heard_s)
        _draw_spectrogram(lower, generated, heard_s=heard_s)
        _draw_track(lower, waveform, heard_s, color="#4ade80")
        upper.set_xlabel("")
        upper.set_ylabel("recorded")
        lower.set_ylabel("generated")
    return drawn.png


def _draw_spectrogram(
    axes: Axes, waveform: Float32[np.ndarray, " samples"], *, heard_s: tuple[float, float] | None
) -> None:
    mel = log_mel(torch.from_numpy(waveform)).numpy()
    axes.imshow(
        mel,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=float(np.log10(FLOOR)) + 1.0,
        vmax=float(max(mel.max(), -1.0)),
        extent=(0.0, len(waveform) / SAMPLE_RATE_HZ, 0.0, float(len(mel))),
    )
    if heard_s is not None:
        _draw_track(axes, waveform, heard_s, color="#7dd3fc")
    axes.set_xlabel("s")
    axes.set_ylabel("mel band")


def _draw_track(
    axes: Axes, waveform: Float32[np.ndarray, " samples"], heard_s: tuple[float, float], *, color: str
) -> None:
    track = track_resonance(waveform)
    pouring = (track.times_s >= heard_s[0]) & (track.times_s <= heard_s[1])
    axes.plot(track.times_s[pouring], _mel_band(track.f0_hz[pouring]), color=color, linewidth=0.9, linestyle="--")


def pour_strip(
    rgb: Sequence[UInt8[np.ndarray, "H W 3"]],
    waveform: Float32[np.ndarray, " samples"],
    *,
    times_s: Float64[np.ndarray, " steps"],
    fill: Float64[np.ndarray, " steps"],
    tilt_deg: Float64[np.ndarray, " steps"],
    decided_s: Float32[np.ndarray, " decisions"],
    believed_fill: Float32[np.ndarray, " decisions"],
    goal: float,
    title: str,
) -> bytes:
    """One trial from left to right: frames, sound with its tracked resonance, fill level (true, believed) and tilt."""
    with sheet(8.6, 5.4) as drawn:
        frames, heard, filled = drawn.figure.subplots(3, 1, height_ratios=(1.15, 1.0, 1.2))
        picks = np.linspace(0, len(rgb) - 1, 8).round().astype(int)
        frames.imshow(np.concatenate([rgb[k] for k in picks], axis=1), aspect="auto")
        frames.set_axis_off()
        frames.set_title(title, loc="left")
        _draw_spectrogram(heard, waveform, heard_s=_while_filling(times_s, fill))
        filled.plot(times_s, fill, color=_COLORS["vision"], label="fill")
        filled.plot(decided_s, believed_fill, color=_COLORS["vision_audio"], linewidth=1.0, label="fill as believed")
        filled.axhline(goal, color=INK, linestyle=":", linewidth=1.0, label="goal")
        filled.set_ylabel("of capacity")
        filled.set_ylim(-0.05, 1.1)
        filled.set_xlabel("s")
        tilted = filled.twinx()
        tilted.plot(times_s, tilt_deg, color=_COLORS["vision_noise"], linewidth=1.0, label="tilt")
        tilted.set_ylabel("tilt [deg]")
        for axes in (heard, filled):
            axes.set_xlim(0.0, float(times_s[-1]))
        filled.legend(handles=[*filled.lines, *tilted.lines], fontsize=7, ncols=4, loc="upper left")
    return drawn.png


def _while_filling(times_s: Float64[np.ndarray, " steps"], fill: Float64[np.ndarray, " steps"]) -> tuple[float, float]:
    """When the level rose."""
    rising = times_s[1:][np.diff(fill) > 1e-3]
    return (float(rising[0]), float(rising[-1])) if len(rising) else (0.0, 0.0)


def _mel_band(frequency_hz: Float32[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Where a frequency lies between the bands."""
    bins_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, mel_filters().shape[1])
    centres_hz = bins_hz[mel_filters().argmax(dim=1).numpy()]
    return np.interp(frequency_hz, centres_hz, np.arange(len(centres_hz)) + 0.5)


def overlay_strip(
    rgb: Sequence[UInt8[np.ndarray, "H W 3"]], masks: Sequence[UInt8[np.ndarray, "H W"]] | None = None
) -> bytes:
    """Frames side by side; with masks, a second row with pourer, receiver and liquid tinted in the palette's colors."""
    row = np.concatenate(list(rgb), axis=1)
    rows = [row]
    if masks is not None:
        labels = np.concatenate(list(masks), axis=1)
        tint = np.array(COLORS, np.float32)[labels]
        share = np.where(labels[..., None] > 0, 0.6, 0.0)
        rows.append((row * (1.0 - share) + tint * share).astype(np.uint8))
    return picture(np.concatenate(rows, axis=0))
