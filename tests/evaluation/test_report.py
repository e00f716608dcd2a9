"""The report of a made-up run: complete, self-contained, and safe against names from outside."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from multigen_core.evaluation.lineage import commit
from multigen_core.evaluation.parts import parts_of
from multigen_core.evaluation.report import run
from multigen_core.experiment import Experiment
from multigen_core.progress import Silent
from multigen_core.records import Summary
from multigen_core.stages import JOURNAL, Inputs, gather_inputs, stage_named
from multigen_core.storage import write_json
from tests.evaluation.made_up_run import experiment, made_up_run


@pytest.fixture(scope="module")
def params() -> Experiment:
    return experiment()


@pytest.fixture(scope="module")
def inputs(params: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    root = tmp_path_factory.mktemp("project")
    made_up_run(root, params)
    (root / JOURNAL).mkdir(parents=True)
    write_json(root / JOURNAL / "clips.json", {"wall_s": 12.5, "dvc_md5": "abc123.dir"})
    for ablation in params.policy.ablations:
        write_json(root / JOURNAL / f"policy@{ablation}.json", {"wall_s": 10.0})
    write_json(root / JOURNAL / "report.json", {"wall_s": 99.0})
    return gather_inputs(stage_named("report"), params, None, root)


@pytest.fixture(scope="module")
def reported(params: Experiment, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("report")
    return out, run(params, inputs, out, Silent())


def test_summary_has_the_keys_that_scripts_read(reported: tuple[Path, Summary], params: Experiment) -> None:
    summary = json.loads(json.dumps(reported[1], allow_nan=False))
    assert set(summary) == {"profile", "lab", "embedded", "git_commit", "ablations", "audio", "wall_s"}
    assert set(summary["ablations"]) == set(params.policy.ablations)
    for row in summary["ablations"].values():
        assert set(row) == {
            "nmae",
            "nmae_ci95",
            "nmae_of_capacity",
            "trials",
            "spilled_ml_mean",
            "by_container",
        }
        low, high = row["nmae_ci95"]
        assert low <= row["nmae"] <= high
        assert row["trials"] == sum(cup["trials"] for cup in row["by_container"].values()) == 8
        assert set(row["by_container"]["red_cup"]) == {"opaque", "nmae", "nmae_ci95", "trials"}
        assert row["by_container"]["red_cup"]["opaque"] is True
    assert set(summary["audio"]) == {
        "sdr_db",
        "diversity",
        "pitch_error_octaves",
        "onset_lag_s",
        "controls",
        "real_clips",
    }
    assert set(summary["audio"]["real_clips"]) == {"local-1"}
    assert summary["audio"]["real_clips"]["local-1"]["pitch_error_octaves"] > 0.0
    assert summary["audio"]["real_clips"]["local-1"]["shuffled_pitch_error_octaves"] is None
    assert summary["audio"]["sdr_db"] == 3.2
    assert summary["audio"]["onset_lag_s"] is None
    assert summary["audio"]["controls"]["shuffled"]["sdr_db"] == 1.0


def test_wall_time_is_summed_over_partitions_without_the_report(reported: tuple[Path, Summary]) -> None:
    assert reported[1]["wall_s"] == {"clips": 12.5, "policy": 30.0}


def test_the_page_asks_for_nothing_from_outside(reported: tuple[Path, Summary]) -> None:
    page = (reported[0] / "index.html").read_text()
    sources = re.findall(r"""(?:src|href)=["']([^"']{0,40})""", page)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "@import" not in page
    assert "url(" not in page


def test_the_page_shows_every_part(reported: tuple[Path, Summary], params: Experiment) -> None:
    page = (reported[0] / "index.html").read_text()
    assert page.count("<video") == 2 + 2 + len(params.policy.ablations)
    assert page.count("<audio") == 2 + 3 + 1  # dubbed, compared, and a recording heard again
    for words in (
        "These are not results of a real robot",
        "Blind reference",
        "Not comparable",
        "one size of training set, 40 episodes",
        "real recording",
        "embedded: rendered",
        "silent.mp4",
        "Candidates left after each reason",
        "no sound",
        "abc123.dir",
        "audiovisual@000",
        "0.54",
        "shuffled",
    ):
        assert words in page, words


def test_names_from_outside_are_escaped(reported: tuple[Path, Summary]) -> None:
    page = (reported[0] / "index.html").read_text()
    assert "local&lt;b&gt;" in page
    assert "local<b>" not in page


def test_plots_are_kept_as_files(reported: tuple[Path, Summary]) -> None:
    names = {path.stem for path in (reported[0] / "figures").glob("*.png")}
    assert {"container_bars", "episodes_curve", "poured_against_target", "audio_model_loss", "funnel"} <= names
    assert "funnel_epic" not in names  # the made-up run has no such source


def test_the_commit_is_read_from_git(tmp_path: Path) -> None:
    assert commit(tmp_path) == "unknown"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for call in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *call], cwd=tmp_path, check=True, timeout=30)
    assert re.fullmatch(r"[0-9a-f]{40}", commit(tmp_path))


def test_parts_say_what_was_real(params: Experiment) -> None:
    embedded = {part.name for part in parts_of(params, real_clips=0, clips=5) if part.embedded}
    assert embedded == {"clips", "masks", "audio model", "lab", "engine"}
    mixed = [part.embedded for part in parts_of(params, real_clips=3, clips=5) if part.name == "clips"]
    assert mixed == [True, False]
    assert not [part for part in parts_of(params, real_clips=5, clips=5) if part.name == "clips" and part.embedded]
