"""Moves the registry's alias ``champion`` when the new policy passes the gate, and says why when it does not."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from multigen_core.errors import ConfigError, MissingInput
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import Trial
from multigen_core.stages import Inputs, output_of, stage_named
from pipelines.project import STATE
from pipelines.registry import CHALLENGER, CHAMPION, POLICY, PREVIOUS, version_at
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import StepRun

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["TRIALS_RUN", "Verdict", "evidence", "judge"]

TRIALS_RUN = "trials_run_id"
"""Tag of a champion's version: the MLflow run that keeps the trials it was promoted on."""


@dataclass(frozen=True)
class Verdict:
    """What became of the challenger."""

    promoted: bool
    champion: str | None
    """Version that the alias points at now."""
    challenger: str
    reasons: tuple[str, ...]
    figures: dict[str, float]


def evidence(experiment: Experiment, dvc: Dvc) -> dict[str, str | None]:
    """What a verdict rests on: while it stays the same, there is nothing to judge again."""
    ablation = experiment.champion.ablation
    versions = {stage: dvc.recorded(stage, ablation) for stage in ("policy", "evaluation")}
    return versions | {name: str(value) for name, value in asdict(experiment.champion).items()}


def judge(experiment: Experiment, root: Path, run: StepRun, progress: Progress) -> Verdict:
    """Compares challenger and champion on the same trials; moves ``champion`` and ``previous`` if the gate says so.

    A champion whose trials do not pair with the challenger's (params changed) is evaluated again first.

    Raises ConfigError when no policy of ``champion.ablation`` is trained, MissingInput when none is registered.
    """
    from multigen_core.evaluation.gate import gate
    from multigen_core.evaluation.statistics import Bootstrap
    from multigen_core.evaluation.table import TRIALS, read_trials

    ablation = experiment.champion.ablation
    if ablation not in experiment.policy.ablations:
        trained = ", ".join(experiment.policy.ablations)
        raise ConfigError(f"champion.ablation is {ablation!r}, but policy.ablations trains only {trained}")
    client = run.client
    challenger = version_at(client, POLICY, CHALLENGER)
    if challenger is None:
        raise MissingInput(f"{POLICY} has no version {CHALLENGER!r}: materialize policy@{ablation} first")
    champion = version_at(client, POLICY, CHAMPION)
    if champion is not None and champion.version == challenger.version:
        reason = f"version {champion.version} is the champion already"
        return Verdict(False, str(champion.version), str(challenger.version), (reason,), {})

    folder = root / output_of(stage_named("evaluation"), ablation)
    trials = read_trials(folder)
    rivals = None if champion is None else _champion_trials(champion, trials, experiment, root, progress)
    bootstrap = Bootstrap(experiment.evaluation.bootstrap, seed_for(experiment, "champion"))
    decision = gate(trials, rivals, experiment.champion, bootstrap)
    if decision.promote:
        run.file(folder / TRIALS)
        client.set_model_version_tag(POLICY, challenger.version, TRIALS_RUN, run.run_id)
        if champion is not None:
            client.set_registered_model_alias(POLICY, PREVIOUS, champion.version)
        client.set_registered_model_alias(POLICY, CHAMPION, challenger.version)
        champion = challenger
    current = None if champion is None else str(champion.version)
    return Verdict(decision.promote, current, str(challenger.version), decision.reasons, decision.figures)


def _champion_trials(
    champion: "ModelVersion", trials: Sequence[Trial], experiment: Experiment, root: Path, progress: Progress
) -> Sequence[Trial]:
    """The champion's trials that pair with these: those it was promoted on, or new ones when they no longer fit."""
    import mlflow

    from multigen_core.evaluation.statistics import paired
    from multigen_core.evaluation.table import TRIALS, read_trials
    from multigen_core.evaluation.trials import run as run_trials

    with TemporaryDirectory(dir=root / STATE) as scratch:
        kept = mlflow.artifacts.download_artifacts(
            run_id=champion.tags[TRIALS_RUN], artifact_path=TRIALS, dst_path=scratch
        )
        known = read_trials(Path(kept).parent)
        if len(paired(known, trials)) == len(trials):
            return known
        progress.say("the champion's trials were made under other params: evaluating it again")
        weights = mlflow.artifacts.download_artifacts(f"models:/{POLICY}@{CHAMPION}", dst_path=scratch)
        (folder,) = (Path(weights) / "artifacts").iterdir()
        out = Path(scratch) / "evaluation"
        out.mkdir()
        inputs = Inputs(root=root, folders={"policy": (folder,)}, partition=experiment.champion.ablation)
        run_trials(experiment, inputs, out, progress)
        return read_trials(out)
