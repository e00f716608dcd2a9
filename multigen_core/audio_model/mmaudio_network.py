"""MMAudio (Cheng et al. 2024, arXiv 2412.15322) that also watches masks.

Notation::

    x0  noise                x1  normalised latents of the VAE
    t   flow time, 0 noise to 1 data
    xt  (1 - t) x0 + t x1    v   x1 - x0, what the network predicts

Synchformer also encodes the mask video. A linear layer that begins at zero adds it to the synchronisation features at
the rate of the latents (compare ControlNet's zero layers, Zhang et al. 2023): at first the sum is MMAudio's own, bit
for bit, and no token or position moves. MMAudio itself is held, not changed, so that its weights load back into it.
"""

import importlib
import itertools
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.audio_model.mmaudio_weights import Variant, stay_offline

__all__ = ["MaskedMMAudio", "Senses", "open_base", "sample"]

BASE, MASKS = "mmaudio.safetensors", "masks.safetensors"
"""MMAudio's own network under its own names, and what was added to it."""


@dataclass(frozen=True)
class Senses:
    """What a batch of ``B`` windows shows: features, and whether each may be seen."""

    clip: Float[Tensor, "B clip_tokens 1024"]
    sync: Float[Tensor, "B sync_tokens 768"]
    text: Float[Tensor, "B 77 1024"]
    mask: Float[Tensor, "B sync_tokens 768"]
    see_video: Bool[Tensor, " B"]
    see_text: Bool[Tensor, " B"]
    see_mask: Bool[Tensor, " B"]

    def to(self, device: torch.device) -> "Senses":
        return Senses(**{name: value.to(device) for name, value in vars(self).items()})

    def blind(self) -> "Senses":
        """The same with nothing to be seen: the other side of classifier-free guidance."""
        nothing = torch.zeros_like(self.see_video)
        return replace(self, see_video=nothing, see_text=nothing, see_mask=nothing)

    @staticmethod
    def joined(parts: list["Senses"]) -> "Senses":
        """One batch of several."""
        return Senses(**{one.name: torch.cat([getattr(part, one.name) for part in parts]) for one in fields(Senses)})


class MaskedMMAudio(nn.Module):
    """Predicts the velocity v(xt, t, senses) of a base network that may be any of MMAudio's."""

    base: Any

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base = base
        size = base.empty_sync_feat.shape[-1]
        self.mask_empty = nn.Parameter(torch.zeros(1, size))
        self.mask_projection = nn.Linear(size, base.hidden_dim)
        nn.init.zeros_(self.mask_projection.weight)
        nn.init.zeros_(self.mask_projection.bias)

    def conditions(self, senses: Senses) -> Any:
        """MMAudio's ``PreprocessedConditions``, which do not depend on the flow time."""
        base = self.base
        video, text, masked = (seen[:, None, None] for seen in (senses.see_video, senses.see_text, senses.see_mask))
        # Chosen by where, not by assignment: every parameter takes part in every step, as DDP wants it.
        conditions = base.preprocess_conditions(
            torch.where(video, senses.clip, base.empty_clip_feat),
            torch.where(video, senses.sync, base.empty_sync_feat),
            torch.where(text, senses.text, base.empty_string_feat),
        )
        seen = self.mask_projection(torch.where(masked, senses.mask, self.mask_empty)).transpose(1, 2)  # (B, D, N)
        at_latents = functional.interpolate(seen, size=base.latent_seq_len, mode="nearest-exact").transpose(1, 2)
        conditions.sync_f = conditions.sync_f + at_latents
        return conditions

    def forward(
        self, xt: Float[Tensor, "B latents channels"], t: Float[Tensor, " B"], senses: Senses
    ) -> Float[Tensor, "B latents channels"]:
        return self.base.predict_flow(xt, t, self.conditions(senses))

    def normalised(self, latents: Float[Tensor, "B latents channels"]) -> Float[Tensor, "B latents channels"]:
        """Latents of the VAE -> x1; MMAudio's own function works in place."""
        return (latents - self.base.latent_mean) / self.base.latent_std

    def unnormalised(self, x1: Float[Tensor, "B latents channels"]) -> Float[Tensor, "B latents channels"]:
        """The inverse of :meth:`normalised`."""
        return x1 * self.base.latent_std + self.base.latent_mean

    def added_parameters(self) -> list[nn.Parameter]:
        """What MMAudio does not have."""
        return [self.mask_empty, *self.mask_projection.parameters()]

    def save(self, folder: Path) -> None:
        """Two safetensors files; the first is one that MMAudio's own ``load_weights`` takes."""
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("base.")}
        for name, tensors in ((BASE, self.base.state_dict()), (MASKS, own)):
            save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, folder / name)

    def load(self, folder: Path) -> None:
        """Reads what :meth:`save` wrote."""
        self.base.load_weights(load_file(folder / BASE))
        own = load_file(folder / MASKS)
        self.load_state_dict(own | {f"base.{name}": value for name, value in self.base.state_dict().items()})


def open_base(variant: Variant, window_s: float, *, weights: Path | None) -> nn.Module:
    """MMAudio's network for windows of this length; ``weights`` is a folder with the published files.

    Without it the network is as MMAudio initialises one, for a finetuned file to be loaded into.
    """
    stay_offline()
    network: Any = importlib.import_module("mmaudio.model.networks").get_my_mmaudio(variant.name)
    if weights is not None:
        network.load_weights(torch.load(weights / variant.network.name, map_location="cpu", weights_only=True))
    network.update_seq_lengths(variant.latents(window_s), variant.clip_tokens(window_s), variant.sync_tokens(window_s))
    return network


@torch.inference_mode()
def sample(
    network: MaskedMMAudio, x0: Float[Tensor, "B latents channels"], senses: Senses, *, steps: int, guidance: float
) -> Float[Tensor, "B latents channels"]:
    """Latents of the VAE: Euler steps from noise to data along ``g v(senses) + (1 - g) v(nothing)``.

    The same arithmetic in the same order as MMAudio's ``ode_wrapper`` and ``FlowMatching.to_data``.
    """
    seen, nothing = network.conditions(senses), network.conditions(senses.blind())
    times = torch.linspace(0.0, 1.0, steps + 1)
    x = x0
    for now, then in itertools.pairwise(times):
        t = now * torch.ones(len(x), device=x.device, dtype=x.dtype)
        towards, away = (network.base.predict_flow(x, t, conditions) for conditions in (seen, nothing))
        x = x + (then - now) * (guidance * towards + (1.0 - guidance) * away)
    return network.unnormalised(x)
