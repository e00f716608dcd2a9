from pathlib import Path

import torch
from torch import nn


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.words = nn.Parameter(torch.zeros(3, 1024)), nn.Parameter(torch.zeros(64, 1024))

    def encode_image(self, image, normalize=False):
        return image.mean(dim=(-2, -1)) @ self.image

    def encode_text(self, text, normalize=False):
        return self.words[text]


def create_model_from_pretrained(model_name, return_transform=True):
    assert model_name.startswith("local-dir:"), "the real one would go to a hub here"
    folder = Path(model_name.removeprefix("local-dir:"))
    assert (folder / "open_clip_config.json").is_file()
    model = Clip()
    model.load_state_dict(torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True))
    return model


def get_tokenizer(name):
    def tokens(texts):
        return torch.tensor([[ord(letter) % 64 for letter in text.ljust(77)[:77]] for text in texts])

    return tokens
