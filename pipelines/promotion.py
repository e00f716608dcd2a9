"""Moves a model's alias ``champion`` when the challenger passes the gate, and writes every decision down."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from multigen_core.errors import MissingInput, UserError
from multigen_core.progress import Progress
from pipelines.contests import CONTESTS, Contest, Rows
from pipelines.project import STATE
from pipelines.registry import CHALLENGER, CHAMPION, POLICY, PREVIOUS, version_at, weights_of
from pipelines.resources.mlflow import StepRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["DECISION", "Verdict", "judge", "roll_back"]

DECISION = "decision"
"""Tag of a judged version: ``promoted`` or ``refused``; beside it ``decision.reasons``, ``decision.figures``, ..."""
ROLLED_BACK = "rolled_back"
"""Tag of a version that was withdrawn: when. It does not come back by itself."""
REPLACED = "replaced"
"""Tag of a champion's version: the version that was champion before it."""
TRIALS_RUN = "trials_run_id"
"""Tag of a champion's version: the MLflow run that keeps its trials or scores, below ``v<version>``."""
PROTOCOL = "trials_protocol"
"""Tag of a champion's version: digest of what those were made under, besides their seeds."""
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


def judge(contest: Contest, run: StepRun, progress: Progress) -> Verdict:
    """Compares challenger and champion on the same trials; moves ``champion`` and ``previous`` if the gate says so.

    A champion whose trials do not pair with the challenger's, or were made under another protocol, is measured again
    first. Of two calls at once the second one waits and then meets the first one's champion.

    Raises ConfigError when the params train no such model, MissingInput when none is registered or the trials are
    another model's.
    """
    trained, measured = contest.trained.address, contest.measured.address
    with _one_at_a_time(contest.root, progress.say):
        challenger = version_at(run.client, contest.model, CHALLENGER)
        if challenger is None:
            raise MissingInput(f"{contest.model} has no version {CHALLENGER!r}: materialize {trained} first")
        if not contest.measured_with() <= {challenger.tags.get("dvc_md5")}:
            raise MissingInput(
                f"the trials of {measured} are not those of {contest.model} version {challenger.version}: "
                f"materialize {measured} and what is before it first"
            )
        champion = version_at(run.client, contest.model, CHAMPION)
        return _decide(contest, run, progress, challenger, champion)


def roll_back(
    client: "MlflowClient", root: Path, reason: str, say: Callable[[str], None], *, model: str = POLICY
) -> tuple[str, str]:
    """Makes ``previous`` the champion again and withdraws the present one; returns (withdrawn, restored) versions.

    Raises UserError without a reason or for an unknown model, MissingInput when there is nothing to go back to.
    """
    known = [contest.model for contest in CONTESTS.values()]
    if model not in known:
        raise UserError(f"no champion of {model!r} is kept: models are {', '.join(known)}")
    if not reason.strip():
        raise UserError("a rollback needs a reason, which is kept with the model version: pass one")
    with _one_at_a_time(root, say):
        champion, previous = version_at(client, model, CHAMPION), version_at(client, model, PREVIOUS)
        if champion is None or previous is None or previous.version == champion.version:
            raise MissingInput(f"{model} has no version {PREVIOUS!r} besides its champion: nothing to go back to")
        for name, value in ((ROLLED_BACK, _now()), (f"{ROLLED_BACK}.reason", reason.strip())):
            client.set_model_version_tag(model, champion.version, name, value)
        client.set_registered_model_alias(model, CHAMPION, previous.version)
        if REPLACED in previous.tags:
            client.set_registered_model_alias(model, PREVIOUS, previous.tags[REPLACED])
        else:
            client.delete_registered_model_alias(model, PREVIOUS)
    return str(champion.version), str(previous.version)


def _decide(
    contest: Contest, run: StepRun, progress: Progress, challenger: "ModelVersion", champion: "ModelVersion | None"
) -> Verdict:
    current, name = None if champion is None else str(champion.version), str(challenger.version)
    if current == name:
        return Verdict(False, current, name, (f"version {current} is the champion already",), {})
    if ROLLED_BACK in challenger.tags:
        reason = f"version {name} was rolled back on {challenger.tags[ROLLED_BACK]}: train another one"
        return Verdict(False, current, name, (reason,), {})
    rows = contest.read(contest.folder)
    rivals = None if champion is None else _champion_rows(contest, champion, rows, run, progress)
    decision = contest.gate(rows, rivals, contest.bootstrap)
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
        run.client.set_model_version_tag(contest.model, name, tag, value)
    if decision.promote:
        _keep_rows(contest, run, name, contest.folder)
        if current is not None:
            run.client.set_registered_model_alias(contest.model, PREVIOUS, current)
        run.client.set_registered_model_alias(contest.model, CHAMPION, name)
        current = name
    return Verdict(decision.promote, current, name, decision.reasons, decision.figures)


def _champion_rows(contest: Contest, champion: "ModelVersion", rows: Rows, run: StepRun, progress: Progress) -> Rows:
    """The champion's rows that pair with these: those that were kept, or new ones when they no longer fit."""
    with TemporaryDirectory(dir=contest.root / STATE) as scratch:
        if champion.tags.get(PROTOCOL) == contest.protocol():
            known = _kept_rows(contest, champion, Path(scratch))
            if len(contest.paired(known, rows)) == len(rows):
                return known
        progress.say(f"the champion was not measured under the present params and code: {contest.measured.asset} again")
        out = Path(scratch) / contest.measured.asset
        out.mkdir()
        contest.measure(weights_of(champion, Path(scratch)), out, progress)
        _keep_rows(contest, run, str(champion.version), out)
        return contest.read(out)


def _keep_rows(contest: Contest, run: StepRun, version: str, folder: Path) -> None:
    """Stores a version's rows with the run, for its next comparison."""
    run.client.log_artifact(run.run_id, str(folder / contest.table), f"v{version}")
    run.client.set_model_version_tag(contest.model, version, TRIALS_RUN, run.run_id)
    run.client.set_model_version_tag(contest.model, version, PROTOCOL, contest.protocol())


def _kept_rows(contest: Contest, version: "ModelVersion", scratch: Path) -> Rows:
    """Empty when the artifact is gone."""
    import mlflow

    try:
        path = mlflow.artifacts.download_artifacts(
            run_id=version.tags.get(TRIALS_RUN, ""),
            artifact_path=f"v{version.version}/{contest.table}",
            dst_path=str(scratch),
        )
    except (mlflow.MlflowException, OSError):
        return []
    return contest.read(Path(path).parent)


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
