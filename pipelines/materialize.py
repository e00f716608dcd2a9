"""Makes everything that is not fresh, in this process, on Dagster's own storage: what ``make demo`` runs.

One Dagster run per asset partition, in an order in which every run finds its inputs. Finished partitions stay finished
whatever happens to the process, so the same command goes on where it was stopped.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from multigen_core.errors import ConfigError, UserError
from multigen_core.experiment import Experiment
from multigen_core.stages import JOURNAL, output_of, stage_named
from multigen_core.storage import finished
from pipelines.contests import CONTESTS
from pipelines.instance import IN_PROCESS, open_instance
from pipelines.project import load_experiment
from pipelines.recovery import bury_killed_runs, only_walk
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.step import DATA_VERSION
from pipelines.units import CHAMPIONS, REMOTE_COPY, Unit, read_by, units_of

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["materialize"]


def materialize(root: Path, *, select: Sequence[str] = (), force: bool = False, console: Console) -> None:
    """Materializes what is stale among the selected assets (all of them by default; ``force``: fresh ones too).

    ``select`` takes Dagster's selection syntax: ``+policy`` adds what the policy reads, ``*policy`` all before it.

    Raises UserError for a mistake the user can mend, also when another process does the same right now.
    """
    experiment = load_experiment(root)
    units = _selected(select, experiment)
    with only_walk(root):
        _Walk(root, experiment, console).make(units, force=force)


class _Walk:
    """One pass over the graph."""

    def __init__(self, root: Path, experiment: Experiment, console: Console) -> None:
        self._root = root
        self._experiment = experiment
        self._console = console
        self._dvc = Dvc(root=str(root))
        self._instance = open_instance(root)

    def make(self, units: Sequence[Unit], *, force: bool) -> None:
        """Raises what the first failing step raised; earlier steps stay done."""
        Mlflow(root=str(self._root)).opened()  # before anything is computed that it could not take
        bury_killed_runs(self._root, self._instance)
        changed = self._dvc.changed()
        made_anew: set[Unit] = set()
        started_s = time.monotonic()
        skipped = 0
        for place, unit in enumerate(units, start=1):
            if not force and self._fresh(unit, changed, made_anew):
                self._adopt(unit)
                skipped += 1
                continue
            before = self._version(unit)
            self._run(unit, label=f"{place}/{len(units)} {unit.address}")
            if self._version(unit) != before:
                made_anew.add(unit)
        minutes, seconds = divmod(round(time.monotonic() - started_s), 60)
        self._console.print(
            f"{len(units)} asset partitions: {len(units) - skipped} made, {skipped} fresh, in {minutes}:{seconds:02d}"
        )

    def _fresh(self, unit: Unit, changed: set[str], made_anew: set[Unit]) -> bool:
        if unit.asset in CHAMPIONS:
            contest = CONTESTS[unit.asset](self._experiment, self._root, self._dvc)
            return _journal(self._root, unit.asset).get("evidence") == contest.evidence()
        if unit.asset == REMOTE_COPY:
            return False
        stage = stage_named(unit.asset)
        whole = finished(self._root / output_of(stage, unit.partition))
        return whole and unit.address not in changed and made_anew.isdisjoint(read_by(unit, self._experiment))

    def _version(self, unit: Unit) -> str | None:
        return None if unit.asset in {*CHAMPIONS, REMOTE_COPY} else self._dvc.recorded(unit.asset, unit.partition)

    def _run(self, unit: Unit, *, label: str) -> None:
        import dagster as dg
        from dagster._core.errors import DagsterAssetCheckFailedError

        from pipelines.definitions import ASSETS

        started_s = time.monotonic()
        self._console.print(f"[bold]{label}[/] …")
        try:
            result = dg.materialize(
                ASSETS,
                selection=[unit.asset],
                partition_key=unit.partition,
                instance=self._instance,
                resources={
                    "compute": Compute(root=str(self._root), terminal_label=label),
                    "dvc": self._dvc,
                    "mlflow": Mlflow(root=str(self._root)),
                },
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags={IN_PROCESS: "true"},
            )
        except dg.Failure as failure:
            raise UserError(failure.description) from failure
        except DagsterAssetCheckFailedError as failure:
            raise UserError(f"{unit.address} breaks a law of its data: {' '.join(str(failure).split())}") from failure
        except dg.DagsterExecutionInterruptedError as stop:
            raise KeyboardInterrupt from stop
        self._console.print(f"[bold]{label}[/] done in {time.monotonic() - started_s:.0f} s{_note(result, unit)}")

    def _adopt(self, unit: Unit) -> None:
        """Tells Dagster of an output that `dvc repro` or `dvc pull` brought."""
        import dagster as dg

        version = self._version(unit)
        if version is None:
            return
        key = dg.AssetKey(unit.asset)
        filters = dg.AssetRecordsFilter(key, asset_partitions=[unit.partition] if unit.partition else None)
        known = self._instance.fetch_materializations(filters, limit=1).records
        latest = known[0].asset_materialization if known else None
        if latest is not None and (latest.tags or {}).get(DATA_VERSION) == version:
            return
        event = dg.AssetMaterialization(
            key,
            partition=unit.partition,
            description="Found finished: made or fetched by DVC.",
            tags={DATA_VERSION: version},
        )
        self._instance.report_runless_asset_event(event)


def _selected(select: Sequence[str], experiment: Experiment) -> list[Unit]:
    """Raises ConfigError for a selection that names no asset."""
    import dagster as dg

    from pipelines.definitions import ASSETS

    units = units_of(experiment)
    if not select:
        return units
    names: set[str] = set()
    for part in select:
        try:
            names |= {key.to_user_string() for key in dg.AssetSelection.from_string(part).resolve(ASSETS)}
        except dg.DagsterError as error:
            known = ", ".join(dict.fromkeys(unit.asset for unit in units))
            raise ConfigError(
                f"--select {part!r} names no asset; assets are {known}; `*policy` adds all before it"
            ) from error
    return [unit for unit in [*units, Unit(REMOTE_COPY, None)] if unit.asset in names]


def _note(result: "dg.ExecuteInProcessResult", unit: Unit) -> str:
    """A champion's verdict in words."""
    if unit.asset not in CHAMPIONS:
        return ""
    (event,) = result.asset_materializations_for_node(unit.asset)
    return f": {event.metadata['reasons'].value}"


def _journal(root: Path, name: str) -> dict[str, Any]:
    path = root / JOURNAL / f"{name}.json"
    notes: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return notes
