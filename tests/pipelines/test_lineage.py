"""From a model version down to the clips, and back up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from multigen_core.clips.catalogue import CATALOGUE
from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment
from multigen_core.stages import JOURNAL, output_of, stage_named
from pipelines.lineage import Clip, Lineage, keep, lineage_of, sentences, trace
from pipelines.registry import AUDIO, POLICY, register
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow
from pipelines.units import Unit, ancestors_of
from tests.evaluation.made_up_run import experiment as made_up_experiment
from tests.evaluation.made_up_run import made_up_run
from tests.skeleton import REPOSITORY

pytestmark = pytest.mark.filterwarnings("ignore")


class Recorded(Dvc):
    """A project in which every output has its address as version."""

    def recorded(self, stage: str, partition: str | None) -> str | None:
        return f"{stage}-{partition}.dir"


def test_the_ancestors_of_a_policy(experiment: Experiment) -> None:
    """All that made its data, upstream first; neither other policies nor what comes after."""
    names = [unit.address for unit in ancestors_of(Unit("policy", "vision_audio"), experiment)]
    shards = experiment.episodes.shards
    expected = ["clips", "segmenter", "masks", "audio_model"]
    for stage in ("episodes", "audiovisual", "noise_augmented"):
        expected += [f"{stage}@{shard}" for shard in shards]
    assert names == expected


@pytest.fixture
def project(tmp_path: Path, tracking: Mlflow, experiment: Experiment, served: None) -> Path:
    """Clips, the journal of their run, and a registered policy with its lineage."""
    made_up_run(tmp_path, made_up_experiment(trials=2))
    notes = {"dvc_md5": "clips-None.dir", "git_commit": "abc", "dagster_run_id": "d1", "mlflow_run_id": "m1"}
    journal = tmp_path / JOURNAL
    journal.mkdir(parents=True, exist_ok=True)
    (journal / "clips.json").write_text(json.dumps(notes))
    (journal / "masks.json").write_text(json.dumps(notes | {"dvc_md5": "an older output"}))
    tags = {
        "dagster.run_id": "d9",
        "dagster.asset_key": "policy",
        "dagster.partition": "vision_audio",
        "git_commit": "c",
    }
    with tracking.step("policy@vision_audio", tags) as run:
        keep(trace(tmp_path, experiment, Recorded(root=str(tmp_path)), "policy", "vision_audio"), run)
        place = tmp_path / output_of(stage_named("policy"), "vision_audio")
        register(stage_named("policy"), "vision_audio", place, run, experiment, "policy-vision_audio.dir")
    return tmp_path


def chain(root: Path, tracking: Mlflow, experiment: Experiment, uri: str) -> tuple[str, Lineage]:
    client = tracking.client()
    version, lineage = lineage_of(client, uri, root, experiment, Recorded(root=str(root)))
    return "\n".join(sentences(client, version, lineage)), lineage


@pytest.mark.parametrize("uri", [f"models:/{POLICY}@challenger", f"models:/{POLICY}/1"])
def test_the_chain_is_told_down_to_licences(project: Path, tracking: Mlflow, experiment: Experiment, uri: str) -> None:
    told, lineage = chain(project, tracking, experiment, uri)
    assert "trained as policy@vision_audio, DVC md5 policy-vision_audio.dir, commit c" in told
    assert "Dagster run d9" in told
    assert "  clips: DVC md5 clips-None.dir, Dagster run d1, MLflow run m1, commit abc" in told
    assert "  masks: DVC md5 masks-None.dir, no run known" in told, "the journal tells of another output"
    catalogue = pd.read_parquet(project / "data/clips" / CATALOGUE)
    assert [clip.clip_id for clip in lineage.clips] == list(catalogue["clip_id"])
    for licence in set(catalogue["licence"]):
        assert f"licence {licence}" in told


def test_an_audio_model_has_a_chain_of_its_own(project: Path, tracking: Mlflow, experiment: Experiment) -> None:
    """Clips and masks alone; the policy's chain names its version."""
    recorded = Recorded(root=str(project))
    with tracking.step("audio_model", {"dagster.run_id": "d3", "dagster.asset_key": "audio_model"}) as run:
        keep(trace(project, experiment, recorded, "audio_model", None), run)
        place = project / output_of(stage_named("audio_model"), None)
        place.mkdir(parents=True, exist_ok=True)
        register(stage_named("audio_model"), None, place, run, experiment, "audio_model-None.dir")
    told, lineage = chain(project, tracking, experiment, f"models:/{AUDIO}@challenger")
    assert "trained as audio_model, DVC md5 audio_model-None.dir" in told and "Dagster run d3" in told
    assert [origin.address for origin in lineage.origins] == ["clips", "segmenter", "masks"] and lineage.clips
    told, _ = chain(project, tracking, experiment, f"models:/{POLICY}@challenger")
    assert f"  audio_model ({AUDIO} version 1): DVC md5 audio_model-None.dir" in told


def test_it_is_kept_when_the_clips_are_gone(project: Path, tracking: Mlflow, experiment: Experiment) -> None:
    before = chain(project, tracking, experiment, f"models:/{POLICY}/1")
    (project / "data/clips" / CATALOGUE).unlink()
    (project / JOURNAL / "clips.json").unlink()
    assert chain(project, tracking, experiment, f"models:/{POLICY}/1") == before
    assert isinstance(before[1].clips[0], Clip)


def test_a_version_from_before_is_traced_while_its_weights_are_there(
    project: Path, tracking: Mlflow, experiment: Experiment
) -> None:
    place = project / output_of(stage_named("policy"), "vision_audio")
    for md5 in ("policy-vision_audio.dir", "lost.dir"):
        with tracking.step("policy@vision_audio", {}) as run:
            run.client.create_model_version(
                POLICY, str(place), run_id=run.run_id, tags={"dvc_md5": md5, "ablation": "vision_audio"}
            )
    assert chain(project, tracking, experiment, f"models:/{POLICY}/2")[1].clips
    with pytest.raises(MissingInput, match=r"dvc\.lock records other weights than its lost\.dir"):
        chain(project, tracking, experiment, f"models:/{POLICY}/3")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("multigen-policy", "names no model: write models:/multigen-policy@champion"),
        ("models:/multigen-policy", "names no model"),
        (f"models:/{POLICY}@nobody", f"the registry has no models:/{POLICY}@nobody: its models are {POLICY}"),
        ("models:/../../etc@x", "the registry has no"),
    ],
)
def test_a_wrong_name_is_said(project: Path, tracking: Mlflow, experiment: Experiment, uri: str, words: str) -> None:
    with pytest.raises(MissingInput) as error:
        chain(project, tracking, experiment, uri)
    assert words in str(error.value)


def test_registering_the_served_models_is_quiet(tmp_path: Path) -> None:
    """MLflow warns, in colour and past every filter, of type hints that it cannot turn into a signature."""
    (tmp_path / "params.yaml").write_bytes((REPOSITORY / "experiments" / "tiny.yaml").read_bytes())
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors").write_bytes(b"")
    code = (
        "from pathlib import Path; from multigen_core.params import load;"
        "from multigen_core.stages import stage_named;"
        "from pipelines.registry import register; from pipelines.resources.mlflow import Mlflow\n"
        f"root = Path({str(tmp_path)!r}); experiment = load(root / 'params.yaml')\n"
        "for stage, partition in (('policy', 'vision_audio'), ('audio_model', None)):\n"
        "    with Mlflow(root=str(root), server='').step(stage, {}) as run:\n"
        "        register(stage_named(stage), partition, root / 'weights', run, experiment, 'm.dir')\n"
    )
    variables = os.environ | {"PYTHONPATH": str(REPOSITORY), "MULTIGEN_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "hint" not in done.stderr.lower(), done.stderr
