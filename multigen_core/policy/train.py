"""The stage ``policy``: one policy per ablation, from the dubbed shards."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor

from multigen_core.dataset.windows import (
    LATENCY_S,
    Recording,
    WindowBatch,
    Windows,
    read_recordings,
    split_episodes,
)
from multigen_core.errors import ConfigError
from multigen_core.experiment import Experiment, seed_for
from multigen_core.experiment import Policy as PolicyParams
from multigen_core.policy.augmentation import augmented
from multigen_core.policy.config import PolicyConfig
from multigen_core.policy.drawn_masks import MaskDrawer, drawer_for
from multigen_core.policy.network import PolicyNetwork
from multigen_core.policy.normaliser import Normaliser
from multigen_core.policy.trained import TrainedPolicy
from multigen_core.policy.unfinished import UNFINISHED, origin_of, unfinished
from multigen_core.progress import Progress
from multigen_core.records import ACTION_SPEC, Summary
from multigen_core.trainer import trainer_for

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["ABLATIONS", "CURVE", "Ablation", "Training", "run", "train"]

CURVE = "curve.parquet"
"""Losses and errors by training step, long: step, name, value."""
_VALIDATIONS = 5
_VALIDATION_WINDOWS = 512
_WARM_UP = 0.05
"""Share of the steps in which the learning rate rises; afterwards it falls along a cosine."""
_REPORT_EVERY = 10
_CHECKPOINT_EVERY = 100
_LAST = "last.ckpt"
_DRAWS = 2
"""Noise levels per observation in training; with four, the denoiser is most of the work, and errors are the same."""


@dataclass(frozen=True)
class Ablation:
    """Where a policy's training sound comes from, and its senses. Everything else is the same."""

    shards: str
    """Stage whose output is trained on."""
    uses_sight: bool
    uses_sound: bool


ABLATIONS: Mapping[str, Ablation] = {
    "vision": Ablation("audiovisual", uses_sight=True, uses_sound=False),
    "vision_audio": Ablation("audiovisual", uses_sight=True, uses_sound=True),
    "vision_noise": Ablation("noise_augmented", uses_sight=True, uses_sound=True),
    "audio": Ablation("audiovisual", uses_sight=False, uses_sound=True),
    "joints": Ablation("audiovisual", uses_sight=False, uses_sound=False),
}
"""The last one knows its joints and the goal alone: what timing by heart is worth."""


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Trains the policy of one ablation and writes weights, config and curve.

    The seed does not depend on the ablation: episodes held out, windows drawn and augmentations are the same.
    Raises ConfigError when there are too few episodes to hold any out.
    """
    name = str(inputs.partition)
    recordings = read_recordings(inputs.folders[ABLATIONS[name].shards])
    if len(recordings) < 2:
        raise ConfigError("episodes.per_shard times the number of shards is 1: a policy needs at least 2 episodes")
    seed = seed_for(experiment, "policy")
    drawer = drawer_for(experiment.policy, inputs.one("segmenter"), inputs.root)
    policy, curve = train(
        recordings,
        experiment.policy,
        ablation=name,
        seed=seed,
        progress=progress,
        drawer=drawer,
        place=inputs.root / UNFINISHED / name,
    )
    policy.save(out)
    curve.to_parquet(out / CURVE, index=False)
    last = curve.groupby("name")["value"].last()
    return {
        **{figure: round(float(last[figure]), 5) for figure in last.index},
        "parameters": sum(weights.numel() for weights in policy.network.parameters()),
        "episodes": len(recordings),
        "steps": experiment.policy.steps,
    }


def train(
    recordings: list[Recording],
    params: PolicyParams,
    *,
    ablation: str,
    seed: int,
    progress: Progress,
    drawer: MaskDrawer | None = None,
    place: Path | None = None,
) -> tuple[TrainedPolicy, pd.DataFrame]:
    """A trained policy and its curve (step, name, value).

    ``drawer`` makes the masks for an eye that is shown masks. ``place`` is a folder of this training's own, where it
    goes on from if it is stopped; the policy is the same as of a training that was not.
    """
    if drawer is not None and ABLATIONS[ablation].uses_sight:
        recordings = drawer.draw(recordings, progress)
    kept, held_out = split_episodes(len(recordings), validation_fraction=params.validation_fraction, seed=seed)
    windows, unseen = (
        Windows([recordings[k] for k in part], chunk=params.chunk, audio_window_s=params.audio_window_s)
        for part in (kept, held_out)
    )
    config = PolicyConfig(
        family=params.family,
        ablation=ablation,
        uses_sight=ABLATIONS[ablation].uses_sight,
        uses_sound=ABLATIONS[ablation].uses_sound,
        spec=ACTION_SPEC,
        image_px=windows.rgb.shape[1],
        audio_window_s=params.audio_window_s,
        chunk=params.chunk,
        executed=params.executed,
        diffusion_steps=params.diffusion_steps,
        sampling_steps=params.sampling_steps,
        samples=params.samples,
        image_encoder=params.image_encoder,
        sound_encoder=params.sound_encoder,
    )
    going_on: AbstractContextManager[Path | None] = nullcontext()
    if place is not None:
        going_on = unfinished(place, origin_of(recordings, params, ablation, seed))
    with torch.random.fork_rng(), going_on as checkpoints:
        torch.manual_seed(seed)
        training = Training(PolicyNetwork(config, Normaliser.fit(windows)), params)
        recorder = _Recorder(progress, params.steps)
        trainer = trainer_for(
            params.steps,
            callbacks=[_averaging(params.ema), recorder, *([] if checkpoints is None else [_Checkpoints(checkpoints)])],
            precision=params.precision,
            val_check_interval=max(1, params.steps // _VALIDATIONS),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            deterministic="warn",
        )
        drawn = _Drawn(windows, params, seed, config, done=lambda: trainer.global_step)
        last = None if checkpoints is None else checkpoints / _LAST
        trainer.fit(
            training,
            drawn,
            _HeldOut(unseen, params.batch, seed),
            ckpt_path=last if last is not None and last.is_file() else None,
            weights_only=False,
        )
    policy = TrainedPolicy(training.network.cpu(), drawer.segmenter if drawer is not None else None)
    return policy, pd.DataFrame(recorder.rows, columns=["step", "name", "value"])


class Training(lightning.LightningModule):
    """Loss, optimiser and validation figures of a policy."""

    def __init__(self, network: PolicyNetwork, params: PolicyParams) -> None:
        super().__init__()
        self.network = network
        self._params = params
        self._chance: dict[str, Any] | None = None

    def training_step(self, batch: WindowBatch, batch_idx: int) -> Tensor:
        losses = self.network.losses(batch, draws=_DRAWS)
        return losses.actions + self._params.auxiliary_weight * losses.auxiliary

    def validation_step(self, batch: WindowBatch, batch_idx: int) -> None:
        """Figures on held-out episodes, at noise that is the same in every validation."""
        config, network = self.network.config, self.network
        generator = torch.Generator().manual_seed(batch_idx)
        noise = torch.randn(batch.actions.shape, generator=generator).to(self.device)
        losses = network.losses(batch, generator=generator)
        decided, told = network.decide(batch, noise)
        scale = decided.new_tensor(network.normaliser.actions.scale)
        executed = slice(0, config.executed)
        miss = ((decided - batch.actions)[:, executed] / scale).square().mean().sqrt()
        auxiliary = (told - batch.auxiliary).abs().mean(dim=0)
        figures = {
            "validation_loss": losses.actions,
            "validation_action_error": miss,
            "validation_fill_error": auxiliary[0],
            "validation_flow_error_ml_s": auxiliary[1],
            "validation_air_column_error_m": auxiliary[2],
        }
        scales = network.normaliser.auxiliary
        for sense, alone in network.encode(batch).told.items():
            missed = scales.restore(alone)[:, 0] - batch.auxiliary[:, 0]
            figures[f"validation_fill_error_by_{sense}"] = missed.abs().mean()
        self.log_dict(figures, batch_size=len(noise))

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(self.parameters(), lr=self._params.learning_rate, weight_decay=1e-4, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self._params.learning_rate, total_steps=self._params.steps + 1, pct_start=_WARM_UP
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["chance"] = {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._chance = checkpoint["chance"]

    def on_train_start(self) -> None:
        if self._chance is not None:
            torch.set_rng_state(self._chance["cpu"])
            if self._chance["cuda"]:
                torch.cuda.set_rng_state_all(self._chance["cuda"])


class _Drawn:
    """Augmented training batches, one per step that is not done yet; the same for the same seed."""

    def __init__(
        self, windows: Windows, params: PolicyParams, seed: int, config: PolicyConfig, done: Callable[[], int]
    ) -> None:
        self._windows, self._params, self._seed, self._done = windows, params, seed, done
        self._images, self._sound = config.uses_sight and not config.sees_masks, config.uses_sound

    def __iter__(self) -> Iterator[WindowBatch]:
        rng = np.random.default_rng(self._seed)
        done = self._done()
        for _ in range(done):
            self._windows.skip_batch(self._params.batch, rng)
        for step in range(done, self._params.steps):
            batch = self._windows.random_batch(self._params.batch, rng)
            chance = np.random.default_rng((self._seed, step))
            yield augmented(batch, chance, images=self._images, sound=self._sound)


class _HeldOut:
    """Windows of the held-out episodes, the same each time: evenly spread, with lags but not augmented."""

    def __init__(self, windows: Windows, batch: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        steps = np.arange(0, len(windows), max(1, len(windows) // _VALIDATION_WINDOWS))
        camera_lag_s, microphone_lag_s = rng.uniform(*LATENCY_S, (2, len(steps)))
        self._batches = [
            windows.batch(
                steps[start : start + batch],
                camera_lag_s=camera_lag_s[start : start + batch],
                microphone_lag_s=microphone_lag_s[start : start + batch],
            )
            for start in range(0, len(steps), batch)
        ]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[WindowBatch]:
        return iter(self._batches)


class _Checkpoints(Callback):
    """Keeps the newest state, after a step or its validation: one that is due then would be left out afterwards."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % trainer.val_check_batch:
            self._keep(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._keep(trainer)

    def _keep(self, trainer: lightning.Trainer) -> None:
        if trainer.global_step % _CHECKPOINT_EVERY == 0:
            trainer.save_checkpoint(self._folder / _LAST)


def _averaging(decay: float) -> WeightAveraging:
    """Exponential moving average of the weights; short runs forget their random start faster."""

    def average(averaged: Tensor, newest: Tensor, updates: Tensor) -> Tensor:
        share = min(decay, (1.0 + float(updates)) / (10.0 + float(updates)))
        return averaged.lerp(newest, 1.0 - share)

    return WeightAveraging(avg_fn=average)


class _Recorder(Callback):
    """Keeps the curve and tells the outside."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self.rows: list[tuple[int, str, float]] = []
        self._progress, self._steps = progress, steps
        self._recent: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "recent": self._recent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self._recent = list(state_dict["rows"]), list(state_dict["recent"])

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._recent.append(float(outputs["loss"]))
        step = trainer.global_step
        if step % _REPORT_EVERY == 0 or step == self._steps:
            self._keep(step, "train_loss", sum(self._recent) / len(self._recent))
            self._recent.clear()
            self._progress.update(step, self._steps, f"loss {self.rows[-1][2]:.3f}")

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith("validation"):
                self._keep(trainer.global_step, name, float(value))

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Lightning turns Ctrl-C into exit code 1 and ignores the next one: the caller is to decide instead."""
        if isinstance(exception, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise exception

    def _keep(self, step: int, name: str, value: float) -> None:
        self.rows.append((step, name, value))
        self._progress.metric(name, value, step)
