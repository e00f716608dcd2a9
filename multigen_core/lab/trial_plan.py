"""What an operator is to do, trial by trial: a YAML file, validated before anything moves."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from multigen_core.containers import Container, Material
from multigen_core.errors import ConfigError
from multigen_core.lab.conditions import LAB_PITCHERS
from multigen_core.lab.receivers import LAB_RECEIVERS

__all__ = ["ArmPlan", "SensorPlan", "TrialPlan", "Vessel", "load_plan", "vessel_named"]

_STRICT = ConfigDict(extra="forbid")
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=_STRICT)
class ArmPlan:
    """Where the arm is. The password is in the environment variable ``KINOVA_PASSWORD``."""

    host: str
    client: Literal["kortex_api", "wire"] = "kortex_api"
    """``wire`` is for the emulator."""
    port: int = 10_000
    udp_port: int | None = 10_001
    username: str = "admin"
    latency_s: NotNegative = 0.18


@dataclass(frozen=True, config=_STRICT)
class SensorPlan:
    """A camera or a microphone."""

    source: str
    latency_s: NotNegative


@dataclass(frozen=True, config=_STRICT)
class Vessel:
    """A cup or pitcher of the lab, measured with a ruler: inner (height [m], radius [m]) from bottom to rim."""

    profile: tuple[tuple[float, float], ...]
    material: Material
    opaque: bool
    wall_m: Positive = 0.002


@dataclass(frozen=True, config=_STRICT)
class PlannedTrial:
    """One pour."""

    cup: str
    goal_fraction: Annotated[float, Field(gt=0, le=1)]
    fill_g: Positive
    """What is filled into the pitcher."""


@dataclass(frozen=True, config=_STRICT)
class TrialPlan:
    """The whole session."""

    policy: str
    """Folder of a trained policy; its name is the ablation."""
    out: str
    """Where trials are recorded: ``data/robot/<ablation>`` is where the evaluation looks."""
    operator: str
    arm: ArmPlan
    camera: SensorPlan
    microphone: SensorPlan
    pitcher: str
    cup_xy_m: tuple[float, float]
    """Where the cup stands, in the frame of the arm's base; the table is at the height of the base."""
    trials: Annotated[tuple[PlannedTrial, ...], Field(min_length=1)]
    scale: str = "typed"
    """``typed``, or a serial device: the weight on it is read when asked for."""
    grams_per_ml: Positive = 1.0
    lip_offset_m: tuple[float, float] = (0.02, 0.06)
    """Where the pouring lip begins, from the middle of the cup's mouth: towards +y, and up."""
    max_duration_s: Positive = 16.0
    image_px: Annotated[int, Field(ge=32, multiple_of=16)] = 96
    vessels: dict[str, Vessel] = Field(default_factory=dict)
    """Cups and pitchers that the project does not know, by name."""


def load_plan(path: Path) -> TrialPlan:
    """Raises ConfigError naming the key, the value and what is allowed."""
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: write a plan as in docs/real_robot.md")
    try:
        plan = TypeAdapter(TrialPlan).validate_python(YAML(typ="safe").load(path.read_text()))
    except YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ConfigError(
            f"{path}: {key} is {problem['input']!r}; {problem['msg'][0].lower() + problem['msg'][1:]}"
        ) from error
    for name in (plan.pitcher, *(trial.cup for trial in plan.trials)):
        vessel_named(plan, name)
    if not plan.operator.strip():
        raise ConfigError(f"{path}: operator is empty; somebody has to have a hand on the emergency stop: write who")
    return plan


def vessel_named(plan: TrialPlan, name: str) -> Container:
    """A cup or pitcher of the plan or of the emulated lab. Raises ConfigError when there is none."""
    if name in plan.vessels:
        own = plan.vessels[name]
        return Container(name, own.profile, own.material, own.opaque, (0.5, 0.5, 0.5), own.wall_m)
    for known in (*LAB_RECEIVERS, *LAB_PITCHERS):
        if known.name == name:
            return known
    names = ", ".join([*plan.vessels, *(known.name for known in (*LAB_RECEIVERS, *LAB_PITCHERS))])
    raise ConfigError(f"there is no vessel {name!r}; known are {names}; describe it under `vessels`")
