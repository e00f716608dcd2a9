"""The lab with a real arm: the driver, a live camera and a live microphone. The scale is read before and after.

While it pours, what is in the cup is estimated from how far the pitcher was tilted; only the judge of when a trial is
over uses that, and the weights replace it.
"""

import time
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.errors import UserError
from multigen_core.lab.arm_body import ArmBody
from multigen_core.lab.conditions import LAB_RANGES
from multigen_core.lab.kinova import KinovaArm
from multigen_core.lab.live_camera import LiveCamera, square_view
from multigen_core.lab.live_microphone import LiveMicrophone
from multigen_core.lab.robot import Readings, Task
from multigen_core.lab.trial_plan import TrialPlan, vessel_named
from multigen_core.records import ACTION_SPEC, Observation
from multigen_core.simulation.placement import clear_tilt_rad, mouth_centre_m
from multigen_core.simulation.randomisation import draw_setup
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.tilted import held_ml

__all__ = ["RobotLab", "Step"]

_DRIP_S = 2.0


@dataclass(frozen=True)
class Step:
    """One row of a recording: what was seen and known when the action was sent."""

    rgb: UInt8[np.ndarray, "H W 3"]
    joints_rad: Float32[np.ndarray, "7"]
    action: Float32[np.ndarray, "3"]
    tilt_rad: float
    lip_height_m: float
    """Of the pouring lip above the table."""
    poured_ml: float
    """Estimated."""


@dataclass
class RobotLab:
    """A member of the family of labs (contract: ``lab.robot.Lab``)."""

    plan: TrialPlan
    arm: KinovaArm
    camera: LiveCamera
    microphone: LiveMicrophone
    audio_window_s: float
    fill_ml: float = 0.0
    """In the pitcher of the next trial."""
    rate_hz: float = ACTION_SPEC.rate_hz
    steps: list[Step] = field(default_factory=list)

    @property
    def name(self) -> str:
        """A trial with the emulator is not one of the robot."""
        return "kinova_gen3" if self.plan.arm.client == "kortex_api" else "gen3_emulator"

    @property
    def arm_latency_s(self) -> float:
        return self.plan.arm.latency_s

    @property
    def began_s(self) -> float:
        """Start of the recording on the monotonic clock."""
        return self._began_s

    def start(self, task: Task) -> Readings:
        self._task, self.setup = task, self._setup(task)
        self._body = ArmBody(self.setup.pitcher)
        self._posture = self.arm.begin(self.setup)
        self._before, self._tilt_rad, self._most_tilt_rad = self._posture, self._body.tilt_rad(self._posture), 0.0
        self._poured_ml = 0.0
        self.steps.clear()
        self._began_s = self._due_s = time.monotonic()
        return self._readings(flow_ml_s=0.0)

    def observe(self) -> Observation:
        if self.camera.ended:
            raise UserError(f"the camera was lost ({self.camera.ended}): the trial is void, do it again")
        return Observation(
            rgb=square_view(self.camera.newest().rgb, self.plan.image_px),
            waveform=self.microphone.ring.window(self.microphone.ring.heard_until_s, self.audio_window_s),
            joints_rad=self._posture.astype(np.float32),
            joint_speeds_rad_s=((self._posture - self._before) * self.rate_hz).astype(np.float32),
            goal_fraction=self._task.goal_fraction,
        )

    def act(self, action: Float32[np.ndarray, " 3"]) -> Readings:
        self.steps.append(
            Step(
                rgb=square_view(self.camera.newest().rgb, self.plan.image_px),
                joints_rad=self._posture.astype(np.float32),
                action=np.array(action, np.float32),
                tilt_rad=self._tilt_rad,
                lip_height_m=float(self._body.points_m(self._posture)["rim"][2]),
                poured_ml=self._poured_ml,
            )
        )
        self.arm.act(action)
        now_s = time.monotonic()
        self._due_s = max(self._due_s + 1.0 / self.rate_hz, now_s)
        time.sleep(self._due_s - now_s)
        newest = self.arm.newest()
        self._before = self._posture
        if newest is not None:
            self._posture = newest.posture_rad
        self._tilt_rad = self._body.tilt_rad(self._posture)
        self._most_tilt_rad = max(self._most_tilt_rad, self._tilt_rad)
        before_ml = self._poured_ml
        self._poured_ml = max(self.fill_ml - held_ml(self.setup.pitcher, self._most_tilt_rad), 0.0)
        return self._readings(flow_ml_s=(self._poured_ml - before_ml) * self.rate_hz)

    def finish(self) -> Readings:
        for _ in range(round(_DRIP_S * self.rate_hz)):
            readings = self.act(np.zeros(3, np.float32))
        if not self.arm.faulted:
            self.arm.end()
        return readings

    def _setup(self, task: Task) -> PourSetup:
        """The pour for the driver; what a real room looks like is nobody's draw."""
        pitcher = vessel_named(self.plan, self.plan.pitcher)
        ranges = replace(LAB_RANGES, receivers=(task.receiver,), goal_fraction=(task.goal_fraction,) * 2)
        drawn = draw_setup(task.seed, ranges)
        setup = replace(
            drawn,
            pitcher=pitcher,
            initial_ml=self.fill_ml,
            lip_offset=self.plan.lip_offset_m,
            scene=replace(drawn.scene, receiver_xy_m=self.plan.cup_xy_m),
        )
        setup.require_possible()
        return setup

    def _readings(self, *, flow_ml_s: float) -> Readings:
        lip = self._body.points_m(self._posture)["rim"] - mouth_centre_m(self.setup)
        return Readings(
            time_s=time.monotonic() - self._began_s,
            tilt_rad=self._tilt_rad,
            least_tilt_rad=clear_tilt_rad(self.setup, lip_offset=(float(lip[1]), float(lip[2]))),
            poured_ml=self._poured_ml,
            flow_ml_s=flow_ml_s,
            spilled_ml=0.0,
            in_pitcher_ml=self.fill_ml - self._poured_ml,
            halted=not self.arm.obeys,
        )
