"""The plots of a run: read from its outputs, drawn by ``figures``, kept as files and shown in the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from multigen_core.clips.funnel import steps_of
from multigen_core.evaluation import figures
from multigen_core.evaluation.comparison import Trials
from multigen_core.evaluation.nmae import blind_trials, by_container, score
from multigen_core.evaluation.page import data_uri
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.storage import read_summary

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["Picture", "draw_funnels", "draw_learning_curves", "draw_result", "fidelity_and_diversity"]

_CURVE = "curve.parquet"
"""In the folder of every trained model."""


@dataclass(frozen=True)
class Picture:
    """A plot as a ``data:`` address, with its caption."""

    address: str
    caption: str


def draw_result(
    trials: Trials, policies: Mapping[str, Path], average_capacity_ml: float, bootstrap: Bootstrap, out: Path
) -> dict[str, Picture]:
    """The plots about trials; each is also written to ``out/<name>.png``."""
    nmae = {
        ablation: {cup: row.nmae for cup, row in by_container(rows, bootstrap).items()}
        for ablation, rows in trials.items()
    }
    first = next(iter(trials.values()))
    opaque = {trial.container: trial.opaque for trial in sorted(first, key=lambda row: (not row.opaque, row.container))}
    episodes = {ablation: int(str(read_summary(policies[ablation])["episodes"])) for ablation in trials}
    points = {ablation: [(episodes[ablation], score(rows, bootstrap).nmae)] for ablation, rows in trials.items()}
    blind = score(blind_trials(first, average_capacity_ml), bootstrap).nmae.mean
    drawn = {
        "container_bars": (figures.container_bars(nmae, opaque), "NMAE per cup and policy, with 95 % intervals"),
        "poured_against_target": (
            figures.poured_against_target(trials),
            "Every trial: poured over asked for; on the dotted line both agree",
        ),
        "episodes_curve": (
            figures.episodes_curve(points, blind),
            "Figure 4b style: NMAE against training episodes. " + _sizes_note(episodes),
        ),
    }
    return {name: _kept(name, png, caption, out) for name, (png, caption) in drawn.items()}


def fidelity_and_diversity(audio_report: Path) -> Picture:
    """Figure 4a, as the audio report drew it."""
    png = (audio_report / "fidelity_and_diversity.png").read_bytes()
    return Picture(
        data_uri(png, ".png"),
        "Figure 4a style: how near to the physical sound of the same episode, and how varied. Up and right is better.",
    )


def draw_funnels(clips: Path, out: Path) -> list[Picture]:
    """What the clips stage kept, and what the annotations of EPIC-KITCHENS held; also written to ``out``."""
    summary = read_summary(clips)
    captions = {
        "funnel": "Candidates left after each reason for the quarantine",
        "funnel_epic": "Segments of EPIC-KITCHENS left after each filter of their annotations",
    }
    drawn = {name: steps_of(summary, name) for name in captions}
    return [_kept(name, figures.funnel(steps), captions[name], out) for name, steps in drawn.items() if steps]


def draw_learning_curves(inputs: "Inputs", policies: Mapping[str, Path], out: Path) -> list[Picture]:
    """How the audio model and the policies learned; the plots are also written to ``out``."""
    sound = pd.read_parquet(inputs.one("audio_model") / _CURVE)
    sound_series = {
        "training": (sound["step"].tolist(), sound["training_loss"].tolist()),
        "validation": (sound["step"].tolist(), sound["validation_loss"].tolist()),
        "validation, another clip's masks": (sound["step"].tolist(), sound["validation_loss_shuffled"].tolist()),
    }
    pictures = [
        _kept(
            "audio_model_loss",
            figures.curves(sound_series, y_label="flow-matching loss"),
            "Audio model. The gap to another clip's masks is what it takes from what it sees.",
            out,
        )
    ]
    curves = {ablation: pd.read_parquet(folder / _CURVE) for ablation, folder in policies.items()}
    for name, caption in (
        ("validation_loss", "Policies: diffusion loss on held-out episodes"),
        ("validation_action_error", "Policies: error of the executed actions on held-out episodes, in their scale"),
    ):
        series = {ablation: _series(curve[curve["name"] == name]) for ablation, curve in curves.items()}
        pictures.append(_kept(f"policy_{name}", figures.curves(series, y_label=name.replace("_", " ")), caption, out))
    return pictures


def _series(rows: pd.DataFrame) -> tuple[Sequence[float], Sequence[float]]:
    return rows["step"].tolist(), rows["value"].tolist()


def _sizes_note(episodes: Mapping[str, int]) -> str:
    sizes = sorted(set(episodes.values()))
    if len(sizes) > 1:
        return f"Trained on {', '.join(map(str, sizes))} episodes."
    return f"This run has one size of training set, {sizes[0]} episodes, so there is one point per policy and no trend."


def _kept(name: str, png: bytes, caption: str, out: Path) -> Picture:
    (out / f"{name}.png").write_bytes(png)
    return Picture(data_uri(png, ".png"), caption)
