"""The network that also watches masks."""

from dataclasses import replace

import torch

from multigen_core.audio_model.mmaudio_network import MaskedMMAudio, open_base
from multigen_core.audio_model.mmaudio_weights import VARIANTS
from tests.audio_model.mmaudio_adapter.project import WINDOW_S, senses_of


def test_at_first_it_is_mmaudio_bit_for_bit_and_the_masks_have_a_gradient() -> None:
    network = MaskedMMAudio(open_base(VARIANTS["small_16k"], WINDOW_S, weights=None))
    senses, base = senses_of(network), network.base
    x, t = torch.randn(2, base.latent_seq_len, 20), torch.tensor([0.2, 0.7])
    plain = base.predict_flow(x, t, base.preprocess_conditions(senses.clip, senses.sync, senses.text))
    masked = network(x, t, senses)
    assert torch.equal(masked, plain)
    masked.square().sum().backward()
    assert network.mask_projection.weight.grad.abs().max() > 0.0


def test_what_is_not_to_be_seen_changes_nothing() -> None:
    network = MaskedMMAudio(open_base(VARIANTS["small_16k"], WINDOW_S, weights=None))
    torch.nn.init.normal_(network.mask_projection.weight)
    x, t = torch.randn(2, network.base.latent_seq_len, 20), torch.tensor([0.2, 0.7])
    seen = senses_of(network)
    other = replace(seen, clip=-seen.clip, sync=-seen.sync, text=-seen.text, mask=-seen.mask)
    with torch.no_grad():
        assert torch.equal(network(x, t, seen.blind()), network(x, t, other.blind()))
        only_mask = replace(seen, mask=-seen.mask)
        assert not torch.allclose(network(x, t, seen), network(x, t, only_mask), atol=1e-3)
