from pathlib import Path

import torch

from mmaudio.ext import bigvgan


class BigVGAN(bigvgan.BigVGAN):
    hop = 512

    @classmethod
    def from_pretrained(cls, model_id, use_cuda_kernel=False):
        folder = Path(model_id)
        assert (folder / "config.json").is_file(), "the real one would go to a hub here"
        vocoder = cls()
        vocoder.load_state_dict(torch.load(folder / "bigvgan_generator.pt", weights_only=True)["generator"])
        return vocoder

    def remove_weight_norm(self):
        return self
