"""How much air is left between the arm with its pitcher and everything it must not touch.

Nothing collides in the simulation: contacts would cost time and a policy could lean on them. What a real arm would have
touched is measured instead, from the signed distances of the drawn shapes (meshes as their convex hulls).
"""

import mujoco
import numpy as np

from multigen_core.simulation.gen3 import BASE, FLANGE_BODY, JOINTS, TOOL_BODY
from multigen_core.simulation.scene import PITCHER_BODY, RECEIVER_BODY, TABLE_GEOM

__all__ = ["Clearance"]

FAR_M = 0.05
"""Distances beyond this are reported as this."""
NEIGHBOURS = 2
"""Links this near to each other in the chain overlap by design."""

_CHAIN = (BASE.name, *(joint.link.name for joint in JOINTS), FLANGE_BODY, TOOL_BODY, PITCHER_BODY)
_HAND = {FLANGE_BODY, TOOL_BODY, PITCHER_BODY}
"""These move as one."""


class Clearance:
    """Measures a built scene; the pairs that matter are listed once."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model, self._data = model, data
        chain = [_geoms(model, name) for name in _CHAIN]
        obstacles = [model.geom(TABLE_GEOM).id, *_geoms(model, RECEIVER_BODY)]
        pairs = [(mine, obstacle) for link in chain[2:] for mine in link for obstacle in obstacles]
        for first, near in enumerate(chain):
            for second in range(first + NEIGHBOURS + 1, len(chain)):
                if not {_CHAIN[first], _CHAIN[second]} <= _HAND:
                    pairs += [(mine, other) for mine in near for other in chain[second]]
        self._pairs = np.array(pairs)  # (pairs, 2)
        spheres = model.geom_rbound.copy()
        spheres[spheres == 0.0] = np.inf  # a plane has no sphere around it
        self._reach_m = spheres[self._pairs].sum(axis=1) + FAR_M

    def least_m(self) -> float:
        """The smallest distance now, at most ``FAR_M``; negative where two shapes overlap."""
        centres = self._data.geom_xpos[self._pairs]  # (pairs, 2, 3)
        apart = np.linalg.norm(centres[:, 0] - centres[:, 1], axis=1)
        distances = [
            mujoco.mj_geomDistance(self._model, self._data, int(mine), int(other), FAR_M, None)
            for mine, other in self._pairs[apart < self._reach_m]
        ]
        return min(distances, default=FAR_M)


def _geoms(model: mujoco.MjModel, body: str) -> list[int]:
    one = model.body(body)
    first = int(one.geomadr[0])
    return list(range(first, first + int(one.geomnum[0]))) if int(one.geomnum[0]) else []
