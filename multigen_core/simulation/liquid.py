"""The liquid: a position-based fluid of a few hundred particles, poured from a moving pitcher into a standing receiver.

Fast enough for one core (one to two simulated seconds per second) and incompressible enough that the level in the
cup is right to a few percent; drops beside the cup are counted but not converged in particle size or time step.
"""

from dataclasses import dataclass

import numpy as np
import warp as wp
from jaxtyping import Float, Float32, Int32
from scipy.spatial.transform import Rotation

from multigen_core.containers import Container
from multigen_core.simulation import particle_kernels as kernels

__all__ = ["Census", "ParticleLiquid"]

SUPPORT = 2.0
"""Kernel support radius in particle diameters."""
DENSITY_SHARE = 0.985
"""Particle volume in the density sum over its true volume: calibrated once, so that liquid at rest fills its volume."""
SOFTNESS = 0.05
"""Relaxation of the density constraint, in 1 / diameter^2."""
COHESION_M_S2 = 4.0
SKIN = 0.25
"""Neighbour lists reach this many diameters beyond the support: good while nobody moves further than half of it."""
LIST_STEPS = 2
"""And for at least this many substeps: the few fast particles of a stream may be late."""
GRID_CELLS = 32
SETTLE_S = 0.4
DEVICE = "cpu"


@dataclass(frozen=True)
class Census:
    """Where the liquid is; the four sum to what was filled in."""

    in_pitcher_ml: float
    in_receiver_ml: float
    in_flight_ml: float
    """Left the pitcher and may still reach the receiver: higher than its rim."""
    spilled_ml: float
    """Beside the receiver."""


class ParticleLiquid:
    """A volume of liquid, a pitcher that moves and a receiver that stands on the table.

    ``receiver_position_m`` is the centre of the receiver's inner bottom; ``pitcher_pose`` maps the frame at the
    centre of the pitcher's inner bottom, z along its axis, to the world. ``viscosity`` is the XSPH coefficient of
    ``records.Liquid``. The liquid starts at rest in the pitcher: a short settling phase is simulated at once.
    """

    def __init__(
        self,
        *,
        pitcher: Container,
        receiver: Container,
        receiver_position_m: Float[np.ndarray, "3"],
        pitcher_pose: Float[np.ndarray, "4 4"],
        volume_ml: float,
        viscosity: float,
        particle_ml: float,
        timestep_s: float,
        iterations: int,
        seed: int,
    ) -> None:
        if volume_ml > pitcher.capacity_ml:
            raise ValueError(
                f"{volume_ml:g} ml do not fit into {pitcher.name!r}, which holds {pitcher.capacity_ml:.0f} ml"
            )
        self.count = max(round(volume_ml / particle_ml), 1)
        self.volume_ml = volume_ml
        self.particle_ml = volume_ml / self.count
        """True volume of a particle: ``particle_ml`` up to the rounding of the count."""
        self._receiver_rim_m = float(receiver_position_m[2]) + receiver.height_m
        self._timestep_s = timestep_s
        self._iterations = iterations
        self._list_age = LIST_STEPS
        self._listed_m = np.full((self.count, 3), np.inf, np.float32)

        diameter = float(np.cbrt(self.particle_ml * 1e-6))
        fluid = kernels.Fluid()
        fluid.diameter = diameter
        fluid.support = SUPPORT * diameter
        fluid.volume = DENSITY_SHARE * self.particle_ml * 1e-6
        fluid.softness = SOFTNESS / diameter**2
        fluid.viscosity = viscosity
        fluid.cohesion = COHESION_M_S2
        fluid.timestep = timestep_s
        self._fluid = fluid
        self._reach_m = (SUPPORT + SKIN) * diameter

        self._pitcher_pose = np.asarray(pitcher_pose, float)
        self._bodies = _bodies(pitcher, receiver)
        self._poses = self._bodies.pose.numpy()
        self._spins = self._bodies.spin.numpy()
        self._poses[1] = [*receiver_position_m, 0.0, 0.0, 0.0, 1.0]
        self._poses[0] = [
            *self._pitcher_pose[:3, 3],
            *Rotation.from_matrix(self._pitcher_pose[:3, :3]).as_quat(),
        ]

        start = _packed(pitcher, self.count, diameter, seed)
        start = start @ self._pitcher_pose[:3, :3].T + self._pitcher_pose[:3, 3]
        self._x = wp.array(start.astype(np.float32), dtype=wp.vec3, device=DEVICE)
        regions = np.empty((2, self.count), np.int32)
        regions[0], regions[1] = kernels.INSIDE, kernels.ABOVE
        self._region = wp.array(regions, dtype=wp.int32, device=DEVICE)
        self._prepare_launches()
        self.advance(self._pitcher_pose, SETTLE_S)

    @property
    def positions_m(self) -> Float32[np.ndarray, "N 3"]:
        """Particle centres, world frame."""
        return np.array(self._x.numpy())

    @property
    def velocities_m_s(self) -> Float32[np.ndarray, "N 3"]:
        """Particle velocities, world frame."""
        return np.array(self._v.numpy())

    @property
    def regions(self) -> Int32[np.ndarray, "2 N"]:
        """Where each particle is relative to pitcher (row 0) and receiver (row 1): OUTSIDE, INSIDE or ABOVE."""
        return np.array(self._region.numpy())

    def advance(self, pitcher_pose_after: Float[np.ndarray, "4 4"], seconds: float) -> None:
        """Moves the pitcher to a new pose in ``seconds``, at constant velocity, and the liquid with it."""
        substeps = max(round(seconds / self._timestep_s), 1)
        before, after = self._pitcher_pose, np.asarray(pitcher_pose_after, float)
        first = Rotation.from_matrix(before[:3, :3])
        turn = (Rotation.from_matrix(after[:3, :3]) * first.inv()).as_rotvec()
        shift = after[:3, 3] - before[:3, 3]
        span_s = substeps * self._timestep_s
        self._spins[0] = np.concatenate([shift, turn]) / span_s
        shares = np.arange(1, substeps + 1)[:, None] / substeps
        quaternions = (Rotation.from_rotvec(shares * turn) * first).as_quat()  # (substeps, 4), xyzw
        for pose in np.hstack([before[:3, 3] + shares * shift, quaternions]):
            self._poses[0] = pose
            self._substep()
        self._pitcher_pose = after

    def census(self) -> Census:
        """Counts the particles by place."""
        region = self._region.numpy()
        inside_pitcher = region[0] == kernels.INSIDE
        inside_receiver = region[1] == kernels.INSIDE
        elsewhere = ~(inside_pitcher | inside_receiver)
        beside = elsewhere & (self._x.numpy()[:, 2] < self._receiver_rim_m)
        ml = self.particle_ml
        return Census(
            in_pitcher_ml=float(inside_pitcher.sum() * ml),
            in_receiver_ml=float((inside_receiver & ~inside_pitcher).sum() * ml),
            in_flight_ml=float((elsewhere & ~beside).sum() * ml),
            spilled_ml=float(beside.sum() * ml),
        )

    def _prepare_launches(self) -> None:
        """Allocates the arrays and records every launch once: packing arguments costs as much as a small kernel."""
        count = self.count
        vectors = [wp.zeros(count, dtype=wp.vec3, device=DEVICE) for _ in range(5)]
        self._v, x_star, wall_gradient, move, v_new = vectors
        self._v_new, self._x_star = v_new, x_star
        lambdas = wp.zeros(count, dtype=float, device=DEVICE)
        found = wp.zeros(count, dtype=int, device=DEVICE)
        table = wp.zeros((count, kernels.MAX_NEIGHBOURS), dtype=int, device=DEVICE)
        self._grid = wp.HashGrid(GRID_CELLS, GRID_CELLS, GRID_CELLS, device=DEVICE)
        self._grid.build(self._x, self._reach_m)
        fluid, bodies, x, v, region = self._fluid, self._bodies, self._x, self._v, self._region

        def recorded(kernel: wp.Kernel, *arguments: object) -> wp.Launch:
            return wp.launch(kernel, dim=count, inputs=list(arguments), device=DEVICE, record_cmd=True)

        self._predict = recorded(kernels.predict, fluid, x, v, x_star)
        self._list = recorded(kernels.neighbours, self._grid.id, self._reach_m, x_star, region, found, table)
        self._solve = (
            recorded(kernels.multiplier, fluid, bodies, x_star, region, found, table, lambdas, wall_gradient),
            recorded(kernels.correction, fluid, x_star, found, table, lambdas, wall_gradient, move),
            recorded(kernels.project, fluid, bodies, region, move, x_star),
        )
        self._finish = (
            recorded(kernels.finish, fluid, bodies, x_star, region, x, v),
            recorded(kernels.viscosity, fluid, x, found, table, v, v_new),
        )

    def _substep(self) -> None:
        self._predict.launch()
        if self._list_is_old():
            self._grid.build(self._x_star, self._reach_m)
            self._list.launch()
            self._listed_m[:] = self._x_star.numpy()
            self._list_age = 0
        self._list_age += 1
        for _ in range(self._iterations):
            for launch in self._solve:
                launch.launch()
        for launch in self._finish:
            launch.launch()
        wp.copy(self._v, self._v_new)

    def _list_is_old(self) -> bool:
        if self._list_age < LIST_STEPS:
            return False
        moved = self._x_star.numpy() - self._listed_m
        return bool(np.abs(moved).max() > 0.5 * SKIN * self._fluid.diameter)


def _bodies(pitcher: Container, receiver: Container) -> kernels.Bodies:
    containers = (pitcher, receiver)
    points = max(len(container.profile) for container in containers)
    profile = np.zeros((2, points, 2), np.float32)
    for row, container in zip(profile, containers, strict=True):
        row[:] = container.profile[-1]
        row[: len(container.profile)] = container.profile
    bodies = kernels.Bodies()
    bodies.profile = wp.array(profile, dtype=wp.vec2, device=DEVICE)
    bodies.segments = wp.array([len(c.profile) - 1 for c in containers], dtype=int, device=DEVICE)
    bodies.wall = wp.array([c.wall_m for c in containers], dtype=float, device=DEVICE)
    bodies.pose = wp.array(np.zeros((2, 7), np.float32), dtype=wp.transform, device=DEVICE)
    bodies.spin = wp.array(np.zeros((2, 6), np.float32), dtype=wp.spatial_vector, device=DEVICE)
    return bodies


def _packed(container: Container, count: int, diameter: float, seed: int) -> Float[np.ndarray, "N 3"]:
    """``count`` positions from the bottom up on a jittered cubic lattice inside the container, in its own frame [m]."""
    rng = np.random.default_rng(seed)
    widest = max(radius for _, radius in container.profile)
    across = np.arange(-widest, widest + diameter, diameter) + rng.uniform(-0.5, 0.5) * diameter
    points: list[np.ndarray] = []
    height, placed = 0.5 * diameter, 0
    while placed < count:
        x, y = (axis.ravel() for axis in np.meshgrid(across, across))
        fits = np.hypot(x, y) <= container.radius_at(height) - 0.4 * diameter
        layer = np.stack([x[fits], y[fits], np.full(fits.sum(), height)], axis=1)
        points.append(rng.permutation(layer)[: count - placed])
        placed += len(points[-1])
        height += diameter
    lattice = np.concatenate(points)
    return lattice + rng.uniform(-0.05, 0.05, lattice.shape) * diameter
