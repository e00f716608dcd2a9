"""Makes what is missing of the study: every training and every series of trials is a folder, whole or not there.

A folder is kept as long as what it was made from (``recipe.json``: parameters, data, code) is still what would be
taken; the others are made anew. Stopped at any moment, the study goes on where it was.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from multigen_core.compute import Engine, make_engine
from multigen_core.dataset.windows import Recording, read_recordings
from multigen_core.errors import ConfigError, MissingInput
from multigen_core.evaluation.protocol import plan
from multigen_core.evaluation.table import write_trials
from multigen_core.evaluation.trials import Job, poured, trial_row
from multigen_core.experiment import Experiment, seed_for
from multigen_core.policy.drawn_masks import SEGMENTER, MaskDrawer, drawer_for
from multigen_core.policy.train import ABLATIONS, CURVE, train
from multigen_core.policy.unfinished import UNFINISHED
from multigen_core.progress import Progress, Silent, TerminalProgress
from multigen_core.stages import code_version, output_of, stage_named
from multigen_core.storage import MANIFEST, file_sha256, finished, output_folder, replace_text, write_json
from multigen_core.study.units import Phase, Series, Training

__all__ = ["STUDY", "Study"]

STUDY = Path("reports/study")
"""``trainings/<name>`` and ``<conditions>/<name>`` below it."""
_RECIPE = "recipe.json"


@dataclass(frozen=True)
class Study:
    """The study of an experiment, whose shards are there."""

    root: Path
    experiment: Experiment
    progress: Callable[[str], Progress] = TerminalProgress

    def make(self, phases: Sequence[Phase]) -> None:
        """All trainings and series of the phases that are not there yet.

        Raises MissingInput naming the stage to run when a shard is missing.
        """
        trainings = self._missing(phase.trainings for phase in phases)
        self._draw(trainings)
        self._train(trainings, self.progress("trainings"))
        for phase in phases:
            for number, series in enumerate(phase.series, start=1):
                if not self.has(series):
                    self._carry_out(series, self.progress(f"{phase.name} {number}/{len(phase.series)}"))

    def training_folder(self, training: Training) -> Path:
        """Where a trained policy is."""
        return self.root / STUDY / "trainings" / training.name

    def series_folder(self, series: Series) -> Path:
        """Where the rows of a series are."""
        return self.root / STUDY / self.experiment.evaluation.conditions / series.name

    def has(self, series: Series) -> bool:
        """Whether its rows are there, and were made from what would be taken now."""
        return finished(self.series_folder(series)) and self._kept(*self._series_place(series))

    def jobs(self, series: Series) -> tuple[Job, ...]:
        """The trials of a series."""
        evaluation = dataclasses.replace(
            self.experiment.evaluation, trials=series.trials, disturbance=series.disturbance
        )
        tasks = plan(dataclasses.replace(self.experiment, evaluation=evaluation))
        return tuple(
            Job(
                trial=trial,
                task=task,
                policy=self.training_folder(series.training),
                episodes=self.experiment.episodes,
                evaluation=evaluation,
                video=None,
                # Three further on: another cup, of the other kind, and another goal.
                heard_from=tasks[(trial + 3) % len(tasks)] if series.hears_another else None,
            )
            for trial, task in enumerate(tasks)
        )

    def _missing(self, trainings: Iterable[Sequence[Training]]) -> list[Training]:
        wanted = dict.fromkeys(training for some in trainings for training in some)
        return [training for training in wanted if not self._trained(training)]

    def _draw(self, trainings: Sequence[Training]) -> None:
        """The masks that the trainings need, before several of them draw the same ones."""
        shards = {shard for training in trainings for shard in self._frames(training)}
        if shards and self._drawer() is not None:
            started_s = time.monotonic()
            items = [(self.root, self.experiment, shard) for shard in sorted(shards)]
            self._engine().map(_draw, items, self.progress("masks"), "shards segmented")
            self._note_time("masks", time.monotonic() - started_s)

    def _train(self, trainings: Sequence[Training], progress: Progress) -> None:
        """One per core, and all of one kind of shard before the next: a worker keeps what it has read."""
        started_s = time.monotonic()
        try:
            in_turn = sorted(trainings, key=lambda training: ABLATIONS[training.ablation].shards)
            items = [(self.root, self.experiment, training) for training in in_turn]
            self._engine().map(_train, items, progress, "policies trained")
        finally:
            made = [training for training in trainings if self._trained(training)]
            for training in made:
                self._note_time(training.name, (time.monotonic() - started_s) / len(made))

    def train(self, training: Training) -> None:
        """One policy."""
        recordings = _recordings(self._shards(training.ablation))
        if training.episodes is not None and training.episodes > len(recordings):
            raise ConfigError(
                f"sizes has {training.episodes}: the shards hold {len(recordings)} episodes; take a smaller size or"
                " more shards"
            )
        policy, curve = train(
            recordings[: training.episodes],
            self._policy_params(training),
            ablation=training.ablation,
            seed=seed_for(self.experiment, "study", "policy", training.seed),
            progress=Silent(),
            drawer=self._drawer(),
            place=self.root / UNFINISHED / f"study-{training.name}",
        )
        with output_folder(self.training_folder(training)) as out:
            policy.save(out)
            curve.to_parquet(out / CURVE, index=False)
            write_json(out / _RECIPE, self._training_recipe(training))

    def draw(self, shard: Path) -> None:
        """The masks of a shard's frames, for trainings that need them."""
        drawer = self._drawer()
        if drawer is not None:
            drawer.draw(read_recordings([shard]), Silent())

    def _carry_out(self, series: Series, progress: Progress) -> None:
        progress.say(series.name)
        started_s = time.monotonic()
        jobs = self.jobs(series)
        pours = poured(jobs, self.experiment, progress)
        place, recipe = self._series_place(series)
        with output_folder(place) as out:
            write_trials(out, [trial_row(*pair, series.training.ablation) for pair in zip(jobs, pours, strict=True)])
            write_json(out / _RECIPE, recipe)
        name = f"{self.experiment.evaluation.conditions}-{series.name}"
        self._note_time(name, time.monotonic() - started_s)

    def _series_place(self, series: Series) -> tuple[Path, dict[str, Any]]:
        """Folder and recipe."""
        evaluation = dataclasses.asdict(self.experiment.evaluation)
        recipe = {
            "series": dataclasses.asdict(series),
            "evaluation": {key: evaluation[key] for key in sorted(set(evaluation) - {"trials", "bootstrap", "videos"})},
            "episodes": dataclasses.asdict(self.experiment.episodes) | {"shards": None, "per_shard": None},
            "training": self._training_recipe(series.training),
            "code": code_version(stage_named("evaluation")),
        }
        return self.series_folder(series), _plain(recipe)

    def _training_recipe(self, training: Training) -> dict[str, Any]:
        data = (*self._shards(training.ablation), self._segmenter())
        return _plain(
            {
                "training": dataclasses.asdict(training),
                "seed": self.experiment.seed,
                "code": code_version(stage_named("policy")),
                "policy": dataclasses.asdict(self._policy_params(training)) | {"ablations": None},
                "data": [file_sha256(folder / MANIFEST) for folder in data],
            }
        )

    def _policy_params(self, training: Training) -> Any:
        return dataclasses.replace(self.experiment.policy, family=training.family)

    def _shards(self, ablation: str) -> tuple[Path, ...]:
        stage = stage_named(ABLATIONS[ablation].shards)
        shards = tuple(self.root / output_of(stage, shard) for shard in self.experiment.episodes.shards)
        for shard in shards:
            self._require(shard)
        return shards

    def _frames(self, training: Training) -> tuple[Path, ...]:
        """Shards whose frames it sees. Dubbing changes the sound alone, so those of one stage show all frames."""
        return self._shards("vision") if ABLATIONS[training.ablation].uses_sight else ()

    def _drawer(self) -> MaskDrawer | None:
        return drawer_for(self.experiment.policy, self._segmenter(), self.root)

    def _segmenter(self) -> Path:
        folder = self.root / output_of(stage_named(SEGMENTER), None)
        self._require(folder)
        return folder

    def _require(self, folder: Path) -> None:
        if not finished(folder):
            raise MissingInput(f"{folder.relative_to(self.root)} is missing: run `make study`, or that stage, first")

    def _trained(self, training: Training) -> bool:
        return self._kept(self.training_folder(training), self._training_recipe(training))

    def _kept(self, folder: Path, recipe: dict[str, Any]) -> bool:
        return finished(folder) and json.loads((folder / _RECIPE).read_text()) == recipe

    def _engine(self) -> Engine:
        compute = self.experiment.compute
        return make_engine(compute.engine, compute.workers)

    def _note_time(self, name: str, wall_s: float) -> None:
        journal = self.root / STUDY / "journal"
        journal.mkdir(parents=True, exist_ok=True)
        replace_text(journal / f"{name}.json", json.dumps({"wall_s": round(wall_s, 1)}))

    def wall_s(self) -> float:
        """Of all trainings and trials so far; the data's own time is in the stages' journal."""
        paths = (self.root / STUDY / "journal").glob("*.json")
        return round(sum(float(json.loads(path.read_text())["wall_s"]) for path in paths), 1)


@lru_cache(maxsize=1)
def _recordings(shards: tuple[Path, ...]) -> list[Recording]:
    """Kept from one training to the next."""
    return read_recordings(shards)


def _train(item: tuple[Path, Experiment, Training]) -> None:
    """In a worker."""
    root, experiment, training = item
    Study(root, experiment).train(training)


def _draw(item: tuple[Path, Experiment, Path]) -> None:
    """In a worker."""
    root, experiment, shard = item
    Study(root, experiment).draw(shard)


def _plain(values: Any) -> Any:
    """As it comes back from a JSON file."""
    return json.loads(json.dumps(values))
