"""How exactly networks of convolutions are trained: their weights in float32, their products maybe in bfloat16."""

from typing import Literal

import torch

from multigen_core.experiment import Precision

__all__ = ["lightning_precision"]


def lightning_precision(precision: Precision) -> Literal["32-true", "bf16-mixed"]:
    """The value of ``Trainer(precision=...)``.

    Elsewhere bfloat16 is emulated, and slower than float32. Figures of the two differ in their last digits.
    """
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16() else "float32"
    return "bf16-mixed" if precision == "bfloat16" else "32-true"


def _multiplies_bfloat16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
