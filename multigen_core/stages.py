"""The table of stages: what each reads, runs and writes. Dagster, DVC and the command line all follow it."""

import hashlib
import importlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from multigen_core.errors import ConfigError, MissingInput
from multigen_core.experiment import Episodes, Experiment, Policy
from multigen_core.progress import Progress
from multigen_core.records import Summary
from multigen_core.storage import SUMMARY, finished, output_folder, replace_text, write_json

__all__ = [
    "JOURNAL",
    "STAGES",
    "Inputs",
    "Stage",
    "code_version",
    "execute",
    "output_of",
    "partitions_of",
    "stage_named",
]

CODE = Path(__file__).parent
JOURNAL = Path(".multigen/journal")
"""Wall time of each stage and where it was recorded; beside the outputs, since their bytes must not depend on it."""


@dataclass(frozen=True)
class Inputs:
    """What a stage reads."""

    root: Path
    """Project root, for the few paths that params name."""
    folders: Mapping[str, tuple[Path, ...]]
    """Upstream stage -> its output folders: all partitions, or the matching one."""
    partition: str | None
    """The stage's own partition."""

    def one(self, stage: str) -> Path:
        """The only folder of an upstream stage."""
        (folder,) = self.folders[stage]
        return folder


Run = Callable[[Experiment, Inputs, Path, Progress], Summary]


@dataclass(frozen=True)
class Stage:
    """One row of the table."""

    name: str
    run: str
    """``module:function``, imported when the stage runs: nobody waits for torch to learn that a key is wrong."""
    output: str
    """Folder below the project root; ``{partition}`` is filled in."""
    inputs: tuple[str, ...] = ()
    partitions: Literal["shard", "ablation"] | None = None
    params: tuple[str, ...] = ()
    """Sections of params.yaml, and keys of them, that decide the output, besides ``seed``."""
    code: tuple[str, ...] = ()
    """Folders and modules of ``multigen_core`` whose change makes the output stale."""


_ONE_SHARD = tuple(f"episodes.{field.name}" for field in fields(Episodes) if field.name != "shards")
_ONE_POLICY = tuple(f"policy.{field.name}" for field in fields(Policy) if field.name != "ablations")
"""How many there are does not change one of them: more shards, or another ablation, leave the others alone."""

STAGES: tuple[Stage, ...] = (
    Stage(
        "clips",
        "multigen_core.clips.curation:run",
        "data/clips",
        params=("clips",),
        code=("acoustics", "clips", "simulation", "containers.py", "media.py", "palette.py"),
    ),
    Stage(
        "segmenter",
        "multigen_core.masks.segmenter:run",
        "models/segmenter",
        params=("segmenter", "masks"),
        code=("simulation", "masks", "containers.py", "media.py", "palette.py", "trainer.py"),
    ),
    Stage(
        "masks",
        "multigen_core.masks.annotation:run",
        "data/masks",
        inputs=("clips", "segmenter"),
        params=("masks", "clips"),
        code=("masks", "containers.py", "media.py", "palette.py", "trainer.py"),
    ),
    Stage(
        "audio_model",
        "multigen_core.audio_model.finetune:run",
        "models/audio",
        inputs=("clips", "masks"),
        params=("audio_model", "clips"),
        code=("audio_model", "media.py", "palette.py", "spectrogram.py", "trainer.py"),
    ),
    Stage(
        "episodes",
        "multigen_core.simulation.episodes:run",
        "data/episodes/shard={partition}",
        partitions="shard",
        params=_ONE_SHARD,
        code=("simulation", "dataset", "containers.py", "media.py", "palette.py", "spectrogram.py"),
    ),
    Stage(
        "audiovisual",
        "multigen_core.dub.audiovisual:run",
        "data/audiovisual/shard={partition}",
        inputs=("episodes", "audio_model"),
        partitions="shard",
        code=(
            "dub",
            "audio_model",
            "dataset",
            "containers.py",
            "media.py",
            "palette.py",
            "spectrogram.py",
            "trainer.py",
        ),
    ),
    Stage(
        "noise_augmented",
        "multigen_core.dub.noise_augmented:run",
        "data/noise_augmented/shard={partition}",
        inputs=("episodes",),
        partitions="shard",
        params=("noise_augmented",),
        code=("dub", "dataset", "containers.py", "media.py", "spectrogram.py"),
    ),
    Stage(
        "audio_report",
        "multigen_core.audio_model.report:run",
        "reports/audio",
        inputs=("audio_model", "audiovisual", "noise_augmented"),
        params=("audio_report",),
        code=(
            "acoustics",
            "audio_model",
            "dataset",
            "containers.py",
            "media.py",
            "palette.py",
            "spectrogram.py",
            "trainer.py",
        ),
    ),
    Stage(
        "policy",
        "multigen_core.policy.train:run",
        "models/policy/{partition}",
        inputs=("segmenter", "audiovisual", "noise_augmented"),
        partitions="ablation",
        params=_ONE_POLICY,
        code=("policy", "masks", "dataset", "containers.py", "media.py", "palette.py", "spectrogram.py", "trainer.py"),
    ),
    Stage(
        "evaluation",
        "multigen_core.evaluation.trials:run",
        "reports/evaluation/{partition}",
        inputs=("policy",),
        partitions="ablation",
        params=("evaluation", *_ONE_SHARD),
        code=(
            "acoustics",
            "evaluation",
            "lab",
            "policy",
            "simulation",
            "containers.py",
            "media.py",
            "palette.py",
            "spectrogram.py",
            "trainer.py",
        ),
    ),
    Stage(
        "report",
        "multigen_core.evaluation.report:run",
        "reports/summary",
        inputs=("clips", "masks", "audio_model", "audiovisual", "audio_report", "policy", "evaluation"),
        params=("evaluation", "policy"),
        code=(
            "acoustics",
            "audio_model",
            "evaluation",
            "containers.py",
            "media.py",
            "palette.py",
            "spectrogram.py",
            "trainer.py",
        ),
    ),
)


def stage_named(name: str) -> Stage:
    """Raises ConfigError when there is no such stage."""
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise ConfigError(f"unknown stage {name!r}; stages are {', '.join(stage.name for stage in STAGES)}")


def partitions_of(stage: Stage, experiment: Experiment) -> tuple[str, ...] | tuple[None]:
    """The stage's partition keys; ``(None,)`` when it has none."""
    if stage.partitions == "shard":
        return experiment.episodes.shards
    if stage.partitions == "ablation":
        return experiment.policy.ablations
    return (None,)


def output_of(stage: Stage, partition: str | None) -> Path:
    """Where the stage writes, relative to the project root."""
    return Path(stage.output.format(partition=partition))


def gather_inputs(stage: Stage, experiment: Experiment, partition: str | None, root: Path) -> Inputs:
    """Finds the finished output folders that a stage reads.

    Raises ConfigError for an unknown partition, MissingInput naming the stage to run first.
    """
    known = partitions_of(stage, experiment)
    if partition not in known:
        allowed = ", ".join(str(key) for key in known) if stage.partitions else "none: leave --partition out"
        raise ConfigError(f"stage {stage.name!r} has no partition {partition!r}; allowed: {allowed}")
    folders: dict[str, tuple[Path, ...]] = {}
    for name in stage.inputs:
        upstream = stage_named(name)
        same = upstream.partitions is not None and upstream.partitions == stage.partitions
        keys = (partition,) if same else partitions_of(upstream, experiment)
        for key in keys:
            if not finished(root / output_of(upstream, key)):
                call = f"python -m multigen_core {name}" + (f" --partition {key}" if key else "")
                raise MissingInput(f"stage {stage.name!r} needs the output of {name!r}: run `{call}` first")
        folders[name] = tuple(root / output_of(upstream, key) for key in keys)
    return Inputs(root=root, folders=folders, partition=partition)


def code_version(stage: Stage) -> str:
    """A digest of the code that decides the stage's output."""
    digest = hashlib.sha256()
    for name in stage.code:
        place = CODE / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(CODE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def execute(
    stage: Stage, experiment: Experiment, partition: str | None, *, root: Path, progress: Progress
) -> tuple[Path, Summary]:
    """Runs one stage and puts its output folder in place whole; returns the folder and the figures.

    Raises the stage's own errors; then the earlier output, if any, is untouched.
    """
    inputs = gather_inputs(stage, experiment, partition, root)
    module, function = stage.run.split(":")
    run: Run = getattr(importlib.import_module(module), function)
    place = root / output_of(stage, partition)
    started_s = time.monotonic()
    with output_folder(place) as out:
        summary = run(experiment, inputs, out, progress)
        write_json(out / SUMMARY, summary)
    journal = root / JOURNAL / (stage.name + (f"@{partition}" if partition else "") + ".json")
    journal.parent.mkdir(parents=True, exist_ok=True)
    replace_text(journal, json.dumps({"wall_s": round(time.monotonic() - started_s, 1)}))
    return place, summary
