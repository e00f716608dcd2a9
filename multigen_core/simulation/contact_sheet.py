"""A grid of random scenes, to look at what a randomisation does."""

import numpy as np
from jaxtyping import UInt8

from multigen_core.simulation.randomisation import Ranges, draw_setup
from multigen_core.simulation.tabletop import TabletopPour
from multigen_core.simulation.tilted import overflow_tilt_rad

__all__ = ["contact_sheet"]


def contact_sheet(
    count: int, *, ranges: Ranges, seed: int = 0, size_px: int = 96, columns: int = 8
) -> UInt8[np.ndarray, "H W 3"]:
    """``count`` scenes in rows of ``columns``, each at a random moment of its pour; missing places stay white."""
    rows = -(-count // columns)
    sheet = np.full((rows * size_px, columns * size_px, 3), 255, np.uint8)
    for number in range(count):
        row, column = (size_px * place for place in divmod(number, columns))
        sheet[row : row + size_px, column : column + size_px] = _moment(seed + number, ranges, size_px)
    return sheet


def _moment(seed: int, ranges: Ranges, size_px: int) -> UInt8[np.ndarray, "H W 3"]:
    rng = np.random.default_rng([seed, 2])
    setup = draw_setup(seed, ranges)
    poured_ml = float(rng.uniform()) * setup.goal_ml
    tilt_rad = overflow_tilt_rad(setup.pitcher, setup.initial_ml - poured_ml)
    level_m = setup.receiver.level_at(poured_ml * 1e-6)
    with TabletopPour(setup, size_px) as pour:
        return pour.frame(tilt_rad, level_m, float(rng.uniform(10.0, 60.0))).rgb
