"""Encoders of the published size, for a GPU: the extra [encoders]. The networks are those of the library transformers.

They begin with random weights: what a policy knows comes from its episodes alone.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from multigen_core.errors import MissingExtra
from multigen_core.policy.key_points import KeyPoints
from multigen_core.spectrogram import MELS

__all__ = ["AudioSpectrogramTransformer", "ResNet18", "VisionTransformer"]

_CHANNELS_PER_GROUP = 16
_PATCH_PX = 8


def _transformers() -> Any:
    """The library. Raises MissingExtra without it."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra(
            "policy.image_encoder and policy.sound_encoder other than 'pocket' need the extra [encoders]:"
            " pip install -c constraints.txt -e .[encoders]"
        ) from error
    return transformers


class ResNet18(nn.Module):
    """He et al. 2016, with the two changes of Chi et al. 2023 (arXiv 2303.04137, appendix): group norm, since averaged
    weights and batch statistics do not go together, and spatial softmax at the end."""

    def __init__(self, *, features: int, image_px: int) -> None:
        super().__init__()
        library = _transformers()
        widths = [64, 128, 256, 512]
        config = library.ResNetConfig(
            embedding_size=widths[0], hidden_sizes=widths, depths=[2, 2, 2, 2], layer_type="basic"
        )
        self.network = _with_group_norm(library.ResNetModel(config))
        self.summary = KeyPoints()
        self.leave = nn.Linear(3 * widths[-1], features)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B features"]:
        """``rgb`` in [-1, 1]."""
        out: Tensor = self.leave(self.summary(self.network(rgb).last_hidden_state))
        return out


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021 in the size "tiny" of DeiT, with patches small enough for a stream."""

    def __init__(self, *, features: int, image_px: int) -> None:
        super().__init__()
        library = _transformers()
        config = library.ViTConfig(
            image_size=image_px,
            patch_size=_PATCH_PX,
            hidden_size=192,
            num_hidden_layers=12,
            num_attention_heads=3,
            intermediate_size=768,
        )
        self.network = library.ViTModel(config, add_pooling_layer=False)
        self.leave = nn.Linear(config.hidden_size, features)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B features"]:
        """``rgb`` in [-1, 1]."""
        out: Tensor = self.leave(self.network(rgb).last_hidden_state[:, 0])
        return out


class AudioSpectrogramTransformer(nn.Module):
    """Gong et al. 2021 (arXiv 2104.01778), in its one size."""

    def __init__(self, *, features: int, frames: int) -> None:
        super().__init__()
        library = _transformers()
        config = library.ASTConfig(max_length=frames, num_mel_bins=MELS)
        self.network = library.ASTModel(config)
        self.leave = nn.Linear(config.hidden_size, features)

    def forward(self, log_mel: Float[Tensor, "B mels frames"]) -> Float[Tensor, "B features"]:
        out: Tensor = self.leave(self.network(log_mel.transpose(1, 2)).pooler_output)
        return out


def _with_group_norm(network: nn.Module) -> nn.Module:
    """Every batch norm in it replaced."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            channels = child.num_features
            setattr(network, name, nn.GroupNorm(channels // _CHANNELS_PER_GROUP, channels))
        else:
            _with_group_norm(child)
    return network
