"""What the study found: the content of ``results/study.json``, from the trials of its series."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from multigen_core.evaluation.failures import failure
from multigen_core.evaluation.nmae import blind_trials
from multigen_core.evaluation.statistics import Bootstrap, Interval
from multigen_core.evaluation.table import read_trials
from multigen_core.evaluation.trials import AVERAGE_CAPACITY_ML
from multigen_core.records import Trial
from multigen_core.study.carry_out import Study
from multigen_core.study.protocol import Protocol
from multigen_core.study.units import ABLATIONS, Phase, Series, phases

__all__ = ["Runs", "block", "difference", "result", "targets"]

Json = dict[str, Any]
Runs = Sequence[Sequence[Trial]]
"""Training seed by training seed the same trials."""
Choice = Callable[[Trial], bool]

_KINDS: Mapping[str, Choice] = {
    "all": lambda trial: True,
    "opaque": lambda trial: trial.opaque,
    "clear": lambda trial: not trial.opaque,
}
_COMPARED = (
    ("vision", "vision_audio"),
    ("vision", "vision_noise"),
    ("vision_noise", "vision_audio"),
    ("audio", "vision_audio"),
    ("joints", "vision"),
)
"""Whose errors are compared trial by trial: the first less the second. The blind reference is no policy, and apart."""
_PAPER = {"red_cup": {"vision": 0.54, "vision_audio": 0.44}, "metal_thermos": {"vision": 0.54, "vision_audio": 0.33}}
"""Rows of its Table 1 that arXiv 2507.02864 publishes: a real robot, other cups and amounts."""


@dataclass(frozen=True)
class _Finished:
    """The trials of the series that are there."""

    runs: Mapping[Series, Sequence[Trial]]
    bootstrap: Bootstrap

    def of(self, phase: Phase) -> dict[str, Runs]:
        """Label -> its runs, one per training seed; a label whose series are not all there is left out."""
        labels: dict[str, list[Series]] = {}
        for series in phase.series:
            labels.setdefault(_label(phase, series), []).append(series)
        return {
            label: [self.runs[series] for series in chosen]
            for label, chosen in labels.items()
            if all(series in self.runs for series in chosen)
        }


def result(study: Study, protocol: Protocol, bootstrap: Bootstrap) -> Json:
    """Of all phases that are there; a missing one is missing in the result too."""
    there: dict[Series, Sequence[Trial]] = {}
    plan = {phase.name: phase for phase in phases(protocol)}
    for series in (series for phase in plan.values() for series in phase.series):
        if study.has(series):
            there[series] = read_trials(study.series_folder(series))
    found = _Finished(there, bootstrap)
    ablations = found.of(plan["ablations"])
    policies = {**ablations, **found.of(plan["references"])}
    hearing = there.get(plan["listening"].series[0]) and ablations.get("vision_audio")
    answer: Json = {
        "ablations": {name: block(runs, bootstrap) for name, runs in policies.items()},
        "differences": {
            f"{first} - {second}": _differences(*_as_many(policies[first], policies[second]), bootstrap)
            for first, second in _COMPARED
            if first in policies and second in policies
        },
        "families": {
            f"behaviour_cloning {name}": block(runs, bootstrap) for name, runs in found.of(plan["families"]).items()
        },
        "sizes": _sizes(study, found, plan["sizes"], ablations),
        "robustness": {name: block(runs, bootstrap) for name, runs in found.of(plan["robustness"]).items()},
        "listening": {name: block(runs, bootstrap) for name, runs in found.of(plan["listening"]).items()},
        "paper": _PAPER,
    }
    if ablations:
        answer["blind"] = block([_blind(next(iter(ablations.values()))[0])], bootstrap)
    if vision := ablations.get("vision"):
        answer["differences"]["blind - vision"] = _differences([_blind(run) for run in vision], vision, bootstrap)
    if hearing:
        own = [hearing[0][: protocol.listening_trials]]
        answer["listening"] = {"own_sound": block(own, bootstrap)} | answer["listening"]
    answer["targets"] = targets(policies, answer)
    return answer


def block(runs: Runs, bootstrap: Bootstrap) -> Json:
    """The figures of one policy; intervals over training seeds and trials."""
    rows = [trial for run in runs for trial in run]
    outcomes = Counter(trial.outcome for trial in rows)
    failures = Counter(reason for trial in rows if (reason := failure(trial)))
    containers = {trial.container: trial.opaque for trial in sorted(rows, key=lambda row: not row.opaque)}
    return {
        **_interval(runs, bootstrap),
        "nmae_of_capacity": _rounded(np.mean([trial.error_of_capacity for trial in rows])),
        "nmae_by_training_seed": [_rounded(np.mean([trial.error for trial in run])) for run in runs],
        "bias": _rounded(np.mean([(trial.poured_ml - trial.target_ml) / trial.target_ml for trial in rows])),
        "spilled_ml_mean": _rounded(np.mean([trial.spilled_ml for trial in rows])),
        "spilled_of_poured_median": _rounded(
            np.median([trial.spilled_ml / max(trial.poured_ml + trial.spilled_ml, 1.0) for trial in rows])
        ),
        "outcomes": dict(sorted(outcomes.items())),
        "failures": dict(sorted(failures.items())),
        **{kind: _interval(_chosen(runs, _KINDS[kind]), bootstrap) for kind in ("opaque", "clear")},
        "by_container": {
            name: {"opaque": opaque, **_interval(_chosen(runs, _named(name)), bootstrap)}
            for name, opaque in containers.items()
        },
    }


def difference(first: Runs, second: Runs, bootstrap: Bootstrap) -> Interval:
    """Mean of (error of the first - error of the second) on the same trials and training seeds.

    Raises ValueError when the runs are not of the same trials.
    """
    ours, theirs = (
        [[(trial.container, trial.target_ml, trial.seed) for trial in run] for run in runs] for runs in (first, second)
    )
    if ours != theirs:
        raise ValueError("the trials of the two policies are not the same, so they do not pair")
    return bootstrap.mean_over_seeds(_errors(first) - _errors(second))


def targets(policies: Mapping[str, Runs], answer: Json) -> list[Json]:
    """What was aimed at, what came out, and whether it was met."""
    if not set(ABLATIONS) <= set(policies):
        return []
    blocks = answer["ablations"]
    vision, hearing, noise = (blocks[name] for name in ABLATIONS)
    rows = [
        _target("opaque NMAE with sound over without", hearing["opaque"]["nmae"] / vision["opaque"]["nmae"], most=0.6),
        _target("opaque NMAE with sound", hearing["opaque"]["nmae"], most=0.20),
        _target(
            "opaque intervals lie apart (lower end without sound minus upper end with)",
            vision["opaque"]["nmae_ci95"][0] - hearing["opaque"]["nmae_ci95"][1],
            least=0.0,
        ),
        _target(
            "opaque cups better with sound, of 4",
            sum(
                hearing["by_container"][name]["nmae"] < row["nmae"]
                for name, row in vision["by_container"].items()
                if row["opaque"]
            ),
            least=4,
        ),
        _target("clear NMAE with sound minus without", hearing["clear"]["nmae"] - vision["clear"]["nmae"], most=0.0),
        _target("NMAE with noise augmentation minus with sound", noise["nmae"] - hearing["nmae"], least=0.0),
        _target("share never started or never stopped, with sound", _stuck(hearing), most=0.02),
        _target("median share spilled, with sound", hearing["spilled_of_poured_median"], most=0.03),
        _target(
            "clear NMAE of vision minus that of the blind reference",
            vision["clear"]["nmae"] - answer["blind"]["clear"]["nmae"],
            most=0.0,
        ),
    ]
    return rows


def _stuck(row: Json) -> float:
    outcomes = row["outcomes"]
    return float((outcomes.get("never_started", 0) + outcomes.get("never_stopped", 0)) / max(sum(outcomes.values()), 1))


def _target(name: str, measured: float, *, most: float | None = None, least: float | None = None) -> Json:
    met = (most is None or measured <= most) and (least is None or measured >= least)
    bound = {"most": most} if most is not None else {"least": least}
    return {"name": name, "measured": _rounded(measured), **bound, "met": bool(met)}


def _sizes(study: Study, found: _Finished, phase: Phase, ablations: Mapping[str, Runs]) -> Json:
    """Ablation -> points of Figure 4b, on the same trials of the first training seed."""
    points: dict[str, list[Json]] = {}
    count = phase.series[0].trials if phase.series else 0
    for series in phase.series:
        if series in found.runs:
            row = _interval([found.runs[series]], found.bootstrap)
            points.setdefault(series.training.ablation, []).append({"episodes": series.training.episodes, **row})
    everything = len(study.experiment.episodes.shards) * study.experiment.episodes.per_shard
    for name, rows in points.items():
        if name in ablations:
            rows.append({"episodes": everything, **_interval([ablations[name][0][:count]], found.bootstrap)})
    return points


def _blind(run: Sequence[Trial]) -> Sequence[Trial]:
    """The blind reference on the trials of a run."""
    return blind_trials(run, AVERAGE_CAPACITY_ML)


def _as_many(first: Runs, second: Runs) -> tuple[Runs, Runs]:
    """Both without the trials that only one has: references have the first of those of the ablations."""
    count = min(len(first[0]), len(second[0]))
    return [run[:count] for run in first], [run[:count] for run in second]


def _differences(first: Runs, second: Runs, bootstrap: Bootstrap) -> Json:
    rows: Json = {}
    for kind, choice in _KINDS.items():
        rows[kind] = _as_json(difference(_chosen(first, choice), _chosen(second, choice), bootstrap))
    for name in sorted({trial.container for trial in first[0]}):
        rows[name] = _as_json(difference(_chosen(first, _named(name)), _chosen(second, _named(name)), bootstrap))
    return rows


def _interval(runs: Runs, bootstrap: Bootstrap) -> Json:
    interval = bootstrap.mean_over_seeds(_errors(runs))
    return {
        "nmae": _rounded(interval.mean),
        "nmae_ci95": [_rounded(interval.low), _rounded(interval.high)],
        "trials": sum(map(len, runs)),
    }


def _as_json(interval: Interval) -> Json:
    return {"mean": _rounded(interval.mean), "ci95": [_rounded(interval.low), _rounded(interval.high)]}


def _errors(runs: Runs) -> Float[np.ndarray, "seeds trials"]:
    return np.array([[trial.error for trial in run] for run in runs])


def _chosen(runs: Runs, choice: Choice) -> Runs:
    return [[trial for trial in run if choice(trial)] for run in runs]


def _named(name: str) -> Choice:
    return lambda trial: trial.container == name


def _label(phase: Phase, series: Series) -> str:
    if series.hears_another:
        return "another_trials_sound"
    if phase.name in ("listening", "robustness"):
        return series.disturbance
    return series.training.ablation


def _rounded(value: Any) -> float:
    return round(float(value), 4)
