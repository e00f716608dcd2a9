"""``python -m multigen_core policy play``: one trial of any policy, in a folder or in a registry, as a video."""

import argparse
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

from multigen_core.command import exit_code_of
from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment
from multigen_core.params import load

__all__ = ["main"]

REGISTRIES = "multigen_core.policy_registries"
"""Entry points of this group, named by the scheme of an address, are ``fetch(address, scratch: Path) -> Path``."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m multigen_core policy play", description="One trial in the emulated lab, as an mp4 with sound."
    )
    parser.add_argument(
        "--model",
        default="models/policy/vision_audio",
        help="a folder, models:/multigen-policy@champion or models:/multigen-policy/3; default: %(default)s",
    )
    parser.add_argument("--container", default="red_cup", metavar="NAME", help="a cup of the lab; default: %(default)s")
    parser.add_argument("--goal", type=float, default=0.7, metavar="FRACTION", help="of the cup; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of everything else in the lab; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("trial.mp4"), help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: %(default)s")
    return parser


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    return exit_code_of(lambda: _play(load(options.params), options))


def _play(experiment: Experiment, options: argparse.Namespace) -> None:
    from multigen_core.evaluation.play import play

    with TemporaryDirectory() as scratch:
        trial = play(
            experiment,
            _policy_folder(options.model, Path(scratch)),
            container=options.container,
            goal_fraction=options.goal,
            seed=options.seed,
            video=options.out,
        )
    print(
        f"{trial.ablation} into {trial.container}: asked {trial.target_ml:.0f} ml, poured {trial.poured_ml:.0f} ml,"
        f" spilled {trial.spilled_ml:.0f} ml, {trial.outcome.replace('_', ' ')} after {trial.duration_s:.1f} s;"
        f" wrote {options.out}"
    )


def _policy_folder(model: str, scratch: Path) -> Path:
    scheme, addressed, _ = model.partition(":/")
    if not addressed:
        return Path(model)
    for registry in entry_points(group=REGISTRIES, name=scheme):
        folder: Path = registry.load()(model, scratch)
        return folder
    known = ", ".join(f"{registry.name}:/" for registry in entry_points(group=REGISTRIES)) or "none; run `make setup`"
    raise MissingInput(f"--model is {model}: give a folder, or an address of a registry that is installed: {known}")
