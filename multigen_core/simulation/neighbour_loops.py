"""The loops over neighbours of the position-based fluid, in C++: where most of the liquid's time goes.

Written in Warp's Python they run one neighbour at a time, for its array indexing hides from the compiler that eight
floats fit into one instruction; so they take a third of the time. Every device of Warp compiles them. Notation and
meaning stand in :mod:`multigen_core.simulation.particle_kernels`, which calls them with arrays that have no gaps.
"""

# mypy: ignore-errors

import warp as wp

__all__ = ["density_sums", "listed_neighbours", "position_sum", "velocity_sums"]

Sums = wp.types.vector(length=6, dtype=wp.float32)
"""Several sums of one loop."""


@wp.func_native(
    """
    const wp::HashGrid& cells = *(const wp::HashGrid*)grid;
    const float* at = (const float*)x.data;
    const int* before = region.data;
    const int* after = region.data + x.shape[0];
    const int* pours = pour.data;
    int* row = table.data + (size_t)i * table.shape[1];
    const int room = table.shape[1] - 1;
    const float hx = at[3 * i], hy = at[3 * i + 1], hz = at[3 * i + 2];
    const int p = before[i], r = after[i], group = pours[i];
    const float width = cells.cell_width_inv, reach2 = reach * reach;
    const int x0 = wp::hash_grid_cell_coord((hx - reach) * width), x1 = wp::hash_grid_cell_coord((hx + reach) * width);
    const int y0 = wp::hash_grid_cell_coord((hy - reach) * width), y1 = wp::hash_grid_cell_coord((hy + reach) * width);
    const int z0 = wp::hash_grid_cell_coord((hz - reach) * width), z1 = wp::hash_grid_cell_coord((hz + reach) * width);
    int found = 0;
    for (int cz = z0; cz <= z1; ++cz)
        for (int cy = y0; cy <= y1; ++cy) {
            // Cells beside each other along x follow each other in the grid, but where it wraps.
            for (int cx = x0; cx <= x1;) {
                int cell = wp::hash_grid_index(cells, cx, cy, cz);
                int start = cells.cell_starts[cell], stop = cells.cell_ends[cell];
                ++cx;
                while (cx <= x1 && wp::hash_grid_index(cells, cx, cy, cz) == ++cell) {
                    if (start == stop) start = cells.cell_starts[cell];
                    if (cells.cell_ends[cell] > stop) stop = cells.cell_ends[cell];
                    ++cx;
                }
                for (int first = start; first < stop; first += 32) {
                    const int* ids = cells.point_ids + first;
                    const int some = stop - first < 32 ? stop - first : 32;
                    int near[32];
                    #pragma clang loop vectorize(enable) interleave_count(1)
                    for (int k = 0; k < some; ++k) {
                        const int j = ids[k];
                        const float dx = hx - at[3 * j], dy = hy - at[3 * j + 1], dz = hz - at[3 * j + 2];
                        // INSIDE + OUTSIDE is the only pair of regions that sums to 1.
                        near[k] = (dx * dx + dy * dy + dz * dz < reach2) & (p + before[j] != 1)
                            & (r + after[j] != 1) & (pours[j] == group) & (j != i);
                    }
                    // Written whether near or not: a branch that cannot be predicted costs more than a store.
                    if (found + some < room)
                        for (int k = 0; k < some; ++k) {
                            row[found] = ids[k];
                            found += near[k];
                        }
                    else
                        for (int k = 0; k < some; ++k) {
                            row[found] = ids[k];
                            found += near[k];
                            found = found < room ? found : room;
                        }
                }
            }
        }
    return found;
    """
)
def listed_neighbours(
    i: int,
    grid: wp.uint64,
    reach: float,
    pour: wp.array[int],
    region: wp.array2d[int],
    x: wp.array[wp.vec3],
    table: wp.array2d[int],
) -> int:
    """Writes the list of particle ``i`` and returns its length."""
    ...


@wp.func_native(
    """
    const float* at = (const float*)x.data;
    const int* row = table.data + (size_t)i * table.shape[1];
    const float hx = at[3 * i], hy = at[3 * i + 1], hz = at[3 * i + 2];
    float w = 0.0f, gx = 0.0f, gy = 0.0f, gz = 0.0f, squares = 0.0f;
    #pragma clang loop vectorize(enable) interleave_count(1)
    for (int n = 0; n < count; ++n) {
        const int j = 3 * row[n];
        const float dx = hx - at[j], dy = hy - at[j + 1], dz = hz - at[j + 2];
        const float r2 = dx * dx + dy * dy + dz * dz;
        const float q = sqrtf(r2) * inverse;
        const float u = q < 1.0f ? 1.0f - q : 0.0f;
        const float u3 = u * u * u;
        w += u3 * u * (4.0f * q + 1.0f);
        gx += u3 * dx;
        gy += u3 * dy;
        gz += u3 * dz;
        squares += u3 * u3 * r2;
    }
    return wp::vec_t<6, float>({w, gx, gy, gz, squares, 0.0f});
    """
)
def density_sums(i: int, count: int, inverse: float, x: wp.array[wp.vec3], table: wp.array2d[int]) -> Sums:
    """``sum u^4 (4 q + 1)``, ``sum u^3 r_ij`` and ``sum u^6 r_ij^2`` over the neighbours, u = 1 - q, q = r / h."""
    ...


@wp.func_native(
    """
    const float* at = (const float*)x.data;
    const float* lambda = lambdas.data;
    const int* row = table.data + (size_t)i * table.shape[1];
    const float hx = at[3 * i], hy = at[3 * i + 1], hz = at[3 * i + 2], own = lambda[i];
    float tx = 0.0f, ty = 0.0f, tz = 0.0f;
    #pragma clang loop vectorize(enable) interleave_count(1)
    for (int n = 0; n < count; ++n) {
        const int j = row[n];
        const float dx = hx - at[3 * j], dy = hy - at[3 * j + 1], dz = hz - at[3 * j + 2];
        const float q = sqrtf(dx * dx + dy * dy + dz * dz) * inverse;
        const float u = q < 1.0f ? 1.0f - q : 0.0f;
        const float share = (own + lambda[j]) * u * u * u;
        tx += share * dx;
        ty += share * dy;
        tz += share * dz;
    }
    return wp::vec_t<3, float>(tx, ty, tz);
    """
)
def position_sum(
    i: int, count: int, inverse: float, x: wp.array[wp.vec3], table: wp.array2d[int], lambdas: wp.array[float]
) -> wp.vec3:
    """``sum (lambda_i + lambda_j) u^3 r_ij``."""
    ...


@wp.func_native(
    """
    const float* at = (const float*)x.data;
    const float* speed = (const float*)v.data;
    const int* row = table.data + (size_t)i * table.shape[1];
    const float hx = at[3 * i], hy = at[3 * i + 1], hz = at[3 * i + 2];
    const float vx = speed[3 * i], vy = speed[3 * i + 1], vz = speed[3 * i + 2];
    float dragx = 0.0f, dragy = 0.0f, dragz = 0.0f, pullx = 0.0f, pully = 0.0f, pullz = 0.0f;
    #pragma clang loop vectorize(enable) interleave_count(1)
    for (int n = 0; n < count; ++n) {
        const int j = 3 * row[n];
        const float dx = hx - at[j], dy = hy - at[j + 1], dz = hz - at[j + 2];
        const float q = sqrtf(dx * dx + dy * dy + dz * dz) * inverse;
        const float u = q < 1.0f ? 1.0f - q : 0.0f;
        const float w = u * u * u * u * (4.0f * q + 1.0f);
        dragx += w * (speed[j] - vx);
        dragy += w * (speed[j + 1] - vy);
        dragz += w * (speed[j + 2] - vz);
        const float pull = q > 0.5f ? (q - 0.5f) * u : 0.0f;
        pullx -= pull * dx;
        pully -= pull * dy;
        pullz -= pull * dz;
    }
    return wp::vec_t<6, float>({dragx, dragy, dragz, pullx, pully, pullz});
    """
)
def velocity_sums(
    i: int, count: int, inverse: float, x: wp.array[wp.vec3], v: wp.array[wp.vec3], table: wp.array2d[int]
) -> Sums:
    """``sum u^4 (4 q + 1) (v_j - v_i)`` and the pull ``-sum max(q - 1/2, 0) u r_ij``."""
    ...
