"""``python -m multigen_core.evaluation play``: one trial as a video with sound."""

import argparse
import sys
from pathlib import Path

from multigen_core.command import exit_code_of
from multigen_core.experiment import Experiment
from multigen_core.params import load


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m multigen_core.evaluation", description="Watches a policy.")
    commands = parser.add_subparsers(dest="command", required=True)
    play = commands.add_parser("play", help="one trial in the emulated lab, as an mp4 with sound")
    play.add_argument("--policy", type=Path, default=Path("models/policy/vision_audio"), metavar="FOLDER")
    play.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    add_trial_options(play)
    return parser


def add_trial_options(parser: argparse.ArgumentParser) -> None:
    """What one trial in the emulated lab is."""
    parser.add_argument("--container", default="red_cup", metavar="NAME", help="a cup of the lab; default: red_cup")
    parser.add_argument("--goal", type=float, default=0.7, metavar="FRACTION", help="of the cup; default: 0.7")
    parser.add_argument("--seed", type=int, default=0, help="of everything else in the lab; default: 0")
    parser.add_argument("--out", type=Path, default=Path("trial.mp4"), help="default: trial.mp4")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for a mistake the user can mend."""
    options = _parser().parse_args(arguments)
    return exit_code_of(lambda: watch(load(options.params), options.policy, options))


def watch(experiment: Experiment, policy: Path, options: argparse.Namespace) -> None:
    """Plays the trial that the options of :func:`add_trial_options` ask for, and says how it went."""
    from multigen_core.evaluation.play import play

    trial = play(
        experiment,
        policy,
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


if __name__ == "__main__":
    sys.exit(main())
