"""A study of a few seconds: trainings, trials and controls are made once, kept, and add up to a result."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multigen_core.dataset.lerobot import write_shard
from multigen_core.errors import MissingInput, UserError
from multigen_core.evaluation.failures import failure
from multigen_core.evaluation.statistics import Bootstrap
from multigen_core.evaluation.table import read_trials
from multigen_core.evaluation.trials import Job
from multigen_core.experiment import Experiment
from multigen_core.masks.unet import PocketUNet, save_unet
from multigen_core.progress import Silent
from multigen_core.records import Trial
from multigen_core.storage import output_folder
from multigen_core.study import carry_out
from multigen_core.study.__main__ import _origin
from multigen_core.study.carry_out import Study
from multigen_core.study.explain import explain
from multigen_core.study.page import write_page
from multigen_core.study.pictures import draw
from multigen_core.study.protocol import Protocol
from multigen_core.study.result import block, difference, result
from multigen_core.study.table import BEGIN, END, results_text, update_readme
from multigen_core.study.units import Series, phases
from tests.evaluation.made_up_run import experiment, made_up_trials
from tests.pours import made_up_episode, made_up_soundtrack

BOOTSTRAP = Bootstrap(resamples=200, seed=1)
PROTOCOL = Protocol(
    training_seeds=(0, 1),
    trials=4,
    reference_trials=2,
    sizes=(2,),
    size_trials=2,
    robustness_trials=2,
    listening_trials=2,
)
TARGETS = 9


@pytest.fixture(scope="module")
def params() -> Experiment:
    params = experiment(trials=2)
    return replace(
        params,
        compute=replace(params.compute, engine="serial"),
        episodes=replace(
            params.episodes,
            shards=("000",),
            per_shard=4,
            image_px=48,
            particle_ml=8.0,
            timestep_s=0.02,
            solver_iterations=1,
        ),
        policy=replace(params.policy, steps=2, batch=4, audio_window_s=0.5, chunk=4, sampling_steps=2),
        evaluation=replace(params.evaluation, max_duration_s=0.4),
    )


@pytest.fixture(scope="module")
def study(params: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("study")
    episodes = [made_up_episode(k, steps=14, size_px=48) for k in range(4)]
    for stage in ("audiovisual", "noise_augmented"):
        with output_folder(root / f"data/{stage}/shard=000") as out:
            write_shard(out, episodes, [made_up_soundtrack(episode) for episode in episodes])
    with output_folder(root / "models/segmenter") as out:
        save_unet(PocketUNet(2), out, image_px=48)
    study = Study(root, params, progress=lambda name: Silent())
    study.make(phases(PROTOCOL))
    return study


def inodes(study: Study) -> dict[str, int]:
    return {path.as_posix(): path.stat().st_ino for path in sorted(study.root.rglob("recipe.json"))}


def test_every_series_has_its_trials(study: Study) -> None:
    for phase in phases(PROTOCOL):
        for series in phase.series:
            rows = read_trials(study.series_folder(series))
            assert [row.trial for row in rows] == list(range(series.trials))
            assert {row.ablation for row in rows} == {series.training.ablation}
            if series.disturbance == "camera_covered":
                assert {row.outcome for row in rows} == {"sense_lost"}


def test_what_is_there_is_kept_and_what_changed_is_made_anew(study: Study, params: Experiment) -> None:
    before = inodes(study)
    study.make(phases(PROTOCOL))
    assert inodes(study) == before
    longer = replace(params, evaluation=replace(params.evaluation, max_duration_s=0.5))
    replace(study, experiment=longer).make(phases(PROTOCOL)[:1])
    after = inodes(study)
    changed = {path for path in before if after[path] != before[path]}
    main = {study.series_folder(one).name for one in phases(PROTOCOL)[0].series}
    assert {Path(path).parent.name for path in changed} == main
    # What was made under other params is no part of this study's result.
    assert "vision" not in result(study, PROTOCOL, BOOTSTRAP)["ablations"]
    study.make(phases(PROTOCOL)[:1])
    assert "vision" in result(study, PROTOCOL, BOOTSTRAP)["ablations"]


def test_what_other_code_made_is_not_taken(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    one = phases(PROTOCOL)[0].series[0]
    assert study.has(one)
    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "code_version", lambda stage: f"another {stage.name}")
        assert not study.has(one)
    assert study.has(one)


def test_a_study_that_is_stopped_keeps_the_series_before(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = phases(PROTOCOL)[0].series[:2]
    for series in (first, second):
        shutil.rmtree(study.series_folder(series))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Study, "jobs", _stops_at(second))
        study.make(phases(PROTOCOL)[:1])
    assert study.has(first) and not study.has(second)
    before = inodes(study)
    study.make(phases(PROTOCOL)[:1])
    assert before.items() < inodes(study).items() and study.has(second)


def _stops_at(last: Series) -> Callable[[Study, Series], tuple[Job, ...]]:
    jobs = Study.jobs

    def stopping(study: Study, series: Series) -> tuple[Job, ...]:
        if series == last:
            raise KeyboardInterrupt
        return jobs(study, series)

    return stopping


def test_a_missing_shard_names_the_command(study: Study, params: Experiment, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"data/audiovisual/shard=000 is missing: run `make study`"):
        Study(tmp_path, params).make(phases(PROTOCOL))


def test_the_result_is_plain_json_with_everything_in_it(study: Study, tmp_path: Path) -> None:
    found = json.loads(json.dumps(result(study, PROTOCOL, BOOTSTRAP), allow_nan=False))
    assert list(found["ablations"]) == ["vision", "vision_audio", "vision_noise", "audio", "joints"]
    assert found["ablations"]["vision"]["trials"] == 8
    assert found["ablations"]["vision"]["opaque"]["trials"] == found["ablations"]["vision"]["clear"]["trials"] == 4
    assert set(found["listening"]) == {"own_sound", "pour_muted", "another_trials_sound"}
    assert [point["episodes"] for point in found["sizes"]["vision_noise"]] == [2, 4]
    assert len(found["robustness"]) == 7 and len(found["targets"]) == TARGETS
    names = {path.stem for path in draw(found, tmp_path)}
    assert names == {"table1", "figure4b", "robustness"}


def test_policies_are_compared_on_the_trials_that_both_have(study: Study) -> None:
    found = result(study, PROTOCOL, BOOTSTRAP)

    def mean_error(ablation: str, trials: int) -> float:
        series = [one for phase in phases(PROTOCOL)[:2] for one in phase.series if one.training.ablation == ablation]
        rows = [trial for one in series for trial in read_trials(study.series_folder(one))[:trials]]
        return float(np.mean([trial.error for trial in rows]))

    for pair, trials in {"vision_noise - vision_audio": 4, "joints - vision": 2, "audio - vision_audio": 2}.items():
        first, second = pair.split(" - ")
        expected = mean_error(first, trials) - mean_error(second, trials)
        assert found["differences"][pair]["all"]["mean"] == pytest.approx(expected, abs=1e-4), pair
    gain = found["blind"]["nmae"] - found["ablations"]["vision"]["nmae"]
    assert found["differences"]["blind - vision"]["all"]["mean"] == pytest.approx(gain, abs=1e-3)


def test_the_lab_counts_once_per_commit_and_not_for_the_same_trials(tmp_path: Path) -> None:
    path, ours, others = tmp_path / "study.json", {"ablations": {"vision": 0.3}}, {"ablations": {"vision": 0.2}}

    def origin(measured: dict[str, Any], git_commit: str) -> tuple[int, str]:
        found = _origin(path, measured, {"git_commit": git_commit})
        path.write_text(json.dumps(found | measured))
        return found["lab_runs"], found["git_commit"]

    assert origin(ours, "a") == (1, "a")
    assert origin(others, "a") == (1, "a")
    assert origin(ours, "b") == (2, "b")
    assert origin(ours, "c") == (2, "b")


def test_an_unfinished_study_has_a_result_too(study: Study, tmp_path: Path) -> None:
    nothing = result(replace(study, root=tmp_path), PROTOCOL, BOOTSTRAP)
    assert nothing["ablations"] == {} and nothing["targets"] == []
    assert draw(nothing, tmp_path) == []


def runs(spread: float) -> list[list[Trial]]:
    return [made_up_trials(experiment(trials=24), "vision", spread=spread, seed=seed) for seed in (0, 1, 2)]


def test_a_block_counts_every_trial_of_every_training() -> None:
    found = block(runs(0.3), BOOTSTRAP)
    errors = [trial.error for run in runs(0.3) for trial in run]
    assert found["nmae"] == pytest.approx(np.mean(errors), abs=1e-4)
    assert found["trials"] == 72 and found["opaque"]["trials"] == 36
    assert np.mean(found["nmae_by_training_seed"]) == pytest.approx(found["nmae"], abs=1e-3)
    assert found["nmae_ci95"][0] <= found["nmae"] <= found["nmae_ci95"][1]
    assert sum(found["outcomes"].values()) == 72


def test_trials_of_other_tasks_do_not_pair() -> None:
    others = [[replace(trial, seed=trial.seed + 1) for trial in run] for run in runs(0.3)]
    with pytest.raises(ValueError, match="do not pair"):
        difference(runs(0.3), others, BOOTSTRAP)
    gain = difference(runs(0.4), runs(0.2), BOOTSTRAP)
    assert gain.low > 0.0


HEAD = {
    "episodes": 4,
    "training_seeds": [0, 1],
    "conditions": "test",
    "git_commit": "0123456789",
    "hardware": "abacus, 2 cores",
    "lab_runs": 1,
}


def test_the_readme_shows_the_result_and_keeps_the_rest(study: Study, tmp_path: Path) -> None:
    found = HEAD | result(study, PROTOCOL, BOOTSTRAP)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold figures\n{END}\nafter\n")
    update_readme(readme, found)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n")
    assert "old figures" not in text and results_text(found) in text
    for cup in found["ablations"]["vision"]["by_container"]:
        assert f"| {cup.replace('_', ' ')} (" in text
    assert f"| all opaque | {found['ablations']['vision']['opaque']['nmae']:.2f} [" in text
    assert "| Joints and goal alone less vision | " in text
    update_readme(readme, found)
    assert readme.read_text() == text
    update_readme(readme, found, [Path("results/figures/figure4b.png")])
    assert "lower is better" in readme.read_text()
    assert "![Figure 4b: NMAE against training episodes" in readme.read_text()
    assert "](results/figures/figure4b.png)\n" in readme.read_text()


def test_a_readme_without_a_place_for_results_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here\n")
    with pytest.raises(UserError, match="have no place"):
        update_readme(tmp_path / "README.md", HEAD)
    assert (tmp_path / "README.md").read_text() == "nothing here\n"


def test_the_page_shows_every_failure_with_its_reason(study: Study, tmp_path: Path) -> None:
    chosen = phases(PROTOCOL)[0].series
    why = explain(study, chosen, stripped=chosen[1])
    reasons = [failure(trial) for series in chosen for trial in read_trials(study.series_folder(series))]
    failed = sum(reason is not None for reason in reasons)
    assert failed == len(why.failures) > 0
    assert all(one.video.is_file() for one in why.failures) and all(strip.is_file() for strip in why.strips)
    assert sorted(strip.stem for strip in why.strips) == ["clear-1", "clear-2", "opaque-1", "opaque-2"]
    page, found = tmp_path / "index.html", HEAD | result(study, PROTOCOL, BOOTSTRAP)
    write_page(found, draw(found, tmp_path), why, page)
    text = page.read_text()
    assert text.count("<video") == text.count('poster="data:image/png') == failed
    for reason in filter(None, reasons):
        assert f"<b>{reason.replace('_', ' ')}</b><br>" in text
    assert "vision-diffusion-all-seed0, trial 0" in text
