"""How long one look of the policy's camera takes, beside the same scene drawn with its liquid as sphere geoms."""

import time

import mujoco
import numpy as np

from multigen_core.experiment import Experiment
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.world import PouringWorld

FRAMES = 40


def figures(experiment: Experiment) -> dict[str, float]:
    """Milliseconds per frame, medians, at the image size of params.yaml."""
    config = experiment.episodes
    world = PouringWorld(
        draw_setup(experiment.seed, TRAINING_RANGES),
        image_px=config.image_px,
        rate_hz=config.rate_hz,
        particle_ml=config.particle_ml,
        timestep_s=config.timestep_s,
        solver_iterations=config.solver_iterations,
    )
    for _ in range(20):
        world.step(np.array([0.0, 0.0, 0.6]))
    own, masks, peer = _median_ms(world.rgb), _median_ms(world.masks), _spheres_ms(config.image_px)
    return {
        "rgb_with_liquid_surface_ms": own,
        "both_masks_ms": masks,
        "mujoco_rgb_with_600_spheres_ms": peer,
        "rgb_over_mujoco_spheres": own / peer,
    }


def _median_ms(draw: object) -> float:
    assert callable(draw)
    times = []
    for _ in range(FRAMES):
        started_s = time.perf_counter()
        draw()
        times.append(time.perf_counter() - started_s)
    return 1e3 * float(np.median(times))


def _spheres_ms(size_px: int) -> float:
    """MuJoCo's own renderer over a bare table with 600 spheres: what a simulator of grains draws."""
    spec = mujoco.MjSpec()
    spec.visual.quality.shadowsize = 512
    spec.worldbody.add_light(pos=[0, 0, 1], dir=[0, 0, -1])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    for x, y, z in np.random.default_rng(0).uniform(-0.04, 0.04, (600, 3)):
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.004, 0, 0], pos=[x, y, 0.05 + z])
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, size_px, size_px)

    def draw() -> None:
        renderer.update_scene(data)
        renderer.render()

    median_ms = _median_ms(draw)
    renderer.close()
    return median_ms
