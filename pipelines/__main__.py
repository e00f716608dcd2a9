"""``python -m pipelines``: the whole graph from the terminal, and the pages that show it."""

import argparse
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from multigen_core.errors import UserError
from pipelines.project import DAGSTER_HOME, load_experiment, project_root

LOG_WIDTH = 110
"""Columns of what is printed into a file or pipe."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("materialize", help="make every asset partition that is not fresh")
    make.add_argument("--select", nargs="+", default=[], metavar="ASSET", help="assets, for example: episodes +policy")
    make.add_argument("--force", action="store_true", help="make fresh ones again too")
    pages = commands.add_parser("ui", help="serve Dagster's and MLflow's pages on loopback until Ctrl-C")
    pages.add_argument("--dagster-port", type=int, default=3000)
    pages.add_argument("--mlflow-port", type=int, default=5000)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    root = project_root()
    os.environ["MULTIGEN_ROOT"] = str(root)
    os.environ["DAGSTER_HOME"] = str(root / DAGSTER_HOME)
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        _COMMANDS[options.command](options, root)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: finished outputs are kept, the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def _materialize(options: argparse.Namespace, root: Path) -> None:
    load_experiment(root)  # a wrong key is said before Dagster's import, which takes seconds
    from pipelines.materialize import materialize
    from pipelines.table import print_outcome

    console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    materialize(root, select=options.select, force=options.force, console=console)
    print_outcome(root, console)


def _ui(options: argparse.Namespace, root: Path) -> None:
    from pipelines.ui import serve

    load_experiment(root)
    with suppress(KeyboardInterrupt):
        serve(
            root, dagster_port=options.dagster_port, mlflow_port=options.mlflow_port, console=Console(highlight=False)
        )


_COMMANDS = {"materialize": _materialize, "ui": _ui}

if __name__ == "__main__":
    sys.exit(main())
