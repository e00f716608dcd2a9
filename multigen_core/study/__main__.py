"""``python -m multigen_core.study``: the study's trainings and trials, its JSON file, figures and table."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multigen_core.command import exit_code_of
from multigen_core.errors import ConfigError
from multigen_core.experiment import ConditionsName, Experiment, seed_for
from multigen_core.params import load
from multigen_core.study.protocol import Protocol, load_protocol
from multigen_core.study.units import phases

RESULT = "study.json"
FIGURES = "figures"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m multigen_core.study",
        description="Trains and tries out every policy of the study; goes on where it was stopped.",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument(
        "--protocol",
        type=Path,
        default=Path("experiments/protocols/study.yaml"),
        metavar="FILE",
        help="numbers of trainings and trials; default: experiments/protocols/study.yaml",
    )
    parser.add_argument(
        "--validation",
        action="store_true",
        help="in the lab where choices are made, whose result goes to reports/study/validation, not into the README",
    )
    parser.add_argument("--phases", nargs="+", metavar="NAME", help="only these; default: all of them")
    parser.add_argument("--out", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--table", action="store_true", help="only writes the README's table from the result")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    return exit_code_of(
        lambda: _write_table(options.out) if options.table else _run(options),
        stopped="stopped: finished trainings and trials are kept, run the same command again to go on",
    )


def _run(options: argparse.Namespace) -> None:
    from multigen_core.study.carry_out import STUDY, Study

    root = Path.cwd()
    experiment = load(options.params)
    conditions: ConditionsName = "validation" if options.validation else "test"
    experiment = dataclasses.replace(
        experiment, evaluation=dataclasses.replace(experiment.evaluation, conditions=conditions, disturbance="none")
    )
    protocol = load_protocol(options.protocol)
    study = Study(root, experiment)
    study.make(_chosen(protocol, options.phases))
    out = root / STUDY / "validation" if options.validation else options.out
    _write_result(study, protocol, out)
    if not options.validation:
        _write_table(out)


def _chosen(protocol: Protocol, names: list[str] | None) -> list[Any]:
    known = {phase.name: phase for phase in phases(protocol)}
    for name in names or ():
        if name not in known:
            raise ConfigError(f"--phases has {name!r}; phases are {', '.join(known)}")
    return [phase for name, phase in known.items() if names is None or name in names]


def _write_result(study: Any, protocol: Protocol, out: Path) -> None:
    from multigen_core.evaluation.lineage import commit, wall_seconds
    from multigen_core.evaluation.statistics import Bootstrap
    from multigen_core.machine import hardware
    from multigen_core.storage import write_json
    from multigen_core.study.carry_out import STUDY
    from multigen_core.study.explain import explain
    from multigen_core.study.page import write_page
    from multigen_core.study.pictures import draw
    from multigen_core.study.result import result

    experiment: Experiment = study.experiment
    bootstrap = Bootstrap(experiment.evaluation.bootstrap, seed_for(experiment, "evaluation", "bootstrap"))
    measured = result(study, protocol, bootstrap)
    out.mkdir(parents=True, exist_ok=True)
    data_s = {stage: s for stage, s in wall_seconds(study.root).items() if stage.split("@")[0] not in _NOT_DATA}
    found = {
        "profile": experiment.profile,
        "lab": experiment.evaluation.lab,
        "conditions": experiment.evaluation.conditions,
        **_origin(
            out / RESULT,
            measured,
            {
                "git_commit": commit(study.root),
                "hardware": hardware(),
                "wall_s": {"data": round(sum(data_s.values()), 1), "trainings_and_trials": study.wall_s()},
            },
        ),
        "seed": experiment.seed,
        "training_seeds": list(protocol.training_seeds),
        "episodes": len(experiment.episodes.shards) * experiment.episodes.per_shard,
        **measured,
    }
    write_json(out / RESULT, found)
    figures = draw(found, out / FIGURES)
    main = next(iter(phases(protocol)))
    # Every training's failures; the strips are of the first that hears.
    stripped = next(
        series
        for series in main.series
        if series.training.ablation == "vision_audio" and series.training.seed == protocol.training_seeds[0]
    )
    why = explain(study, main.series, stripped=stripped)
    page = study.root / STUDY / experiment.evaluation.conditions / "index.html"
    write_page(found, figures, why, page)
    print(f"wrote {out / RESULT}, {out / FIGURES} and {page.relative_to(study.root)}")


_NOT_DATA = {"policy", "evaluation", "report"}


def _origin(path: Path, measured: Mapping[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """By which commit, on what and in what time the figures were made, and ``lab_runs``, how often this lab gave some.

    Figures that stand in the file already are of the same trials: their origin stays. Others count once per commit.
    """
    if not path.is_file():
        return {"lab_runs": 1, **now}
    earlier = json.loads(path.read_text())
    if earlier["ablations"] == measured["ablations"]:
        return {key: earlier[key] for key in ("lab_runs", *now)}
    return {"lab_runs": earlier["lab_runs"] + (earlier["git_commit"] != now["git_commit"]), **now}


def _write_table(out: Path) -> None:
    from multigen_core.study.pictures import figures_in
    from multigen_core.study.table import update_readme

    path = out / RESULT
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: run `make study` first")
    update_readme(Path("README.md"), json.loads(path.read_text()), figures_in(out / FIGURES))
    print(f"README.md shows {path}")


if __name__ == "__main__":
    sys.exit(main())
