"""``python -m multigen_core.audio_model features``: the slow first half of finetuning MMAudio, on its own."""

import argparse
import sys
from pathlib import Path

from multigen_core.command import exit_code_of
from multigen_core.errors import MissingInput
from multigen_core.params import load
from multigen_core.progress import TerminalProgress


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for a mistake the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m multigen_core.audio_model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    features = commands.add_parser("features", help="encode all clips for MMAudio; what is there already is kept")
    features.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    features.add_argument("--clips", type=Path, default=Path("data/clips"), help="default: data/clips")
    features.add_argument("--masks", type=Path, default=Path("data/masks"), help="default: data/masks")
    options = parser.parse_args(arguments)
    return exit_code_of(
        lambda: _features(options), stopped="stopped: finished windows are kept, the same command goes on"
    )


def _features(options: argparse.Namespace) -> None:
    from multigen_core.audio_model.mmaudio import extract_features
    from multigen_core.storage import finished

    for stage, folder in (("clips", options.clips), ("masks", options.masks)):
        if not finished(folder):
            raise MissingInput(f"{folder} holds no finished output: run `python -m multigen_core {stage}` first")
    progress = TerminalProgress("features")
    experiment = load(options.params)
    extraction = extract_features(
        experiment, root=Path.cwd(), clips=options.clips, masks=options.masks, progress=progress
    )
    progress.say(f"{extraction.made} of {len(extraction.windows)} windows were made now, the others were there")


if __name__ == "__main__":
    sys.exit(main())
