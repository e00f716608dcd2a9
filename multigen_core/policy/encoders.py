"""From an observation to features: one network per sense. Those of this module are sized for two CPU cores."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.policy.drawn_masks import SEGMENTER
from multigen_core.policy.key_points import KeyPoints
from multigen_core.policy.library_encoders import AudioSpectrogramTransformer, ResNet18, VisionTransformer
from multigen_core.policy.mask_encoder import MaskEncoder
from multigen_core.policy.seen import GRID, SHOWN, Seen
from multigen_core.spectrogram import MELS

__all__ = ["IMAGE_ENCODERS", "SOUND_ENCODERS", "ImageEncoder", "ObservationEncoder", "SoundEncoder"]

_GROUPS = 8


def _convolution(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    """Group norm, since batch statistics of 64 neighbouring windows would leak between them."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
    return nn.Sequential(convolution, nn.GroupNorm(_GROUPS, outputs), nn.ReLU())


class ImageEncoder(nn.Module):
    """RGB to features that say where things are."""

    channels = 48

    def __init__(self, *, features: int, image_px: int) -> None:
        super().__init__()
        # Small steps, for the stream is two pixels wide. The last layers, which read the level, are cheap there;
        # with 24 channels instead of 16 the first two take twice as long on a CPU.
        self.layers = nn.Sequential(
            _convolution(3, 16, kernel=5, stride=2),
            _convolution(16, 32, kernel=3, stride=2),
            _convolution(32, 64, kernel=3, stride=2),
            _convolution(64, 64, kernel=3, stride=1),
            _convolution(64, 64, kernel=3, stride=1),
            nn.Conv2d(64, self.channels, 3, padding=1),
        )
        self.summary = KeyPoints()
        self.leave = nn.Linear(3 * self.channels, features)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Seen:
        """``rgb`` in [-1, 1]; sides of at least 32. Maps of an eighth of the side."""
        maps: Tensor = self.layers(rgb)
        return Seen(self.leave(self.summary(maps)), maps)


class SoundEncoder(nn.Module):
    """Log-mel to features that keep pitch apart: bands are never averaged, time only into four parts."""

    def __init__(self, *, features: int, frames: int) -> None:
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


IMAGE_ENCODERS: Mapping[str, Callable[..., Any]] = {
    SEGMENTER: MaskEncoder,
    "pocket": ImageEncoder,
    "resnet18": ResNet18,
    "vit": VisionTransformer,
}
"""``policy.image_encoder`` -> what is made of ``features`` and ``image_px``, turns RGB (the first one: masks) into
:class:`~.seen.Seen` and says in ``channels`` how many maps that has."""
SOUND_ENCODERS: Mapping[str, Callable[..., nn.Module]] = {"pocket": SoundEncoder, "ast": AudioSpectrogramTransformer}
"""``policy.sound_encoder`` -> what is made of ``features`` and ``frames``."""


class ObservationEncoder(nn.Module):
    """All senses together: an eye and an ear, or None for a policy without, and the body's joints and goal."""

    def __init__(self, *, image: Any | None, sound: nn.Module | None, features: int) -> None:
        super().__init__()
        self.image = image
        tells = image is not None and image.channels > 0
        self.where = nn.Conv2d(image.channels, len(SHOWN), 1) if image is not None and tells else None
        self.level = nn.Linear(len(SHOWN) * GRID**2, features) if tells else None
        self.body = nn.Linear(15, features)
        self.sound = sound
        parts = 1 + (image is not None) + tells + (sound is not None)
        self.fuse = nn.Sequential(nn.ReLU(), nn.Linear(parts * features, features), nn.ReLU())

    def forward(
        self,
        picture: Tensor,
        log_mel: Float[Tensor, "B mels frames"],
        joints: Float[Tensor, "B 7"],
        joint_speeds: Float[Tensor, "B 7"],
        goal: Float[Tensor, "B 1"],
    ) -> tuple[Float[Tensor, "B features"], Float[Tensor, "B 2 grid grid"] | None]:
        """Features, and of an eye that tells where it sees cup and liquid the logits of that. Everything normalised.

        ``picture`` is what the eye reads: RGB (B, 3, H, W), or masks (B, H, W).
        """
        parts = [self.body(torch.cat([joints, joint_speeds, goal], dim=1))]
        told = None
        if self.image is not None:
            seen = self.image(picture)
            parts.append(seen.features)
            if self.where is not None and self.level is not None:
                told = functional.adaptive_avg_pool2d(self.where(seen.maps).float(), GRID)
                parts.append(self.level(told.sigmoid().flatten(1)))
        if self.sound is not None:
            parts.append(self.sound(log_mel))
        return self.fuse(torch.cat(parts, dim=1)), told
