"""``params.yaml``: read and changed, and what is wrong with it said in one sentence."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from multigen_core.errors import ConfigError
from multigen_core.experiment import Experiment

__all__ = ["load", "override"]

_UNKNOWN_KEY = {"unexpected_keyword_argument", "extra_forbidden"}


def load(path: Path) -> Experiment:
    """Reads and validates a params file.

    Raises ConfigError naming the key, the value and what is allowed.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: pass --params FILE or run from the project root")
    try:
        values = YAML(typ="safe").load(path.read_text())
    except YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return _validate(values, path)


def override(path: Path, assignments: list[str], out: Path) -> None:
    """Writes ``out``: the params file with ``a.b=value`` assignments made, comments kept, validated.

    Raises ConfigError when a key does not exist or the result is not valid; then nothing is written.
    """
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 120, True
    tree = yaml.load(path.read_text())
    for assignment in assignments:
        dotted, equals, text = assignment.partition("=")
        keys = dotted.split(".")
        node = tree
        for key in keys[:-1]:
            node = node.get(key, {}) if isinstance(node, dict) else {}
        if not equals or not isinstance(node, dict) or keys[-1] not in node:
            raise ConfigError(f"cannot set {assignment!r}: write key.subkey=value with a key that {path} has")
        node[keys[-1]] = YAML(typ="safe").load(text)
    _validate(tree, path)
    with out.open("w") as stream:
        yaml.dump(tree, stream)


def _validate(values: Any, path: Path) -> Experiment:
    try:
        return TypeAdapter(Experiment).validate_python(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(error)}") from error


def _sentence(error: ValidationError) -> str:
    """The worst problem in words, with the dotted path of its key: an unknown key explains the one that is missing."""
    problem = min(error.errors(), key=lambda one: one["type"] not in _UNKNOWN_KEY)
    dotted = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] in _UNKNOWN_KEY:
        return f"unknown key {dotted!r}; allowed here: {', '.join(_siblings(problem['loc']))}"
    if problem["type"] in {"missing", "missing_argument"}:
        return f"key {dotted!r} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{dotted} is {problem['input']!r}; {message}"


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys allowed beside the last one of ``location``."""
    kind: Any = Experiment
    for part in location[:-1]:
        kind = {field.name: field.type for field in fields(kind)}[str(part)]
    return [field.name for field in fields(kind)]
