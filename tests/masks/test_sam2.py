"""SAM 2 without SAM 2: prompts, refusals, and how its answers become palette masks."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from multigen_core import experiment as experiments
from multigen_core.errors import ConfigError, MissingExtra, MissingInput
from multigen_core.experiment import Experiment
from multigen_core.masks.contract import open_provider
from multigen_core.masks.sam2 import Sam2Provider, read_prompts
from multigen_core.stages import Inputs

PROMPTS = """
kitchen:
  - {object: receiver, frame: 0, points: [[10, 20]], labels: [1]}
  - {object: liquid, frame: 9, box: [4, 20, 12, 28]}
"""


class FakePredictor:
    """Answers with a square per object and remembers what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[dict[str, Any]] = []
        self.pictures: list[str] = []

    def init_state(self, video_path: str) -> str:
        self.pictures = sorted(path.name for path in Path(video_path).iterdir())
        return "state"

    def add_new_points_or_box(self, **prompt: Any) -> None:
        self.prompts.append(prompt)

    def propagate_in_video(self, state: str, reverse: bool = False) -> Iterator[tuple[int, list[int], torch.Tensor]]:
        for frame in range(len(self.pictures)):
            logits = torch.full((2, 1, 32, 32), -1.0)
            logits[0, 0, 8:30, 2:20] = 1.0
            logits[1, 0, 20:30, 4:18] = 1.0
            yield frame, [2, 3], logits


@pytest.fixture
def experiment() -> Experiment:
    params = experiments.load(Path("params.yaml"))
    return replace(params, masks=replace(params.masks, provider="sam2"))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(root=tmp_path, folders={}, partition=None)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("sam2")
    package.__spec__ = type(sys.__spec__)("sam2", None)  # type: ignore[misc]
    monkeypatch.setitem(sys.modules, "sam2", package)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_answers_become_palette_masks_with_the_liquid_on_top(tmp_path: Path) -> None:
    predictor = FakePredictor()
    prompts = read_prompts(_write(tmp_path / "prompts.yaml", PROMPTS), ["kitchen"])
    masks = Sam2Provider(predictor, prompts).annotate("kitchen", np.zeros((4, 32, 32, 3), np.uint8))
    assert masks.shape == (4, 32, 32)
    assert masks[0, 10, 10] == 2 and masks[0, 25, 10] == 3 and masks[0, 0, 0] == 0
    assert predictor.pictures == [f"{index:05d}.jpg" for index in range(4)]
    receiver, liquid = predictor.prompts
    assert receiver["obj_id"] == 2 and receiver["points"].shape == (1, 2)
    # The clip has four frames only: the prompt of frame 9 moves to the last.
    assert liquid["obj_id"] == 3 and liquid["frame_idx"] == 3 and liquid["box"].shape == (4,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kitchen: [{object: spoon, frame: 0, box: [0, 0, 1, 1]}]", "kitchen.0.object"),
        ("kitchen: [{object: liquid, frame: 0}]", "points or a box"),
        ("kitchen: [{object: liquid, frame: 0, points: [[1, 2]]}]", "one label per point"),
        ("kitchen: [", "not valid YAML"),
    ],
)
def test_prompts_that_make_no_sense_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read_prompts(_write(tmp_path / "prompts.yaml", text), [])


def test_a_clip_without_prompts_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "prompts.yaml", PROMPTS)
    with pytest.raises(MissingInput, match="liquid, receiver of clip 'garden'"):
        read_prompts(path, ["kitchen", "garden"])


@pytest.mark.skipif("sam2" in sys.modules, reason="the package is installed")
def test_missing_package_says_what_to_install(experiment: Experiment, inputs: Inputs) -> None:
    with pytest.raises(MissingExtra, match=r"pip install -e \.\[sam2\]"):
        open_provider(experiment, inputs, ["kitchen"])


@pytest.mark.usefixtures("installed")
def test_missing_checkpoint_then_missing_prompts_are_named(experiment: Experiment, inputs: Inputs) -> None:
    with pytest.raises(MissingInput, match=r"masks\.sam2\.checkpoint"):
        open_provider(experiment, inputs, ["kitchen"])
    _write(inputs.root / experiment.masks.sam2.checkpoint, "")
    with pytest.raises(MissingInput, match="prompts"):
        open_provider(experiment, inputs, ["kitchen"])
