"""The ablations against each other: the tables of the report and the sentence at its top."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import get_args

from multigen_core.evaluation.figures import LABELS
from multigen_core.evaluation.nmae import BLIND, Score, blind_trials, score
from multigen_core.evaluation.statistics import Bootstrap, Interval, paired, paired_difference
from multigen_core.records import Outcome, Trial

__all__ = [
    "OUTCOMES",
    "Cup",
    "Difference",
    "Headline",
    "cups",
    "differences",
    "headlines",
    "opaque_only",
    "outcome_counts",
    "verdict",
]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Trials = Mapping[str, Sequence[Trial]]
"""Ablation -> its trials."""


@dataclass(frozen=True)
class Headline:
    """A row of the first table."""

    label: str
    all: Score
    opaque: Score | None
    clear: Score | None
    reference: bool
    """The blind reference, not a policy."""


@dataclass(frozen=True)
class Cup:
    """A row of the table per cup."""

    name: str
    opaque: bool
    capacity_ml: float
    scores: tuple[Score | None, ...]
    """In the order of the ablations."""


@dataclass(frozen=True)
class Difference:
    """Error of the first policy minus error of the second on the same trials."""

    first: str
    second: str
    cups: str
    interval: Interval
    pairs: int


def opaque_only(trials: Sequence[Trial], opaque: bool = True) -> list[Trial]:
    """The trials with opaque cups, or those with clear ones."""
    return [trial for trial in trials if trial.opaque == opaque]


def headlines(trials: Trials, average_capacity_ml: float, bootstrap: Bootstrap) -> list[Headline]:
    """One row per ablation, and the blind reference on the same tasks."""
    first = next(iter(trials.values()))
    rows = {**trials, BLIND: blind_trials(first, average_capacity_ml)}
    return [
        Headline(
            label=LABELS.get(name, name),
            all=score(chosen, bootstrap),
            opaque=_score(opaque_only(chosen), bootstrap),
            clear=_score(opaque_only(chosen, False), bootstrap),
            reference=name == BLIND,
        )
        for name, chosen in rows.items()
    ]


def cups(trials: Trials, bootstrap: Bootstrap) -> list[Cup]:
    """One row per cup that was poured into, opaque ones first."""
    kinds = {(not trial.opaque, trial.container, trial.capacity_ml) for rows in trials.values() for trial in rows}
    return [
        Cup(
            name=name,
            opaque=not clear,
            capacity_ml=capacity_ml,
            scores=tuple(
                _score([trial for trial in rows if trial.container == name], bootstrap) for rows in trials.values()
            ),
        )
        for clear, name, capacity_ml in sorted(kinds)
    ]


def differences(trials: Trials, bootstrap: Bootstrap) -> list[Difference]:
    """Every pair of ablations, on opaque, clear and all cups."""
    rows = []
    for first, second in combinations(trials, 2):
        pairs = paired(trials[first], trials[second])
        for words, chosen in (
            ("opaque", [pair for pair in pairs if pair[0].opaque]),
            ("clear", [pair for pair in pairs if not pair[0].opaque]),
            ("all", pairs),
        ):
            if chosen:
                interval = paired_difference(chosen, bootstrap)
                rows.append(
                    Difference(LABELS.get(first, first), LABELS.get(second, second), words, interval, len(chosen))
                )
    return rows


def outcome_counts(trials: Sequence[Trial]) -> list[int]:
    """How often each of ``OUTCOMES`` happened."""
    counts = Counter(trial.outcome for trial in trials)
    return [counts[outcome] for outcome in OUTCOMES]


def verdict(trials: Trials, average_capacity_ml: float, bootstrap: Bootstrap) -> str:
    """Whether sound beat sight in this run, in plain words, and how both stand to the blind reference."""
    if "vision" not in trials or "vision_audio" not in trials:
        return "This run has no pair of a policy with and one without sound, so it cannot say whether sound helps."
    pairs = paired(trials["vision"], trials["vision_audio"])
    opaque = [pair for pair in pairs if pair[0].opaque]
    words = "on opaque cups" if opaque else "on the clear cups of this run"
    chosen = opaque or pairs
    seen = score([first for first, _ in chosen], bootstrap)
    heard = score([second for _, second in chosen], bootstrap)
    gain = paired_difference(chosen, bootstrap)
    if gain.low > 0.0:
        claim = f"Sound helped {words}"
    elif gain.high < 0.0:
        claim = f"Sound did not help {words}: it made the error larger"
    else:
        direction = "lower" if gain.mean > 0.0 else "higher"
        claim = f"Sound did not surely help {words}: the error came out {direction}, but within chance"
    blind = score(blind_trials([first for first, _ in chosen], average_capacity_ml), bootstrap)
    beside = "below" if heard.nmae.mean < blind.nmae.mean else "not below"
    return (
        f"{claim}. NMAE {heard.nmae.mean:.2f} with generated sound against {seen.nmae.mean:.2f} with vision alone "
        f"(difference {gain.mean:+.2f}, 95 % interval {gain.low:+.2f} to {gain.high:+.2f}, "
        f"{len(chosen)} paired trials); with sound it is {beside} the blind reference's {blind.nmae.mean:.2f}."
    )


def _score(trials: Sequence[Trial], bootstrap: Bootstrap) -> Score | None:
    return score(trials, bootstrap) if trials else None
