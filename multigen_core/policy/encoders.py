"""From an observation to features: one small network per sense, sized for two CPU cores."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from multigen_core.spectrogram import MELS

__all__ = ["ImageEncoder", "ObservationEncoder", "SoundEncoder"]

_GROUPS = 8


def _convolution(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    """Group norm, since batch statistics of 64 neighbouring windows would leak between them."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
    return nn.Sequential(convolution, nn.GroupNorm(_GROUPS, outputs), nn.ReLU())


class ImageEncoder(nn.Module):
    """RGB to features that say where things are: spatial softmax (Finn et al. 2016) beside plain averages."""

    def __init__(self, *, features: int) -> None:
        super().__init__()
        channels = 48
        # Small steps: the stream is two pixels wide.
        self.layers = nn.Sequential(
            _convolution(3, 16, kernel=5, stride=2),
            _convolution(16, 32, kernel=3, stride=2),
            _convolution(32, channels, kernel=3, stride=2),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.leave = nn.Linear(3 * channels, features)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B features"]:
        """``rgb`` in [-1, 1]; sides of at least 32."""
        maps = self.layers(rgb)  # (B, C, H / 8, W / 8)
        down, across = (torch.linspace(-1.0, 1.0, size, device=maps.device) for size in maps.shape[-2:])
        attention = maps.flatten(2).softmax(dim=2).unflatten(2, maps.shape[-2:])
        where_down = attention.sum(dim=3) @ down  # (B, C)
        where_across = attention.sum(dim=2) @ across
        out: Tensor = self.leave(torch.cat([where_down, where_across, maps.relu().mean(dim=(2, 3))], dim=1))
        return out


class SoundEncoder(nn.Module):
    """Log-mel to features that keep pitch apart: bands are never averaged, time only into four parts."""

    def __init__(self, *, features: int) -> None:
        super().__init__()
        channels, parts = 32, 4
        self.layers = nn.Sequential(
            _convolution(1, 16, kernel=7, stride=4),
            _convolution(16, channels, kernel=3, stride=2),
            nn.AdaptiveAvgPool2d((MELS // 8, parts)),
        )
        self.leave = nn.Linear(channels * (MELS // 8) * parts, features)

    def forward(self, log_mel: Float[Tensor, "B mels frames"]) -> Float[Tensor, "B features"]:
        out: Tensor = self.leave(self.layers(log_mel[:, None]).flatten(1))
        return out


class ObservationEncoder(nn.Module):
    """All senses together. Without ``uses_sight`` there is no eye, without ``uses_sound`` no ear."""

    def __init__(self, *, uses_sight: bool, uses_sound: bool, features: int) -> None:
        super().__init__()
        self.image = ImageEncoder(features=features) if uses_sight else None
        self.body = nn.Linear(15, features)
        self.sound = SoundEncoder(features=features) if uses_sound else None
        senses = 1 + uses_sight + uses_sound
        self.fuse = nn.Sequential(nn.ReLU(), nn.Linear(senses * features, features), nn.ReLU())

    def forward(
        self,
        rgb: Float[Tensor, "B 3 H W"],
        log_mel: Float[Tensor, "B mels frames"],
        joints: Float[Tensor, "B 7"],
        joint_speeds: Float[Tensor, "B 7"],
        goal: Float[Tensor, "B 1"],
    ) -> Float[Tensor, "B features"]:
        """Everything normalised."""
        senses = [self.body(torch.cat([joints, joint_speeds, goal], dim=1))]
        if self.image is not None:
            senses.insert(0, self.image(rgb))
        if self.sound is not None:
            senses.append(self.sound(log_mel))
        out: Tensor = self.fuse(torch.cat(senses, dim=1))
        return out
