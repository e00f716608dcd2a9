"""Finetunes MMAudio on features, as it was trained: flow matching, with classifier-free dropout of what it sees.

``x1 = mean + std eps`` of the VAE's posterior, ``t = sigmoid(N(0, 1))``, the mean squared error to ``x1 - x0``, AdamW
(1e-4, betas 0.9 and 0.95, weight decay 1e-6), gradients clipped to 1. New here: the masks are dropped with the video,
and also alone, so that neither is taken for the other; and at first only the layers that read the masks learn. With
``lora_rank`` MMAudio's own weights are held but for a part of that rank.

Every micro-step draws from a seed of its own. A training that is taken up again at any step therefore does what the
uninterrupted one would have done. With several GPUs the job runs under torchrun, one process each::

    python -m multigen_core.audio_model.mmaudio_training JOB.json
"""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from multigen_core.audio_model.low_rank import adapt, merge
from multigen_core.audio_model.mmaudio_features import ClipFeatures, Window, read_features
from multigen_core.audio_model.mmaudio_network import MaskedMMAudio, Senses, open_base
from multigen_core.audio_model.mmaudio_weights import VARIANTS
from multigen_core.errors import UserError
from multigen_core.experiment import MMAudio
from multigen_core.progress import Progress, TerminalProgress
from multigen_core.trainer import lightning_precision

__all__ = ["Example", "Finetuning", "Job", "draw", "launch", "train"]

CURVE = "curve.parquet"
_VALIDATIONS = 10
_VALIDATION_WINDOWS = 64
_LAST = "last.ckpt"


@dataclass(frozen=True)
class Job:
    """Everything one training needs, as plain values: it may run in processes of its own."""

    params: MMAudio
    windows: tuple[Window, ...]
    text: Path
    weights: Path
    checkpoints: Path
    out: Path
    seed: int

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=str))

    @staticmethod
    def read(path: Path) -> "Job":
        values = json.loads(path.read_text())
        windows = tuple(Window(**{**row, "path": Path(row["path"])}) for row in values["windows"])
        folders = {name: Path(values[name]) for name in ("text", "weights", "checkpoints", "out")}
        return Job(params=MMAudio(**values["params"]), windows=windows, seed=values["seed"], **folders)


@dataclass(frozen=True)
class Example:
    """One micro-step's batch, everything random already drawn."""

    x1: Float[Tensor, "B latents channels"]
    """Latents of the VAE, not yet normalised."""
    x0: Float[Tensor, "B latents channels"]
    t: Float[Tensor, " B"]
    senses: Senses

    def to(self, device: torch.device) -> "Example":
        x1, x0, t = (value.to(device) for value in (self.x1, self.x0, self.t))
        return Example(x1, x0, t, self.senses.to(device))


def draw(
    features: Sequence[ClipFeatures],
    usable: Sequence[bool],
    text: Float[Tensor, "77 1024"],
    params: MMAudio,
    generator: torch.Generator,
    *,
    dropout: bool = True,
) -> Example:
    """A batch of these windows with noise, flow times and dropout from ``generator``."""
    count = len(features)
    mean, std, clip, sync, mask = (
        torch.stack([getattr(one, name) for one in features]) for name in ("mean", "std", "clip", "sync", "mask")
    )
    posterior = mean + std * torch.randn(mean.shape, generator=generator)
    noise = torch.randn(mean.shape, generator=generator)
    t = torch.sigmoid(torch.randn(count, generator=generator))
    kept = torch.rand(3, count, generator=generator) >= torch.tensor(
        [[params.video_dropout], [params.mask_dropout], [params.text_dropout]]
    )
    see_video, see_mask, see_text = kept if dropout else torch.ones(3, count, dtype=torch.bool)
    senses = Senses(
        clip=clip,
        sync=sync,
        text=text.expand(count, -1, -1),
        mask=mask,
        see_video=see_video,
        see_text=see_text,
        see_mask=see_mask & see_video & torch.tensor(list(usable)),
    )
    return Example(x1=posterior, x0=noise, t=t, senses=senses)


class _Batches(IterableDataset[Example]):
    """Endless batches, of which the k-th of a process depends on nothing but the job, k and the process's rank."""

    def __init__(self, windows: Sequence[Window], job: Job, *, rank: int, processes: int, start: int) -> None:
        self._windows, self._job = windows, job
        self._rank, self._processes, self._start = rank, processes, start
        self._text = load_file(job.text)["text"]

    def __iter__(self) -> Iterator[Example]:
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        k = self._start + first
        while True:
            yield self._batch(k)
            k += stride

    def _batch(self, k: int) -> Example:
        # Every window once per round, whatever the number of processes.
        size = self._job.params.batch
        place = (k * self._processes + self._rank) * size
        chosen = [self._window(place + item) for item in range(size)]
        seed = np.random.SeedSequence([self._job.seed, k, self._rank]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed >> 1))
        features = [read_features(window.path) for window in chosen]
        return draw(features, [window.usable for window in chosen], self._text, self._job.params, generator)

    def _window(self, place: int) -> Window:
        turn, index = divmod(place, len(self._windows))
        order = np.random.default_rng([self._job.seed, turn]).permutation(len(self._windows))
        return self._windows[order[index]]


class Finetuning(lightning.LightningModule):
    """The network, its moving average, and the loss."""

    def __init__(self, network: MaskedMMAudio, job: Job, validation: Sequence[Example]) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.rows: list[dict[str, float]] = []
        self._job = job
        self._validation = validation
        self._losses: list[float] = []
        self._steps_done = 0

    @staticmethod
    def loss(network: MaskedMMAudio, example: Example) -> Float[Tensor, ""]:
        """Mean squared error of the predicted velocity."""
        x1, x0, t = network.normalised(example.x1), example.x0, example.t[:, None, None]
        velocity = network((1.0 - t) * x0 + t * x1, example.t, example.senses)
        return (velocity - (x1 - x0)).square().mean()

    def train_dataloader(self) -> DataLoader[Example]:
        windows = [window for window in self._job.windows if window.split == "train"]
        batches = _Batches(
            windows,
            self._job,
            rank=self.global_rank,
            processes=self.trainer.world_size,
            start=self._steps_done * self._job.params.accumulate,
        )
        workers = min(4, len(os.sched_getaffinity(0)) - 1) if torch.cuda.is_available() else 0
        return DataLoader(batches, batch_size=None, num_workers=workers)

    def transfer_batch_to_device(self, batch: Example, device: torch.device, dataloader_idx: int) -> Example:
        return batch.to(device)

    def training_step(self, batch: Example, batch_idx: int) -> Tensor:
        loss = self.loss(self.network, batch)
        self._losses.append(float(loss.detach()))
        return loss

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Also moves the average: here, since a checkpoint is written before the hooks after a step are called."""
        super().optimizer_step(*arguments, **options)
        self._steps_done += 1
        # A young average follows faster, so that it forgets the initial weights.
        decay = min(self._job.params.ema, (1.0 + self._steps_done) / (10.0 + self._steps_done))
        with torch.no_grad():
            for average, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
                average.lerp_(weight, 1.0 - decay)
        total = self._job.params.steps
        if self._steps_done % max(1, total // _VALIDATIONS) == 0 or self._steps_done == total:
            self._validate()

    @torch.no_grad()
    def _validate(self) -> None:
        """Loss of the moving average with the right masks, and with those of the next window: the control."""
        right, shuffled = [], []
        for example in (one.to(self.device) for one in self._validation):
            senses = example.senses
            others = replace(senses, mask=senses.mask.roll(1, 0), see_mask=senses.see_mask.roll(1, 0))
            right.append(float(self.loss(self.average, example)))
            shuffled.append(float(self.loss(self.average, replace(example, senses=others))))
        row = {
            "step": float(self._steps_done),
            "training_loss": float(np.mean(self._losses)),
            "validation_loss": float(np.mean(right)),
            "validation_loss_shuffled": float(np.mean(shuffled)),
        }
        self._losses.clear()
        self.rows.append(row)

    def configure_optimizers(self) -> Any:
        params = self._job.params
        added = self.network.added_parameters()
        known = {id(weight) for weight in added}
        base = [one for one in self.network.parameters() if id(one) not in known and one.requires_grad]
        optimizer = torch.optim.AdamW(
            [{"params": added}, {"params": base}], lr=params.learning_rate, betas=(0.9, 0.95), weight_decay=1e-6
        )

        def warmed(step: int) -> float:
            return min(1.0, (step + 1) / (params.warm_up_steps + 1))

        def held(step: int) -> float:
            # A rate of zero, not a switch: DDP does not follow parameters that begin to learn later.
            return 0.0 if step < params.frozen_steps else warmed(step - params.frozen_steps)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [warmed, held])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["curve"], checkpoint["losses"] = self.rows, self._losses

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.rows, self._losses = list(checkpoint["curve"]), list(checkpoint["losses"])
        self._steps_done = checkpoint["global_step"]


class _Reporter(lightning.Callback):
    """Tells the progress, and the figures of every validation."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress, self._steps = progress, steps
        self._told = 0

    def on_train_batch_end(self, trainer: Any, module: Finetuning, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._progress.update(trainer.global_step, self._steps, "finetuning steps")
        for row in module.rows[self._told :]:
            for name in ("training_loss", "validation_loss", "validation_loss_shuffled"):
                self._progress.metric(name, row[name], int(row["step"]))
        self._told = len(module.rows)


def train(job: Job, progress: Progress, *, stop_after: int | None = None) -> None:
    """Trains up to ``params.steps``, from the last checkpoint if there is one, and writes weights and curve.

    ``stop_after`` ends the run at that step, as if it had been interrupted there after a checkpoint: nothing but the
    checkpoint is written.

    Raises UserError when there is nothing to train on.
    """
    if not any(window.split == "train" for window in job.windows):
        raise UserError(
            f"no clip of split 'train' is {job.params.window_s:g} s long: raise clips.length_s "
            "or lower audio_model.mmaudio.window_s"
        )
    params = job.params
    variant = VARIANTS[params.variant]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        network = MaskedMMAudio(open_base(variant, params.window_s, weights=job.weights))
        if params.lora_rank:
            adapt(network.base, params.lora_rank)
    module = Finetuning(network, job, _validation(job))
    keep = ModelCheckpoint(
        dirpath=job.checkpoints,
        save_last=True,
        save_top_k=0,
        every_n_train_steps=params.checkpoint_steps,
        enable_version_counter=False,
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=processes // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        strategy="ddp" if processes > 1 else "auto",
        precision=lightning_precision(params.precision),
        max_steps=stop_after or params.steps,
        accumulate_grad_batches=params.accumulate,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
        callbacks=[_Reporter(progress, params.steps), keep],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    last = job.checkpoints / _LAST
    trainer.fit(module, ckpt_path=str(last) if last.is_file() else None, weights_only=False)
    if stop_after is None and trainer.is_global_zero:
        merge(module.average.base)
        module.average.cpu().save(job.out)
        pd.DataFrame(module.rows).to_parquet(job.out / CURVE)


def launch(job: Job, progress: Progress) -> None:
    """Trains in this process, or with several GPUs in one process each, under torchrun.

    Raises UserError when those fail.
    """
    devices = job.params.devices or max(1, torch.cuda.device_count())
    if devices == 1:
        train(job, progress)
        return
    path = job.checkpoints / "job.json"
    job.write(path)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
    progress.say(f"finetuning on {devices} devices")
    done = subprocess.run([*torchrun, "-m", "multigen_core.audio_model.mmaudio_training", str(path)], check=False)
    if done.returncode:
        raise UserError(
            f"finetuning on {devices} devices ended with code {done.returncode}, see its output above; "
            "it goes on from its last checkpoint when it is run again"
        )


def _validation(job: Job) -> list[Example]:
    """Held-out windows with masks, or, when none are held back, those it trains on."""
    held_out = [window for window in job.windows if window.split == "validation" and window.usable]
    windows = (held_out or list(job.windows))[:_VALIDATION_WINDOWS]
    text, size = load_file(job.text)["text"], job.params.batch
    generator = torch.Generator().manual_seed(job.seed)
    return [
        draw(
            [read_features(window.path) for window in part],
            [window.usable for window in part],
            text,
            job.params,
            generator,
            dropout=False,
        )
        for part in (windows[first : first + size] for first in range(0, len(windows), size))
    ]


if __name__ == "__main__":
    train(Job.read(Path(sys.argv[1])), TerminalProgress("audio_model"))
