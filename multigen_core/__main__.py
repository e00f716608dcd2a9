"""``python -m multigen_core STAGE``: one stage, or one trial to watch, without any orchestration."""

import argparse
import sys
from pathlib import Path

from multigen_core.command import exit_code_of
from multigen_core.params import load, override
from multigen_core.progress import TerminalProgress
from multigen_core.stages import STAGES, execute, partitions_of, stage_named


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m multigen_core",
        description="Runs one stage of the pipeline.",
        epilog="`policy play` shows one trial of a policy: `python -m multigen_core policy play --help`.",
    )
    names = ", ".join(stage.name for stage in STAGES)
    parser.add_argument("stage", help=f"{names}; or `params` with --set to write a changed params file")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument("--partition", help="one shard or ablation; default: all of them")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="with `params`: a change")
    parser.add_argument("--out", type=Path, help="with `params`: the file to write; default: the same file")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:2] == ["policy", "play"]:
        from multigen_core.evaluation.play_command import main as play

        return play(arguments[2:])
    options = _parser().parse_args(arguments)
    return exit_code_of(
        lambda: _run(options),
        stopped="stopped: finished outputs are kept, run the same command again to go on",
    )


def _run(options: argparse.Namespace) -> None:
    if options.stage == "params":
        override(options.params, options.set, options.out or options.params)
        return
    stage = stage_named(options.stage)
    experiment = load(options.params)
    keys = [options.partition] if options.partition else partitions_of(stage, experiment)
    for key in keys:
        progress = TerminalProgress(stage.name + (f"@{key}" if key else ""))
        place, summary = execute(stage, experiment, key, root=Path.cwd(), progress=progress)
        plain = {name: value for name, value in summary.items() if not isinstance(value, dict | list)}
        figures = ", ".join(f"{name} {value}" for name, value in plain.items())
        progress.say(f"wrote {place.relative_to(Path.cwd())}: {figures}")


if __name__ == "__main__":
    sys.exit(main())
