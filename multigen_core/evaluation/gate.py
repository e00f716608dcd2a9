"""Whether a newly trained policy may become the champion: a pure function of trials, so that it can be tested."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multigen_core.evaluation.nmae import score
from multigen_core.evaluation.statistics import Bootstrap, paired
from multigen_core.experiment import Champion
from multigen_core.records import Trial

__all__ = ["Decision", "Errors", "Limits", "compare", "gate"]


@dataclass(frozen=True)
class Decision:
    """The gate's answer with what it rests on."""

    promote: bool
    reasons: tuple[str, ...]
    """Sentences. When not promoted: every rule that was not met; else why it was."""
    figures: dict[str, float]


@dataclass(frozen=True)
class Errors:
    """What champion and challenger made of the same trial; lower is better."""

    container: str
    champion: float
    challenger: float


@dataclass(frozen=True)
class Limits:
    """What a challenger must keep against a champion, in the unit of the errors."""

    section: str
    """Of the params, for the sentences."""
    margin: float
    max_container_loss: float


def gate(
    challenger: Sequence[Trial],
    champion: Sequence[Trial] | None,
    config: Champion,
    bootstrap: Bootstrap,
) -> Decision:
    """Promotes when the challenger pours exactly and cleanly enough, no trial was aborted and, where there is a
    champion, it is better on the very same trials: the 95 % interval of the paired improvement lies above the margin,
    and on no container it loses more than ``champion.max_container_loss``.
    """
    if not challenger:
        return Decision(False, ("the challenger has no trials: run its evaluation first",), {})
    result = score(challenger, bootstrap)
    aborted = sum(trial.outcome in ("aborted", "sense_lost") for trial in challenger)
    figures = {"nmae": result.nmae.mean, "spilled_ml_mean": result.spilled_ml_mean, "aborted": float(aborted)}
    met = [f"NMAE {result.nmae.mean:.3f} and {result.spilled_ml_mean:.1f} ml spilled are within the limits"]
    unmet = []
    if result.nmae.mean > config.max_nmae:
        unmet.append(f"NMAE {result.nmae.mean:.3f} is above champion.max_nmae {config.max_nmae:g}")
    if result.spilled_ml_mean > config.max_spilled_ml:
        unmet.append(
            f"{result.spilled_ml_mean:.1f} ml spilled per trial "
            f"is above champion.max_spilled_ml {config.max_spilled_ml:g}"
        )
    if aborted:
        unmet.append(
            f"{aborted} of {len(challenger)} trials were aborted: an action was not a number, or a sense was lost"
        )
    if champion is None:
        met.append("there is no champion yet")
    else:
        pairs = paired(champion, challenger)
        if len(pairs) < len(challenger):
            unmet.append(
                f"only {len(pairs)} of {len(challenger)} trials pair with the champion's: "
                "evaluate the champion under the present params first"
            )
        else:
            errors = [Errors(first.container, first.error, second.error) for first, second in pairs]
            limits = Limits("champion", config.margin, config.max_container_loss)
            figures |= compare(errors, limits, bootstrap, met, unmet)
    return Decision(not unmet, tuple(unmet or met), figures)


def compare(
    pairs: Sequence[Errors], limits: Limits, bootstrap: Bootstrap, met: list[str], unmet: list[str]
) -> dict[str, float]:
    """Whether the challenger is surely better by the margin, and on no container much worse.

    Adds a sentence to ``met`` or ``unmet`` for each; returns the figures.
    """
    better = bootstrap.mean(np.array([pair.champion - pair.challenger for pair in pairs]))
    words = f"improvement on the champion {better.mean:.3f} [{better.low:.3f}, {better.high:.3f}]"
    if better.low > limits.margin:
        met.append(f"{words} lies above {limits.section}.margin {limits.margin:g}")
    else:
        unmet.append(f"{words} is not surely above {limits.section}.margin {limits.margin:g}")
    container, loss = _worst_loss(pairs)
    if loss > limits.max_container_loss:
        unmet.append(
            f"on {container} its error is {loss:.3f} above the champion's, "
            f"more than {limits.section}.max_container_loss {limits.max_container_loss:g}"
        )
    return {
        "improvement": better.mean,
        "improvement_low": better.low,
        "improvement_high": better.high,
        "container_loss_max": loss,
    }


def _worst_loss(pairs: Sequence[Errors]) -> tuple[str, float]:
    """The container on which the challenger loses most against the champion, and by how much; below 0: gains."""
    losses = defaultdict(list)
    for pair in pairs:
        losses[pair.container].append(pair.challenger - pair.champion)
    return max(((name, float(np.mean(values))) for name, values in losses.items()), key=lambda row: row[1])
