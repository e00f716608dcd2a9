import torch
from torch import nn


def patch_clip(clip_model):
    return clip_model


class FeaturesUtils(nn.Module):
    def __init__(self, *, tod_vae_ckpt=None, enable_conditions=True, mode=None, **kwargs):
        super().__init__()
        assert not enable_conditions, "the real one would go to a hub here"
        self.clip_model = self.synchformer = self.tokenizer = self.tod = None

    @property
    def device(self):
        return next(self.parameters()).device

    def encode_video_with_clip(self, x, batch_size=-1):
        assert x.shape[2:] == (3, 384, 384), x.shape
        return self.clip_model.encode_image(self.clip_preprocess(x[0]), normalize=True)[None]

    def encode_video_with_sync(self, x, batch_size=-1):
        assert x.shape[2:] == (3, 224, 224), x.shape
        starts = range(0, x.shape[1] - 15, 8)
        return torch.cat([self.synchformer(x[:, None, start : start + 16])[:, 0] for start in starts], dim=1)

    def encode_text(self, text):
        return self.clip_model.encode_text(self.tokenizer(text).to(self.device), normalize=True)

    def encode_audio(self, x):
        return self.tod.encode(self.mel_converter(x))

    def decode(self, z):
        return self.tod.decode(z.transpose(1, 2))

    def vocode(self, mel):
        return self.tod.vocode(mel)
