"""The figures of the study, drawn from ``results/study.json``."""

from pathlib import Path
from typing import Any

from multigen_core.evaluation.figures import condition_bars, container_bars, episodes_curve
from multigen_core.evaluation.statistics import Interval

__all__ = ["CAPTIONS", "draw", "figures_in"]

Json = dict[str, Any]

CAPTIONS = {
    "table1": ("Table 1", "NMAE per cup, with 95 % intervals over training seeds and trials."),
    "figure4b": ("Figure 4b", "NMAE against training episodes, one training seed; the last point has all of them."),
    "robustness": (
        "Robustness",
        "Vision with generated sound, its senses disturbed. A lost sense ends the trial at once.",
    ),
}
"""Figure -> its title and what it shows."""


def draw(study: Json, out: Path) -> list[Path]:
    """Writes those figures for which there are trials; returns their files."""
    out.mkdir(parents=True, exist_ok=True)
    drawn = {}
    ablations = study["ablations"]
    if ablations:
        cups = next(iter(ablations.values()))["by_container"]
        drawn["table1"] = container_bars(
            {
                name: {cup: _interval(cell) for cup, cell in row["by_container"].items()}
                for name, row in ablations.items()
                if name in ("vision", "vision_audio", "vision_noise")
            },
            {cup: cell["opaque"] for cup, cell in cups.items()},
        )
    if study["sizes"]:
        drawn["figure4b"] = episodes_curve(
            {
                name: [(point["episodes"], _interval(point)) for point in points]
                for name, points in study["sizes"].items()
            },
            study["blind"]["nmae"],
        )
    if study["robustness"]:
        conditions = {"undisturbed": study["listening"]["own_sound"]} if study["listening"] else {}
        drawn["robustness"] = condition_bars(
            {name.replace("_", " "): _interval(row) for name, row in (conditions | study["robustness"]).items()}
        )
    paths = []
    for name, png in drawn.items():
        path = out / f"{name}.png"
        path.write_bytes(png)
        paths.append(path)
    return paths


def figures_in(folder: Path) -> list[Path]:
    """Those that were drawn there, in order."""
    return [path for name in CAPTIONS if (path := folder / f"{name}.png").is_file()]


def _interval(row: Json) -> Interval:
    low, high = row["nmae_ci95"]
    return Interval(row["nmae"], low, high)
