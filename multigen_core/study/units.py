"""What the study consists of: trainings and series of trials, in an order in which the answer comes first."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from multigen_core.experiment import DisturbanceName, FamilyName
from multigen_core.study.protocol import Protocol

__all__ = ["ABLATIONS", "REFERENCES", "ROBUSTNESS", "Phase", "Series", "Training", "phases"]

ABLATIONS = ("vision", "vision_audio", "vision_noise")
REFERENCES = ("audio", "joints")
ROBUSTNESS: tuple[DisturbanceName, ...] = (
    "chatter_20_db",
    "chatter_10_db",
    "chatter_5_db",
    "chatter_0_db",
    "lights_off",
    "camera_covered",
    "microphone_dead",
)
_CLONED = ("vision", "vision_audio")
_SIZED = ("vision_audio", "vision_noise")
_HEARING = "vision_audio"


@dataclass(frozen=True)
class Training:
    """One trained policy."""

    ablation: str
    seed: int
    family: FamilyName = "diffusion"
    episodes: int | None = None
    """The first of the shards' episodes; None: all of them."""

    @property
    def name(self) -> str:
        episodes = "all" if self.episodes is None else f"{self.episodes}"
        return f"{self.ablation}-{self.family}-{episodes}-seed{self.seed}"


@dataclass(frozen=True)
class Series:
    """The first trials of the plan, carried out by one policy."""

    training: Training
    trials: int
    disturbance: DisturbanceName = "none"
    hears_another: bool = False
    """Each trial is played the sound of another one."""

    @property
    def name(self) -> str:
        condition = "another_trial" if self.hears_another else self.disturbance
        return f"{self.training.name}-{condition}"


@dataclass(frozen=True)
class Phase:
    """Series that are carried out together, after their trainings."""

    name: str
    series: tuple[Series, ...]

    @property
    def trainings(self) -> tuple[Training, ...]:
        """Each once, in order."""
        return tuple(dict.fromkeys(series.training for series in self.series))


def phases(protocol: Protocol) -> tuple[Phase, ...]:
    """The whole study."""
    seeds, first = protocol.training_seeds, protocol.training_seeds[0]
    hearing = Training(_HEARING, first)
    return (
        Phase("ablations", _of((Training(*pair) for pair in product(ABLATIONS, seeds)), protocol.trials)),
        Phase("references", _of((Training(*pair) for pair in product(REFERENCES, seeds)), protocol.reference_trials)),
        Phase(
            "listening",
            (
                Series(hearing, protocol.listening_trials, disturbance="pour_muted"),
                Series(hearing, protocol.listening_trials, hears_another=True),
            ),
        ),
        Phase(
            "robustness",
            tuple(Series(hearing, protocol.robustness_trials, disturbance=name) for name in ROBUSTNESS),
        ),
        Phase(
            "sizes",
            _of(
                (Training(name, first, episodes=size) for name, size in product(_SIZED, protocol.sizes)),
                protocol.size_trials,
            ),
        ),
        Phase(
            "families",
            _of((Training(name, first, "behaviour_cloning") for name in _CLONED), protocol.reference_trials),
        ),
    )


def _of(trainings: Iterable[Training], trials: int) -> tuple[Series, ...]:
    return tuple(Series(training, trials) for training in trainings)
