"""Moves the registry's alias ``champion`` when the new policy passes the gate, and writes every decision down."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from multigen_core.errors import ConfigError, MissingInput, UserError
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import Trial
from multigen_core.stages import Inputs, code_version, output_of, stage_named
from pipelines.project import STATE
from pipelines.registry import CHALLENGER, CHAMPION, POLICY, PREVIOUS, version_at, weights_of
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import StepRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["DECISION", "Verdict", "evidence", "judge", "roll_back", "trained_policy"]

DECISION = "decision"
"""Tag of a judged version: ``promoted`` or ``refused``; beside it ``decision.reasons``, ``decision.figures``, ..."""
ROLLED_BACK = "rolled_back"
"""Tag of a version that was withdrawn: when. It does not come back by itself."""
REPLACED = "replaced"
"""Tag of a champion's version: the version that was champion before it."""
TRIALS_RUN = "trials_run_id"
"""Tag of a champion's version: the MLflow run that keeps its trials, below ``v<version>``."""
PROTOCOL = "trials_protocol"
"""Tag of a champion's version: digest of what its trials were made under, besides their seeds."""
PATIENCE_S = 3600.0
"""How long a promotion waits for another one, which may evaluate a champion again."""


@dataclass(frozen=True)
class Verdict:
    """What became of the challenger."""

    promoted: bool
    champion: str | None
    """Version that the alias points at now."""
    challenger: str
    reasons: tuple[str, ...]
    figures: dict[str, float]

    @property
    def settled(self) -> bool:
        """Whether the challenger is the champion now, by this verdict or by an earlier one."""
        return self.champion == self.challenger


def evidence(experiment: Experiment, dvc: Dvc) -> dict[str, str | None]:
    """What a verdict rests on: while it stays the same, there is nothing to judge again."""
    ablation = experiment.champion.ablation
    versions = {stage: dvc.recorded(stage, ablation) for stage in ("policy", "evaluation")}
    return versions | {name: str(value) for name, value in asdict(experiment.champion).items()}


def trained_policy(experiment: Experiment, dvc: Dvc) -> str | None:
    """DVC's md5 of the policy that the evaluation on disk poured with; None when DVC recorded none."""
    ablation = experiment.champion.ablation
    return dvc.read("evaluation", ablation).get(output_of(stage_named("policy"), ablation).as_posix())


def judge(experiment: Experiment, root: Path, run: StepRun, progress: Progress, *, poured_with: str | None) -> Verdict:
    """Compares challenger and champion on the same trials; moves ``champion`` and ``previous`` if the gate says so.

    A champion whose trials do not pair with the challenger's, or were made under another protocol, is evaluated again
    first. ``poured_with`` is the md5 of the policy that the trials on disk are of. Of two calls at once the second one
    waits and then meets the first one's champion.

    Raises ConfigError when no policy of ``champion.ablation`` is trained, MissingInput when none is registered or the
    trials are another policy's.
    """
    ablation = experiment.champion.ablation
    if ablation not in experiment.policy.ablations:
        trained = ", ".join(experiment.policy.ablations)
        raise ConfigError(f"champion.ablation is {ablation!r}, but policy.ablations trains only {trained}")
    with _one_at_a_time(root, progress.say):
        challenger = version_at(run.client, POLICY, CHALLENGER)
        if challenger is None:
            raise MissingInput(f"{POLICY} has no version {CHALLENGER!r}: materialize policy@{ablation} first")
        if poured_with not in (None, challenger.tags.get("dvc_md5")):
            raise MissingInput(
                f"the trials of evaluation@{ablation} are not those of {POLICY} version {challenger.version}: "
                f"materialize evaluation@{ablation} first"
            )
        champion = version_at(run.client, POLICY, CHAMPION)
        return _decide(experiment, root, run, progress, challenger, champion)


def roll_back(client: "MlflowClient", root: Path, reason: str, say: Callable[[str], None]) -> tuple[str, str]:
    """Makes ``previous`` the champion again and withdraws the present one; returns (withdrawn, restored) versions.

    Raises UserError without a reason, MissingInput when there is nothing to go back to.
    """
    if not reason.strip():
        raise UserError("a rollback needs a reason, which is kept with the model version: pass one")
    with _one_at_a_time(root, say):
        champion, previous = version_at(client, POLICY, CHAMPION), version_at(client, POLICY, PREVIOUS)
        if champion is None or previous is None or previous.version == champion.version:
            raise MissingInput(f"{POLICY} has no version {PREVIOUS!r} besides its champion: nothing to go back to")
        for name, value in ((ROLLED_BACK, _now()), (f"{ROLLED_BACK}.reason", reason.strip())):
            client.set_model_version_tag(POLICY, champion.version, name, value)
        client.set_registered_model_alias(POLICY, CHAMPION, previous.version)
        if REPLACED in previous.tags:
            client.set_registered_model_alias(POLICY, PREVIOUS, previous.tags[REPLACED])
        else:
            client.delete_registered_model_alias(POLICY, PREVIOUS)
    return str(champion.version), str(previous.version)


def _decide(
    experiment: Experiment,
    root: Path,
    run: StepRun,
    progress: Progress,
    challenger: "ModelVersion",
    champion: "ModelVersion | None",
) -> Verdict:
    from multigen_core.evaluation.gate import gate
    from multigen_core.evaluation.statistics import Bootstrap
    from multigen_core.evaluation.table import read_trials

    current, name = None if champion is None else str(champion.version), str(challenger.version)
    if current == name:
        return Verdict(False, current, name, (f"version {current} is the champion already",), {})
    if ROLLED_BACK in challenger.tags:
        reason = f"version {name} was rolled back on {challenger.tags[ROLLED_BACK]}: train another one"
        return Verdict(False, current, name, (reason,), {})
    folder = root / output_of(stage_named("evaluation"), experiment.champion.ablation)
    trials = read_trials(folder)
    rivals = None if champion is None else _champion_trials(champion, trials, experiment, root, run, progress)
    bootstrap = Bootstrap(experiment.evaluation.bootstrap, seed_for(experiment, "champion"))
    decision = gate(trials, rivals, experiment.champion, bootstrap)
    # First the tags, then the aliases: the aliases are what counts, and a killed process may leave the first alone.
    tags = {
        DECISION: "promoted" if decision.promote else "refused",
        f"{DECISION}.at": _now(),
        f"{DECISION}.against": current or "none",
        f"{DECISION}.reasons": "; ".join(decision.reasons),
        f"{DECISION}.figures": json.dumps(decision.figures, sort_keys=True),
        f"{DECISION}.mlflow_run_id": run.run_id,
    } | ({REPLACED: current} if decision.promote and current else {})
    for tag, value in tags.items():
        run.client.set_model_version_tag(POLICY, name, tag, value)
    if decision.promote:
        _keep_trials(run, name, folder, experiment)
        if current is not None:
            run.client.set_registered_model_alias(POLICY, PREVIOUS, current)
        run.client.set_registered_model_alias(POLICY, CHAMPION, name)
        current = name
    return Verdict(decision.promote, current, name, decision.reasons, decision.figures)


def _champion_trials(
    champion: "ModelVersion",
    trials: Sequence[Trial],
    experiment: Experiment,
    root: Path,
    run: StepRun,
    progress: Progress,
) -> Sequence[Trial]:
    """The champion's trials that pair with these: those that were kept, or new ones when they no longer fit."""
    from multigen_core.evaluation.statistics import paired
    from multigen_core.evaluation.table import read_trials
    from multigen_core.evaluation.trials import run as run_trials

    with TemporaryDirectory(dir=root / STATE) as scratch:
        if champion.tags.get(PROTOCOL) == _protocol(experiment):
            known = _kept_trials(champion, Path(scratch))
            if len(paired(known, trials)) == len(trials):
                return known
        progress.say("the champion has no trials under the present params and code: evaluating it again")
        folder = weights_of(champion, Path(scratch))
        out = Path(scratch) / "evaluation"
        out.mkdir()
        inputs = Inputs(root=root, folders={"policy": (folder,)}, partition=experiment.champion.ablation)
        run_trials(experiment, inputs, out, progress)
        _keep_trials(run, str(champion.version), out, experiment)
        return read_trials(out)


def _keep_trials(run: StepRun, version: str, folder: Path, experiment: Experiment) -> None:
    """Stores a version's trials with the run, for its next comparison."""
    from multigen_core.evaluation.table import TRIALS

    run.client.log_artifact(run.run_id, str(folder / TRIALS), f"v{version}")
    run.client.set_model_version_tag(POLICY, version, TRIALS_RUN, run.run_id)
    run.client.set_model_version_tag(POLICY, version, PROTOCOL, _protocol(experiment))


def _kept_trials(version: "ModelVersion", scratch: Path) -> Sequence[Trial]:
    """Empty when the artifact is gone."""
    import mlflow

    from multigen_core.evaluation.table import TRIALS, read_trials

    try:
        path = mlflow.artifacts.download_artifacts(
            run_id=version.tags.get(TRIALS_RUN, ""), artifact_path=f"v{version.version}/{TRIALS}", dst_path=str(scratch)
        )
    except (mlflow.MlflowException, OSError):
        return []
    return read_trials(Path(path).parent)


def _protocol(experiment: Experiment) -> str:
    """Digest of all that decides a trial besides policy and seed: the lab's params and the code of the evaluation."""
    evaluation, episodes = asdict(experiment.evaluation), asdict(experiment.episodes)
    for section, name in (
        (evaluation, "videos"),
        (evaluation, "bootstrap"),
        (episodes, "shards"),
        (episodes, "per_shard"),
    ):
        del section[name]
    text = json.dumps([evaluation, episodes, code_version(stage_named("evaluation"))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _one_at_a_time(root: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Held from reading the aliases until they are moved; the kernel lets go of it when the process is killed.

    Raises UserError when another promotion does not end.
    """
    (root / STATE).mkdir(exist_ok=True)
    lock = FileLock(root / STATE / "promotion.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another promotion or rollback is under way: waiting for it")
        try:
            lock.acquire(timeout=PATIENCE_S)
        except Timeout as error:
            raise UserError(f"another promotion holds {lock.lock_file} for {PATIENCE_S:.0f} s: end it first") from error
    try:
        yield
    finally:
        lock.release()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
