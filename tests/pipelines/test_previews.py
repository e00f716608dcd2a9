"""What an asset shows in Dagster's page."""

from pathlib import Path

import numpy as np

from multigen_core.evaluation.table import write_trials
from multigen_core.media import write_video
from multigen_core.stages import stage_named
from multigen_core.storage import output_folder, write_json
from pipelines.previews import figures, pictures
from tests.pipelines.contenders import trial_off_by

PNG = "![preview](data:image/png;base64,iVBORw0KGgo"


def test_figures_have_units_and_groups_are_opened() -> None:
    shown = figures(
        {"level_dbfs": -30.0, "clips": 3, "iou": {"liquid": 0.8, "pourer": None}, "funnel": [{"step": "a"}]}
    )
    assert {name: value.value for name, value in shown.items()} == {
        "level [dBFS]": -30.0,
        "clips": 3,
        "iou: liquid": 0.8,
    }


def test_clips_show_frames_and_their_funnel(tmp_path: Path) -> None:
    with output_folder(tmp_path / "clips") as out:
        (out / "media").mkdir()
        write_video(out / "media" / "a.mp4", [np.full((32, 32, 3), 9 * k, np.uint8) for k in range(5)], fps=10.0)
        steps = [("candidates", 5), ("without_no_pour", 2), ("accepted", 2)]
        write_json(out / "summary.json", {"funnel": [{"step": step, "kept": kept} for step, kept in steps]})
    shown = pictures(stage_named("clips"), tmp_path / "clips", {})
    assert list(shown) == ["frames", "funnel"]
    assert all(str(value.value).startswith(PNG) for value in shown.values())


def test_an_evaluation_shows_its_cups(tmp_path: Path) -> None:
    write_trials(tmp_path, [trial_off_by(number, 0.1 * number, 1) for number in range(4)])
    shown = pictures(stage_named("evaluation"), tmp_path, {})
    assert list(shown) == ["NMAE per cup"] and str(shown["NMAE per cup"].value).startswith(PNG)
