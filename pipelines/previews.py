"""What an asset shows in Dagster's page: figures with units, and pictures inside the page itself."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from multigen_core.quantities import with_unit
from multigen_core.stages import Stage

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

__all__ = ["Curves", "figures", "pictures"]

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""Figure that developed during the run -> (step, value) in order."""

FRAMES = 6
"""Pictures in a row."""
SHEET_COLUMNS = 8
PAGE_PICTURES = 2
"""Pictures of a report that are shown."""
RESAMPLES = 1000
"""Of the bootstrap behind the bars that are only looked at."""


def figures(summary: Mapping[str, object]) -> dict[str, dg.MetadataValue]:
    """The scalar figures of a summary, each named with its unit in brackets; a group's are ``group: figure``."""
    shown: dict[str, dg.MetadataValue] = {}
    for name, value in summary.items():
        if isinstance(value, Mapping):
            shown |= {f"{with_unit(name)}: {inner}": one for inner, one in figures(value).items()}
        elif isinstance(value, bool | int | float | str):
            shown[with_unit(name)] = dg.MetadataValue.bool(value) if isinstance(value, bool) else _plain(value)
    return shown


def pictures(stage: Stage, folder: Path, curves: Curves) -> dict[str, dg.MetadataValue]:
    """Curves of the run, a look into the data, and the first plots of a report."""
    shown = {}
    if curves:
        shown["curves"] = _markdown(_png(_curve_plot(curves)))
    if stage.name in {"episodes", "audiovisual", "noise_augmented"}:
        shown["first episode"] = _markdown(_png(_episode_plot(folder)))
        if stage.name == "episodes":
            shown["scenes"] = _markdown(_png(_image_plot(_contact_sheet(folder))))
    elif stage.name in {"clips", "masks"}:
        strip = _frames_of(folder)
        if strip is not None:
            shown["frames"] = _markdown(_png(_image_plot(strip)))
        if stage.name == "clips":
            shown["funnel"] = _markdown(_funnel(folder))
    elif stage.name == "evaluation":
        shown["NMAE per cup"] = _markdown(_cups(folder))
    plots = sorted(folder.rglob("*.png"))[:PAGE_PICTURES]
    return shown | {path.stem: _markdown(path.read_bytes()) for path in plots}


def _plain(value: int | float | str) -> dg.MetadataValue:
    if isinstance(value, str):
        return dg.MetadataValue.text(value)
    return dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.float(float(value))


def _markdown(png: bytes) -> dg.MetadataValue:
    return dg.MetadataValue.md(f"![preview](data:image/png;base64,{base64.b64encode(png).decode()})")


def _png(figure: "Figure") -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=80, bbox_inches="tight")
    return stream.getvalue()


def _curve_plot(curves: Curves) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(curves), 2.4))
    for place, (name, points) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(1, len(curves), place)
        axes.plot(*zip(*points, strict=True))
        axes.set(title=name, xlabel="step")
    figure.tight_layout()
    return figure


def _image_plot(image: "np.ndarray") -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9 * image.shape[0] / image.shape[1]))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(image)
    axes.set_axis_off()
    return figure


def _episode_plot(folder: Path) -> "Figure":
    """Frames of a shard's first episode over its curves, and its log-mel when it has sound."""
    import torch
    from matplotlib.figure import Figure

    from multigen_core.dataset.features import FRONT
    from multigen_core.dataset.lerobot import Shard
    from multigen_core.spectrogram import log_mel

    shard = Shard(folder)
    curves = shard.columns(0)
    rows = 3 if shard.has_sound else 2
    figure = Figure(figsize=(9, 2.2 * rows))
    strip = figure.add_subplot(rows, 1, 1)
    strip.imshow(_side_by_side(shard.pixels(0, FRONT)))
    strip.set_axis_off()
    amounts = figure.add_subplot(rows, 1, 2)
    for name in ("poured_ml", "spilled_ml"):
        amounts.plot([step / shard.rate_hz for step in range(shard.steps(0))], curves[name], label=name)
    amounts.set(xlabel="time [s]", ylabel="amount [ml]")
    amounts.legend()
    if shard.has_sound:
        heard = figure.add_subplot(rows, 1, 3)
        heard.imshow(log_mel(torch.from_numpy(shard.soundtrack(0).waveform)), aspect="auto", origin="lower")
        heard.set(xlabel="log-mel frame", ylabel="band")
    figure.tight_layout()
    return figure


def _funnel(folder: Path) -> bytes:
    """How many candidates each step of the clips stage kept."""
    from multigen_core.clips.funnel import steps_of
    from multigen_core.evaluation.figures import funnel
    from multigen_core.storage import read_summary

    return funnel(steps_of(read_summary(folder)))


def _cups(folder: Path) -> bytes:
    """NMAE with its interval on every cup."""
    from multigen_core.evaluation.figures import container_bars
    from multigen_core.evaluation.nmae import by_container
    from multigen_core.evaluation.statistics import Bootstrap
    from multigen_core.evaluation.table import read_trials

    trials = read_trials(folder)
    nmae = {name: score.nmae for name, score in by_container(trials, Bootstrap(RESAMPLES, 0)).items()}
    opaque = {trial.container: trial.opaque for trial in trials}
    return container_bars({trials[0].ablation: nmae}, {name: opaque[name] for name in nmae})


def _contact_sheet(folder: Path) -> "np.ndarray":
    """The middle frame of every episode of a shard, in rows."""
    import numpy as np

    from multigen_core.dataset.features import FRONT
    from multigen_core.dataset.lerobot import Shard

    shard = Shard(folder)
    middles = [shard.pixels(index, FRONT)[shard.steps(index) // 2] for index in range(len(shard))]
    columns = min(SHEET_COLUMNS, len(middles))
    rows = -(-len(middles) // columns)
    blank = [np.full_like(middles[0], 255)] * (rows * columns - len(middles))
    tiles = np.stack(middles + blank).reshape(rows, columns, *middles[0].shape)
    return tiles.swapaxes(1, 2).reshape(rows * middles[0].shape[0], columns * middles[0].shape[1], 3)


def _frames_of(folder: Path) -> "np.ndarray | None":
    """The middle frames of the first few videos, side by side."""
    import numpy as np

    from multigen_core.media import read_video

    videos = sorted((folder / "media").glob("*.mp4")) or sorted(folder.glob("*.mp4"))
    middles = []
    for path in videos[:FRAMES]:
        frames = list(read_video(path))
        middles.append(frames[len(frames) // 2])
    if not middles:
        return None
    height = min(frame.shape[0] for frame in middles)
    return np.concatenate([frame[:height] for frame in middles], axis=1)


def _side_by_side(frames: "np.ndarray") -> "np.ndarray":
    """Evenly spaced frames (T, H, W, 3) as one wide picture."""
    import numpy as np

    chosen = np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
    return np.concatenate(list(frames[chosen]), axis=1)
