"""What must hold in every output, whatever the params: the laws behind the blocking asset checks.

A law reads a finished output folder and returns one sentence per violation; no sentence means that it holds.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigen_core.experiment import Experiment

if TYPE_CHECKING:
    import numpy as np

    from multigen_core.dataset.lerobot import Shard

__all__ = ["LAWS", "SILENCE_DBFS", "Law", "curve_violations", "trial_violations"]

SILENCE_DBFS = -70.0
"""Mean level below which a sound counts as silent; 16-bit noise lies near -98 dBFS, a quiet room near -60."""
MASS_TOLERANCE_ML = 5.0
"""Liquid that may seem to appear or vanish between two curves of an episode: drops at the rim are counted late."""

REPORTED = ("profile", "lab", "embedded", "git_commit", "ablations", "audio", "wall_s")
"""Keys of the report's summary that people and scripts read."""

Broken = Callable[[Path, Experiment], Iterator[str]]


@dataclass(frozen=True)
class Law:
    """A rule for one stage's output."""

    name: str
    statement: str
    broken: Broken


def _catalogue_schema(folder: Path, experiment: Experiment) -> Iterator[str]:
    from pandera.errors import SchemaError, SchemaErrors

    from multigen_core.clips.catalogue import read_catalogue

    try:
        catalogue = read_catalogue(folder)
    except (SchemaError, SchemaErrors) as error:
        yield " ".join(str(error).split())
        return
    for clip_id in catalogue["clip_id"]:
        for suffix in ("mp4", "flac"):
            if not (folder / "media" / f"{clip_id}.{suffix}").is_file():
                yield f"clip {clip_id} is in the catalogue but media/{clip_id}.{suffix} is not there"


def _clips_audible(folder: Path, experiment: Experiment) -> Iterator[str]:
    from multigen_core.clips.catalogue import read_catalogue

    catalogue = read_catalogue(folder)
    for clip_id, level_dbfs in zip(catalogue["clip_id"], catalogue["level_dbfs"], strict=True):
        if not level_dbfs > SILENCE_DBFS:
            yield f"clip {clip_id} has a level of {level_dbfs:.1f} dBFS"


def _mask_per_clip(folder: Path, experiment: Experiment) -> Iterator[str]:
    import pandas as pd

    for clip_id in pd.read_parquet(folder / "quality.parquet")["clip_id"]:
        if not (folder / f"{clip_id}.mp4").is_file():
            yield f"clip {clip_id} has a quality row but no mask video"


def _finite_weights(folder: Path, experiment: Experiment) -> Iterator[str]:
    import torch
    from safetensors.torch import load_file

    paths = sorted(folder.rglob("*.safetensors"))
    skipped = json.loads((folder / "summary.json").read_text()).get("skipped", False)
    if not paths and not skipped:
        yield "there are no weights (*.safetensors)"
    for path in paths:
        for name, weights in load_file(path).items():
            if weights.is_floating_point() and not torch.isfinite(weights).all():
                yield f"{path.name}: {name} has weights that are not finite"


def _model_sounds(folder: Path, experiment: Experiment) -> Iterator[str]:
    from multigen_core.audio_model.contract import load_audio_model
    from multigen_core.audio_model.probe import faults

    yield from faults(load_audio_model(folder), experiment.audio_model.most_clipped)


def _model_listens(folder: Path, experiment: Experiment) -> Iterator[str]:
    from multigen_core.audio_model.probe import deafness

    yield from deafness(folder / "curve.parquet", experiment.audio_model.least_mask_gain)


def _episode_lengths(folder: Path, experiment: Experiment) -> Iterator[str]:
    from multigen_core.dataset.features import VIDEOS
    from multigen_core.dataset.lerobot import Shard

    shard = Shard(folder)
    if len(shard) != experiment.episodes.per_shard:
        yield f"there are {len(shard)} episodes, episodes.per_shard is {experiment.episodes.per_shard}"
    for index in range(len(shard)):
        steps = shard.steps(index)
        lengths = {name: len(curve) for name, curve in shard.columns(index).items()}
        lengths |= {key: len(shard.pixels(index, key)) for key in VIDEOS}
        yield from (f"episode {index} has {steps} steps but {n} of {key}" for key, n in lengths.items() if n != steps)


def _mass_conserved(folder: Path, experiment: Experiment) -> Iterator[str]:
    from multigen_core.dataset.lerobot import Shard

    shard = Shard(folder)
    for index in range(len(shard)):
        capacity_ml = shard.receiver(index).capacity_ml
        for violation in curve_violations(shard.columns(index), rate_hz=shard.rate_hz, capacity_ml=capacity_ml):
            yield f"episode {index}: {violation}"


def _nothing_touched(folder: Path, experiment: Experiment) -> Iterator[str]:
    summary = json.loads((folder / "summary.json").read_text())
    if summary["collisions"]:
        too_far_mm = -1e3 * summary["clearance_m_min"]
        yield f"in {summary['collisions']} episodes arm or pitcher go {too_far_mm:.1f} mm too far"


def curve_violations(curves: Mapping[str, "np.ndarray"], *, rate_hz: float, capacity_ml: float) -> Iterator[str]:
    """How the curves of one episode break the conservation of liquid, if they do."""
    import numpy as np

    poured_ml, spilled_ml, flow_ml_s = (curves[name] for name in ("poured_ml", "spilled_ml", "flow_ml_s"))
    if not all(np.isfinite(curve).all() for curve in (poured_ml, spilled_ml, flow_ml_s)):
        yield "an amount is not finite"
        return
    if min(poured_ml.min(), spilled_ml.min()) < 0:
        yield "an amount is negative"
    if poured_ml.max() > capacity_ml + MASS_TOLERANCE_ML:
        yield f"{poured_ml.max():.0f} ml were poured into a cup of {capacity_ml:.0f} ml"
    lost_ml = -np.diff(poured_ml + spilled_ml).min(initial=0.0)
    if lost_ml > MASS_TOLERANCE_ML:
        yield f"{lost_ml:.1f} ml of poured liquid vanish within one step"
    arrived_ml = np.cumsum(flow_ml_s) / rate_hz
    gap_ml = np.abs(arrived_ml - (poured_ml - poured_ml[0])).max()
    if gap_ml > MASS_TOLERANCE_ML + spilled_ml.max():
        yield f"the flow adds up to {gap_ml:.1f} ml more or less than was poured"


def _sound_fits(folder: Path, experiment: Experiment) -> Iterator[str]:
    from multigen_core.records import SAMPLE_RATE_HZ

    for index, shard in _episodes_of(folder):
        samples = len(shard.soundtrack(index).waveform)
        expected = round(shard.steps(index) * SAMPLE_RATE_HZ / shard.rate_hz)
        if samples != expected:
            yield f"episode {index} has {samples} samples of sound, its steps need {expected}"


def _sound_not_silent(folder: Path, experiment: Experiment) -> Iterator[str]:
    import numpy as np

    for index, shard in _episodes_of(folder):
        waveform = shard.soundtrack(index).waveform
        level_dbfs = 20 * np.log10(max(float(np.sqrt(np.mean(np.square(waveform)))), 1e-9))
        if not level_dbfs > SILENCE_DBFS:
            yield f"episode {index} has a level of {level_dbfs:.1f} dBFS"


def _episodes_of(folder: Path) -> "Iterator[tuple[int, Shard]]":
    from multigen_core.dataset.lerobot import Shard

    shard = Shard(folder)
    return ((index, shard) for index in range(len(shard)))


def _trials_complete(folder: Path, experiment: Experiment) -> Iterator[str]:
    import pyarrow.parquet

    from multigen_core.evaluation.table import TRIALS

    rows = pyarrow.parquet.read_table(folder / TRIALS).to_pylist()
    yield from trial_violations(rows, experiment.evaluation.trials)


def trial_violations(rows: Sequence[Mapping[str, Any]], trials: int) -> Iterator[str]:
    """What is missing or impossible in a table of trials."""
    from math import isfinite

    from multigen_core.records import Trial

    if sorted(row["trial"] for row in rows) != list(range(trials)):
        yield f"{len(rows)} rows do not hold each of the trials 0 to {trials - 1} once"
    for row in rows:
        missing = [field.name for field in fields(Trial) if row.get(field.name) is None]
        if missing:
            yield f"trial {row['trial']} lacks {', '.join(missing)}"
            continue
        amounts = {name: row[name] for name in ("target_ml", "capacity_ml", "poured_ml", "spilled_ml", "in_pitcher_ml")}
        yield from (
            f"trial {row['trial']} has {name} = {value}"
            for name, value in amounts.items()
            if not (isfinite(value) and value >= 0)
        )


def _report_complete(folder: Path, experiment: Experiment) -> Iterator[str]:
    summary = json.loads((folder / "summary.json").read_text())
    missing = [key for key in REPORTED if key not in summary]
    if missing:
        yield f"summary.json lacks {', '.join(missing)}"
    absent = set(experiment.policy.ablations) - set(summary.get("ablations", {}))
    if absent:
        yield f"summary.json has no figures of the ablations {', '.join(sorted(absent))}"
    if not (folder / "index.html").is_file():
        yield "index.html is not there"


_WEIGHTS = Law("finite_weights", "Every weight of the model is a finite number.", _finite_weights)
_SOUND = (
    Law("sound_fits", "The sound of every episode is exactly as long as the episode.", _sound_fits),
    Law("sound_not_silent", f"The sound of every episode is louder than {SILENCE_DBFS:g} dBFS.", _sound_not_silent),
)

LAWS: dict[str, tuple[Law, ...]] = {
    "clips": (
        Law("catalogue_schema", "Every row fits the schema and has its video and sound.", _catalogue_schema),
        Law("clips_audible", f"Every clip is louder than {SILENCE_DBFS:g} dBFS.", _clips_audible),
    ),
    "segmenter": (_WEIGHTS,),
    "masks": (Law("mask_per_clip", "Every clip has its mask video.", _mask_per_clip),),
    "audio_model": (
        _WEIGHTS,
        Law("model_sounds", "The sound of a plain pour is finite, audible and not clipped.", _model_sounds),
        Law("model_listens", "Held-out sounds fit their own masks better than those of others.", _model_listens),
    ),
    "episodes": (
        Law("episode_lengths", "All curves and videos of an episode have its number of steps.", _episode_lengths),
        Law("nothing_touched", "Arm and pitcher touch neither cup, table nor each other.", _nothing_touched),
        Law("mass_conserved", "No liquid appears or vanishes; no cup holds more than its capacity.", _mass_conserved),
    ),
    "audiovisual": _SOUND,
    "noise_augmented": _SOUND,
    "policy": (_WEIGHTS,),
    "evaluation": (Law("trials_complete", "Every trial has its row, with amounts that can be.", _trials_complete),),
    "report": (Law("report_complete", "The summary has every figure and the page is there.", _report_complete),),
}
"""Stage -> its laws."""
