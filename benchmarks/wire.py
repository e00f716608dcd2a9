"""Whether trials over the wire agree with those of the in-process lab: the same policy, cups, goals and seeds in both.

The arm at the other end of the wire moves in real time, so that no two runs are alike. How far two runs over the wire
lie apart says what to expect of a run over the wire and one in the process: the noise of latency.

``python -m benchmarks.wire --json FILE`` takes the policies of ``make demo`` and 25 minutes of a machine of its own.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.__main__ import commit
from multigen_core.evaluation.protocol import plan
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.evaluation.trials import Job, poured, trial_row
from multigen_core.experiment import Experiment, seed_for
from multigen_core.machine import hardware
from multigen_core.params import load
from multigen_core.progress import TerminalProgress
from multigen_core.records import Trial

POLICIES = Path("models") / "policy"
PROCESS, WIRE = "emulated", "gen3_emulator"
BEGAN_ML = 5.0
"""Less was never poured on purpose."""


def figures(experiment: Experiment, policy: Path, runs: int) -> dict[str, object]:
    """NMAE in the process and over the wire, and how far the same trials lie apart."""
    process = _trials(experiment, policy, PROCESS)
    wire = [_trials(experiment, policy, WIRE) for _ in range(runs)]
    bootstrap = Bootstrap(experiment.evaluation.bootstrap, seed_for(experiment, "benchmark", "wire"))
    found: dict[str, object] = {
        "trials": len(process),
        "nmae_in_process": _nmae(process),
        "nmae_over_the_wire": [_nmae(trials) for trials in wire],
        "never_began_in_process": _never_began(process),
        "never_began_over_the_wire": [_never_began(trials) for trials in wire],
        "aborted_over_the_wire": [sum(trial.outcome == "aborted" for trial in trials) for trials in wire],
        "wire_against_process": _apart(wire[0], process, bootstrap),
    }
    for again in wire[1:]:
        found["wire_against_wire"] = _apart(wire[0], again, bootstrap)
    return found


def _trials(experiment: Experiment, policy: Path, lab: str) -> list[Trial]:
    evaluation = replace(experiment.evaluation, lab=lab)
    experiment = replace(experiment, evaluation=evaluation)
    jobs = [
        Job(trial, task, policy, experiment.episodes, evaluation, video=None)
        for trial, task in enumerate(plan(experiment))
    ]
    pours = poured(jobs, experiment, TerminalProgress(f"{policy.name} {lab}"))
    return [trial_row(job, pour, policy.name) for job, pour in zip(jobs, pours, strict=True)]


def _nmae(trials: Sequence[Trial]) -> float:
    return float(np.mean([trial.error for trial in trials]))


def _never_began(trials: Sequence[Trial]) -> int:
    return sum(trial.poured_ml < BEGAN_ML for trial in trials)


def _apart(first: Sequence[Trial], second: Sequence[Trial], bootstrap: Bootstrap) -> dict[str, object]:
    """What the same trials of two runs have in common."""
    millilitres = np.array([[trial.poured_ml for trial in trials] for trials in (first, second)])
    difference = bootstrap.mean(np.array([one.error - other.error for one, other in zip(first, second, strict=True)]))
    return {
        "nmae_difference": difference.mean,
        "nmae_difference_ci95": [difference.low, difference.high],
        "median_apart_ml": float(np.median(np.abs(millilitres[0] - millilitres[1]))),
        "correlation": float(np.corrcoef(millilitres)[0, 1]),
    }


def main(arguments: list[str] | None = None) -> None:
    """Prints the figures of every ablation as it goes; with ``--json`` also writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wire", description=__doc__)
    parser.add_argument("ablations", nargs="*", metavar="ABLATION", help="default: those of params.yaml")
    parser.add_argument("--trials", type=int, help="of each run; default: evaluation.trials")
    parser.add_argument("--runs", type=int, default=1, help="over the wire; two show how far they lie apart")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(arguments)
    os.environ.setdefault("MUJOCO_GL", "egl")
    experiment = load(Path("params.yaml"))
    if options.trials:
        experiment = replace(experiment, evaluation=replace(experiment.evaluation, trials=options.trials))
    results = {"hardware": hardware(), "commit": commit(), "seed": experiment.seed, "ablations": {}}
    for name in options.ablations or experiment.policy.ablations:
        policy = POLICIES / name
        if not policy.is_dir():
            sys.exit(f"ablation {name!r}: {policy} is not there; `make demo` trains it")
        results["ablations"][name] = figures(experiment, policy.resolve(), options.runs)
        print(json.dumps({name: results["ablations"][name]}, indent=1), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
