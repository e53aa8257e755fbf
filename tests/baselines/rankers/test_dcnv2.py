"""The cross layers against the formula, and the h rule after the concatenation."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from baselines.rankers.dcnv2 import Dcn, dcnv2


@pytest.fixture(scope="module", params=[1, 3])
def net(world, request) -> Dcn:
    model = dcnv2(world.catalog, 3, embedding=4, hidden=(16, 12, 8), layers=request.param).model
    assert isinstance(model, Dcn)
    return model


def test_both_branches_against_the_formula(net):
    draws = torch.Generator().manual_seed(1)
    x_0 = torch.randn(6, net.width, generator=draws)
    keep = tuple(torch.randn(6, width, generator=draws) for width in net.dropped)
    with torch.no_grad():
        found = net.joined(x_0, net.entry(x_0), keep)
        weights = [net.entry.weight[16:], *(layer.weight for layer in net.cross)]
        biases = [net.entry.bias[16:], *(layer.bias for layer in net.cross)]
        for row in range(6):
            x = x_0[row]
            for w, b in zip(weights, biases, strict=True):
                x = x + x_0[row] * (w @ x + b)
            deep = torch.relu(net.entry.weight[:16] @ x_0[row] + net.entry.bias[:16]) * keep[0][row]
            deep = torch.relu(net.deep[0](deep)) * keep[1][row]
            assert_close(found[row], net.join(torch.cat([x, deep])), rtol=1e-4, atol=1e-5)


def test_h_is_the_input_of_the_last_linear(net):
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logit, h = net.top(z.clone())
        assert_close(h, torch.relu(z))
        assert_close(logit, net.top.head(torch.relu(z))[:, 0])
    assert len(net.top.body) == 0


def test_settings_that_make_no_network(world):
    with pytest.raises(ValueError, match=r"^layers == 0, must be at least 1$"):
        dcnv2(world.catalog, 3, layers=0)
    with pytest.raises(ValueError, match=r"^hidden == \(64,\), must hold a width of the MLP and the width of h$"):
        dcnv2(world.catalog, 3, hidden=(64,))
