"""How fast liquid is simulated on one core, beside the same number of free MuJoCo spheres.

Both pour 300 ml in 600 grains: the particle fluid from a tilting pitcher, the spheres from a box held above a tray.
"""

import time

import mujoco
import numpy as np

from multigen_core.experiment import Experiment
from multigen_core.simulation.liquid import ParticleLiquid
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup

GRAINS = 600
SECONDS = 2.0


def figures(experiment: Experiment) -> dict[str, float]:
    """Simulated seconds per CPU second."""
    own, peer = _fluid(experiment), _spheres()
    return {
        "physics_sim_s_per_cpu_s": own,
        "mujoco_spheres_sim_s_per_cpu_s": peer,
        "physics_over_mujoco_spheres": own / peer,
    }


def _fluid(experiment: Experiment) -> float:
    setup = draw_setup(experiment.seed, TRAINING_RANGES)
    upright = np.eye(4)
    upright[:3, 3] = (0.0, 0.12, setup.receiver.height_m + 0.05)
    liquid = ParticleLiquid(
        pitcher=setup.pitcher,
        receiver=setup.receiver,
        receiver_position_m=np.zeros(3),
        pitcher_pose=upright,
        volume_ml=GRAINS * 0.5,
        viscosity=0.02,
        particle_ml=0.5,
        timestep_s=experiment.episodes.timestep_s,
        iterations=experiment.episodes.solver_iterations,
        seed=experiment.seed,
    )
    started_s = time.process_time()
    for angle in np.linspace(0.0, np.radians(100.0), int(SECONDS * 10)):
        pose = upright.copy()
        pose[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        liquid.advance(pose, 0.1)
    return SECONDS / (time.process_time() - started_s)


def _spheres() -> float:
    radius = 0.5 * (0.5e-6) ** (1 / 3)
    side = int(np.ceil(GRAINS ** (1 / 3)))
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.004
    spec.option.solver = mujoco.mjtSolver.mjSOL_CG
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    for k in range(GRAINS):
        x, y, z = k % side, k // side % side, k // side**2
        body = spec.worldbody.add_body(pos=[2.1 * radius * x, 2.1 * radius * y, 0.1 + 2.1 * radius * z])
        body.add_freejoint()
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[radius, 0, 0], density=1000)
    model = spec.compile()
    data = mujoco.MjData(model)
    started_s = time.process_time()
    while data.time < SECONDS:
        mujoco.mj_step(model, data)
    return SECONDS / (time.process_time() - started_s)
