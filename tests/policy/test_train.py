"""Training learns what can be learnt from the senses it has, and writes a policy that can be loaded."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multigen_core.dataset.lerobot import write_shard
from multigen_core.dataset.windows import Recording
from multigen_core.errors import ConfigError
from multigen_core.experiment import Experiment, EyeName
from multigen_core.experiment import Policy as PolicyParams
from multigen_core.masks.unet import PocketUNet, save_unet
from multigen_core.params import load
from multigen_core.policy import train as training
from multigen_core.policy.train import ABLATIONS, CURVE, run, train
from multigen_core.policy.trained import load_policy
from multigen_core.policy.unfinished import origin_of, unfinished
from multigen_core.progress import Progress, Silent
from multigen_core.records import ACTION_SPEC, Observation, Summary
from multigen_core.stages import Inputs
from multigen_core.storage import file_sha256
from tests.pours import made_up_episode, made_up_soundtrack

PARAMS = Path(__file__).parents[2] / "params.yaml"
TILT_RATE = 0.4


class Listener(Silent):
    """Keeps what a stage reports."""

    def __init__(self) -> None:
        self.metrics: dict[str, list[int]] = {}
        self.done: list[tuple[int, int]] = []

    def update(self, done: int, total: int, what: str = "") -> None:
        self.done.append((done, total))

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics.setdefault(name, []).append(step)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    experiment = load(PARAMS)
    tiny = dataclasses.replace(
        experiment.policy,
        image_encoder="pocket",
        steps=5,
        batch=8,
        audio_window_s=0.5,
        chunk=4,
        sampling_steps=2,
        validation_fraction=0.3,
    )
    return dataclasses.replace(experiment, policy=tiny)


def obey_the_loud(count: int = 10, steps: int = 60) -> list[Recording]:
    """Loud: tilt forward. Quiet: tilt back. Before anything can have been heard: hold. All else is always the same."""
    rng = np.random.default_rng(0)
    recordings = []
    for k in range(count):
        sign = 1.0 if k % 2 else -1.0
        actions = np.zeros((steps, 3), np.float32)
        actions[6:, 2] = sign * TILT_RATE
        recordings.append(
            Recording(
                rate_hz=10.0,
                rgb=np.full((steps, 32, 32, 3), 90, np.uint8),
                masks=np.zeros((steps, 32, 32), np.uint8),
                waveform=rng.normal(0.0, 0.3 if k % 2 else 0.01, steps * 1600).astype(np.float32),
                joints_rad=np.zeros((steps, 7), np.float32),
                actions=actions,
                goal_fraction=0.5,
                auxiliary=np.tile(np.array([0.0, 30.0 * sign, 0.05], np.float32), (steps, 1)),
            )
        )
    return recordings


def learnt(params: PolicyParams, ablation: str) -> tuple[float, float, float]:
    """Validation error, and the mean tilt rates decided on loud and on quiet sound."""
    params = dataclasses.replace(params, steps=120, batch=8, learning_rate=3e-3, ema=0.9)
    policy, curve = train(obey_the_loud(), params, ablation=ablation, seed=3, progress=Silent())
    rng = np.random.default_rng(1)
    rates = []
    for level in (0.3, 0.01):
        heard = rng.normal(0.0, level, 8000).astype(np.float32)
        still = np.zeros(7, np.float32)
        observation = Observation(np.full((32, 32, 3), 90, np.uint8), heard, still, still, 0.5)
        rates.append(float(np.mean([policy.act(observation, seed)[0, 2] for seed in range(8)])))
    error = curve[curve["name"] == "validation_action_error"]["value"].iloc[-1]
    return float(error), rates[0], rates[1]


def test_an_ear_learns_what_an_eye_cannot(experiment: Experiment) -> None:
    error, loud, quiet = learnt(experiment.policy, "vision_audio")
    assert error < 0.3
    assert loud > 0.5 * TILT_RATE and quiet < -0.5 * TILT_RATE
    blind_error, loud, quiet = learnt(experiment.policy, "vision")
    assert blind_error > 0.5
    assert abs(loud - quiet) < 1e-6


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folders = []
    for shard in range(2):
        folder = tmp_path_factory.mktemp("shard")
        episodes = [made_up_episode(10 * shard + k, steps=14) for k in range(3)]
        write_shard(folder, episodes, [made_up_soundtrack(episode) for episode in episodes])
        folders.append(folder)
    return tuple(folders)


def run_stage(experiment: Experiment, shards: tuple[Path, ...], ablation: str, out: Path) -> tuple[Summary, Listener]:
    out.mkdir()
    listener = Listener()
    segmenter = out.parent / "segmenter"
    segmenter.mkdir(exist_ok=True)
    save_unet(PocketUNet(2), segmenter, image_px=32)
    folders = {"segmenter": (segmenter,), "audiovisual": shards, "noise_augmented": shards}
    inputs = Inputs(root=out, folders=folders, partition=ablation)
    return run(experiment, inputs, out, listener), listener


@pytest.mark.parametrize("eye", ["pocket", "segmenter"])
@pytest.mark.parametrize("ablation", ABLATIONS)
def test_stage_writes_a_policy_that_loads(
    experiment: Experiment, shards: tuple[Path, ...], ablation: str, eye: EyeName, tmp_path: Path
) -> None:
    experiment = dataclasses.replace(experiment, policy=dataclasses.replace(experiment.policy, image_encoder=eye))
    summary, listener = run_stage(experiment, shards, ablation, tmp_path / "out")
    policy = load_policy(tmp_path / "out")
    assert policy.spec == ACTION_SPEC
    assert policy.uses_sight == ABLATIONS[ablation].uses_sight
    assert policy.uses_sound == ABLATIONS[ablation].uses_sound
    assert (summary["episodes"], summary["steps"]) == (6, 5)
    figures = {
        "train_loss",
        "validation_loss",
        "validation_action_error",
        "validation_fill_error",
        "validation_flow_error_ml_s",
        "validation_air_column_error_m",
    }
    figures |= {"validation_fill_error_by_sight"} if ABLATIONS[ablation].uses_sight else set()
    figures |= {"validation_fill_error_by_sound"} if ABLATIONS[ablation].uses_sound else set()
    assert (tmp_path / "out" / "segmenter").is_dir() == (ABLATIONS[ablation].uses_sight and eye == "segmenter")
    assert figures < set(summary)
    assert all(np.isfinite(float(str(summary[name]))) for name in figures)
    curve = pd.read_parquet(tmp_path / "out" / CURVE)
    assert set(curve["name"]) == figures
    assert curve.groupby("name")["step"].max().eq(5).all()
    assert set(listener.metrics) == figures
    assert listener.done[-1] == (5, 5)


def test_same_seed_same_bytes(experiment: Experiment, shards: tuple[Path, ...], tmp_path: Path) -> None:
    hashes = []
    for name in ("first", "again"):
        run_stage(experiment, shards, "vision_audio", tmp_path / name)
        files = [path for path in sorted((tmp_path / name).iterdir()) if path.is_file()]
        hashes.append({path.name: file_sha256(path) for path in files})
    assert hashes[0] == hashes[1]
    other = dataclasses.replace(experiment, seed=experiment.seed + 1)
    run_stage(other, shards, "vision_audio", tmp_path / "other")
    assert file_sha256(tmp_path / "other" / "weights.safetensors") != hashes[0]["weights.safetensors"]


def test_one_episode_is_too_few(experiment: Experiment, tmp_path: Path) -> None:
    episode = made_up_episode(0, steps=14)
    write_shard(tmp_path / "shard", [episode], [made_up_soundtrack(episode)])
    with pytest.raises(ConfigError, match="at least 2 episodes"):
        run_stage(experiment, (tmp_path / "shard",), "vision", tmp_path / "out")


def test_interrupt_reaches_the_caller(experiment: Experiment) -> None:
    class Impatient(Silent):
        def update(self, done: int, total: int, what: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(obey_the_loud(4, 8), experiment.policy, ablation="vision", seed=0, progress=Impatient())


@pytest.mark.parametrize(
    ("stopped_at", "every", "during"), [(3, 2, "step"), (8, 3, "step"), (11, 4, "step"), (6, 3, "validation")]
)
def test_a_stopped_training_goes_on_to_the_same_policy(
    experiment: Experiment, stopped_at: int, every: int, during: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedOnce(Listener):
        def update(self, done: int, total: int, what: str = "") -> None:
            super().update(done, total, what)
            if during == "step" and done == stopped_at and self.done.count((done, total)) == 1:
                raise KeyboardInterrupt

        def metric(self, name: str, value: float, step: int) -> None:
            super().metric(name, value, step)
            if during == "validation" and name != "train_loss" and self.metrics[name] == [2, 4, stopped_at]:
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "_REPORT_EVERY", 1)
    monkeypatch.setattr(training, "_CHECKPOINT_EVERY", every)
    params, progress = dataclasses.replace(experiment.policy, steps=12), StoppedOnce()

    def trained(name: str, progress: Progress) -> pd.DataFrame:
        policy, curve = train(
            obey_the_loud(4, 20), params, ablation="vision_audio", seed=0, progress=progress, place=tmp_path / "place"
        )
        (tmp_path / name).mkdir()
        policy.save(tmp_path / name)
        return curve

    whole = trained("whole", Silent())
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", progress)
    first = len(progress.done)
    resumed = trained("resumed", progress)
    assert progress.done[first][0] == every * ((stopped_at - 1) // every) + 1  # the step after the last checkpoint
    pd.testing.assert_frame_equal(whole, resumed)
    weights = [file_sha256(tmp_path / name / "weights.safetensors") for name in ("whole", "resumed")]
    assert weights[0] == weights[1]
    assert not (tmp_path / "place").exists()


def test_what_another_training_left_is_not_gone_on_from(tmp_path: Path) -> None:
    recordings = obey_the_loud(2, 8)
    with pytest.raises(KeyboardInterrupt), unfinished(tmp_path / "place", origin_of(recordings, "a")) as place:
        (place / "last.ckpt").touch()
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), unfinished(tmp_path / "place", origin_of(recordings, "a")) as place:
        assert (place / "last.ckpt").is_file()
        raise KeyboardInterrupt
    quieter = [dataclasses.replace(one, waveform=0.5 * one.waveform) for one in recordings]
    with unfinished(tmp_path / "place", origin_of(quieter, "a")) as place:
        assert not (place / "last.ckpt").exists()
