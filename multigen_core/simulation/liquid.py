"""The liquid: a position-based fluid of a few hundred particles, poured from a moving pitcher into a standing receiver.

Fast enough for one core (`python -m benchmarks simulation`) and incompressible enough that the level in the
cup is right to a few percent; drops beside the cup are counted but not converged in particle size or time step.
A GPU is only busy with many pours at once: they share every launch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from jaxtyping import Float, Float32, Int32
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from multigen_core.containers import Container
from multigen_core.simulation import particle_kernels as kernels

__all__ = ["Census", "ParticleLiquid", "Pour"]

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


@dataclass(frozen=True)
class Pour:
    """A pitcher with liquid at rest in it, and the receiver that it is poured into. Raises ValueError on too much."""

    pitcher: Container
    receiver: Container
    receiver_position_m: Float[np.ndarray, "3"]
    """Centre of the receiver's inner bottom."""
    pitcher_pose: Float[np.ndarray, "4 4"]
    """From the frame at the centre of the pitcher's inner bottom, z along its axis, to the world."""
    volume_ml: float
    viscosity: float
    """XSPH coefficient of ``records.Liquid``."""
    seed: int
    """Of the particles' first places."""

    def __post_init__(self) -> None:
        if self.volume_ml > self.pitcher.capacity_ml:
            raise ValueError(
                f"{self.volume_ml:g} ml do not fit into {self.pitcher.name!r}, which holds"
                f" {self.pitcher.capacity_ml:.0f} ml"
            )


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
    """The liquid of one pour, or of many that go on in step and never meet; it first settles in the pitchers.

    ``device`` is one of Warp's, "cpu" or "cuda:0": the same kernels, held to the same laws, but other bytes. Methods
    that tell about one pour take its number.
    """

    def __init__(
        self, *pours: Pour, particle_ml: float, timestep_s: float, iterations: int, device: str = "cpu"
    ) -> None:
        self._pours = pours
        self._timestep_s = timestep_s
        self._iterations = iterations
        self._device = wp.get_device(device)
        counts = [max(round(pour.volume_ml / particle_ml), 1) for pour in pours]
        self._ends = np.cumsum(counts)
        self._particle_ml = [pour.volume_ml / count for pour, count in zip(pours, counts, strict=True)]
        self._diameters_m = [float(np.cbrt(ml * 1e-6)) for ml in self._particle_ml]
        self._reach_m = (SUPPORT + SKIN) * max(self._diameters_m)
        self._skin_m = SKIN * min(self._diameters_m)
        self._poses = np.array([pour.pitcher_pose for pour in pours], float)

        places = [
            _packed(pour.pitcher, count, diameter, pour.seed) @ pose[:3, :3].T + pose[:3, 3]
            for pour, count, diameter, pose in zip(pours, counts, self._diameters_m, self._poses, strict=True)
        ]
        self._x = self._array(np.concatenate(places), wp.vec3)
        regions = np.empty((2, self._ends[-1]), int)
        regions[0], regions[1] = kernels.INSIDE, kernels.ABOVE
        self._region = self._array(regions, int)
        self._bodies = self._containers()
        self._list_age = LIST_STEPS
        self._listed_m: Float32[np.ndarray, "N 3"] | None = None
        self._record_substep(np.repeat(np.arange(len(pours)), counts))
        self.advance(self._poses, SETTLE_S)

    def particle_ml(self, pour: int = 0) -> float:
        """True volume of a particle: that which was asked for, up to the rounding of their number."""
        return self._particle_ml[pour]

    def positions_m(self, pour: int = 0) -> Float32[np.ndarray, "N 3"]:
        """Particle centres, world frame."""
        return np.array(self._x.numpy()[self._own(pour)])

    def velocities_m_s(self, pour: int = 0) -> Float32[np.ndarray, "N 3"]:
        """Particle velocities, world frame."""
        return np.array(self._v.numpy()[self._own(pour)])

    def regions(self, pour: int = 0) -> Int32[np.ndarray, "2 N"]:
        """Where each particle is relative to pitcher (row 0) and receiver (row 1): OUTSIDE, INSIDE or ABOVE."""
        return np.array(self._region.numpy()[:, self._own(pour)])

    def census(self, pour: int = 0) -> Census:
        """Counts the particles by place."""
        region, ml, vessels = self.regions(pour), self._particle_ml[pour], self._pours[pour]
        rim_m = float(vessels.receiver_position_m[2]) + vessels.receiver.height_m
        inside_pitcher = region[0] == kernels.INSIDE
        inside_receiver = region[1] == kernels.INSIDE
        elsewhere = ~(inside_pitcher | inside_receiver)
        beside = elsewhere & (self.positions_m(pour)[:, 2] < rim_m)
        return Census(
            in_pitcher_ml=float(inside_pitcher.sum() * ml),
            in_receiver_ml=float((inside_receiver & ~inside_pitcher).sum() * ml),
            in_flight_ml=float((elsewhere & ~beside).sum() * ml),
            spilled_ml=float(beside.sum() * ml),
        )

    def advance(self, pitcher_poses_after: Float[np.ndarray, "*pours 4 4"], seconds: float) -> None:
        """Moves the pitchers to new poses in ``seconds``, at constant velocity, and the liquid with them."""
        self.follow(np.asarray(pitcher_poses_after, float)[None], seconds)

    def follow(self, way: Float[np.ndarray, "legs *pours 4 4"], seconds: float) -> None:
        """Moves the pitchers from pose to pose, each leg in ``seconds`` at constant velocity, and the liquid along."""
        pours, substeps = len(self._pours), max(round(seconds / self._timestep_s), 1)
        after = np.asarray(way, float).reshape(-1, pours, 4, 4)  # (legs, pours, 4, 4)
        before = np.concatenate([self._poses[None], after[:-1]])
        first = Rotation.from_matrix(before[..., :3, :3].reshape(-1, 3, 3))
        turns = (Rotation.from_matrix(after[..., :3, :3].reshape(-1, 3, 3)) * first.inv()).as_rotvec()
        turns = turns.reshape(-1, 1, pours, 3)
        shifts = (after - before)[:, None, :, :3, 3]  # (legs, 1, pours, 3)
        shares = np.arange(1, substeps + 1)[None, :, None, None] / substeps
        turned = Rotation.from_rotvec((shares * turns).reshape(-1, 3))
        origins = np.repeat(first.as_quat().reshape(-1, 1, pours, 4), substeps, axis=1)  # xyzw
        quaternions = (turned * Rotation.from_quat(origins.reshape(-1, 4))).as_quat()
        places = before[:, None, :, :3, 3] + shares * shifts
        poses = self._array(np.hstack([places.reshape(-1, 3), quaternions]), wp.transform)
        velocities = np.concatenate([shifts, turns], axis=-1).reshape(-1, 6) / (substeps * self._timestep_s)
        spins = self._array(velocities, wp.spatial_vector)
        for leg in range(len(after)):
            wp.copy(self._bodies.spin, spins, src_offset=leg * pours, count=pours)
            for substep in range(leg * substeps, (leg + 1) * substeps):
                wp.copy(self._bodies.pose, poses, src_offset=substep * pours, count=pours)
                self._substep()
        self._poses = after[-1]

    def _substep(self) -> None:
        self._predict.launch()
        old = self._list_is_old()
        if old:
            self._list_age = 0
            self._listed_m = self._x_star.numpy().copy() if self._device.is_cpu else None
        self._list_age += 1
        wp.capture_launch(self._with_new_lists if old else self._with_lists)

    def _list_is_old(self) -> bool:
        """Looking where the particles are would hold up a GPU: there the lists are as young as they may have to be."""
        if self._list_age < LIST_STEPS:
            return False
        if self._listed_m is None:
            return True
        return bool(np.abs(self._x_star.numpy() - self._listed_m).max() > 0.5 * self._skin_m)

    def _own(self, pour: int) -> slice:
        """The particles of a pour."""
        return slice(self._ends[pour - 1] if pour else 0, self._ends[pour])

    def _array(self, values: ArrayLike, dtype: Any) -> wp.array:
        return wp.array(np.asarray(values), dtype=dtype, device=self._device)

    def _containers(self) -> kernels.Bodies:
        """All pitchers, then all receivers; these stand where they will stand for good."""
        containers = [pour.pitcher for pour in self._pours] + [pour.receiver for pour in self._pours]
        points = max(len(container.profile) for container in containers)
        profile = np.zeros((len(containers), points, 2))
        for row, container in zip(profile, containers, strict=True):
            row[:] = container.profile[-1]
            row[: len(container.profile)] = container.profile
        poses = np.zeros((len(containers), 7))
        poses[len(self._pours) :, :3] = [pour.receiver_position_m for pour in self._pours]
        poses[:, 6] = 1.0
        bodies = kernels.Bodies()
        bodies.pours = len(self._pours)
        bodies.profile = self._array(profile, wp.vec2)
        bodies.segments = self._array([len(container.profile) - 1 for container in containers], int)
        bodies.wall = self._array([container.wall_m for container in containers], float)
        bodies.pose = self._array(poses, wp.transform)
        bodies.spin = self._array(np.zeros((len(containers), 6)), wp.spatial_vector)
        return bodies

    def _fluid(self, pour: int) -> kernels.Fluid:
        diameter = self._diameters_m[pour]
        fluid = kernels.Fluid()
        fluid.diameter = diameter
        fluid.support = SUPPORT * diameter
        fluid.volume = DENSITY_SHARE * self._particle_ml[pour] * 1e-6
        fluid.softness = SOFTNESS / diameter**2
        fluid.viscosity = self._pours[pour].viscosity
        fluid.cohesion = COHESION_M_S2
        fluid.timestep = self._timestep_s
        return fluid

    def _record_substep(self, owner: Int32[np.ndarray, " N"]) -> None:
        """A substep with the neighbour lists it finds and one with new ones, each as a graph.

        Packing the arguments of a launch costs as much as a small kernel.
        """
        count, device = len(owner), self._device

        def vectors() -> wp.array:
            """One per particle."""
            return wp.zeros(count, dtype=wp.vec3, device=device)

        pour = self._array(owner, int)
        fluids = wp.array([self._fluid(k) for k in range(len(self._pours))], dtype=kernels.Fluid, device=device)
        x, v, x_star, v_new, move, wall_gradient = self._x, vectors(), vectors(), vectors(), vectors(), vectors()
        lambdas = wp.zeros(count, dtype=float, device=device)
        found = wp.zeros(count, dtype=int, device=device)
        table = wp.zeros((count, kernels.MAX_NEIGHBOURS), dtype=int, device=device)
        grid = wp.HashGrid(GRID_CELLS, GRID_CELLS, GRID_CELLS, device=device)
        grid.build(x, self._reach_m, groups=pour)
        common, near = (fluids, pour), (x_star, found, table)
        bodies, region = self._bodies, self._region

        def launch(kernel: wp.Kernel, *arguments: object) -> None:
            wp.launch(kernel, dim=count, inputs=list(arguments), device=device)

        def graph(*, new_lists: bool) -> wp.Graph:
            with wp.ScopedCapture(device=device, force_module_load=True) as capture:
                if new_lists:
                    grid.build(x_star, self._reach_m, groups=pour)
                    launch(kernels.neighbours, grid.id, self._reach_m, pour, region, *near)
                for _ in range(self._iterations):
                    launch(kernels.multiplier, *common, bodies, region, *near, lambdas, wall_gradient)
                    launch(kernels.correction, *common, *near, lambdas, wall_gradient, move)
                    launch(kernels.project, *common, bodies, region, move, x_star)
                launch(kernels.finish, *common, bodies, x_star, region, x, v)
                launch(kernels.viscosity, *common, x, found, table, v, v_new)
                wp.copy(v, v_new)
            return capture.graph

        self._v, self._x_star = v, x_star
        first = [*common, x, v, x_star]
        self._predict = wp.launch(kernels.predict, dim=count, inputs=first, device=device, record_cmd=True)
        self._with_lists, self._with_new_lists = graph(new_lists=False), graph(new_lists=True)
        self._kept = (grid, fluids, pour, v_new, move, wall_gradient, lambdas, found, table)
        """What the graphs use lives as long as they do."""


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
