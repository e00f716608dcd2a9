"""How fast a policy's training windows come out of a LeRobot shard, and what share of a training step that takes.

The shard is made here: simulated pours, with noise for sound, which costs the same. The peer is LeRobot's own loader on
that shard with the front camera alone (``--lerobot PYTHON``; `lerobot_loader`): for every sample it decodes one
image and reads as many actions and seconds of sound, and hands them on as they are, without log-mel, lag or
augmentation.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from multigen_core.dataset.features import FRONT, VIDEOS, samples_per_step
from multigen_core.dataset.lerobot import write_shard
from multigen_core.dataset.windows import Windows, read_recordings
from multigen_core.errors import UserError
from multigen_core.experiment import Experiment, seed_for
from multigen_core.masks.unet import PocketUNet, UNetProvider
from multigen_core.policy.augmentation import augmented
from multigen_core.policy.drawn_masks import MaskDrawer
from multigen_core.policy.train import train
from multigen_core.progress import Silent
from multigen_core.records import Episode, Soundtrack
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.rollout import roll_out

T = TypeVar("T")
PEER = Path(__file__).with_name("lerobot_loader.py")
EPISODES = 8
BATCHES = 60
"""As many training steps."""
WARM_UP = 5


def figures(experiment: Experiment, lerobot: str | None = None) -> dict[str, float]:
    """Samples per second, seconds, shares and cores; ``lerobot`` is the peer's interpreter.

    Raises UserError when that one has no lerobot.
    """
    if lerobot:
        _require_lerobot(lerobot)
    with tempfile.TemporaryDirectory() as scratch:
        return _figures(experiment, Path(scratch), lerobot)


def _figures(experiment: Experiment, scratch: Path, lerobot: str | None) -> dict[str, float]:
    params, shard = experiment.policy, scratch / "shard"
    episodes = [_episode(experiment, number) for number in range(EPISODES)]
    write_shard(shard, episodes, [_noise(episode) for episode in episodes])

    recordings, read_s = _timed(lambda: read_recordings([shard]))
    segmenter = UNetProvider(PocketUNet(experiment.segmenter.width), image_px=experiment.segmenter.image_px)
    drawer = MaskDrawer(segmenter, params.precision, scratch / "drawn")
    drawn, drawn_s = _timed(lambda: drawer.draw(recordings, Silent()))
    windows, cut_s = _timed(lambda: Windows(drawn, chunk=params.chunk, audio_window_s=params.audio_window_s))
    loaded_s = _batches_s(windows, params.batch, images=False)
    painted_s = _batches_s(windows, params.batch, images=True)
    steps = replace(params, steps=BATCHES)
    cpu_s = time.process_time()
    _, trained_s = _timed(
        lambda: train(drawn, steps, ablation="vision_audio", seed=experiment.seed, progress=Silent(), drawer=drawer)
    )
    cpu_s = time.process_time() - cpu_s
    found = {
        "episodes_read_per_s": EPISODES / read_s,
        "frames_segmented_per_s": len(windows) / drawn_s,
        "windows_cut_s": cut_s,
        "samples_per_s": BATCHES * params.batch / loaded_s,
        "samples_with_image_augmentation_per_s": BATCHES * params.batch / painted_s,
        "trained_samples_per_s": BATCHES * params.batch / trained_s,
        "loader_share_of_training": loaded_s / trained_s,
        "cores_busy_in_training": cpu_s / trained_s,
    }
    if lerobot:
        heard = round(params.audio_window_s * experiment.episodes.rate_hz)
        peer = _lerobot_samples_per_s(lerobot, shard, batch=params.batch, chunk=params.chunk, heard=heard)
        found |= {f"lerobot_{workers}_workers_samples_per_s": rate for workers, rate in peer.items()}
        found["samples_over_lerobots"] = found["samples_per_s"] / max(peer.values())
    return found


def _require_lerobot(python: str) -> None:
    try:
        run = subprocess.run([python, "-c", "import lerobot.datasets"], capture_output=True, text=True, check=False)
        wrong = run.stderr.strip().splitlines()[-1] if run.returncode else ""
    except OSError as error:
        wrong = str(error.strerror)
    if wrong:
        raise UserError(
            f"--lerobot is {python!r} ({wrong}): name the bin/python of an environment with lerobot[dataset]"
        )


def _episode(experiment: Experiment, number: int) -> Episode:
    setup = draw_setup(seed_for(experiment, "benchmark", "loader", number), TRAINING_RANGES)
    return roll_out(setup, experiment.episodes, episode_id=f"{number}")


def _noise(episode: Episode) -> Soundtrack:
    samples = episode.steps * samples_per_step(episode.rate_hz)
    waveform = 0.01 * np.random.default_rng(episode.seed).standard_normal(samples)
    return Soundtrack(episode_id=episode.episode_id, waveform=waveform.astype(np.float32), origin="noise")


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it returns, and how long it took [s]."""
    started_s = time.perf_counter()
    return work(), time.perf_counter() - started_s


def _batches_s(windows: Windows, size: int, *, images: bool) -> float:
    """Drawn and augmented as in training; the first ones, for which memory is fetched, do not count."""
    rng = np.random.default_rng(0)
    for step in range(-WARM_UP, BATCHES):
        if step == 0:
            started_s = time.perf_counter()
        augmented(windows.random_batch(size, rng), np.random.default_rng(abs(step)), images=images)
    return time.perf_counter() - started_s


def _lerobot_samples_per_s(python: str, shard: Path, *, batch: int, chunk: int, heard: int) -> dict[str, float]:
    """By the number of its worker processes."""
    seen = shard.with_name("front_camera_alone")
    shutil.copytree(shard, seen)
    info = json.loads((seen / "meta/info.json").read_text())
    for key in set(VIDEOS) - {FRONT}:
        del info["features"][key]
    (seen / "meta/info.json").write_text(json.dumps(info))
    command = [python, PEER, seen, "--batch", batch, "--chunk", chunk, "--heard", heard]
    run = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, check=True)
    rates: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return rates
