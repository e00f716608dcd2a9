"""``python -m pipelines``: the whole graph from the terminal, and the pages that show it."""

import argparse
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from multigen_core.command import exit_code_of
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
    remote = commands.add_parser("remote", help="choose where copies of the data go: a folder, s3://bucket/path, ...")
    remote.add_argument("address")
    remote.add_argument("--endpoint", help="address of an S3-compatible server that is not Amazon's")
    sound = commands.add_parser("verify", help="check every output and DVC's cache against their digests")
    sound.add_argument("--remote", action="store_true", help="and that the data remote holds everything")
    chain = commands.add_parser("lineage", help="what a registered model was made from, down to clips and licences")
    chain.add_argument("model", help="models:/multigen-policy@champion, or models:/multigen-policy/3")
    chain.add_argument("--json", action="store_true", help="everything, clip by clip")
    back = commands.add_parser("rollback", help="make the previous version the champion again")
    back.add_argument("--model", default="multigen-policy", help="its name in the registry; default: %(default)s")
    back.add_argument("--reason", required=True, help="kept with the version that is withdrawn")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    root = project_root()
    os.environ["MULTIGEN_ROOT"] = str(root)
    os.environ["DAGSTER_HOME"] = str(root / DAGSTER_HOME)
    return exit_code_of(
        lambda: _COMMANDS[options.command](options, root),
        stopped="stopped: finished outputs are kept, the same command goes on from there",
    )


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


def _lineage(options: argparse.Namespace, root: Path) -> None:
    experiment = load_experiment(root)
    from pipelines.lineage import lineage_of, sentences
    from pipelines.resources.dvc import Dvc
    from pipelines.resources.mlflow import Mlflow

    client = Mlflow(root=str(root)).client()
    version, lineage = lineage_of(client, options.model, root, experiment, Dvc(root=str(root)))
    if options.json:
        print(json.dumps({"model": version.name, "version": str(version.version), **asdict(lineage)}, indent=1))
    else:
        print("\n".join(sentences(client, version, lineage)))


def _rollback(options: argparse.Namespace, root: Path) -> None:
    from pipelines.promotion import roll_back
    from pipelines.resources.mlflow import Mlflow

    withdrawn, restored = roll_back(Mlflow(root=str(root)).client(), root, options.reason, print, model=options.model)
    print(f"champion is version {restored} again; version {withdrawn} was withdrawn")


def _remote(options: argparse.Namespace, root: Path) -> None:
    from pipelines.resources.dvc import Dvc

    dvc = Dvc(root=str(root))
    dvc.set_remote(options.address, options.endpoint)
    print(f"the data remote is {dvc.remote()}; `python -m pipelines materialize --select remote_copy` fills it")


def _verify(options: argparse.Namespace, root: Path) -> None:
    experiment = load_experiment(root)
    from pipelines.integrity import damaged_cache, damaged_outputs, missing_in_remote
    from pipelines.resources.dvc import Dvc

    dvc = Dvc(root=str(root))
    wrong = [*damaged_outputs(root, experiment), *damaged_cache(root, experiment, dvc)]
    for name, lost in (missing_in_remote(experiment, dvc) if options.remote else {}).items():
        wrong.append(f"{name}: the data remote lacks {', '.join(lost[:5])}: materialize remote_copy")
    if wrong:
        raise UserError("\n".join(wrong))
    print("every output and every object of DVC's cache is as it was recorded")


_COMMANDS = {
    "materialize": _materialize,
    "ui": _ui,
    "remote": _remote,
    "verify": _verify,
    "lineage": _lineage,
    "rollback": _rollback,
}

if __name__ == "__main__":
    sys.exit(main())
