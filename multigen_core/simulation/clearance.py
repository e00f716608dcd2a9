"""How much air is left between the arm with its pitcher and everything it must not touch.

Nothing collides in the simulation: contacts would cost time and a policy could lean on them. What a real arm would have
touched is measured instead, from the signed distances of the drawn shapes (meshes as their convex hulls). Pitcher and
receiver come nearest and are often waisted: theirs is measured between the profiles themselves.
"""

import mujoco
import numpy as np
from jaxtyping import Float

from multigen_core.containers import Container
from multigen_core.simulation.gen3 import BASE, FLANGE_BODY, JOINTS, TOOL_BODY
from multigen_core.simulation.scene import TABLE_GEOM
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.vessels import PITCHER_BODY, PITCHER_GEOM, RECEIVER_BODY, RECEIVER_GEOM

__all__ = ["Clearance", "distance_m"]

FAR_M = 0.05
"""Distances beyond this are reported as this."""
NEIGHBOURS = 2
"""Links this near to each other in the chain overlap by design."""

_CHAIN = (BASE.name, *(joint.link.name for joint in JOINTS), FLANGE_BODY, TOOL_BODY, PITCHER_BODY)
_HAND = {FLANGE_BODY, TOOL_BODY, PITCHER_BODY}
"""These move as one."""


class Clearance:
    """Measures a built scene; the pairs that matter are listed once."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, setup: PourSetup) -> None:
        self._model, self._data = model, data
        self._receiver = setup.receiver
        self._pitcher_points_m = _outside(setup.pitcher)
        chain = [_geoms(model, name) for name in _CHAIN]
        obstacles = [model.geom(TABLE_GEOM).id, *_geoms(model, RECEIVER_BODY)]
        pairs = [(mine, obstacle) for link in chain[2:] for mine in link for obstacle in obstacles]
        for first, near in enumerate(chain):
            for second in range(first + NEIGHBOURS + 1, len(chain)):
                if not {_CHAIN[first], _CHAIN[second]} <= _HAND:
                    pairs += [(mine, other) for mine in near for other in chain[second]]
        containers = {model.geom(PITCHER_GEOM).id, model.geom(RECEIVER_GEOM).id}
        self._pairs = np.array([pair for pair in pairs if set(pair) != containers])  # (pairs, 2)
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
        return min([*distances, self._between_containers_m()], default=FAR_M)

    def _between_containers_m(self) -> float:
        pitcher, receiver = self._data.body(PITCHER_BODY), self._data.body(RECEIVER_BODY)
        world = self._pitcher_points_m @ pitcher.xmat.reshape(3, 3).T + pitcher.xpos
        return min(float(distance_m(self._receiver, world - receiver.xpos).min()), FAR_M)


def distance_m(container: Container, points_m: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
    """Signed distance of points in the container's frame from its outside, as if it were full to the rim."""
    across, up = np.hypot(points_m[:, 0], points_m[:, 1]), points_m[:, 2]
    heights, radii = np.array(container.profile).T
    outline = np.array(
        [
            (0.0, -container.wall_m),
            (radii[0] + container.wall_m, -container.wall_m),
            *zip(radii + container.wall_m, heights, strict=True),
            (0.0, heights[-1]),
        ]
    )  # (points, 2): radius, height
    point = np.stack([across, up], axis=1)[:, None]  # (N, 1, 2)
    start, along = outline[:-1], np.diff(outline, axis=0)  # (S, 2)
    share = np.clip(((point - start) * along).sum(-1) / (along**2).sum(-1), 0.0, 1.0)  # (N, S)
    away = np.linalg.norm(point - (start + share[..., None] * along), axis=-1).min(axis=1)
    wall = np.interp(up, heights, radii) + container.wall_m
    inside = (across < wall) & (up > -container.wall_m) & (up < heights[-1])
    return np.where(inside, -away, away)


def _outside(container: Container) -> Float[np.ndarray, "N 3"]:
    """Points all over the outside, in the container's frame."""
    heights = np.union1d(np.linspace(-container.wall_m, container.height_m, 48), [z for z, _ in container.profile])
    radii = np.array([container.radius_at(height) for height in heights]) + container.wall_m
    angles = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (angles, 2)
    rings = radii[:, None, None] * circle  # (heights, angles, 2)
    upright = np.broadcast_to(heights[:, None, None], (*rings.shape[:2], 1))
    return np.concatenate([rings, upright], axis=2).reshape(-1, 3)


def _geoms(model: mujoco.MjModel, body: str) -> list[int]:
    one = model.body(body)
    first = int(one.geomadr[0])
    return list(range(first, first + int(one.geomnum[0]))) if int(one.geomnum[0]) else []
