"""Warp kernels of the position-based fluid; :mod:`multigen_core.simulation.liquid` launches them.

Macklin and Müller, "Position Based Fluids" (2013), with these choices: a Wendland C2 kernel, a one-sided density
constraint (no tensile clumping at free surfaces), analytic container walls whose share of the density is integrated in
closed form, and XSPH viscosity (eq. 17 there).

Notation: x* predicted position, C density constraint, lambda its multiplier, h support radius, q = r / h,
s distance to a wall.
Many pours share one launch; the particles of one never meet those of another. Each has two bodies: its ``PITCHER``
moves, its ``RECEIVER`` stands. Where a particle is relative to a body is remembered and only changes through the plane
of the rim: that is what keeps thin walls tight.
"""

# mypy: ignore-errors
# ruff: noqa: UP018, RUF046
# Kernels are Warp's own language in Python's grammar: its vectors have no types here, and ``float(0.0)`` declares a
# variable that a loop may change.

import contextlib
import os
import sys
from collections.abc import Iterator

import warp as wp

from multigen_core.simulation.neighbour_loops import density_sums, listed_neighbours, position_sum, velocity_sums

__all__ = [
    "ABOVE",
    "INSIDE",
    "OUTSIDE",
    "PITCHER",
    "RECEIVER",
    "Bodies",
    "Fluid",
    "correction",
    "finish",
    "multiplier",
    "neighbours",
    "predict",
    "project",
    "viscosity",
]


@contextlib.contextmanager
def _native_messages_muted() -> Iterator[None]:
    """Sends file descriptor 2 to nowhere: the native part of Warp says on every start that there is no CUDA driver."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


wp.config.log_level = wp.LOG_WARNING
with _native_messages_muted():
    wp.init()
# Measured on the solver's three loops: 20 to 30 % faster than Warp's defaults.
CPU_FLAGS = "-march=native -ffast-math -Wno-nan-infinity-disabled -fno-slp-vectorize -mllvm=-inline-threshold=9000"
wp.set_module_options({"enable_backward": False, "fast_math": True, "cpu_compiler_flags": CPU_FLAGS})

PITCHER = wp.constant(0)
RECEIVER = wp.constant(1)
OUTSIDE = wp.constant(0)
INSIDE = wp.constant(1)
ABOVE = wp.constant(2)
"""Higher than the plane of the rim, in the frame of the body."""

MAX_NEIGHBOURS = wp.constant(96)
GRAVITY = wp.constant(9.81)
KERNEL_SCALE = wp.constant(21.0 / (2.0 * 3.14159265))
CONTACT = wp.constant(0.25)
"""A particle's centre keeps this many diameters off a wall."""
TABLE_FRICTION = wp.constant(0.8)
WALL_FRICTION = wp.constant(0.04)
MAX_CORRECTION = wp.constant(0.4)
"""Diameters that one solver iteration may move a particle."""


@wp.struct
class Fluid:
    """Constants of one liquid."""

    diameter: float
    """Edge of the cube that one particle fills [m]."""
    support: float
    """Kernel support radius h [m]."""
    volume: float
    """Particle volume in the density sum [m3]."""
    softness: float
    """Added to the denominator of lambda [1/m2]."""
    viscosity: float
    cohesion: float
    """Acceleration between two particles that drift apart [m/s2]."""
    timestep: float


@wp.struct
class Bodies:
    """The containers of all pours: inner profiles and where they are. Rows as in ``row``: pitchers, then receivers."""

    pours: int
    profile: wp.array2d[wp.vec2]
    """(height, radius) [m] from the inner bottom to the rim, shape [2 pours, points]; shorter ones repeat the rim."""
    segments: wp.array[int]
    wall: wp.array[float]
    pose: wp.array[wp.transform]
    """Inner-bottom frame to world."""
    spin: wp.array[wp.spatial_vector]
    """Velocity of the frame's origin [m/s] and angular velocity [rad/s], world."""


@wp.func
def row(bodies: Bodies, kind: int, pour: int) -> int:
    """Of the pitcher or the receiver of a pour."""
    return kind * bodies.pours + pour


@wp.func
def segment_of(bodies: Bodies, body: int, height: float) -> int:
    """The frustum at a height; the first and last one extend beyond the ends."""
    found = int(0)
    for k in range(1, bodies.segments[body]):
        if height >= bodies.profile[body, k][0]:
            found = k
    return found


@wp.func
def side_distance(bodies: Bodies, body: int, local: wp.vec3) -> wp.vec4:
    """Distance to the side wall (positive inside) and its normal towards the axis, in the body's frame."""
    k = segment_of(bodies, body, local[2])
    low = bodies.profile[body, k]
    high = bodies.profile[body, k + 1]
    slope = (high[1] - low[1]) / (high[0] - low[0])
    radial = wp.sqrt(local[0] * local[0] + local[1] * local[1])
    cosine = 1.0 / wp.sqrt(1.0 + slope * slope)
    distance = (low[1] + slope * (local[2] - low[0]) - radial) * cosine
    x = float(1.0)
    y = float(0.0)
    if radial > 1.0e-9:
        x = local[0] / radial
        y = local[1] / radial
    return wp.vec4(distance, -x * cosine, -y * cosine, slope * cosine)


@wp.func
def rim_height(bodies: Bodies, body: int) -> float:
    return bodies.profile[body, bodies.segments[body]][0]


@wp.func
def rim_radius(bodies: Bodies, body: int) -> float:
    return bodies.profile[body, bodies.segments[body]][1]


@wp.func
def half_space(distance: float, support: float) -> wp.vec2:
    """Density of a filled half-space at a distance from it, and its derivative by the distance.

    F(u) = 3.5 u^6 - 4.5 u^7 + 1.5 u^8 with u = 1 - s/h: the Wendland C2 kernel integrated beyond the plane.
    """
    u = wp.clamp(1.0 - distance / support, 0.0, 1.0)
    u5 = u * u * u * u * u
    value = u5 * u * (3.5 + u * (-4.5 + 1.5 * u))
    slope = u5 * (21.0 + u * (-31.5 + 12.0 * u))
    return wp.vec2(value, -slope / support)


@wp.func
def wall_density(bodies: Bodies, fluid: Fluid, body: int, region: int, x: wp.vec3) -> wp.vec4:
    """Density that the walls of one body add at ``x``, and its gradient in the world frame."""
    h = fluid.support
    pose = bodies.pose[body]
    local = wp.transform_point(wp.transform_inverse(pose), x)
    rim = rim_height(bodies, body)
    if region == OUTSIDE or local[2] > rim + 0.5 * h:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    side = side_distance(bodies, body, local)
    if region == ABOVE and side[0] < -0.25 * h:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    # The wall ends at the rim: half of the half-space is left there.
    fade = wp.clamp((rim - local[2]) / h + 0.5, 0.0, 1.0)
    lateral = half_space(side[0], h) * fade
    floor = half_space(local[2], h)
    gradient = wp.vec3(side[1], side[2], side[3]) * lateral[1] + wp.vec3(0.0, 0.0, floor[1])
    gradient = wp.transform_vector(pose, gradient)
    return wp.vec4(lateral[0] + floor[0], gradient[0], gradient[1], gradient[2])


@wp.func
def contact(bodies: Bodies, fluid: Fluid, body: int, region: int, x: wp.vec3) -> wp.vec3:
    """``x`` moved to the side of the wall where its particle belongs."""
    pose = bodies.pose[body]
    local = wp.transform_point(wp.transform_inverse(pose), x)
    rim = rim_height(bodies, body)
    wall = bodies.wall[body]
    if local[2] >= rim or (region == OUTSIDE and local[2] < -wall - fluid.diameter):
        return x
    margin = CONTACT * fluid.diameter
    side = side_distance(bodies, body, local)
    if region == OUTSIDE:
        # Towards the axis is deeper in the wall; out through the side or down through the bottom, the nearer one.
        depth = side[0] + wall + margin
        below = local[2] + wall + margin
        if depth <= 0.0 or below <= 0.0:
            return x
        if below < depth:
            local = local - wp.vec3(0.0, 0.0, below)
        else:
            local = local - depth * wp.vec3(side[1], side[2], side[3])
    else:
        if side[0] < margin:
            local = local + (margin - side[0]) * wp.vec3(side[1], side[2], side[3])
        local = wp.vec3(local[0], local[1], wp.max(local[2], margin))
    return wp.transform_point(pose, local)


@wp.kernel
def predict(
    fluids: wp.array[Fluid],
    pour: wp.array[int],
    x: wp.array[wp.vec3],
    v: wp.array[wp.vec3],
    x_star: wp.array[wp.vec3],
) -> None:
    i = wp.tid()
    dt = fluids[pour[i]].timestep
    v[i] = v[i] - wp.vec3(0.0, 0.0, GRAVITY * dt)
    x_star[i] = x[i] + v[i] * dt


@wp.kernel
def neighbours(
    grid: wp.uint64,
    reach: float,
    pour: wp.array[int],
    region: wp.array2d[int],
    x_star: wp.array[wp.vec3],
    count: wp.array[int],
    table: wp.array2d[int],
) -> None:
    """Everyone within ``reach`` except across a wall."""
    i = wp.tid()
    count[i] = listed_neighbours(i, grid, reach, pour, region, x_star, table)


@wp.kernel
def multiplier(
    fluids: wp.array[Fluid],
    pour: wp.array[int],
    bodies: Bodies,
    region: wp.array2d[int],
    x_star: wp.array[wp.vec3],
    count: wp.array[int],
    table: wp.array2d[int],
    lambdas: wp.array[float],
    wall_gradient: wp.array[wp.vec3],
) -> None:
    """lambda_i = -C_i / (sum_k |grad_k C_i|^2 + softness), C_i = max(density_i - 1, 0)."""
    i = wp.tid()
    here = x_star[i]
    fluid = fluids[pour[i]]
    h = fluid.support
    inverse = 1.0 / h
    scale = fluid.volume * KERNEL_SCALE * inverse * inverse * inverse
    steep = -20.0 * scale * inverse * inverse
    sums = density_sums(i, count[i], inverse, x_star, table)
    gradient = steep * wp.vec3(sums[1], sums[2], sums[3])
    squares = steep * steep * sums[4]
    density = scale * (1.0 + sums[0])
    from_walls = wp.vec3(0.0, 0.0, 0.0)
    for kind in range(2):
        wall = wall_density(bodies, fluid, row(bodies, kind, pour[i]), region[kind, i], here)
        density += wall[0]
        from_walls += wp.vec3(wall[1], wall[2], wall[3])
    if region[PITCHER, i] != INSIDE and region[RECEIVER, i] != INSIDE:
        table_top = half_space(here[2], h)
        density += table_top[0]
        from_walls += wp.vec3(0.0, 0.0, table_top[1])
    gradient += from_walls
    wall_gradient[i] = from_walls
    lambdas[i] = -wp.max(density - 1.0, 0.0) / (squares + wp.dot(gradient, gradient) + fluid.softness)


@wp.kernel
def correction(
    fluids: wp.array[Fluid],
    pour: wp.array[int],
    x_star: wp.array[wp.vec3],
    count: wp.array[int],
    table: wp.array2d[int],
    lambdas: wp.array[float],
    wall_gradient: wp.array[wp.vec3],
    move: wp.array[wp.vec3],
) -> None:
    """dx_i = sum_j (lambda_i + lambda_j) grad W_ij (eq. 12), and lambda_i times the gradient of the walls' share."""
    i = wp.tid()
    fluid = fluids[pour[i]]
    h = fluid.support
    inverse = 1.0 / h
    steep = -20.0 * fluid.volume * KERNEL_SCALE * inverse * inverse * inverse * inverse * inverse
    total = steep * position_sum(i, count[i], inverse, x_star, table, lambdas) + lambdas[i] * wall_gradient[i]
    longest = MAX_CORRECTION * fluid.diameter
    length = wp.length(total)
    if length > longest:
        total = total * (longest / length)
    move[i] = total


@wp.kernel
def project(
    fluids: wp.array[Fluid],
    pour: wp.array[int],
    bodies: Bodies,
    region: wp.array2d[int],
    move: wp.array[wp.vec3],
    x_star: wp.array[wp.vec3],
) -> None:
    """Applies the corrections and keeps every particle on its side of walls and table."""
    i = wp.tid()
    here = x_star[i] + move[i]
    fluid = fluids[pour[i]]
    for kind in range(2):
        if region[kind, i] != ABOVE:
            here = contact(bodies, fluid, row(bodies, kind, pour[i]), region[kind, i], here)
    x_star[i] = wp.vec3(here[0], here[1], wp.max(here[2], CONTACT * fluid.diameter))


@wp.kernel
def finish(
    fluids: wp.array[Fluid],
    pour: wp.array[int],
    bodies: Bodies,
    x_star: wp.array[wp.vec3],
    region: wp.array2d[int],
    x: wp.array[wp.vec3],
    v: wp.array[wp.vec3],
) -> None:
    """Velocity from the change of position, friction, and the regions: they change only in the plane of a rim."""
    i = wp.tid()
    here = x_star[i]
    fluid = fluids[pour[i]]
    velocity = (here - x[i]) / fluid.timestep
    free = bool(True)
    for kind in range(2):
        body = row(bodies, kind, pour[i])
        pose = bodies.pose[body]
        local = wp.transform_point(wp.transform_inverse(pose), here)
        was = region[kind, i]
        if local[2] >= rim_height(bodies, body):
            region[kind, i] = ABOVE
        elif was == ABOVE:
            middle = rim_radius(bodies, body) + 0.5 * bodies.wall[body]
            if local[0] * local[0] + local[1] * local[1] < middle * middle:
                region[kind, i] = INSIDE
            else:
                region[kind, i] = OUTSIDE
            # A narrowing wall may already be behind a particle that came fast.
            here = contact(bodies, fluid, body, region[kind, i], here)
        if region[kind, i] == INSIDE:
            free = False
            side = side_distance(bodies, body, local)
            if wp.min(side[0], local[2]) < 0.6 * fluid.diameter:
                spin = bodies.spin[body]
                arm = here - wp.transform_get_translation(pose)
                wall_velocity = wp.spatial_top(spin) + wp.cross(wp.spatial_bottom(spin), arm)
                velocity = velocity + WALL_FRICTION * (wall_velocity - velocity)
    if free and here[2] < 0.6 * fluid.diameter:
        velocity = wp.vec3((1.0 - TABLE_FRICTION) * velocity[0], (1.0 - TABLE_FRICTION) * velocity[1], velocity[2])
    v[i] = velocity
    x[i] = here


@wp.kernel
def viscosity(
    fluids: wp.array[Fluid],
    pour: wp.array[int],
    x: wp.array[wp.vec3],
    count: wp.array[int],
    table: wp.array2d[int],
    v: wp.array[wp.vec3],
    v_new: wp.array[wp.vec3],
) -> None:
    """XSPH: v_i += c sum_j V W_ij (v_j - v_i); and a weak pull between particles that drift apart."""
    i = wp.tid()
    fluid = fluids[pour[i]]
    h = fluid.support
    inverse = 1.0 / h
    scale = fluid.volume * KERNEL_SCALE * inverse * inverse * inverse
    sums = velocity_sums(i, count[i], inverse, x, v, table)
    drag = wp.vec3(sums[0], sums[1], sums[2])
    pull = wp.vec3(sums[3], sums[4], sums[5])
    v_new[i] = v[i] + (fluid.viscosity * scale) * drag + (fluid.cohesion * fluid.timestep * inverse) * pull
