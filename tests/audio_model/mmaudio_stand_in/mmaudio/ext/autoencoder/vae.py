from types import SimpleNamespace

import torch
from torch import nn


class VAE(nn.Module):
    """Halves and doubles the number of frames."""

    def __init__(self, mels, channels):
        super().__init__()
        self.down, self.up = nn.Linear(mels, channels), nn.Linear(channels, mels)

    def encode(self, mel):
        mean = self.down(mel.transpose(1, 2).unflatten(1, (-1, 2)).mean(2)).transpose(1, 2)
        return SimpleNamespace(mean=mean, std=torch.full_like(mean, 0.1))

    def decode(self, z):
        return self.up(z.transpose(1, 2)).repeat_interleave(2, dim=1).transpose(1, 2)

    def remove_weight_norm(self):
        return self


def get_my_vae(mode):
    return VAE(*{"16k": (80, 20), "44k": (128, 40)}[mode])
