"""One episode as people look at it: picture, masks and the rising level side by side, or as a Rerun recording."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from multigen_core.errors import MissingExtra
from multigen_core.media import write_video
from multigen_core.palette import COLORS, colorize
from multigen_core.records import Episode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["panels", "write_preview", "write_recording"]

PANEL_PX = 288
CURSOR_COLOR = (220, 38, 38)


def write_preview(path: Path, episode: Episode) -> None:
    """An mp4 of :func:`panels` in real time."""
    write_video(path, panels(episode), fps=episode.rate_hz)


def panels(episode: Episode) -> UInt8[np.ndarray, "T H W 3"]:
    """Each step as one wide picture: camera, plain mask, amodal mask, and the curves with a cursor at the moment."""
    views = (episode.rgb, colorize(episode.masks_plain), colorize(episode.masks_amodal))
    return np.concatenate([*(_enlarged(view) for view in views), _curves(episode)], axis=2)


def write_recording(path: Path, episode: Episode) -> None:
    """An ``.rrd`` file for the Rerun viewer, with every view and curve on one time line.

    Raises MissingExtra when rerun is not installed.
    """
    try:
        import rerun
    except ImportError as error:
        raise MissingExtra('Rerun recordings need the extra [rerun]: pip install "multigen[rerun]"') from error
    stream = rerun.RecordingStream("multigen", recording_id=episode.episode_id)
    classes = [(index, name, tuple(int(channel) for channel in COLORS[index])) for index, name in enumerate(_CLASSES)]
    stream.log("masks", rerun.AnnotationContext(classes), static=True)
    for step in range(episode.steps):
        stream.set_time("time", duration=step / episode.rate_hz)
        stream.log("camera", rerun.Image(episode.rgb[step]))
        stream.log("masks/plain", rerun.SegmentationImage(episode.masks_plain[step]))
        stream.log("masks/amodal", rerun.SegmentationImage(episode.masks_amodal[step]))
        for name in _RECORDED:
            stream.log(f"pour/{name}", rerun.Scalars(float(getattr(episode, name)[step])))
        stream.log("arm/joints_rad", rerun.Scalars(episode.joints_rad[step].astype(float)))
        stream.log("arm/action", rerun.Scalars(episode.actions[step].astype(float)))
    stream.save(str(path))


_CLASSES = ("background", "pourer", "receiver", "liquid")
_RECORDED = ("poured_ml", "spilled_ml", "flow_ml_s", "level_m", "tilt_rad")


def _enlarged(frames: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T P P 3"]:
    """Each pixel as a square of about ``PANEL_PX / H`` pixels: nothing is smoothed away."""
    place = np.arange(PANEL_PX) * frames.shape[1] // PANEL_PX
    return frames[:, place][:, :, place]


def _curves(episode: Episode) -> UInt8[np.ndarray, "T P W 3"]:
    """Poured amount with its goal, level and tilt over time; drawn once, only the cursor moves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0, PANEL_PX / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    _plot(figure, episode)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3]
    frames = np.repeat(picture[None], episode.steps, axis=0)
    for step in range(episode.steps):
        for axes in figure.axes:
            column, top = axes.transData.transform((step / episode.rate_hz, axes.get_ylim()[1])).round().astype(int)
            _, bottom = axes.transData.transform((0.0, axes.get_ylim()[0])).round().astype(int)
            frames[step, PANEL_PX - top : PANEL_PX - bottom, column - 1 : column + 1] = CURSOR_COLOR
    return frames


def _plot(figure: "Figure", episode: Episode) -> None:
    times_s = np.arange(episode.steps) / episode.rate_hz
    curves = {
        "poured [ml]": episode.poured_ml,
        "level [cm]": 1e2 * episode.level_m,
        "tilt [deg]": np.degrees(episode.tilt_rad),
    }
    all_axes = figure.subplots(len(curves), 1, sharex=True)
    for axes, (name, values) in zip(all_axes, curves.items(), strict=True):
        axes.plot(times_s, values, color="#0284c7")
        axes.set_ylabel(name, fontsize=7)
        axes.tick_params(labelsize=7)
    all_axes[0].axhline(episode.target_ml, color="#64748b", linestyle=":")
    all_axes[-1].set_xlabel("time [s]", fontsize=7)
    figure.tight_layout(pad=0.5)
