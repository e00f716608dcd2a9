"""What the study does, as ``experiments/protocols/study.yaml`` fixes it before anything is trained."""

from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from multigen_core.errors import ConfigError

__all__ = ["Protocol", "load_protocol"]

Count = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Protocol:
    """Numbers of trainings and trials."""

    training_seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    trials: Count
    """Per training seed of the ablations."""
    reference_trials: Count
    """Per training seed of the references: audio alone, joints alone, behaviour cloning."""
    sizes: tuple[Annotated[int, Field(ge=2, strict=True)], ...]
    """Training episodes of Figure 4b, beside all of them."""
    size_trials: Count
    robustness_trials: Count
    """Per disturbance."""
    listening_trials: Count


def load_protocol(path: Path) -> Protocol:
    """Raises ConfigError naming the key, its value and what is allowed."""
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: pass --protocol FILE or run from the project root")
    try:
        return TypeAdapter(Protocol).validate_python(YAML(typ="safe").load(path.read_text()))
    except YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        dotted = ".".join(str(part) for part in problem["loc"]) or "the file"
        message = problem["msg"][0].lower() + problem["msg"][1:]
        raise ConfigError(f"{path}: {dotted} is {problem['input']!r}; {message}") from error
