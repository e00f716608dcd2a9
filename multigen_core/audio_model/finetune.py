"""Stage ``audio_model``: trains the pocket model on the clips and their masks.

Flow matching (Lipman et al. 2023) as MMAudio trains: ``t = sigmoid(N(0, 1))``, ``xt = (1 - t) x0 + t x1``, and the mean
squared error to ``x1 - x0``. The weights that are kept are an exponential moving average.
"""

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from multigen_core.audio_model.conditioning import FEATURES
from multigen_core.audio_model.corpus import (
    TrainingClip,
    fit_normaliser,
    is_non_commercial,
    licences_of,
    measured,
    read_corpus,
)
from multigen_core.audio_model.pocket import Normaliser, PocketAudioModel
from multigen_core.audio_model.pocket_network import (
    TOKEN_RATE_HZ,
    PocketConfig,
    PocketTransformer,
    mel_to_tokens,
    tokens_to_mel,
)
from multigen_core.errors import UserError
from multigen_core.experiment import AudioModel, Experiment, seed_for
from multigen_core.progress import Progress
from multigen_core.records import Summary
from multigen_core.trainer import trainer_for

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["CURVE", "Batch", "FlowMatching", "config_of", "crops", "fit", "run", "validation_losses"]

CURVE = "curve.parquet"
_VALIDATIONS = 10
"""Points of the validation curve."""
_VALIDATION_BATCHES = 4
_WARM_UP = 0.05
"""Of all steps."""
_EMA_DECAY = 0.998


@dataclass(frozen=True)
class Batch:
    """One step's crops, everything random already drawn."""

    x1: Float[Tensor, "batch tokens channels"]
    x0: Float[Tensor, "batch tokens channels"]
    t: Float[Tensor, " batch"]
    features: Float[Tensor, "batch tokens conditions"]
    conditioned: Bool[Tensor, " batch"]

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(value.to(device) for value in vars(self).values()))


class FlowMatching(lightning.LightningModule):
    """The network, its moving average, and the loss."""

    def __init__(self, network: PocketTransformer, *, steps: int, learning_rate: float) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.steps = steps
        self.learning_rate = learning_rate

    @staticmethod
    def loss(network: PocketTransformer, batch: Batch) -> Float[Tensor, ""]:
        """Mean squared error of the predicted velocity."""
        return FlowMatching._losses(network, batch)[0]

    @staticmethod
    def _losses(network: PocketTransformer, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Of the velocity, and of what is expected where it is conditioned.

        The latter is the Gaussian negative log-likelihood, weighted by sigma so that what is uncertain is not given up
        (Seitzer et al. 2022, beta-NLL with beta 0.5).
        """
        t = batch.t[:, None, None]
        xt = (1.0 - t) * batch.x0 + t * batch.x1
        sight = network.sight(batch.features, batch.conditioned)
        velocity = network(xt, batch.t, sight)
        unlikely = sight.spread.log() + 0.5 * ((batch.x1 - sight.expected) / sight.spread).square()
        weight = sight.spread.detach() * batch.conditioned[:, None, None]
        return (velocity - (batch.x1 - batch.x0)).square().mean(), (weight * unlikely).mean()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        flow, expectation = self._losses(self.network, batch)
        return flow + expectation

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        # A young average follows faster, so that it forgets the initial weights.
        decay = min(_EMA_DECAY, (1.0 + self.global_step) / (10.0 + self.global_step))
        with torch.no_grad():
            for average, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
                average.lerp_(weight, 1.0 - decay)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.learning_rate, betas=(0.9, 0.95), weight_decay=1e-6, fused=True
        )
        warm_up = max(1, round(_WARM_UP * self.steps))

        def rate(step: int) -> float:
            cosine = 0.5 * (1.0 + np.cos(np.pi * min(1.0, step / self.steps)))
            return float(min(1.0, (step + 1) / warm_up) * cosine)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class _Watcher(lightning.Callback):
    """Reports progress, and the validation loss of the moving average at a few points of the run."""

    def __init__(self, batches: list[Batch], *, steps: int, progress: Progress) -> None:
        self.rows: list[dict[str, float]] = []
        self._batches = batches
        self._steps = steps
        self._progress = progress
        self._losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step = trainer.global_step
        self._losses.append(float(outputs["loss"]))
        self._progress.update(step, self._steps, "training steps")
        if step % max(1, self._steps // _VALIDATIONS) == 0 or step == self._steps:
            self._validate(step, module)

    def _validate(self, step: int, module: FlowMatching) -> None:
        row = {"step": float(step), "training_loss": float(np.mean(self._losses))}
        row["validation_loss"], row["validation_loss_shuffled"] = validation_losses(
            module.average, [batch.to(module.device) for batch in self._batches]
        )
        self._losses.clear()
        self.rows.append(row)
        for name in ("training_loss", "validation_loss", "validation_loss_shuffled"):
            self._progress.metric(name, row[name], step)


@torch.no_grad()
def validation_losses(network: PocketTransformer, batches: list[Batch]) -> tuple[float, float]:
    """Loss with the right masks, and with those of the next item in the batch: the control. The rooms stay."""
    right, shuffled = [], []
    for batch in batches:
        right.append(float(FlowMatching.loss(network, batch)))
        features = batch.features.clone()
        features[..., : len(FEATURES)] = features.roll(1, 0)[..., : len(FEATURES)]
        shuffled.append(float(FlowMatching.loss(network, replace(batch, features=features))))
    return float(np.mean(right)), float(np.mean(shuffled))


def crops(
    clips: Sequence[TrainingClip], normaliser: Normaliser, params: AudioModel, *, seed: int, dropout: float
) -> Iterator[Batch]:
    """Endless random batches; the same seed draws the same ones."""
    chooser = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    window = round(params.window_s * TOKEN_RATE_HZ)
    while True:
        chosen = [clips[index] for index in chooser.integers(0, len(clips), params.batch)]
        # A clip shorter than the window shortens its batch: nothing is padded.
        length = min(window, *(len(clip.tokens) for clip in chosen))
        starts = [int(chooser.integers(0, len(clip.tokens) - length + 1)) for clip in chosen]
        tokens = torch.stack([clip.tokens[start : start + length] for clip, start in zip(chosen, starts, strict=True)])
        features = [clip.features[start : start + length] for clip, start in zip(chosen, starts, strict=True)]
        x1 = mel_to_tokens(normaliser.mel(tokens_to_mel(tokens)))
        kept = torch.rand(len(chosen), generator=generator) >= dropout
        yield Batch(
            x1=x1,
            x0=torch.randn(x1.shape, generator=generator),
            t=torch.sigmoid(torch.randn(len(chosen), generator=generator)),
            features=normaliser.features(torch.stack(features)),
            conditioned=kept & torch.tensor([clip.usable for clip in chosen]),
        )


def config_of(params: AudioModel) -> PocketConfig:
    """What of the parameters shapes the network and its sampling."""
    return PocketConfig(
        hidden=params.hidden,
        depth=params.depth,
        heads=params.heads,
        window_s=params.window_s,
        sampling_steps=params.sampling_steps,
        guidance=params.guidance,
        loudness_guidance=params.loudness_guidance,
        vocoder_iterations=params.vocoder_iterations,
    )


def fit(
    corpus: Sequence[TrainingClip], params: AudioModel, *, seed: int, progress: Progress
) -> tuple[PocketAudioModel, pd.DataFrame]:
    """Trains on the clips whose split is ``train``; returns the model and its curve.

    The curve has one row per validation: ``step``, ``training_loss``, ``validation_loss``,
    ``validation_loss_shuffled`` (the masks of another clip: how much the model listens to its condition).
    """
    corpus, ruler = measured(corpus)
    training = [clip for clip in corpus if clip.split == "train"]
    # Nothing to validate without masks; a corpus too small to hold clips back is validated on itself.
    held_out = [clip for clip in corpus if clip.split == "validation" and clip.usable] or training
    normaliser = fit_normaliser(training)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PocketTransformer(config_of(params))
    module = FlowMatching(network, steps=params.steps, learning_rate=params.learning_rate)
    validation = list(islice(crops(held_out, normaliser, params, seed=seed + 1, dropout=0.0), _VALIDATION_BATCHES))
    watcher = _Watcher(validation, steps=params.steps, progress=progress)
    # In float32: attention and narrow layers gain nothing from bfloat16 on a CPU.
    trainer = trainer_for(params.steps, callbacks=[watcher], gradient_clip_val=1.0)
    trainer.fit(module, crops(training, normaliser, params, seed=seed, dropout=params.condition_dropout))
    return PocketAudioModel(module.average.cpu(), normaliser, ruler), pd.DataFrame(watcher.rows)


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Trains the model that ``audio_model.backend`` names on the clips and their masks.

    Raises UserError when no clip is left to train on.
    """
    if experiment.audio_model.backend == "mmaudio":
        from multigen_core.audio_model import mmaudio

        return mmaudio.run(experiment, inputs, out, progress)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    corpus = read_corpus(inputs.one("clips"), inputs.one("masks"), progress)
    training = [clip for clip in corpus if clip.split == "train"]
    if not training:
        raise UserError("the catalogue has no clip with split 'train': raise clips.reference_count or add videos")
    model, curve = fit(corpus, experiment.audio_model, seed=seed_for(experiment, "audio_model"), progress=progress)
    model.save(out)
    curve.to_parquet(out / CURVE)
    last = curve.iloc[-1]
    licences = licences_of(inputs.one("clips"), [clip.clip_id for clip in training])
    return {
        "backend": experiment.audio_model.backend,
        "clips": len(training),
        "clips_validation": len(corpus) - len(training),
        "clips_without_masks": sum(not clip.usable for clip in corpus),
        "licences": [*licences],
        "non_commercial": any(is_non_commercial(licence) for licence in licences),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "training_loss": round(float(last["training_loss"]), 5),
        "validation_loss": round(float(last["validation_loss"]), 5),
        "validation_loss_shuffled": round(float(last["validation_loss_shuffled"]), 5),
    }
