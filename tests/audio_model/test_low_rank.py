"""Low-rank adaptation: nothing changes at first, few weights learn, and merging changes nothing but names."""

import torch
from torch import nn

from multigen_core.audio_model.low_rank import adapt, merge


def test_at_first_a_low_rank_network_is_the_one_that_is_adapted() -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    x, names = torch.randn(4, 5), set(network.state_dict())
    before = network(x)
    adapt(network, 2)
    assert torch.equal(network(x), before)
    learning = [weights for weights in network.parameters() if weights.requires_grad]
    assert sum(weights.numel() for weights in learning) == 2 * (5 + 7) + 2 * (7 + 3)
    with torch.no_grad():
        for weights in learning:
            weights.normal_()
    after = network(x)
    merge(network)
    assert set(network.state_dict()) == names
    torch.testing.assert_close(network(x), after)
    assert not torch.equal(after, before)
