"""Stage ``episodes``: one shard of silent simulated pours."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from multigen_core.compute import make_engine
from multigen_core.dataset.lerobot import write_shard
from multigen_core.experiment import Episodes, Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import Episode, Summary
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.renderer import require_rendering
from multigen_core.simulation.rollout import roll_out
from multigen_core.simulation.setup import PourSetup

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["first_within_brim", "run"]

DRAWS = 4
"""So often at most a pour is drawn; of the 432 of `make study` one ends above the brim."""


@dataclass(frozen=True)
class _Order:
    """What a worker needs to make one episode."""

    episode_id: str
    seeds: tuple[int, ...]
    config: Episodes


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Simulates the episodes of a shard in parallel and writes them as a LeRobot folder.

    Raises MissingExtra where nothing can be drawn, before any work starts.
    """
    require_rendering()
    shard = str(inputs.partition)
    orders = [
        _Order(f"{shard}-{number:03d}", _seeds(experiment, shard, number), experiment.episodes)
        for number in range(experiment.episodes.per_shard)
    ]
    engine = make_engine(experiment.compute.engine, experiment.compute.workers)
    episodes = engine.map(_simulate, orders, progress, f"pours of shard {shard}")
    again = [made.episode_id for order, made in zip(orders, episodes, strict=True) if made.seed != order.seeds[0]]
    if again:
        progress.say(f"ended above the brim and drawn again: {', '.join(again)}")
    write_shard(out, episodes)
    return _figures(episodes)


def first_within_brim(setups: Iterable[PourSetup], config: Episodes, *, episode_id: str) -> Episode:
    """Pours the setups, of which there is at least one, until a receiver holds what was poured into it, and returns
    that episode.

    A pour to the brim may end above it, by the slip of an arm that is disturbed on purpose: no demonstration of a pour.
    The last setup counts whatever comes of it; the law ``mass_conserved`` then judges it.
    """
    for setup in setups:
        episode = roll_out(setup, config, episode_id=episode_id)
        if episode.poured_ml.max() <= setup.receiver.capacity_ml:
            break
    return episode


def _seeds(experiment: Experiment, shard: str, number: int) -> tuple[int, ...]:
    again = (seed_for(experiment, "episodes", shard, number, draw) for draw in range(1, DRAWS))
    return (seed_for(experiment, "episodes", shard, number), *again)


def _simulate(order: _Order) -> Episode:
    setups = (draw_setup(seed, TRAINING_RANGES) for seed in order.seeds)
    return first_within_brim(setups, order.config, episode_id=order.episode_id)


def _figures(episodes: list[Episode]) -> Summary:
    poured = np.array([episode.poured_ml[-1] for episode in episodes])
    target = np.array([episode.target_ml for episode in episodes])
    clearance_m = np.array([float(str(episode.scene["clearance_m"])) for episode in episodes])
    return {
        "episodes": len(episodes),
        "steps": sum(episode.steps for episode in episodes),
        "expert_nmae": round(float(np.mean(np.abs(poured - target) / target)), 4),
        "spilled_ml_mean": round(float(np.mean([episode.spilled_ml[-1] for episode in episodes])), 2),
        "collisions": int((clearance_m < 0.0).sum()),
        "clearance_m_min": round(float(clearance_m.min()), 4),
        "poured_ml_min": round(float(poured.min()), 1),
        "poured_ml_max": round(float(poured.max()), 1),
        "duration_s_mean": round(float(np.mean([episode.steps / episode.rate_hz for episode in episodes])), 2),
    }
