"""The closing words of a run: NMAE per ablation, and where the report is."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from multigen_core.stages import output_of, stage_named

__all__ = ["print_outcome"]


def print_outcome(root: Path, console: Console) -> None:
    """Prints nothing when there is no report yet."""
    folder = root / output_of(stage_named("report"), None)
    if not (folder / "summary.json").is_file():
        return
    summary = json.loads((folder / "summary.json").read_text())
    table = Table(title=f"NMAE, {summary['lab']} lab, profile {summary['profile']}: lower is better")
    for heading in ("ablation", "NMAE", "95 %", "opaque cups", "clear cups", "trials", "spilled [ml]"):
        table.add_column(heading, justify="left" if heading == "ablation" else "right")
    for name, row in summary["ablations"].items():
        low, high = row["nmae_ci95"]
        table.add_row(
            name,
            f"{row['nmae']:.3f}",
            f"{low:.3f} to {high:.3f}",
            *(_mean_over(row["by_container"], opaque=opaque) for opaque in (True, False)),
            str(row["trials"]),
            f"{row['spilled_ml_mean']:.1f}",
        )
    console.print(table)
    console.print(f"report: {folder / 'index.html'}", soft_wrap=True)


def _mean_over(by_container: dict, *, opaque: bool) -> str:
    """NMAE over the trials with opaque, or clear, containers."""
    rows = [row for row in by_container.values() if row["opaque"] is opaque]
    trials = sum(row["trials"] for row in rows)
    return f"{sum(row['nmae'] * row['trials'] for row in rows) / trials:.3f}" if trials else "–"
