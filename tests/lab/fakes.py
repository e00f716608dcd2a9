"""A lab of arithmetic and policies that follow a script: for tests of the control loop alone."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from multigen_core.lab.robot import Readings, Task
from multigen_core.records import ACTION_SPEC, SAMPLE_RATE_HZ, ActionSpec, Observation
from tests.pours import made_up_cup

__all__ = ["TASK", "FakeLab", "ScriptedPolicy"]

TASK = Task(receiver=made_up_cup(), goal_fraction=0.5, seed=3)


@dataclass
class FakeLab:
    """Pours 100 ml/s while tilted beyond 60 degrees; of the sent actions only the tilt rate matters."""

    arm_latency_s: float = 0.0
    in_pitcher_ml: float = 300.0
    start_tilt_rad: float = 0.4
    least_tilt_rad: float = 0.35
    name: str = "fake"
    rate_hz: float = 10.0
    sent: list[np.ndarray] = field(default_factory=list)

    def start(self, task: Task) -> Readings:
        self._time_s, self._tilt_rad, self._poured_ml = 0.0, self.start_tilt_rad, 0.0
        self._flow_ml_s = 0.0
        self._goal_fraction = task.goal_fraction
        return self._readings()

    def observe(self) -> Observation:
        return Observation(
            rgb=np.zeros((32, 32, 3), np.uint8),
            waveform=np.zeros(SAMPLE_RATE_HZ, np.float32),
            joints_rad=np.full(7, self._time_s, np.float32),
            joint_speeds_rad_s=np.zeros(7, np.float32),
            goal_fraction=self._goal_fraction,
        )

    def act(self, action: np.ndarray) -> Readings:
        self.sent.append(action)
        self._tilt_rad += float(action[2]) / self.rate_hz
        self._time_s += 1.0 / self.rate_hz
        flowing_ml = min(10.0, self.in_pitcher_ml) if self._tilt_rad > np.radians(60.0) else 0.0
        self.in_pitcher_ml -= flowing_ml
        self._poured_ml += flowing_ml
        self._flow_ml_s = flowing_ml * self.rate_hz
        return self._readings()

    def finish(self) -> Readings:
        return self._readings()

    def _readings(self) -> Readings:
        return Readings(
            time_s=self._time_s,
            tilt_rad=self._tilt_rad,
            least_tilt_rad=self.least_tilt_rad,
            poured_ml=self._poured_ml,
            flow_ml_s=self._flow_ml_s,
            spilled_ml=0.0,
            in_pitcher_ml=self.in_pitcher_ml,
        )


@dataclass
class ScriptedPolicy:
    """Predicts the tilt rate that a script gives for each coming moment."""

    script: Callable[[float], float]
    """Time [s] since the start -> tilt rate [rad/s]."""
    executed: int = 2
    chunk: int = 16
    spec: ActionSpec = ACTION_SPEC
    uses_sight: bool = False
    uses_sound: bool = False
    audio_window_s: float = 1.0
    seeds: list[int] = field(default_factory=list)

    def act(self, observation: Observation, seed: int) -> np.ndarray:
        self.seeds.append(seed)
        actions = np.zeros((self.chunk, 3), np.float32)
        now_s = float(observation.joints_rad[0])
        actions[:, 2] = [self.script(now_s + step / 10.0) for step in range(self.chunk)]
        return actions
