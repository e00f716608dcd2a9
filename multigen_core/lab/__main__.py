"""``python -m multigen_core.lab run --trials plan.yaml`` and ``python -m multigen_core.lab tap recording.mp4``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from multigen_core.command import exit_code_of
from multigen_core.lab.operator_session import run_session
from multigen_core.lab.tap import measure_tap_offset
from multigen_core.lab.trial_plan import load_plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m multigen_core.lab", description="Trials with a real arm.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="walks an operator through a plan of trials")
    run.add_argument("--trials", type=Path, required=True, metavar="PLAN", help="see docs/real_robot.md")
    tap = commands.add_parser("tap", help="measures how much later than the sound the picture comes")
    tap.add_argument("recording", type=Path, help="a video with sound of a spoon that taps a cup")
    options = parser.parse_args(arguments)
    return exit_code_of(
        lambda: _tap(options.recording) if options.command == "tap" else _run(options.trials),
        stopped="stopped: finished trials are kept, run the same command again to go on",
    )


def _tap(recording: Path) -> None:
    offset = measure_tap_offset(recording)
    print(
        f"the picture comes {1e3 * offset.picture_after_sound_s:+.0f} ms after the sound (clearness"
        f" {offset.clearness:.0f}): set camera latency = microphone latency {offset.picture_after_sound_s:+.3f} s"
    )


def _run(plan: Path) -> None:
    for folder in run_session(load_plan(plan), Path.cwd()):
        print(f"recorded: {folder}")


if __name__ == "__main__":
    sys.exit(main())
