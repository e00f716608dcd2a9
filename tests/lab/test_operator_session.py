"""A session with the emulator, files as sensors and typed weights: recorded trials, and a crash between them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from multigen_core.dataset.lerobot import Shard
from multigen_core.errors import ConfigError, MissingInput, UserError
from multigen_core.evaluation.recorded import recorded_trials
from multigen_core.lab.gen3_emulator import running_emulator
from multigen_core.lab.operator_session import TRIAL, run_session
from multigen_core.lab.trial_plan import load_plan, vessel_named
from multigen_core.lab.weighing import SerialScale, TypedScale
from multigen_core.media import write_flac, write_video
from multigen_core.records import SAMPLE_RATE_HZ, Trial
from multigen_core.storage import output_folder, write_json
from tests.policy.test_contract import untrained

PLAN = """
policy: models/policy/vision_audio
out: data/robot/vision_audio
operator: Ada
arm: {{host: 127.0.0.1, client: wire, port: {port}, udp_port: {udp_port}}}
camera: {{source: {folder}/film.mp4, latency_s: 0.17}}
microphone: {{source: {folder}/sound.flac, latency_s: 0.23}}
pitcher: tin_jug
cup_xy_m: [0.66, 0.0]
image_px: 48
max_duration_s: 1.0
vessels:
  mug: {{profile: [[0, 0.036], [0.09, 0.04]], material: ceramic, opaque: true}}
trials:
  - {{cup: mug, goal_fraction: 0.5, fill_g: 400}}
  - {{cup: clear_short, goal_fraction: 0.9, fill_g: 300}}
"""


class Person:
    """Answers questions; leaves when told to."""

    def __init__(self, weights: list[float], leaves_after: int | None = None) -> None:
        self._weights, self._left = iter(weights), leaves_after
        self.asked: list[str] = []

    def __call__(self, question: str) -> str:
        self.asked.append(question)
        if self._left is not None and len(self.asked) > self._left:
            raise KeyboardInterrupt
        return f"{next(self._weights)} g" if "[g]" in question else ""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "models/policy/vision_audio").mkdir(parents=True)
    untrained().save(folder / "models/policy/vision_audio")
    write_video(folder / "film.mp4", (np.full((48, 64, 3), k % 200, np.uint8) for k in range(900)), fps=10)
    rng = np.random.default_rng(0)
    write_flac(folder / "sound.flac", 0.1 * rng.standard_normal(90 * SAMPLE_RATE_HZ).astype(np.float32))
    with running_emulator() as emulator:
        plan = PLAN.format(port=emulator.port, udp_port=emulator.udp_port, folder=folder)
        (folder / "plan.yaml").write_text(plan)
        yield folder


def test_a_session_survives_a_crash_and_records_everything(root: Path) -> None:
    plan = load_plan(root / "plan.yaml")
    # The first trial has 6 questions; the person is called away in the second.
    first = Person([200.0, 600.0, 350.0, 445.0, 90.0, 500.0], leaves_after=8)
    with pytest.raises(KeyboardInterrupt):
        run_session(plan, root, first)
    second = Person([90.0, 500.0, 200.0, 390.0])
    folders = run_session(plan, root, second)
    assert [folder.name for folder in folders] == ["trial-000", "trial-001"]
    assert "mug" not in " ".join(second.asked)

    written = json.loads((folders[0] / TRIAL).read_text())
    trial = Trial(**written["trial"])
    assert (trial.poured_ml, trial.spilled_ml) == pytest.approx((150.0, 5.0))
    assert trial.in_pitcher_ml == pytest.approx(245.0)
    assert trial.target_ml == pytest.approx(0.5 * vessel_named(plan, "mug").capacity_ml)
    assert (trial.lab, trial.ablation, written["operator"]) == ("gen3_emulator", "vision_audio", "Ada")

    shard = Shard(folders[0] / "episode")
    episode, sound = shard.episode(0), shard.soundtrack(0)
    assert episode.steps >= 10
    assert len(sound.waveform) == episode.steps * SAMPLE_RATE_HZ // 10
    assert sound.origin == "physical" and sound.waveform.std() > 0.05
    assert np.ptp(episode.rgb[:, 0, 0, 0].astype(int)) > 3

    assert run_session(plan, root, Person([])) == folders


def test_trials_with_the_emulator_are_no_robot_results(root: Path) -> None:
    assert len(recorded_trials(root, "vision_audio", "gen3_emulator")) == 2
    with pytest.raises(UserError, match="recorded in gen3_emulator, not in kinova_gen3"):
        recorded_trials(root, "vision_audio", "kinova_gen3")
    with pytest.raises(MissingInput, match="no recorded trials"):
        recorded_trials(root, "vision", "kinova_gen3")


def test_a_trial_of_the_robot_becomes_a_row(tmp_path: Path) -> None:
    trial = Trial(0, "vision", "kinova_gen3", "mug", True, 0.5, 100.0, 200.0, 90.0, 2.0, 300.0, 9.0, "stopped", 0)
    with output_folder(tmp_path / "data/robot/vision/trial-000") as folder:
        write_json(folder / TRIAL, {"trial": {**trial.__dict__}})
    (tmp_path / "data/robot/vision/trial-001").mkdir()
    assert recorded_trials(tmp_path, "vision", "kinova_gen3") == [trial]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("operator: Ada", 'operator: " "', "hand on the emergency stop"),
        ("cup: mug", "cup: mugg", "no vessel 'mugg'"),
        ("goal_fraction: 0.5", "goal_fraction: 5", "goal_fraction is 5"),
        ("pitcher: tin_jug", "jug: tin_jug", "jug"),
        ("trials:", "trials: [", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_plan_is_told_before_anything_moves(
    root: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    (tmp_path / "plan.yaml").write_text((root / "plan.yaml").read_text().replace(old, new, 1))
    with pytest.raises(ConfigError) as error:
        load_plan(tmp_path / "plan.yaml")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_typed_weight_is_asked_for_until_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["", "heavy", "-3", "123,4 g"])
    assert TypedScale(lambda question: next(answers)).weigh("the cup") == 123.4
    assert "no weight" in capsys.readouterr().out


def test_a_serial_scale_waits_until_it_is_steady() -> None:
    import os
    import threading
    import time

    ours, theirs = os.openpty()
    lines = [b"ST,+ 98.0 g\r\n", b"+ 120.1 g\r\n", b"+ 123.3 g\r\n", b"+ 123.4 g\r\n", b"+ 123.4 g\r\n"]

    def talk() -> None:
        time.sleep(0.3)
        for line in lines:
            os.write(ours, line)
            time.sleep(0.05)

    scale = SerialScale(os.ttyname(theirs), ask=lambda question: "")
    thread = threading.Thread(target=talk)
    thread.start()
    assert scale.weigh("the cup") == pytest.approx(123.4)
    thread.join()
    os.close(ours)
    os.close(theirs)
