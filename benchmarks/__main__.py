"""Runs the benchmarks and prints one table; units stand in the keys."""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from multigen_core.command import exit_code_of
from multigen_core.machine import hardware
from multigen_core.params import load

BENCHMARKS = ("simulation", "clips", "sound", "acoustics", "loader", "decision", "robot")
"""Modules of this folder; each has ``figures(experiment)``: name -> its own figures, and its peers'."""


def commit() -> str:
    """Short hash of the checkout, with a plus when it has changes."""
    run = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


def main(arguments: list[str] | None = None) -> None:
    """Prints the table; with ``--json`` also writes it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--minutes", type=float, default=10.0, help="of servoing, for the benchmark 'robot'")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="acoustics: recordings to compare with")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="acoustics: write spectrogram pairs here")
    parser.add_argument("--lerobot", metavar="PYTHON", help="loader: an interpreter that has lerobot, to compare with")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"unknown benchmark {sorted(unknown)[0]!r}; there are {', '.join(BENCHMARKS)}")
    experiment = load(Path("params.yaml"))
    console, results = Console(), []
    table = Table("benchmark", "figure", "value", title=f"{hardware()} · commit {commit()}")
    for name in options.names or BENCHMARKS:
        console.print(f"{name} ...")
        extra: dict[str, object] = {}
        if name == "robot":
            extra = {"minutes": options.minutes}
        elif name == "acoustics":
            extra = {"clips": options.clips, "pictures": options.pictures}
        elif name == "loader":
            extra = {"lerobot": options.lerobot}
        figures = importlib.import_module(f"benchmarks.{name}").figures(experiment, **extra)
        results.append({"name": name, "hardware": hardware(), "commit": commit(), "figures": figures})
        for key, value in _flat(figures):
            table.add_row(name, key, value if isinstance(value, str) else f"{value:.3g}")
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(results[0] if len(results) == 1 else results, indent=1) + "\n")


def _flat(figures: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """Rows of the table; groups of figures are named ``group.figure``."""
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, value


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
