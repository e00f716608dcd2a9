"""Where the objects of a clip are, as a person clicked it: what SAM 2 is prompted with.

A YAML file; frames count from 0, pixels are (right, down) in the clip as kept, labels are 1 inside and 0 outside::

    local-kitchen-1a2b3c4d:
      - {object: receiver, frame: 0, points: [[64, 90]], labels: [1]}
      - {object: pourer, frame: 0, box: [70, 8, 120, 60]}
      - {object: liquid, frame: 14, points: [[64, 70]], labels: [1]}

Liquid is not there at first, so it needs a later frame. ``python -m multigen_core.masks prompt`` writes this file.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from multigen_core.errors import ConfigError, MissingInput

__all__ = ["OBJECTS", "Prompt", "checked_prompts", "read_prompts", "require_prompts", "unprompted", "write_prompts"]

OBJECTS = ("pourer", "receiver", "liquid")
Pixel = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Prompt:
    """Where one object is in one frame: points, a box, or both."""

    object: Literal["pourer", "receiver", "liquid"]
    frame: Annotated[int, Field(ge=0)]
    points: tuple[tuple[Pixel, Pixel], ...] = ()
    """(right, down) [px]."""
    labels: tuple[Literal[0, 1], ...] = ()
    """One per point: 1 inside the object, 0 outside."""
    box: tuple[Pixel, Pixel, Pixel, Pixel] | None = None
    """Left, top, right, bottom [px]."""

    def __post_init__(self) -> None:
        if len(self.points) != len(self.labels):
            raise ValueError(f"{len(self.points)} points have {len(self.labels)} labels; give one label per point")
        if not self.points and self.box is None:
            raise ValueError("a prompt needs points or a box")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError(f"box {list(self.box)} is empty; give left, top, right, bottom")


def read_prompts(path: Path) -> dict[str, tuple[Prompt, ...]]:
    """The prompts of every clip in the file; none when there is no file.

    Raises ConfigError when it cannot be understood.
    """
    if not path.is_file():
        return {}
    try:
        values = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())[:200]}") from error
    return {clip_id: _one_per_frame(path, clip_id, prompts) for clip_id, prompts in _validated(values, path).items()}


def checked_prompts(values: Any, place: Path) -> tuple[Prompt, ...]:
    """The prompts of one clip from plain values. Raises ConfigError naming ``place``."""
    return _one_per_frame(place, "clip", _validated({"clip": values}, place)["clip"])


def unprompted(prompts: Mapping[str, tuple[Prompt, ...]], clip_ids: Sequence[str]) -> dict[str, Collection[str]]:
    """Clip -> the objects that it needs and has no prompt for: a receiver and liquid."""
    named = {clip_id: {prompt.object for prompt in prompts.get(clip_id, ())} for clip_id in clip_ids}
    lacking = {clip_id: sorted({"receiver", "liquid"} - objects) for clip_id, objects in named.items()}
    return {clip_id: objects for clip_id, objects in lacking.items() if objects}


def write_prompts(path: Path, clip_id: str, prompts: Sequence[Prompt]) -> None:
    """Puts one clip's prompts into the file in the place of those it had; other clips stay, and so do comments.

    Raises ConfigError when the file that is there cannot be understood.
    """
    read_prompts(path)
    yaml = YAML()
    yaml.width, yaml.default_flow_style = 120, None
    tree = (yaml.load(path.read_text(encoding="utf-8")) if path.is_file() else None) or {}
    tree[clip_id] = [_plain(prompt) for prompt in prompts]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)
    beside.replace(path)


def _plain(prompt: Prompt) -> dict[str, Any]:
    """As YAML writes it, without what is empty."""
    values = {name: value for name, value in asdict(prompt).items() if value not in ((), None)}
    for name in ("points", "labels", "box"):
        if name in values:
            values[name] = [list(item) if isinstance(item, tuple) else item for item in values[name]]
    return values


def _validated(values: Any, path: Path) -> dict[str, tuple[Prompt, ...]]:
    try:
        return TypeAdapter(dict[str, tuple[Prompt, ...]]).validate_python({} if values is None else values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ConfigError(f"{path}: {place}: {problem['msg']}") from error


def _one_per_frame(path: Path, clip_id: str, prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """SAM 2 forgets the first of two prompts of one object in one frame."""
    seen: set[tuple[str, int]] = set()
    for prompt in prompts:
        if (prompt.object, prompt.frame) in seen:
            raise ConfigError(
                f"{path}: {clip_id} has two prompts for {prompt.object} in frame {prompt.frame}: "
                "put their points into one"
            )
        seen.add((prompt.object, prompt.frame))
    return prompts


def require_prompts(path: Path, prompts: Mapping[str, tuple[Prompt, ...]], clip_ids: Sequence[str]) -> None:
    """Raises MissingInput naming the first clip whose receiver or liquid nobody has prompted."""
    for clip_id, objects in unprompted(prompts, clip_ids).items():
        raise MissingInput(
            f"{path} has no prompt for {', '.join(objects)} of clip {clip_id!r}: add one with "
            f"`python -m multigen_core.masks prompt {clip_id}`, or set masks.sam2.automatic_prompts to true"
        )
