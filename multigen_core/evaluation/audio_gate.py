"""Whether a newly trained audio model may become the champion: a pure function of the audio report's scores.

The error is that of pitch, which tells how full the cup is; ``sdr_db`` hardly sees it and is only kept from falling.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from multigen_core.audio_model.report import SCORES
from multigen_core.errors import MissingInput
from multigen_core.evaluation.gate import Decision, Errors, Limits, compare
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.experiment import AudioChampion

__all__ = ["Heard", "gate_audio", "paired_episodes", "read_scores"]


@dataclass(frozen=True)
class Heard:
    """How the sound of one episode scored."""

    episode_id: str
    container: str
    error: float
    """Of pitch [octaves]."""
    shuffled_error: float
    """That of a sound that was generated for another episode [octaves]."""
    sdr_db: float


def read_scores(folder: Path) -> list[Heard]:
    """The audio report's episodes in which something is poured. Raises MissingInput when there is no such table."""
    path = folder / SCORES
    if not path.is_file():
        raise MissingInput(f"{path} does not exist: run the stage 'audio_report' first")
    scores = pd.read_parquet(path).dropna(subset=["pitch_error_octaves"])
    by_condition = {name: rows.set_index("episode_id") for name, rows in scores.groupby("condition")}
    shuffled = by_condition["shuffled"]["pitch_error_octaves"].rename("shuffled_error")
    both = by_condition["generated"].join(shuffled, how="inner").rename(columns={"pitch_error_octaves": "error"})
    columns = [field.name for field in fields(Heard)]
    return [Heard(*row) for row in both.reset_index()[columns].itertuples(index=False)]


def paired_episodes(first: Sequence[Heard], second: Sequence[Heard]) -> list[tuple[Heard, Heard]]:
    """The same episodes by two models, in the order of the first."""
    others = {one.episode_id: one for one in second}
    return [(one, others[one.episode_id]) for one in first if one.episode_id in others]


def gate_audio(
    challenger: Sequence[Heard], champion: Sequence[Heard] | None, config: AudioChampion, bootstrap: Bootstrap
) -> Decision:
    """Promotes when the sounds surely fit their own pours better than those of others and, where there is a champion,
    it is better on the very same episodes: the 95 % interval of the paired improvement lies above the margin, on no
    container it loses more than ``audio_champion.max_container_loss``, and its fidelity does not fall by more than
    ``audio_champion.max_sdr_loss_db``.
    """
    if not challenger:
        return Decision(False, ("the challenger has no scores: run the audio report first",), {})
    fits = bootstrap.mean(np.array([one.shuffled_error - one.error for one in challenger]))
    figures = {
        "pitch_error_octaves": float(np.mean([one.error for one in challenger])),
        "sdr_db": float(np.mean([one.sdr_db for one in challenger])),
        "fits_own_octaves": fits.mean,
        "fits_own_octaves_low": fits.low,
    }
    words = f"its sounds fit their own pours by {fits.mean:.3f} [{fits.low:.3f}, {fits.high:.3f}] octaves better"
    met: list[str] = []
    unmet: list[str] = []
    if fits.low > 0.0:
        met.append(f"{words} than other pours")
    else:
        unmet.append(f"{words} than other pours, which may be chance")
    if champion is None:
        met.append("there is no champion yet")
        return Decision(not unmet, tuple(unmet or met), figures)
    pairs = paired_episodes(champion, challenger)
    if len(pairs) < len(challenger):
        unmet.append(f"only {len(pairs)} of {len(challenger)} episodes pair with the champion's: score it again first")
        return Decision(False, tuple(unmet), figures)
    errors = [Errors(first.container, first.error, second.error) for first, second in pairs]
    limits = Limits("audio_champion", config.margin, config.max_container_loss)
    figures |= compare(errors, limits, bootstrap, met, unmet)
    lost_db = float(np.mean([first.sdr_db - second.sdr_db for first, second in pairs]))
    figures["sdr_loss_db"] = lost_db
    if lost_db > config.max_sdr_loss_db:
        unmet.append(
            f"its fidelity is {lost_db:.2f} dB below the champion's, "
            f"more than audio_champion.max_sdr_loss_db {config.max_sdr_loss_db:g}"
        )
    return Decision(not unmet, tuple(unmet or met), figures)
