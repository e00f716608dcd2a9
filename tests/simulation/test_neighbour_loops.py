"""The loops in C++ against the same sums in NumPy, over all pairs."""

import numpy as np
import pytest
import warp as wp

from multigen_core.simulation import particle_kernels as kernels
from multigen_core.simulation.neighbour_loops import density_sums, position_sum, velocity_sums

COUNT, POURS, REACH_M = 700, 3, 0.02
RADIUS_M = 0.018


@wp.kernel
def _sums(
    count: wp.array[int],
    inverse: float,
    x: wp.array[wp.vec3],
    v: wp.array[wp.vec3],
    table: wp.array2d[int],
    lambdas: wp.array[float],
    density: wp.array[wp.spatial_vector],
    position: wp.array[wp.vec3],
    velocity: wp.array[wp.spatial_vector],
) -> None:
    i = wp.tid()
    density[i] = density_sums(i, count[i], inverse, x, table)
    position[i] = position_sum(i, count[i], inverse, x, table, lambdas)
    velocity[i] = velocity_sums(i, count[i], inverse, x, v, table)


class Particles:
    """Random places around the origin, in every pair of regions, of several pours; and their lists."""

    def __init__(self, spread_m: float) -> None:
        rng = np.random.default_rng(5)
        self.x = rng.normal(0.0, spread_m, (COUNT, 3)).astype(np.float32)
        self.v = rng.normal(0.0, 1.0, (COUNT, 3)).astype(np.float32)
        self.lambdas = rng.normal(0.0, 1.0, COUNT).astype(np.float32)
        self.region = rng.integers(0, 3, (2, COUNT)).astype(np.int32)
        self.pour = rng.integers(0, POURS, COUNT).astype(np.int32)
        x, pour = wp.array(self.x, dtype=wp.vec3, device="cpu"), wp.array(self.pour, dtype=int, device="cpu")
        count = wp.zeros(COUNT, dtype=int, device="cpu")
        table = wp.zeros((COUNT, int(kernels.MAX_NEIGHBOURS)), dtype=int, device="cpu")
        grid = wp.HashGrid(8, 8, 8, device="cpu")
        grid.build(x, REACH_M, groups=pour)
        region = wp.array(self.region, dtype=int, device="cpu")
        wp.launch(
            kernels.neighbours,
            dim=COUNT,
            inputs=[grid.id, REACH_M, pour, region, x, count, table],
            device="cpu",
        )
        self.device = (x, count, table)
        self.lists = [row[:length] for row, length in zip(table.numpy(), count.numpy(), strict=True)]

    def near(self) -> list[set[int]]:
        """Who is whose neighbour, over all pairs."""
        apart_m = np.linalg.norm(self.x[:, None] - self.x[None], axis=-1)
        near = apart_m < REACH_M
        near &= self.pour[:, None] == self.pour[None]
        for region in self.region:
            near &= region[:, None] + region[None] != kernels.INSIDE + kernels.OUTSIDE
        np.fill_diagonal(near, False)
        return [set(np.flatnonzero(row)) for row in near]


@pytest.mark.parametrize("spread_m", [0.02, 0.2])
def test_lists_hold_everyone_near_once(spread_m: float) -> None:
    """The wider cloud wraps around the grid, which is 0.16 m wide."""
    particles = Particles(spread_m)

    expected = particles.near()
    assert max(map(len, expected)) < kernels.MAX_NEIGHBOURS - 1
    assert [sorted(row) for row in particles.lists] == [sorted(row) for row in expected]


def test_a_crowd_fills_its_list_and_no_more() -> None:
    lengths = [len(row) for row in Particles(0.002).lists]

    assert max(lengths) == kernels.MAX_NEIGHBOURS - 1


def test_sums_are_those_of_all_pairs() -> None:
    particles = Particles(0.02)
    x, count, table = particles.device
    v = wp.array(particles.v, dtype=wp.vec3, device="cpu")
    lambdas = wp.array(particles.lambdas, dtype=float, device="cpu")
    density, velocity = (wp.zeros(COUNT, dtype=wp.spatial_vector, device="cpu") for _ in range(2))
    position = wp.zeros(COUNT, dtype=wp.vec3, device="cpu")
    wp.launch(
        _sums,
        dim=COUNT,
        inputs=[count, 1.0 / RADIUS_M, x, v, table, lambdas, density, position, velocity],
        device="cpu",
    )

    for i, row in enumerate(particles.lists):
        apart = (particles.x[i] - particles.x[row]).astype(float)
        q = np.linalg.norm(apart, axis=1) / RADIUS_M
        u = np.maximum(1.0 - q, 0.0)
        kernel, steep, pull = u**4 * (4.0 * q + 1.0), u**3, np.maximum(q - 0.5, 0.0) * u
        drawn = (particles.lambdas[i] + particles.lambdas[row]) * steep
        squares = (steep**2 * (q * RADIUS_M) ** 2).sum()
        expected = [kernel.sum(), *(steep @ apart), squares]
        np.testing.assert_allclose(density.numpy()[i][:5], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(position.numpy()[i], drawn @ apart, rtol=1e-4, atol=1e-6)
        faster = kernel @ (particles.v[row] - particles.v[i])
        np.testing.assert_allclose(velocity.numpy()[i], [*faster, *(-pull @ apart)], rtol=1e-4, atol=1e-5)
