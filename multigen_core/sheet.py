"""A sheet to draw on: a figure that becomes PNG bytes, transparent, in tones that read on light and on dark paper."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.image
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["INK", "Sheet", "picture", "sheet"]

INK = "#7c838d"
_STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

_NO_VERSION: dict[str, Any] = {"Software": None}
"""An update of matplotlib must not change the bytes of a picture that looks the same."""


class Sheet:
    """A figure being drawn; ``png`` is filled when its block ends."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.png = b""

    def axes(self) -> Axes:
        axes: Axes = self.figure.subplots()
        return axes


@contextmanager
def sheet(width_in: float, height_in: float) -> Iterator[Sheet]:
    """In inches; what is drawn within the block is on the sheet's ``png`` after it."""
    with matplotlib.rc_context(_STYLE):
        drawn = Sheet(Figure(figsize=(width_in, height_in), dpi=140))
        yield drawn
        stream = io.BytesIO()
        drawn.figure.savefig(stream, format="png", transparent=True, metadata=_NO_VERSION)
        drawn.png = stream.getvalue()


def picture(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """The pixels as they are."""
    stream = io.BytesIO()
    matplotlib.image.imsave(stream, pixels, format="png", metadata=_NO_VERSION)
    return stream.getvalue()
