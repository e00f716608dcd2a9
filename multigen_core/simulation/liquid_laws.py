"""What the particle liquid must keep, as numbers: tests hold them, the benchmark prints them."""

import numpy as np
from jaxtyping import Float

from multigen_core.containers import Container
from multigen_core.simulation.liquid import ParticleLiquid
from multigen_core.simulation.particle_kernels import INSIDE, OUTSIDE

__all__ = ["mean_height_level_m", "wall_crossings"]

WALL_SHARE = 0.6
"""A particle crossed a wall when it is further beyond its inner face than this share of its thickness."""
LEVELS = 500


def wall_crossings(
    liquid: ParticleLiquid, body: int, container: Container, pose: Float[np.ndarray, "4 4"], *, pour: int = 0
) -> int:
    """Particles that the solver takes to be inside a container although they are not, or the other way round.

    ``body`` is PITCHER or RECEIVER of ``particle_kernels``, ``pose`` its frame to the world.
    """
    local = (liquid.positions_m(pour) - pose[:3, 3]) @ pose[:3, :3]
    radial, heights, region = np.hypot(local[:, 0], local[:, 1]), local[:, 2], liquid.regions(pour)[body]
    wall, slack = np.interp(heights, *np.array(container.profile).T), WALL_SHARE * container.wall_m
    escaped = (region == INSIDE) & ((radial > wall + slack) | (heights < -slack))
    within = (heights > slack) & (heights < container.height_m) & (radial < wall - slack)
    return int(np.sum(escaped | ((region == OUTSIDE) & within)))


def mean_height_level_m(heights_m: Float[np.ndarray, " particles"], container: Container) -> float:
    """Level at which a homogeneous filling has its centre of mass at the particles' mean height."""
    levels = np.linspace(1e-4, container.height_m, LEVELS)
    volumes = np.array([container.volume_at(level) for level in levels])
    middles = np.cumsum(np.diff(volumes, prepend=0.0) * levels) / volumes
    return float(np.interp(heights_m.mean(), middles, levels))
