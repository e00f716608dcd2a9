"""Walks an operator through a plan, trial by trial; what is finished stays finished, whatever happens after it."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from multigen_core.dataset.lerobot import write_shard
from multigen_core.lab.arm_driver import DriverOptions
from multigen_core.lab.arm_link import Address
from multigen_core.lab.control import Pour, pour
from multigen_core.lab.kinova import KinovaArm
from multigen_core.lab.live_camera import LiveCamera
from multigen_core.lab.live_microphone import LiveMicrophone
from multigen_core.lab.robot import Task
from multigen_core.lab.robot_lab import RobotLab
from multigen_core.lab.trial_plan import PlannedTrial, TrialPlan, vessel_named
from multigen_core.lab.weighing import Scale, SerialScale, TypedScale
from multigen_core.policy.contract import Policy
from multigen_core.policy.trained import load_policy
from multigen_core.records import SAMPLE_RATE_HZ, Episode, Soundtrack, Trial
from multigen_core.storage import finished, output_folder, write_json

__all__ = ["TRIAL", "run_session"]

TRIAL = "trial.json"
"""In each trial's folder: a ``records.Trial``, and the weights."""
PASSWORD = "KINOVA_PASSWORD"
_MEMORY_S = 120.0


@dataclass(frozen=True)
class Weights:
    """In grams; before, and after."""

    cup_before_g: float
    pitcher_before_g: float
    cup_after_g: float
    pitcher_after_g: float

    @property
    def poured_g(self) -> float:
        """Into the cup."""
        return max(self.cup_after_g - self.cup_before_g, 0.0)

    @property
    def spilled_g(self) -> float:
        """Out of the pitcher and not in the cup."""
        return max(self.pitcher_before_g - self.pitcher_after_g - self.poured_g, 0.0)


def run_session(plan: TrialPlan, root: Path, ask: Callable[[str], str] = input) -> list[Path]:
    """Returns the folders of all finished trials. Raises UserError with what has to be looked at."""
    policy = load_policy(root / plan.policy)
    out = root / plan.out
    folders = [out / f"trial-{number:03d}" for number in range(len(plan.trials))]
    open_ones = [number for number, folder in enumerate(folders) if not finished(folder)]
    if not open_ones:
        return folders
    scale: Scale = TypedScale(ask) if plan.scale == "typed" else SerialScale(plan.scale, ask)
    print("E-STOP FIRST: keep a hand on it while the arm has power. No program can stop an arm whose computer froze.")
    with ExitStack() as stack:
        camera = stack.enter_context(LiveCamera(plan.camera.source, latency_s=plan.camera.latency_s))
        microphone = stack.enter_context(
            LiveMicrophone(plan.microphone.source, latency_s=plan.microphone.latency_s, memory_s=_MEMORY_S)
        )
        arm = stack.enter_context(KinovaArm(_address(plan), DriverOptions(arm_latency_s=plan.arm.latency_s)))
        lab = RobotLab(plan, arm, camera, microphone, policy.audio_window_s)
        for number in open_ones:
            trial = plan.trials[number]
            cup = vessel_named(plan, trial.cup)
            print(f"\ntrial {number + 1} of {len(plan.trials)}: {trial.cup}, to {100 * trial.goal_fraction:.0f} %")
            cup_g = scale.weigh(f"the empty {trial.cup}")
            pitcher_g = scale.weigh(f"the pitcher with about {trial.fill_g:.0f} g in it")
            lab.fill_ml = trial.fill_g / plan.grams_per_ml
            x_m, y_m = plan.cup_xy_m
            ask(f"put the cup at x = {x_m:g}, y = {y_m:g} m and the pitcher into the hand; hand on the e-stop; Enter: ")
            result = pour(lab, policy, Task(cup, trial.goal_fraction, number), max_duration_s=plan.max_duration_s)
            sound = microphone.ring.window(lab.began_s + len(lab.steps) / lab.rate_hz, len(lab.steps) / lab.rate_hz)
            ask("take cup and pitcher out of the cell; Enter: ")
            weights = Weights(
                cup_g, pitcher_g, scale.weigh(f"the {trial.cup} with what is in it"), scale.weigh("the pitcher")
            )
            with output_folder(folders[number]) as folder:
                _record(folder, number, trial, plan, lab, policy, result, weights, sound)
            print(f"poured {weights.poured_g:.0f} g, asked for {_goal_g(plan, trial):.0f} g, {result.outcome}")
    return folders


def _address(plan: TrialPlan) -> Address:
    return Address(
        host=plan.arm.host,
        port=plan.arm.port,
        udp_port=plan.arm.udp_port,
        client=plan.arm.client,
        username=plan.arm.username,
        password=os.environ.get(PASSWORD, "admin"),
    )


def _goal_g(plan: TrialPlan, trial: PlannedTrial) -> float:
    return trial.goal_fraction * vessel_named(plan, trial.cup).capacity_ml * plan.grams_per_ml


def _record(
    folder: Path,
    number: int,
    planned: PlannedTrial,
    plan: TrialPlan,
    lab: RobotLab,
    policy: Policy,
    result: Pour,
    weights: Weights,
    sound: np.ndarray,
) -> None:
    """The row of the table, and the episode in the layout of the training data."""
    cup, per_ml = vessel_named(plan, planned.cup), plan.grams_per_ml
    trial = Trial(
        trial=number,
        ablation=Path(plan.policy).name,
        lab=lab.name,
        container=cup.name,
        opaque=cup.opaque,
        goal_fraction=planned.goal_fraction,
        target_ml=planned.goal_fraction * cup.capacity_ml,
        capacity_ml=cup.capacity_ml,
        poured_ml=weights.poured_g / per_ml,
        spilled_ml=weights.spilled_g / per_ml,
        in_pitcher_ml=max(planned.fill_g - weights.pitcher_before_g + weights.pitcher_after_g, 0.0) / per_ml,
        duration_s=result.duration_s,
        outcome=result.outcome,
        seed=number,
    )
    extra = {
        "weights": asdict(weights),
        "operator": plan.operator,
        "sound_gaps": lab.microphone.ring.gaps,
        "sound_overflows": lab.microphone.overflows,
    }
    write_json(folder / TRIAL, {"trial": asdict(trial), **extra})
    steps = lab.steps
    blank = np.zeros((len(steps), plan.image_px, plan.image_px), np.uint8)

    def curve(values: Sequence[float]) -> np.ndarray:
        return np.array(values, np.float32)

    poured = curve([step.poured_ml for step in steps])
    level_m = curve([cup.level_at(1e-6 * min(float(ml), cup.capacity_ml)) for ml in poured])
    episode = Episode(
        episode_id=f"{trial.ablation}-{number:03d}",
        seed=number,
        rate_hz=lab.rate_hz,
        rgb=np.stack([step.rgb for step in steps]),
        # Nobody drew masks of a real room.
        masks_plain=blank,
        masks_amodal=blank,
        joints_rad=np.stack([step.joints_rad for step in steps]),
        actions=np.stack([step.action for step in steps]),
        tilt_rad=curve([step.tilt_rad for step in steps]),
        poured_ml=poured,
        spilled_ml=np.zeros_like(poured),
        flow_ml_s=np.diff(poured, prepend=poured[:1]) * np.float32(lab.rate_hz),
        level_m=level_m,
        fall_height_m=curve([step.lip_height_m for step in steps]) - cup.wall_m - level_m,
        goal_fraction=planned.goal_fraction,
        receiver=cup,
        pitcher=lab.setup.pitcher,
        liquid=lab.setup.liquid,
        scene={"lab": lab.name, "poured_is_estimated_from_tilt": True, **extra},
    )
    samples = round(len(steps) * SAMPLE_RATE_HZ / lab.rate_hz)
    track = np.zeros(samples, np.float32)
    track[: min(samples, len(sound))] = sound[:samples]
    write_shard(folder / "episode", [episode], [Soundtrack(episode.episode_id, track, "physical")])
