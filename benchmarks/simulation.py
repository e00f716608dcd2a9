"""How fast pours are simulated, drawn and stored, beside MuJoCo's free spheres and newton's fluid.

Every rate is per CPU second of one core, so that a busy machine changes it little; only the speed-up of two processes
is a matter of the clock.
"""

import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import warp as wp
from jaxtyping import Float

from benchmarks.peers import newton_sim_s_per_cpu_s, spheres_rgb_ms, spheres_sim_s_per_cpu_s
from multigen_core.compute import make_engine
from multigen_core.containers import frustum
from multigen_core.dataset.lerobot import write_shard
from multigen_core.experiment import Episodes, Experiment
from multigen_core.progress import Silent
from multigen_core.records import Episode
from multigen_core.simulation import particle_kernels as kernels
from multigen_core.simulation.liquid import ParticleLiquid, Pour
from multigen_core.simulation.liquid_laws import mean_height_level_m, wall_crossings
from multigen_core.simulation.placement import pitcher_pose
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.rollout import roll_out
from multigen_core.simulation.world import PouringWorld

PARTICLES = 1200
POURED_ML = 300.0
TILT_DEG = (20.0, 115.0)
TILT_S = 5.0
POUR_S = 8.0
"""A pour of 300 ml: tilted for five seconds, then left alone."""
POSE_S = 0.02
EPISODES = 4
FRAMES = 40
EPISODE_S = 8.0
"""The length for which an episode's cost is given."""

JUG = frustum(
    "jug",
    bottom_radius_m=0.042,
    top_radius_m=0.048,
    height_m=0.14,
    material="plastic",
    opaque=True,
    color=(1.0, 1.0, 1.0),
)
CUP = frustum(
    "cup",
    bottom_radius_m=0.033,
    top_radius_m=0.045,
    height_m=0.12,
    material="plastic",
    opaque=False,
    color=(1.0, 1.0, 1.0),
)
BOTTOM_M = np.array([0.5, 0.0, CUP.wall_m])
LIP_M = BOTTOM_M + np.array([0.0, 0.01, CUP.height_m + 0.05])
PLACES = (("cpu", (1, 8)), ("cuda:0", (1, 64, 512)))
"""Devices of Warp, and how many pours they are given in one launch."""


def figures(experiment: Experiment) -> dict[str, object]:
    """Physics, drawing, whole episodes, and the peers."""
    config = experiment.episodes
    physics = _physics(config, particle_ml=POURED_ML / PARTICLES)
    coarse = _physics(config, particle_ml=config.particle_ml)
    rgb_ms, masks_ms = _drawing(experiment)
    cpu_s, encoding_s, per_hour = _episodes(experiment)
    spheres_ms = spheres_rgb_ms(config.image_px, _median_ms)
    peers: dict[str, object] = {
        "mujoco_spheres_sim_s_per_cpu_s": spheres_sim_s_per_cpu_s(PARTICLES),
        "mujoco_rgb_with_1200_spheres_ms": spheres_ms,
        "newton_implicit_mpm_sim_s_per_cpu_s": (
            newton_sim_s_per_cpu_s(PARTICLES) if importlib.util.find_spec("newton") else "not installed"
        ),
    }
    return {
        "physics_sim_s_per_cpu_s": physics.sim_s_per_cpu_s,
        "level_error": physics.level_error,
        "wall_crossings": physics.wall_crossings,
        "physics_at_params_sim_s_per_cpu_s": coarse.sim_s_per_cpu_s,
        "level_error_at_params": coarse.level_error,
        "liquid_pours_per_hour": {
            device: (
                {f"{pours}_at_once": _pours_per_hour(config, device, pours) for pours in at_once}
                if wp.is_device_available(device)
                else "no such device"
            )
            for device, at_once in PLACES
        },
        "rgb_with_liquid_surface_ms": rgb_ms,
        "both_masks_ms": masks_ms,
        "rgb_over_mujoco_spheres": rgb_ms / spheres_ms,
        "episode_cpu_s": cpu_s,
        "encoding_cpu_s": encoding_s,
        "episodes_per_hour": per_hour,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
        "two_process_speedup": _two_process_speedup(experiment),
        "peers": peers,
    }


@dataclass(frozen=True)
class _Physics:
    sim_s_per_cpu_s: float
    level_error: float
    """Of the level in the cup at the end against that of the volume, relative."""
    wall_crossings: int
    """Particles beyond a wall, summed over all poses."""


def _physics(config: Episodes, *, particle_ml: float) -> _Physics:
    standing = np.eye(4)
    standing[:3, 3] = BOTTOM_M
    liquid = _liquid(config, particle_ml=particle_ml)
    cpu_s, crossings = 0.0, 0
    for pose in _poses():
        before_s = time.process_time()
        liquid.advance(pose, POSE_S)
        cpu_s += time.process_time() - before_s
        crossings += wall_crossings(liquid, kernels.PITCHER, JUG, pose) + wall_crossings(
            liquid, kernels.RECEIVER, CUP, standing
        )
    heights = liquid.positions_m()[liquid.regions()[1] == kernels.INSIDE, 2] - BOTTOM_M[2]
    wanted_m = CUP.level_at(liquid.census().in_receiver_ml * 1e-6)
    return _Physics(POUR_S / cpu_s, mean_height_level_m(heights, CUP) / wanted_m - 1.0, crossings)


def _pours_per_hour(config: Episodes, device: str, pours: int) -> float:
    """Of the same pour, so many in one launch; by the clock, with the particles of ``params.yaml``."""
    liquid = _liquid(config, particle_ml=config.particle_ml, pours=pours, device=device)
    started_s = time.perf_counter()
    for pose in _poses():
        liquid.advance(np.broadcast_to(pose, (pours, 4, 4)), POSE_S)
    liquid.census()
    return 3600.0 * pours / (time.perf_counter() - started_s)


def _liquid(config: Episodes, *, particle_ml: float, pours: int = 1, device: str = "cpu") -> ParticleLiquid:
    pour = Pour(
        pitcher=JUG,
        receiver=CUP,
        receiver_position_m=BOTTOM_M,
        pitcher_pose=_pose(TILT_DEG[0]),
        volume_ml=POURED_ML,
        viscosity=0.02,
        seed=0,
    )
    return ParticleLiquid(
        *(replace(pour, seed=seed) for seed in range(pours)),
        particle_ml=particle_ml,
        timestep_s=config.timestep_s,
        iterations=config.solver_iterations,
        device=device,
    )


def _pose(tilt_deg: float) -> Float[np.ndarray, "4 4"]:
    return pitcher_pose(JUG, lip_position_m=LIP_M, tilt_rad=np.radians(tilt_deg))


def _poses() -> list[Float[np.ndarray, "4 4"]]:
    times_s = np.arange(POSE_S, POUR_S + 1e-9, POSE_S)
    return [_pose(float(tilt)) for tilt in np.interp(times_s, (0.0, TILT_S), TILT_DEG)]


def _drawing(experiment: Experiment) -> tuple[float, float]:
    """Milliseconds for a picture and for both masks, while the liquid flows."""
    config = experiment.episodes
    world = PouringWorld(draw_setup(experiment.seed, TRAINING_RANGES), config)
    for _ in range(20):
        world.step(np.array([0.0, 0.0, 0.4]))
    return _median_ms(world.rgb), _median_ms(world.masks)


def _median_ms(draw: Callable[[], object]) -> float:
    times = []
    for _ in range(FRAMES):
        started_s = time.perf_counter()
        draw()
        times.append(time.perf_counter() - started_s)
    return 1e3 * float(np.median(times))


def _episodes(experiment: Experiment) -> tuple[float, float, float]:
    """CPU seconds per ``EPISODE_S`` of pour, those of them spent on writing, and whole episodes per hour and core."""
    orders = [(experiment.episodes, seed) for seed in range(EPISODES)]
    started_s = time.process_time()
    episodes = [_pour(order) for order in orders]
    simulated_s = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_shard(Path(folder), episodes)
    written_s = time.process_time()
    poured_s = sum(episode.steps / episode.rate_hz for episode in episodes)
    per_second = EPISODE_S / poured_s
    return (
        (written_s - started_s) * per_second,
        (written_s - simulated_s) * per_second,
        3600.0 * EPISODES / (written_s - started_s),
    )


def _pour(order: tuple[Episodes, int]) -> Episode:
    config, seed = order
    return roll_out(draw_setup(seed, TRAINING_RANGES), config)


def _two_process_speedup(experiment: Experiment) -> float:
    """Clock time of the same episodes in one worker over that in two; the workers' start is part of both."""
    shorter = replace(experiment.episodes, max_duration_s=6.0)
    orders = [(shorter, seed) for seed in range(2 * EPISODES)]
    times = []
    for workers in (1, 2):
        started_s = time.perf_counter()
        make_engine("process_pool", workers).map(_pour, orders, Silent())
        times.append(time.perf_counter() - started_s)
    return times[0] / times[1]


if __name__ == "__main__":
    from benchmarks.__main__ import main

    main(["simulation", *sys.argv[1:]])
