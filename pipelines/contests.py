"""What a promotion compares, for each kind of registered model: the same way from challenger to champion for both."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from multigen_core.errors import ConfigError
from multigen_core.experiment import Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.stages import Inputs, code_version, output_of, stage_named
from pipelines.registry import AUDIO, POLICY
from pipelines.resources.dvc import Dvc
from pipelines.units import AUDIO_CHAMPION, CHAMPION, Unit

if TYPE_CHECKING:
    from multigen_core.evaluation.gate import Decision
    from multigen_core.evaluation.statistics import Bootstrap

__all__ = ["CONTESTS", "AudioContest", "Contest", "PolicyContest", "Rows"]

Rows = Sequence[Any]
"""One per trial of a policy, or per episode that was given its sound."""


@dataclass(frozen=True)
class Contest(ABC):
    """A registered model, the stage that measures it, and the gate."""

    experiment: Experiment
    root: Path
    dvc: Dvc

    model: ClassVar[str]
    """Its name in the registry."""
    asset: ClassVar[str]
    """That moves the alias; the seed of its bootstrap has the same name, and its section of the params."""

    @property
    @abstractmethod
    def table(self) -> str:
        """File of the measuring stage's output that is kept with a champion."""

    @property
    @abstractmethod
    def trained(self) -> Unit:
        """What makes challengers. Raises ConfigError when the params train none."""

    @property
    @abstractmethod
    def measured(self) -> Unit:
        """What measures them."""

    @abstractmethod
    def measured_with(self) -> set[str]:
        """DVC's md5 of every model that the measurements on disk are of; empty when DVC recorded none."""

    @abstractmethod
    def read(self, folder: Path) -> Rows:
        """The rows of a measuring stage's output."""

    @abstractmethod
    def paired(self, first: Rows, second: Rows) -> Rows:
        """Those that two models have in common."""

    @abstractmethod
    def gate(self, challenger: Rows, champion: Rows | None, bootstrap: "Bootstrap") -> "Decision":
        """Who wins, and why."""

    @abstractmethod
    def measure(self, weights: Path, out: Path, progress: Progress) -> None:
        """Measures the model in the folder ``weights`` under the present params and code."""

    @abstractmethod
    def protocol(self) -> str:
        """Digest of all that decides a row besides the model and what rows are paired by."""

    @property
    def folder(self) -> Path:
        """Where the measurements are."""
        return self.root / self._place(self.measured)

    @property
    def bootstrap(self) -> "Bootstrap":
        """The intervals' settings."""
        from multigen_core.evaluation.statistics import Bootstrap

        return Bootstrap(self.experiment.evaluation.bootstrap, seed_for(self.experiment, self.asset))

    def evidence(self) -> dict[str, str | None]:
        """What a verdict rests on: while it stays the same, there is nothing to judge again."""
        versions = {unit.asset: self.dvc.recorded(unit.asset, unit.partition) for unit in (self.trained, self.measured)}
        settings = asdict(getattr(self.experiment, self.asset))
        return versions | {name: str(value) for name, value in settings.items()}

    @staticmethod
    def _place(unit: Unit) -> Path:
        return output_of(stage_named(unit.asset), unit.partition)


class PolicyContest(Contest):
    """Policies on the same cups, goals and seeds of the lab."""

    model = POLICY
    asset = CHAMPION

    @property
    def table(self) -> str:
        from multigen_core.evaluation.table import TRIALS

        return TRIALS

    @property
    def trained(self) -> Unit:
        ablation = self.experiment.champion.ablation
        if ablation not in self.experiment.policy.ablations:
            trained = ", ".join(self.experiment.policy.ablations)
            raise ConfigError(f"champion.ablation is {ablation!r}, but policy.ablations trains only {trained}")
        return Unit("policy", ablation)

    @property
    def measured(self) -> Unit:
        return Unit("evaluation", self.experiment.champion.ablation)

    def measured_with(self) -> set[str]:
        read = self.dvc.read(self.measured.asset, self.measured.partition)
        md5 = read.get(self._place(self.trained).as_posix())
        return {md5} if md5 else set()

    def read(self, folder: Path) -> Rows:
        from multigen_core.evaluation.table import read_trials

        return read_trials(folder)

    def paired(self, first: Rows, second: Rows) -> Rows:
        from multigen_core.evaluation.statistics import paired

        return paired(first, second)

    def gate(self, challenger: Rows, champion: Rows | None, bootstrap: "Bootstrap") -> "Decision":
        from multigen_core.evaluation.gate import gate

        return gate(challenger, champion, self.experiment.champion, bootstrap)

    def measure(self, weights: Path, out: Path, progress: Progress) -> None:
        from multigen_core.evaluation.trials import run

        inputs = Inputs(root=self.root, folders={"policy": (weights,)}, partition=self.measured.partition)
        run(self.experiment, inputs, out, progress)

    def protocol(self) -> str:
        evaluation, episodes = asdict(self.experiment.evaluation), asdict(self.experiment.episodes)
        for section, name in (
            (evaluation, "videos"),
            (evaluation, "bootstrap"),
            (episodes, "shards"),
            (episodes, "per_shard"),
        ):
            del section[name]
        return _digest([evaluation, episodes, code_version(stage_named("evaluation"))])


class AudioContest(Contest):
    """Audio models on the same silent episodes, by the audio report."""

    model = AUDIO
    asset = AUDIO_CHAMPION

    @property
    def table(self) -> str:
        from multigen_core.audio_model.report import SCORES

        return SCORES

    @property
    def trained(self) -> Unit:
        return Unit("audio_model", None)

    @property
    def measured(self) -> Unit:
        return Unit("audio_report", None)

    def measured_with(self) -> set[str]:
        """Of the shards' sounds too, which may be an earlier model's; ``unknown`` if the report is not of these."""
        if not self.dvc.read("audio_report", None):
            return set()
        model = self._place(self.trained).as_posix()
        readers = [self.measured, *(Unit("audiovisual", shard) for shard in self.experiment.episodes.shards)]
        models = {self.dvc.read(unit.asset, unit.partition).get(model, "unknown") for unit in readers}
        return models | ({"unknown"} if self.measured.address in self.dvc.changed() else set())

    def read(self, folder: Path) -> Rows:
        from multigen_core.evaluation.audio_gate import read_scores

        return read_scores(folder)

    def paired(self, first: Rows, second: Rows) -> Rows:
        from multigen_core.evaluation.audio_gate import paired_episodes

        return paired_episodes(first, second)

    def gate(self, challenger: Rows, champion: Rows | None, bootstrap: "Bootstrap") -> "Decision":
        from multigen_core.evaluation.audio_gate import gate_audio

        return gate_audio(challenger, champion, self.experiment.audio_champion, bootstrap)

    def measure(self, weights: Path, out: Path, progress: Progress) -> None:
        """Dubs every shard again with the model, as the stage ``audiovisual`` would, and reports on that."""
        from multigen_core.audio_model.report import run as report
        from multigen_core.dub.audiovisual import run as dub

        shards = self.experiment.episodes.shards
        dubbed, silent, noisy = ([], [], [])
        for shard in shards:
            silent.append(self.root / self._place(Unit("episodes", shard)))
            noisy.append(self.root / self._place(Unit("noise_augmented", shard)))
            dubbed.append(out.parent / "audiovisual" / shard)
            dubbed[-1].mkdir(parents=True)
            inputs = Inputs(self.root, {"episodes": (silent[-1],), "audio_model": (weights,)}, shard)
            dub(self.experiment, inputs, dubbed[-1], progress)
        folders = {"audio_model": (weights,), "audiovisual": tuple(dubbed), "noise_augmented": tuple(noisy)}
        report(self.experiment, Inputs(self.root, folders, None), out, progress)

    def protocol(self) -> str:
        episodes = [self.dvc.recorded("episodes", shard) for shard in self.experiment.episodes.shards]
        code = [code_version(stage_named(name)) for name in ("audiovisual", "audio_report")]
        return _digest([self.experiment.seed, asdict(self.experiment.audio_report), episodes, code])


CONTESTS: dict[str, type[Contest]] = {contest.asset: contest for contest in (AudioContest, PolicyContest)}
"""By the asset that holds it."""


def _digest(what: list[Any]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
