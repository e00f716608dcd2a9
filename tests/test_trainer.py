"""Which products a training is done with, and that its weights stay float32 whichever it is."""

import lightning
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from multigen_core.experiment import Precision
from multigen_core.trainer import lightning_precision, trainer_for


class Line(lightning.LightningModule):
    """Learns y = 2 x."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Linear(1, 1, bias=False)
        self.product: torch.dtype | None = None

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        predicted = self.slope(batch)
        self.product = predicted.dtype
        return (predicted.float() - 2.0 * batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.1, fused=True)


def trained(precision: Precision) -> Line:
    line = Line()
    trainer_for(150, callbacks=[], precision=precision).fit(
        line, DataLoader(torch.linspace(-1.0, 1.0, 2400)[:, None], batch_size=16, shuffle=True)
    )
    return line


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_are_rounded_and_weights_are_not(precision: Precision, dtype: torch.dtype) -> None:
    line = trained(precision)
    assert line.product == dtype
    assert line.slope.weight.dtype == torch.float32
    assert line.slope.weight.item() == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    ("able", "expected"),
    [({"avx512_bf16": True}, "bf16-mixed"), ({"amx_bf16": True}, "bf16-mixed"), ({"avx512_bf16": False}, "32-true")],
)
def test_auto_asks_the_processor(able: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert lightning_precision("auto") == expected
