from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import nn

CLIP, SYNC, TEXT, HIDDEN = 1024, 768, 1024, 64
LATENT = {"small_16k": (20, 250), "large_44k_v2": (40, 345)}


@dataclass
class PreprocessedConditions:
    clip_f: torch.Tensor
    sync_f: torch.Tensor
    text_f: torch.Tensor
    clip_f_c: torch.Tensor
    text_f_c: torch.Tensor


class MMAudio(nn.Module):
    def __init__(self, latent_dim, latent_seq_len):
        super().__init__()
        self.latent_dim, self.hidden_dim = latent_dim, HIDDEN
        self._lengths = SimpleNamespace(latent=latent_seq_len, clip=64, sync=192)
        self.latent_mean = nn.Parameter(torch.full((1, 1, latent_dim), float("nan")), requires_grad=False)
        self.latent_std = nn.Parameter(torch.full((1, 1, latent_dim), float("nan")), requires_grad=False)
        self.empty_string_feat = nn.Parameter(torch.zeros(77, TEXT), requires_grad=False)
        self.empty_clip_feat = nn.Parameter(torch.zeros(1, CLIP))
        self.empty_sync_feat = nn.Parameter(torch.zeros(1, SYNC))
        self.clip, self.sync, self.text = (nn.Linear(size, HIDDEN) for size in (CLIP, SYNC, TEXT))
        self.enter, self.middle, self.leave = (
            nn.Linear(latent_dim, HIDDEN),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Linear(HIDDEN, latent_dim),
        )

    latent_seq_len = property(lambda self: self._lengths.latent)
    clip_seq_len = property(lambda self: self._lengths.clip)
    sync_seq_len = property(lambda self: self._lengths.sync)
    device = property(lambda self: self.latent_mean.device)

    def update_seq_lengths(self, latent_seq_len, clip_seq_len, sync_seq_len):
        self._lengths = SimpleNamespace(latent=latent_seq_len, clip=clip_seq_len, sync=sync_seq_len)

    def preprocess_conditions(self, clip_f, sync_f, text_f):
        assert clip_f.shape[1:] == (self.clip_seq_len, CLIP), clip_f.shape
        assert sync_f.shape[1:] == (self.sync_seq_len, SYNC), sync_f.shape
        assert text_f.shape[1:] == (77, TEXT), text_f.shape
        assert self.sync_seq_len % 8 == 0
        clip_f, sync_f, text_f = self.clip(clip_f), self.sync(sync_f), self.text(text_f)
        nearest = torch.linspace(0, sync_f.shape[1] - 1, self.latent_seq_len).round().long()
        return PreprocessedConditions(clip_f, sync_f[:, nearest], text_f, clip_f.mean(1), text_f.mean(1))

    def predict_flow(self, latent, t, conditions):
        assert latent.shape[1:] == (self.latent_seq_len, self.latent_dim), latent.shape
        assert t.shape == (len(latent),)
        seen = conditions.sync_f + (conditions.clip_f_c + conditions.text_f_c + t[:, None])[:, None]
        return self.leave(torch.nn.functional.silu(self.middle(torch.tanh(self.enter(latent) + seen))))

    def load_weights(self, src_dict):
        self.load_state_dict(src_dict, strict=True)


def get_my_mmaudio(name, **kwargs):
    return MMAudio(*LATENT[name])
