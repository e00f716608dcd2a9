"""A trial carried out once more with everything written down: what was seen, heard, done and believed."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from multigen_core.evaluation.trials import Job, opened_lab
from multigen_core.lab.control import Pour, pour
from multigen_core.lab.emulated import EmulatedLab, Recording
from multigen_core.lab.robot import Readings, Task
from multigen_core.policy.trained import TrainedPolicy, load_policy
from multigen_core.records import ActionSpec, Observation

__all__ = ["Watched", "watch"]


@dataclass(frozen=True)
class Watched:
    """A trial as it went; the same job gives the same trial as without watching."""

    pour: Pour
    recording: Recording
    readings: tuple[Readings, ...]
    """After the start and after every control step."""
    decided_s: Float32[np.ndarray, " decisions"]
    """When the policy decided."""
    believed: Float32[np.ndarray, "decisions 3"]
    """What its auxiliary head told then: ``dataset.windows.AUXILIARY``, in its units."""


def watch(job: Job) -> Watched:
    """Raises MissingInput when the policy is not there."""
    trained = load_policy(job.policy)
    with opened_lab(job, trained, record=True) as lab:
        watched = _Watching(lab)
        policy = _Thinking(trained, watched)
        result = pour(watched, policy, job.task, max_duration_s=job.evaluation.max_duration_s)
        return Watched(
            pour=result,
            recording=lab.recording(),
            readings=tuple(watched.readings),
            decided_s=np.array(policy.decided_s, np.float32),
            believed=np.array(policy.believed, np.float32).reshape(-1, 3),
        )


@dataclass
class _Watching:
    """A lab (contract: ``lab.robot.Lab``) whose readings are kept."""

    lab: EmulatedLab
    readings: list[Readings] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.lab.name

    @property
    def rate_hz(self) -> float:
        return self.lab.rate_hz

    @property
    def arm_latency_s(self) -> float:
        return self.lab.arm_latency_s

    def start(self, task: Task) -> Readings:
        self.readings.append(self.lab.start(task))
        return self.readings[-1]

    def observe(self) -> Observation:
        return self.lab.observe()

    def act(self, action: Float32[np.ndarray, " 3"]) -> Readings:
        self.readings.append(self.lab.act(action))
        return self.readings[-1]

    def finish(self) -> Readings:
        return self.lab.finish()


@dataclass
class _Thinking:
    """A policy (contract: ``policy.contract.Policy``) whose beliefs are kept."""

    policy: TrainedPolicy
    lab: _Watching
    decided_s: list[float] = field(default_factory=list)
    believed: list[Float32[np.ndarray, " 3"]] = field(default_factory=list)

    @property
    def spec(self) -> ActionSpec:
        return self.policy.spec

    @property
    def uses_sight(self) -> bool:
        return self.policy.uses_sight

    @property
    def uses_sound(self) -> bool:
        return self.policy.uses_sound

    @property
    def executed(self) -> int:
        return self.policy.executed

    @property
    def audio_window_s(self) -> float:
        return self.policy.audio_window_s

    def act(self, observation: Observation, seed: int) -> Float32[np.ndarray, "chunk 3"]:
        self.decided_s.append(self.lab.readings[-1].time_s)
        self.believed.append(self.policy.believe(observation))
        return self.policy.act(observation, seed)
