"""One episode: the expert pours in the world, a recorder writes down what it saw and meant to do."""

from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

from multigen_core.experiment import Episodes
from multigen_core.records import Episode
from multigen_core.simulation.expert import Expert, Style, draw_style
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.world import PouringWorld, WorldState

__all__ = ["roll_out"]


@dataclass
class _Recorder:
    """One row per decision."""

    states: list[WorldState] = field(default_factory=list)
    rgb: list[UInt8[np.ndarray, "H W 3"]] = field(default_factory=list)
    plain: list[UInt8[np.ndarray, "H W"]] = field(default_factory=list)
    amodal: list[UInt8[np.ndarray, "H W"]] = field(default_factory=list)
    actions: list[Float[np.ndarray, "3"]] = field(default_factory=list)
    clearance_m: list[float] = field(default_factory=list)

    def add(self, world: PouringWorld, action: Float[np.ndarray, "3"]) -> None:
        plain, amodal = world.masks()
        self.states.append(world.state)
        self.rgb.append(world.rgb())
        self.plain.append(plain)
        self.amodal.append(amodal)
        self.actions.append(action)
        self.clearance_m.append(world.clearance_m())

    def column(self, name: str) -> Float[np.ndarray, "T ..."]:
        """One field of the world's state over time."""
        return np.array([getattr(state, name) for state in self.states], np.float32)


def roll_out(setup: PourSetup, config: Episodes, *, episode_id: str | None = None) -> Episode:
    """Pours ``setup.goal_fraction`` of the receiver and returns the silent episode.

    What is carried out is perturbed, what is recorded is the action that would have been right. The last row is the
    state after the pour, whose action tilts back further: who learns from it goes past where a pour counts as stopped,
    and does not stand still short of it. Raises MissingExtra where nothing can be drawn.
    """
    world = PouringWorld(setup, config)
    style_rng, noise_rng = np.random.default_rng(setup.seed).spawn(2)
    style = draw_style(style_rng, setup, looks=config.looks, stalls=config.stalls)
    expert = Expert(setup, style, step_s=world.step_s, rng=noise_rng)
    recorder = _Recorder()
    for _ in range(round(config.max_duration_s * config.rate_hz) - 1):
        if world.finished and expert.retreating:
            break
        action = expert.act(world.state)
        recorder.add(world, action)
        world.step(expert.perturbed(action))
    recorder.add(world, expert.act(world.state))
    return _episode(setup, style, recorder, config, episode_id or f"seed-{setup.seed}")


def _episode(setup: PourSetup, style: Style, recorder: _Recorder, config: Episodes, episode_id: str) -> Episode:
    return Episode(
        episode_id=episode_id,
        seed=setup.seed,
        rate_hz=config.rate_hz,
        rgb=np.stack(recorder.rgb),
        masks_plain=np.stack(recorder.plain),
        masks_amodal=np.stack(recorder.amodal),
        joints_rad=recorder.column("joints_rad"),
        actions=np.stack(recorder.actions).astype(np.float32),
        tilt_rad=recorder.column("tilt_rad"),
        poured_ml=recorder.column("poured_ml"),
        spilled_ml=recorder.column("spilled_ml"),
        flow_ml_s=recorder.column("flow_ml_s"),
        level_m=recorder.column("level_m"),
        fall_height_m=recorder.column("fall_height_m"),
        goal_fraction=setup.goal_fraction,
        receiver=setup.receiver,
        pitcher=setup.pitcher,
        liquid=setup.liquid,
        scene={
            "view": setup.scene.to_json(),
            "style": asdict(style),
            "initial_ml": setup.initial_ml,
            "lip_offset": list(setup.lip_offset),
            "clearance_m": round(min(recorder.clearance_m), 5),
        },
    )
