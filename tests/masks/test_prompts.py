"""Prompts: what may be written, what is refused, and what the U-Net's masks turn into."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multigen_core.errors import ConfigError, MissingInput
from multigen_core.masks.automatic_prompts import prompts_from_masks
from multigen_core.masks.prompts import OBJECTS, Prompt, read_prompts, require_prompts, write_prompts

TEXT = """# by hand
kitchen:
  - {object: receiver, frame: 0, points: [[10, 20]], labels: [1]}
  - {object: liquid, frame: 9, box: [4, 20, 12, 28]}
"""


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_points_and_boxes_are_read(tmp_path: Path) -> None:
    (receiver, liquid) = read_prompts(_write(tmp_path / "prompts.yaml", TEXT))["kitchen"]
    assert receiver == Prompt("receiver", 0, points=((10.0, 20.0),), labels=(1,))
    assert liquid == Prompt("liquid", 9, box=(4.0, 20.0, 12.0, 28.0))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kitchen: [{object: spoon, frame: 0, box: [0, 0, 1, 1]}]", "kitchen.0.object"),
        ("kitchen: [{object: liquid, frame: 0}]", "points or a box"),
        ("kitchen: [{object: liquid, frame: 0, points: [[1, 2]]}]", "one label per point"),
        ("kitchen: [{object: liquid, frame: 0, box: [5, 0, 1, 1]}]", "is empty"),
        ("kitchen: [{object: liquid, frame: -1, box: [0, 0, 1, 1]}]", "kitchen.0.frame"),
        ("kitchen: [{object: liquid, frame: 0, box: [0, 0, .inf, 1]}]", "kitchen.0.box"),
        ("kitchen: [{object: liquid, frame: 0, points: [[-4, 2]], labels: [1]}]", "kitchen.0.points"),
        (
            "kitchen: [" + "{object: liquid, frame: 0, box: [0, 0, 1, 1]}, " * 2 + "]",
            "two prompts for liquid in frame 0",
        ),
        ("kitchen: [", "not valid YAML"),
        ("kitchen: 2001-13-45", "not valid YAML"),
        ("- kitchen", "the file"),
    ],
)
def test_prompts_that_make_no_sense_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as error:
        read_prompts(_write(tmp_path / "prompts.yaml", text))
    assert "\n" not in str(error.value)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120) | st.text(max_size=60).map(lambda word: f"kitchen: [{{object: {word}, frame: 0}}]"))
def test_any_text_is_prompts_or_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert all(prompt.object in OBJECTS for prompts in read_prompts(path).values() for prompt in prompts)
    except ConfigError as error:
        assert str(path) in str(error)


def test_no_file_is_no_prompts_and_a_clip_without_any_is_named(tmp_path: Path) -> None:
    assert read_prompts(tmp_path / "none.yaml") == {}
    path = _write(tmp_path / "prompts.yaml", TEXT)
    require_prompts(path, read_prompts(path), ["kitchen"])
    with pytest.raises(MissingInput, match="liquid, receiver of clip 'garden'"):
        require_prompts(path, read_prompts(path), ["kitchen", "garden"])


def test_what_is_written_is_read_and_other_clips_and_comments_stay(tmp_path: Path) -> None:
    path = _write(tmp_path / "prompts.yaml", TEXT)
    prompts = (
        Prompt("pourer", 3, points=((1.5, 2.0), (7.0, 8.0)), labels=(1, 0)),
        Prompt("receiver", 0, points=((3.0, 4.0),), labels=(1,), box=(0.0, 1.0, 5.0, 6.0)),
    )
    write_prompts(path, "garden: 'odd'", prompts)
    read = read_prompts(path)
    assert read["garden: 'odd'"] == prompts and len(read["kitchen"]) == 2
    assert path.read_text().startswith("# by hand")
    write_prompts(path, "garden: 'odd'", ())
    assert read_prompts(path)["garden: 'odd'"] == ()
    assert [entry.name for entry in tmp_path.iterdir()] == ["prompts.yaml"]


def test_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    path = _write(tmp_path / "prompts.yaml", "kitchen: [")
    with pytest.raises(ConfigError):
        write_prompts(path, "garden", ())
    assert path.read_text() == "kitchen: ["


def test_masks_become_boxes_and_points_inside_the_largest_piece() -> None:
    masks = np.zeros((10, 60, 80), np.uint8)
    masks[:, 20:50, 30:60] = 2
    masks[0, 20:50, 30:75] = 2  # an outlier of another size
    masks[:, 2, 2] = 2  # a speck
    for step in range(4, 10):
        masks[step, 50 - 2 * (step - 3) : 50, 32:58] = 3
    receiver, liquid = prompts_from_masks(masks)
    assert receiver.object == "receiver" and receiver.frame > 0
    assert receiver.box is not None and receiver.box[:2] == (30.0, 20.0)
    assert liquid == Prompt("liquid", 9, points=liquid.points, labels=(1,), box=(32.0, 38.0, 58.0, 50.0))
    for prompt in (receiver, liquid):
        ((right, down),) = prompt.points
        assert masks[prompt.frame, int(down), int(right)] == OBJECTS.index(prompt.object) + 1
    assert prompts_from_masks(np.zeros((3, 20, 20), np.uint8)) == ()
