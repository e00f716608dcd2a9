"""``python -m multigen_core.simulation preview``: one episode, or a sheet of random scenes, to look at."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from multigen_core.command import exit_code_of
from multigen_core.containers import Container
from multigen_core.errors import UserError
from multigen_core.params import load
from multigen_core.records import Liquid

Named = TypeVar("Named", Container, Liquid)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m multigen_core.simulation", description="Looks into the simulator.")
    commands = parser.add_subparsers(dest="command", required=True)
    preview = commands.add_parser("preview", help="an mp4 of one episode: picture, masks, level, side by side")
    preview.add_argument("--seed", type=int, default=0, help="of the pour; default 0")
    goal = preview.add_mutually_exclusive_group()
    goal.add_argument("--goal", type=float, metavar="FRACTION", help="of the receiver's capacity; default: drawn")
    goal.add_argument("--goal-ml", type=float, metavar="ML", help="an amount instead")
    preview.add_argument("--receiver", metavar="NAME", help="one of the training receivers; default: drawn")
    preview.add_argument("--pitcher", metavar="NAME", help="one of the training pitchers; default: drawn")
    preview.add_argument("--liquid", metavar="NAME", help="one of the training liquids; default: drawn")
    preview.add_argument("--out", type=Path, default=Path("preview.mp4"), help="default: preview.mp4")
    preview.add_argument("--rrd", type=Path, help="write this recording for the Rerun viewer too (extra [rerun])")
    preview.add_argument("--image-px", type=int, help="side of the camera's pictures; default: that of the params file")
    preview.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    sheet = commands.add_parser("scenes", help="a picture with many random scenes")
    sheet.add_argument("--seed", type=int, default=0, help="of the first scene; default 0")
    sheet.add_argument("--count", type=int, default=48, help="default 48")
    sheet.add_argument("--out", type=Path, default=Path("scenes.png"), help="default: scenes.png")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for a mistake the user can mend."""
    options = _parser().parse_args(arguments)
    return exit_code_of(lambda: _preview(options) if options.command == "preview" else _scenes(options))


def _preview(options: argparse.Namespace) -> None:
    from multigen_core.simulation.preview import write_preview, write_recording
    from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
    from multigen_core.simulation.rollout import roll_out

    config = load(options.params).episodes
    if options.image_px:
        config = replace(config, image_px=options.image_px)
    ranges = replace(
        TRAINING_RANGES,
        receivers=_chosen(TRAINING_RANGES.receivers, options.receiver, "--receiver"),
        pitchers=_chosen(TRAINING_RANGES.pitchers, options.pitcher, "--pitcher"),
        liquids=_chosen(TRAINING_RANGES.liquids, options.liquid, "--liquid"),
        goal_fraction=TRAINING_RANGES.goal_fraction if options.goal is None else (options.goal, options.goal),
    )
    setup = draw_setup(options.seed, ranges, goal_ml=options.goal_ml)
    episode = roll_out(setup, config)
    write_preview(options.out, episode)
    if options.rrd:
        write_recording(options.rrd, episode)
    print(
        f"{setup.pitcher.name} into {setup.receiver.name}, {setup.liquid.name}: asked {episode.target_ml:.0f} ml,"
        f" poured {episode.poured_ml[-1]:.0f} ml, spilled {episode.spilled_ml[-1]:.0f} ml in"
        f" {episode.steps / episode.rate_hz:.1f} s; wrote {options.out}"
    )


def _chosen(family: tuple[Named, ...], name: str | None, option: str) -> tuple[Named, ...]:
    """The member of that name alone; all of them without a name. Raises UserError when there is none."""
    chosen = tuple(member for member in family if name in (None, member.name))
    if not chosen:
        known = ", ".join(member.name for member in family)
        raise UserError(f"{option} {name!r} is not known; take one of {known}")
    return chosen


def _scenes(options: argparse.Namespace) -> None:
    import matplotlib.image

    from multigen_core.simulation.contact_sheet import contact_sheet
    from multigen_core.simulation.randomisation import TRAINING_RANGES

    sheet = contact_sheet(options.count, ranges=TRAINING_RANGES, seed=options.seed)
    matplotlib.image.imsave(options.out, sheet)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    sys.exit(main())
