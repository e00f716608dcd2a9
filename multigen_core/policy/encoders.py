"""From an observation to features: one network per sense. Those of this module are sized for two CPU cores."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from multigen_core.dataset.windows import AUXILIARY
from multigen_core.policy.drawn_masks import SEGMENTER
from multigen_core.policy.key_points import KeyPoints
from multigen_core.policy.library_encoders import AudioSpectrogramTransformer, ResNet18, VisionTransformer
from multigen_core.policy.mask_encoder import MaskEncoder
from multigen_core.spectrogram import MELS

__all__ = ["IMAGE_ENCODERS", "SOUND_ENCODERS", "Encoded", "ImageEncoder", "ObservationEncoder", "Sense", "SoundEncoder"]

_GROUPS = 8


def _convolution(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    """Group norm, since batch statistics of 64 neighbouring windows would leak between them."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
    return nn.Sequential(convolution, nn.GroupNorm(_GROUPS, outputs), nn.ReLU())


class ImageEncoder(nn.Module):
    """RGB to features that say where things are."""

    def __init__(self, *, features: int, image_px: int) -> None:
        super().__init__()
        channels = 48
        # Small steps, for the stream is two pixels wide. The last layers, which read the level, are cheap there;
        # with 24 channels instead of 16 the first two take twice as long on a CPU.
        self.layers = nn.Sequential(
            _convolution(3, 16, kernel=5, stride=2),
            _convolution(16, 32, kernel=3, stride=2),
            _convolution(32, 64, kernel=3, stride=2),
            _convolution(64, 64, kernel=3, stride=1),
            _convolution(64, 64, kernel=3, stride=1),
            nn.Conv2d(64, channels, 3, padding=1),
            KeyPoints(),
            nn.Linear(3 * channels, features),
        )

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B features"]:
        """``rgb`` in [-1, 1]; sides of at least 32."""
        out: Tensor = self.layers(rgb)
        return out


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


IMAGE_ENCODERS: Mapping[str, Callable[..., nn.Module]] = {
    SEGMENTER: MaskEncoder,
    "pocket": ImageEncoder,
    "resnet18": ResNet18,
    "vit": VisionTransformer,
}
"""``policy.image_encoder`` -> what is made of ``features`` and ``image_px``; the first reads masks, the others RGB."""
SOUND_ENCODERS: Mapping[str, Callable[..., nn.Module]] = {"pocket": SoundEncoder, "ast": AudioSpectrogramTransformer}
"""``policy.sound_encoder`` -> what is made of ``features`` and ``frames``."""


class Sense(nn.Module):
    """An eye or an ear, and what it tells of the liquid by itself.

    In demonstrations joints and goal say much of how full the cup is, for the expert knew it. What a sense tells
    without them is compared with the truth, too, and stands beside the goal in the features.
    """

    def __init__(self, encoder: nn.Module, *, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.tell = nn.Sequential(nn.ReLU(), nn.Linear(features, len(AUXILIARY)))
        self.compare = nn.Linear(len(AUXILIARY) + 1, features)

    def forward(
        self, perceived: Tensor, goal: Float[Tensor, "B 1"]
    ) -> tuple[Float[Tensor, "B 2*features"], Float[Tensor, "B 3"]]:
        """Features, and what is told, normalised as ``Normaliser.auxiliary``."""
        features = self.encoder(perceived)
        told = self.tell(features)
        return torch.cat([features, self.compare(torch.cat([told, goal], dim=1))], dim=1), told


class Encoded(NamedTuple):
    """What is made of a batch of observations."""

    features: Float[Tensor, "B features"]
    told: Mapping[str, Float[Tensor, "B 3"]]
    """By each sense that there is, ``sight`` and ``sound``."""


class ObservationEncoder(nn.Module):
    """All senses together: an eye and an ear, or None for a policy without, and the body's joints and goal."""

    def __init__(self, *, image: nn.Module | None, sound: nn.Module | None, features: int) -> None:
        super().__init__()
        self.image = Sense(image, features=features) if image is not None else None
        self.sound = Sense(sound, features=features) if sound is not None else None
        self.body = nn.Linear(15, features)
        parts = 1 + 2 * (image is not None) + 2 * (sound is not None)
        self.fuse = nn.Sequential(nn.ReLU(), nn.Linear(parts * features, features), nn.ReLU())

    def forward(
        self,
        picture: Tensor,
        log_mel: Float[Tensor, "B mels frames"],
        joints: Float[Tensor, "B 7"],
        joint_speeds: Float[Tensor, "B 7"],
        goal: Float[Tensor, "B 1"],
    ) -> Encoded:
        """Everything normalised. ``picture`` is what the eye reads: RGB (B, 3, H, W), or masks (B, H, W)."""
        parts, told = [self.body(torch.cat([joints, joint_speeds, goal], dim=1))], {}
        for name, sense, perceived in (("sight", self.image, picture), ("sound", self.sound, log_mel)):
            if sense is not None:
                features, told[name] = sense(perceived, goal)
                parts.append(features)
        return Encoded(self.fuse(torch.cat(parts, dim=1)), told)
