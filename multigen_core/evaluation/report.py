"""Stage ``report``: one page to read, look at and listen to, and the figures that scripts read."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from multigen_core.clips.catalogue import read_catalogue, read_quarantine
from multigen_core.evaluation.comparison import OUTCOMES, Trials, cups, differences, headlines, outcome_counts, verdict
from multigen_core.evaluation.exhibits import (
    clip_exhibits,
    dubbed_exhibits,
    real_clip_exhibits,
    sound_exhibits,
    trial_exhibits,
)
from multigen_core.evaluation.figures import LABELS
from multigen_core.evaluation.lineage import commit, stage_records, wall_seconds
from multigen_core.evaluation.nmae import by_container, score
from multigen_core.evaluation.page import render
from multigen_core.evaluation.parts import EMULATED_LABS, parts_of
from multigen_core.evaluation.pictures import draw_funnels, draw_learning_curves, draw_result, fidelity_and_diversity
from multigen_core.evaluation.real_clips import HeardAgain, hear_again, pitch_errors
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.evaluation.table import read_trials
from multigen_core.evaluation.trials import AVERAGE_CAPACITY_ML
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.quantities import with_unit
from multigen_core.records import Json, Summary, Trial

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["run"]

_PAPER = (
    {"cup": "red cup (opaque)", "vision": 0.54, "vision_audio": 0.44},
    {"cup": "metal thermos (opaque)", "vision": 0.54, "vision_audio": 0.33},
)
"""As far as the paper publishes its Table 1."""

_AUDIO = ("sdr_db", "diversity", "pitch_error_octaves", "onset_lag_s")
"""Figures of the generated sound that summary.json names."""

AudioFigures = dict[str, dict[str, Json]]
"""Condition (generated, or a control) -> figure -> value, as the audio report writes them."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Writes ``index.html``, ``figures/`` and ``media/``; returns what DESIGN section 4 lists."""
    ablations: tuple[str, ...] = experiment.policy.ablations
    folders = dict(zip(ablations, inputs.folders["evaluation"], strict=True))
    policies = dict(zip(ablations, inputs.folders["policy"], strict=True))
    trials = {ablation: read_trials(folder) for ablation, folder in folders.items()}
    bootstrap = Bootstrap(experiment.evaluation.bootstrap, seed_for(experiment, "evaluation", "bootstrap"))
    catalogue = read_catalogue(inputs.one("clips"))
    real_clips = int((catalogue["source"] != "reference").sum())
    parts = parts_of(experiment, real_clips=real_clips, clips=len(catalogue))
    audio: AudioFigures = json.loads((inputs.one("audio_report") / "figures.json").read_text())
    git_commit = commit(inputs.root)
    answer = verdict(trials, AVERAGE_CAPACITY_ML, bootstrap)
    for name in ("figures", "media"):
        (out / name).mkdir()
    again = hear_again(
        inputs.one("audio_model"),
        inputs.one("clips"),
        inputs.one("masks"),
        lambda clip_id: seed_for(experiment, "report", "real_clips", clip_id),
    )
    errors = pitch_errors(again)

    page = render(
        {
            "profile": experiment.profile,
            "commit": git_commit,
            "verdict": answer,
            "lab_is_emulated": experiment.evaluation.lab in EMULATED_LABS,
            "paper": _PAPER,
            "parts": parts,
            "figures": draw_result(trials, policies, AVERAGE_CAPACITY_ML, bootstrap, out / "figures"),
            "fidelity_and_diversity": fidelity_and_diversity(inputs.one("audio_report")),
            "funnels": draw_funnels(inputs.one("clips"), out / "figures"),
            "learning_curves": draw_learning_curves(inputs, policies, out / "figures"),
            "trial_videos": trial_exhibits(folders),
            "dubbed": dubbed_exhibits(inputs.folders["audiovisual"], out / "media"),
            "real_clips": real_clip_exhibits(again, errors, out / "media"),
            "compared": sound_exhibits(inputs.one("audio_report")),
            "conditions": [condition.replace("_", " ") for condition in audio],
            "audio_figures": _audio_rows(audio),
        }
        | _result(trials, bootstrap)
        | _clips(inputs, catalogue, real_clips)
        | _lineage(experiment, inputs)
    )
    (out / "index.html").write_text(page)
    progress.say(f"index.html has {len(page) / 2**20:.1f} MiB")
    progress.say(answer)
    return {
        "profile": experiment.profile,
        "lab": experiment.evaluation.lab,
        "embedded": [part.key for part in parts if part.embedded],
        "git_commit": git_commit,
        "ablations": {ablation: _ablation(rows, bootstrap) for ablation, rows in trials.items()},
        "audio": {**_audio(audio), "real_clips": _real_clips(again, errors)},
        "wall_s": dict(wall_seconds(inputs.root)),
    }


def _result(trials: Trials, bootstrap: Bootstrap) -> dict[str, Any]:
    """The tables of result and trials."""
    return {
        "headline": headlines(trials, AVERAGE_CAPACITY_ML, bootstrap),
        "average_capacity_ml": AVERAGE_CAPACITY_ML,
        "cup_columns": [LABELS.get(ablation, ablation) for ablation in trials],
        "cups": cups(trials, bootstrap),
        "differences": differences(trials, bootstrap),
        "outcome_names": OUTCOMES,
        "outcomes": [
            {"label": LABELS.get(ablation, ablation), "counts": outcome_counts(rows)}
            for ablation, rows in trials.items()
        ],
    }


def _clips(inputs: "Inputs", catalogue: pd.DataFrame, real_clips: int) -> dict[str, Any]:
    """The section on clips."""
    rows = [
        row | {"reason": row["reason"].replace("_", " "), "figure": _plain(row["figure"])}
        for row in read_quarantine(inputs.one("clips")).to_dict("records")
    ]
    return {
        "clips": clip_exhibits(inputs.one("clips"), inputs.one("masks")),
        "quarantine": rows,
        "clips_sentence": (
            f"The audio model learned from {len(catalogue)} clips: {real_clips} real recordings and "
            f"{len(catalogue) - real_clips} rendered reference clips with physical sound."
        ),
    }


def _lineage(experiment: Experiment, inputs: "Inputs") -> dict[str, Any]:
    records = stage_records(experiment, inputs)
    return {"lineage": records, "extra_names": sorted({name for record in records for name in record.extra})}


def _ablation(trials: Sequence[Trial], bootstrap: Bootstrap) -> Json:
    total = score(trials, bootstrap)
    opaque = {trial.container: trial.opaque for trial in trials}
    return {
        "nmae": total.nmae.mean,
        "nmae_ci95": [total.nmae.low, total.nmae.high],
        "nmae_of_capacity": total.nmae_of_capacity,
        "trials": total.trials,
        "spilled_ml_mean": total.spilled_ml_mean,
        "by_container": {
            name: {
                "opaque": opaque[name],
                "nmae": row.nmae.mean,
                "nmae_ci95": [row.nmae.low, row.nmae.high],
                "trials": row.trials,
            }
            for name, row in by_container(trials, bootstrap).items()
        },
    }


def _audio(figures: AudioFigures) -> dict[str, Json]:
    """The audio report's figures under the names of DESIGN section 4; null where it has none."""
    generated = figures["generated"]
    controls: dict[str, Json] = {name: dict(row) for name, row in figures.items() if name != "generated"}
    return {**{name: generated.get(name) for name in _AUDIO}, "controls": controls}


def _real_clips(clips: Sequence[HeardAgain], errors: Sequence[tuple[float, float | None]]) -> Json:
    """Clip -> how far its generated resonance is from the one heard, and the control."""
    return {
        clip.clip_id: {
            "masks_usable": clip.masks_usable,
            "pitch_error_octaves": error,
            "shuffled_pitch_error_octaves": shuffled,
        }
        for clip, (error, shuffled) in zip(clips, errors, strict=True)
    }


def _audio_rows(figures: AudioFigures) -> list[tuple[str, list[str]]]:
    """Figure, and its value in every condition."""
    names = sorted({name for row in figures.values() for name in row})
    return [(with_unit(name), [_plain(row.get(name)) for row in figures.values()]) for name in names]


def _plain(value: object) -> str:
    """A figure for a table: few digits, no exponent, a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
