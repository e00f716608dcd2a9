"""What every training here has in common: a quiet Lightning trainer, and how exactly it multiplies."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import lightning
import torch

from multigen_core.experiment import Precision

__all__ = ["lightning_precision", "trainer_for"]


def trainer_for(
    steps: int, *, callbacks: Sequence[lightning.Callback], precision: Precision = "float32", **options: Any
) -> lightning.Trainer:
    """A trainer on the GPU or the CPU that writes no file and says nothing: its callbacks report.

    ``options`` are further arguments of ``lightning.Trainer``.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=steps,
        precision=lightning_precision(precision),
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def lightning_precision(precision: Precision) -> Literal["32-true", "bf16-mixed"]:
    """The value of ``Trainer(precision=...)``: weights stay float32, products may be bfloat16.

    ``auto`` is bfloat16 where the processor that trains multiplies it by itself. Elsewhere it is emulated, and slower
    than float32. Figures of the two differ in their last digits.
    """
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16() else "float32"
    return "bf16-mixed" if precision == "bfloat16" else "32-true"


def _multiplies_bfloat16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
