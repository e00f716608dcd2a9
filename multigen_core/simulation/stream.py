"""The falling stream as a surface: a handful of particles in the air would look like beads, or like nothing at all."""

import numpy as np
from jaxtyping import Float

from multigen_core.simulation.surface import EMPTY_MESH, LiquidMesh, stream_tube

__all__ = ["LIP_SPEED_M_S", "fall_time_s", "falling_stream"]

LIP_SPEED_M_S = 0.25
"""At which liquid leaves the lip."""
_GRAVITY_M_S2 = 9.81
_LEAST_FLOW_ML_S = 0.3
"""Less than this drips and is not drawn."""
_LEAST_DROP_M = 2e-3
_RINGS = 12


def fall_time_s(drop_m: float) -> float:
    """Time to fall ``drop_m`` from rest."""
    return float(np.sqrt(2.0 * max(drop_m, 0.0) / _GRAVITY_M_S2))


def falling_stream(
    lip_position_m: Float[np.ndarray, "3"], *, drop_m: float, sideways_m_s: float, flow_ml_s: float
) -> LiquidMesh:
    """A parabola from the lip down by ``drop_m``, drifting towards -y; it thins as it speeds up, pi r^2 v = flow."""
    if flow_ml_s < _LEAST_FLOW_ML_S or drop_m < _LEAST_DROP_M:
        return EMPTY_MESH
    times_s = fall_time_s(drop_m) * np.linspace(0.0, 1.0, _RINGS)
    path = np.stack(
        [
            np.full_like(times_s, lip_position_m[0]),
            lip_position_m[1] - sideways_m_s * times_s,
            lip_position_m[2] - 0.5 * _GRAVITY_M_S2 * times_s**2,
        ],
        axis=1,
    )
    speeds_m_s = np.sqrt(LIP_SPEED_M_S**2 + (_GRAVITY_M_S2 * times_s) ** 2)
    return stream_tube(path, np.sqrt(flow_ml_s * 1e-6 / (np.pi * speeds_m_s)))
