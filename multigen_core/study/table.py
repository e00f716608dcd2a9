"""The README's results, written from ``results/study.json``: nobody types a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multigen_core.errors import UserError
from multigen_core.evaluation.figures import LABELS
from multigen_core.storage import replace_text
from multigen_core.study.pictures import CAPTIONS

__all__ = ["BEGIN", "END", "Table", "head", "results_text", "tables", "update_readme"]

Json = dict[str, Any]

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
"""Lines of the README between which the results stand."""


def update_readme(path: Path, study: Json, figures: Sequence[Path] = ()) -> None:
    """Puts the results between the two marks, links to the figures after them.

    Raises UserError when the file does not have the marks.
    """
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise UserError(f"{path} lacks the lines {BEGIN} and {END}: the results have no place")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    replace_text(path, f"{before}{BEGIN}\n{results_text(study, figures)}\n{END}{after}")


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def results_text(study: Json, figures: Sequence[Path] = ()) -> str:
    """Everything in Markdown."""
    shown = (f"![{': '.join(CAPTIONS[figure.stem])}]({figure.as_posix()})" for figure in figures)
    return "\n\n".join([head(study), *(_markdown(table) for table in tables(study)), *shown])


def tables(study: Json) -> list[Table]:
    """Cup by cup, policy by policy, pair by pair, target by target; those for which there are trials."""
    return [table for table in (_cups(study), _policies(study), _pairs(study), _targets(study)) if table.rows]


def head(study: Json) -> str:
    """On what the figures rest."""
    return (
        f"{study['episodes']} simulated pours, training seeds {', '.join(map(str, study['training_seeds']))}, emulated"
        f" lab (conditions `{study['conditions']}`, times used so far: {study['lab_runs']}), commit"
        f" `{study['git_commit'][:7]}`, {study['hardware']}. NMAE [95 % interval over training seeds and trials]; lower"
        " is better."
    )


def _cups(study: Json) -> Table:
    ablations = study["ablations"]
    if not {"vision", "vision_audio"} <= set(ablations):
        return Table((), ())
    vision, hearing = ablations["vision"], ablations["vision_audio"]
    gains = study["differences"]["vision - vision_audio"]
    rows = [
        (
            f"{name.replace('_', ' ')} ({'opaque' if row['opaque'] else 'clear'})",
            _figure(row),
            _figure(hearing["by_container"][name]),
            _signed(gains[name]),
            _paper(study, name),
        )
        for name, row in sorted(vision["by_container"].items(), key=lambda item: not item[1]["opaque"])
    ]
    rows += [
        (
            f"all {kind}" if kind != "all" else "all",
            _figure(_of(vision, kind)),
            _figure(_of(hearing, kind)),
            _signed(gains[kind]),
            "",
        )
        for kind in _KINDS
    ]
    return Table(("cup", "vision", "vision + generated sound", "paired difference", "paper: without, with"), rows)


def _policies(study: Json) -> Table:
    rows = []
    for name, row in _in_order(study["ablations"], LABELS):
        rows.append((LABELS.get(name, name), row))
    for name, row in study["families"].items():
        family, ablation = name.split(" ")
        rows.append((f"{LABELS.get(ablation, ablation)}, {family.replace('_', ' ')}", row))
    if "blind" in study:
        rows.append((LABELS["blind"], study["blind"]))
    for name, row in _in_order(study["listening"], _HEARS):
        rows.append((f"{LABELS['vision_audio']}, hears {_HEARS[name]}", row))
    cells = [
        (label, _figure(_of(row, "opaque")), _figure(_of(row, "clear")), _figure(row), str(row["trials"]))
        for label, row in rows
    ]
    return Table(("policy", "opaque", "clear", "all", "trials"), cells)


_HEARS = {
    "own_sound": "its own pour (the same trials)",
    "pour_muted": "the room alone",
    "another_trials_sound": "another trial",
}


def _in_order(rows: Json, order: Mapping[str, str]) -> list[tuple[str, Json]]:
    """As people are told of them; the file has its keys by the alphabet."""
    return sorted(rows.items(), key=lambda item: list(order).index(item[0]))


def _pairs(study: Json) -> Table:
    rows = [
        (_subtraction(*pair.split(" - ")), *(_signed(row[kind]) for kind in _KINDS))
        for pair, row in sorted(study["differences"].items())
    ]
    return Table(("paired difference", *_KINDS), rows)


def _subtraction(first: str, second: str) -> str:
    return f"{LABELS[first]} less {LABELS[second].lower()}"


_KINDS = ("opaque", "clear", "all")


def _targets(study: Json) -> Table:
    rows = [
        (
            row["name"],
            f"at most {row['most']:g}" if "most" in row else f"at least {row['least']:g}",
            f"{row['measured']:.3g}",
            "met" if row["met"] else "missed",
        )
        for row in study["targets"]
    ]
    return Table(("target", "aimed at", "measured", ""), rows)


def _of(row: Json, kind: str) -> Json:
    part: Json = row if kind == "all" else row[kind]
    return part


def _figure(row: Json) -> str:
    low, high = row["nmae_ci95"]
    return f"{row['nmae']:.2f} [{low:.2f}, {high:.2f}]"


def _signed(row: Json) -> str:
    low, high = row["ci95"]
    return f"{row['mean']:+.2f} [{low:+.2f}, {high:+.2f}]"


def _paper(study: Json, container: str) -> str:
    row = study["paper"].get(container)
    return f"{row['vision']:.2f}, {row['vision_audio']:.2f}" if row else ""


def _markdown(table: Table) -> str:
    lines = [table.headings, ["---"] + ["---:"] * (len(table.headings) - 1), *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
