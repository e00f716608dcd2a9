"""The emulated lab: the simulated arm and liquid, unseen cups under unseen lights, physical sound, and real latencies.

It stands in for a robot where there is none. Its sound is physics (``acoustics``), computed from the true flow, air
column and fall height of every control step: nothing that the audio model learned is played here.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.acoustics.sound_scene import draw_sound_scene
from multigen_core.acoustics.synthesiser import StreamingSynthesiser
from multigen_core.experiment import Episodes, Evaluation
from multigen_core.lab.conditions import CONDITIONS
from multigen_core.lab.disturbances import DISTURBANCES, DisturbedSenses, Played, Sounding
from multigen_core.lab.robot import Readings, Task
from multigen_core.lab.sensors import ActionLine, Camera, Microphone
from multigen_core.records import Observation
from multigen_core.simulation.placement import clear_tilt_rad, mouth_centre_m
from multigen_core.simulation.randomisation import draw_setup
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.world import PouringWorld, WorldState

__all__ = ["EmulatedLab", "Recording"]

_SETTLE_S = 2.0
"""Longest wait for the last drops."""
_STILL_ML = 0.5
"""In flight: less than this will not change a reading."""


@dataclass(frozen=True)
class Recording:
    """A trial to look at and listen to: without latencies, picture and sound together."""

    rgb: list[UInt8[np.ndarray, "H W 3"]]
    waveform: Float32[np.ndarray, " S"]
    """What the lab's microphone heard."""
    rate_hz: float


class EmulatedLab:
    """A member of the family of labs (contract: ``lab.robot.Lab``)."""

    name = "emulated"

    def __init__(
        self,
        episodes: Episodes,
        evaluation: Evaluation,
        *,
        audio_window_s: float,
        look_every: int,
        record: bool = False,
        played: Played | None = None,
    ) -> None:
        """``look_every``: control steps between decisions; the camera renders no more often unless ``record``.

        ``played``: the microphone hears this trial instead of the one it stands beside.
        """
        self.rate_hz = episodes.rate_hz
        self.arm_latency_s = evaluation.arm_latency_s
        self._episodes = episodes
        self._evaluation = evaluation
        self._audio_window_s = audio_window_s
        self._look_every = look_every
        self._record = record
        self._conditions = CONDITIONS[evaluation.conditions]
        self._disturbance = DISTURBANCES[evaluation.disturbance]
        self._played = played

    def start(self, task: Task) -> Readings:
        """Draws everything but cup and goal from the lab's conditions by the task's seed."""
        goal = (task.goal_fraction, task.goal_fraction)
        ranges = replace(self._conditions.ranges, receivers=(task.receiver,), goal_fraction=goal)
        self._receiver, self._goal_fraction = task.receiver, task.goal_fraction
        setup = draw_setup(task.seed, ranges)
        self._world = PouringWorld(setup, self._episodes)
        self._sounding: list[Sounding] = []
        self._sound, pour_level_dbfs = self._sound_of(self._played.task if self._played else task)
        self._senses = DisturbedSenses(
            self._disturbance,
            pour_level_dbfs=pour_level_dbfs,
            samples_per_step=self._sound.samples_per_step,
            seed=task.seed,
        )
        evaluation = self._evaluation
        self._camera = Camera(latency_s=evaluation.camera_latency_s, rate_hz=self.rate_hz, look_every=self._look_every)
        self._microphone = Microphone(latency_s=evaluation.microphone_latency_s, window_s=self._audio_window_s)
        self._take_place(setup)
        self._step = 0
        self._joints_before_rad = self._world.state.joints_rad
        self._frames: list[UInt8[np.ndarray, "H W 3"]] = []
        self._heard: list[Float32[np.ndarray, " samples"]] = []
        # The microphone has been on for a while: the buffer holds the room, not digital silence.
        for _ in range(int(np.ceil(self._microphone.memory_s * self.rate_hz))):
            self._microphone.hear(self._listen(self._world.state))
        self._look()
        return self._readings(self._world.state)

    def observe(self) -> Observation:
        joints_rad = self._world.state.joints_rad
        return Observation(
            rgb=self._camera.newest(self._step),
            waveform=self._microphone.window(),
            joints_rad=joints_rad,
            joint_speeds_rad_s=(joints_rad - self._joints_before_rad) * np.float32(self.rate_hz),
            goal_fraction=self._goal_fraction,
        )

    def act(self, action: Float32[np.ndarray, " 3"]) -> Readings:
        self._joints_before_rad = self._world.state.joints_rad
        state = self._move(action)
        self._step += 1
        self._sounding.append(self._sounding_now(state))
        block = self._listen(state)
        self._microphone.hear(block)
        if self._record:
            self._heard.append(block)
        self._look()
        return self._readings(state)

    def finish(self) -> Readings:
        readings = self._readings(self._world.state)
        for _ in range(round(_SETTLE_S * self.rate_hz)):
            readings = self.act(np.zeros(3, np.float32))
            if self._world.state.in_flight_ml < _STILL_ML:
                break
        return readings

    def recording(self) -> Recording:
        """The trial so far; frames and sound are kept only with ``record``."""
        frames = self._frames[1:]
        sound = np.concatenate(self._heard) if self._heard else np.zeros(0, np.float32)
        return Recording(rgb=frames, waveform=sound, rate_hz=self.rate_hz)

    def sounding(self) -> tuple[Sounding, ...]:
        """What was to be heard in every control step so far."""
        return tuple(self._sounding)

    def _take_place(self, setup: PourSetup) -> None:
        """The arm holds the pitcher where the pour begins."""
        self._actions = ActionLine(latency_s=self.arm_latency_s, rate_hz=self.rate_hz)

    def _move(self, action: Float32[np.ndarray, " 3"]) -> WorldState:
        """One control step of the arm and the liquid."""
        return self._world.step(self._actions.send(action))

    @property
    def _halted(self) -> bool:
        """Whether the arm will not move any more."""
        return False

    def _look(self) -> None:
        due = self._camera.due(self._step)
        if not (due or self._record):
            return
        rgb = self._senses.seen(self._world.rgb())
        if due:
            self._camera.take(self._step, rgb)
        if self._record:
            self._frames.append(rgb)

    def _sound_of(self, task: Task) -> tuple[StreamingSynthesiser, float]:
        """The microphone beside a cup in a room of the lab, and how loud a typical pour is there [dBFS]."""
        rng = np.random.default_rng([task.seed, 1])
        scene = draw_sound_scene(rng, task.receiver.material, self._conditions.sound)
        synthesiser = StreamingSynthesiser(
            scene,
            radius_m=task.receiver.mouth_radius_m,
            height_m=task.receiver.height_m,
            seed=int(rng.integers(2**31)),
            rate_hz=self.rate_hz,
        )
        return synthesiser, scene.level_dbfs

    def _listen(self, state: WorldState) -> Float32[np.ndarray, " samples"]:
        """The physical sound of the step that led to ``state``, as the microphone takes it."""
        sounding = self._sounding_now(state)
        if self._played is not None:
            sounding = self._played.at(self._step)
        if self._disturbance.pour_muted:
            sounding = (0.0, *sounding[1:])
        return self._senses.heard(self._sound.step(*sounding))

    def _sounding_now(self, state: WorldState) -> Sounding:
        return state.flow_ml_s, self._receiver.height_m - state.level_m, state.fall_height_m

    def _readings(self, state: WorldState) -> Readings:
        lip_offset = state.lip_position_m - mouth_centre_m(self._world.setup)
        return Readings(
            time_s=state.time_s,
            tilt_rad=state.tilt_rad,
            least_tilt_rad=clear_tilt_rad(self._world.setup, lip_offset=(float(lip_offset[1]), float(lip_offset[2]))),
            poured_ml=state.poured_ml,
            flow_ml_s=state.flow_ml_s,
            spilled_ml=state.spilled_ml,
            in_pitcher_ml=state.in_pitcher_ml,
            halted=self._halted,
        )
