"""What others offer for liquids and pictures of them, at the same number of grains: the yardsticks of `simulation`."""

import time
from collections.abc import Callable

import mujoco
import numpy as np

__all__ = ["newton_sim_s_per_cpu_s", "spheres_rgb_ms", "spheres_sim_s_per_cpu_s"]

GRAIN_ML = 0.25
SPHERES_S = 2.0
MPM_S = 0.5


def spheres_sim_s_per_cpu_s(count: int) -> float:
    """MuJoCo's free spheres, falling from a block onto a floor: grains, not a liquid."""
    radius = 0.5 * (GRAIN_ML * 1e-6) ** (1 / 3)
    side = int(np.ceil(count ** (1 / 3)))
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.004
    spec.option.solver = mujoco.mjtSolver.mjSOL_CG
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    for k in range(count):
        x, y, z = k % side, k // side % side, k // side**2
        body = spec.worldbody.add_body(pos=[2.1 * radius * x, 2.1 * radius * y, 0.1 + 2.1 * radius * z])
        body.add_freejoint()
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[radius, 0, 0], density=1000)
    model = spec.compile()
    data = mujoco.MjData(model)
    started_s = time.process_time()
    while data.time < SPHERES_S:
        mujoco.mj_step(model, data)
    return SPHERES_S / (time.process_time() - started_s)


def spheres_rgb_ms(size_px: int, median_ms: Callable[[Callable[[], object]], float], count: int = 1200) -> float:
    """MuJoCo's own renderer over a bare table with spheres: what a simulator of grains draws."""
    spec = mujoco.MjSpec()
    spec.visual.quality.shadowsize = 512
    spec.worldbody.add_light(pos=[0, 0, 1], dir=[0, 0, -1])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    for x, y, z in np.random.default_rng(0).uniform(-0.04, 0.04, (count, 3)):
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.004, 0, 0], pos=[x, y, 0.05 + z])
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, size_px, size_px)

    def draw() -> None:
        renderer.update_scene(data)
        renderer.render()

    taken_ms = median_ms(draw)
    renderer.close()
    return taken_ms


def newton_sim_s_per_cpu_s(count: int) -> float:
    """The implicit material point method of the newton package, a block of water-like material on a floor."""
    import newton
    import warp as wp
    from newton.solvers import SolverImplicitMPM

    side = int(np.ceil(count ** (1 / 3)))
    edge_m = (GRAIN_ML * 1e-6) ** (1 / 3)
    places = edge_m * np.stack(np.unravel_index(np.arange(count), (side, side, side)), axis=1) + [0.0, 0.0, 0.05]
    builder = newton.ModelBuilder()
    SolverImplicitMPM.register_custom_attributes(builder)
    builder.add_ground_plane()
    for place in places:
        builder.add_particle(wp.vec3(*place), wp.vec3(0.0), mass=GRAIN_ML * 1e-3, radius=0.5 * edge_m)
    model = builder.finalize(device="cpu")
    config = SolverImplicitMPM.Config()
    config.voxel_size = 2.0 * edge_m
    solver = SolverImplicitMPM(model, config)
    before, after = model.state(), model.state()
    steps = round(MPM_S / 0.004)
    solver.step(before, after, None, None, 0.004)  # compiles
    started_s = time.process_time()
    for _ in range(steps):
        solver.step(before, after, None, None, 0.004)
        before, after = after, before
    return MPM_S / (time.process_time() - started_s)
