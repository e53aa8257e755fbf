"""Unit vectors are ``normalize``'s to the bit, and so are their gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from baselines.training.unit import LEAST, unit


@pytest.mark.parametrize("rows", [0, 1, 300])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-10])
def test_it_is_normalize_forth_and_back(rows, scale):
    draws = torch.Generator().manual_seed(1)
    x, upstream = torch.randn(rows, 64, generator=draws) * scale, torch.randn(rows, 64, generator=draws)
    x[: rows // 4] = 0.0
    ends = []
    for way in (unit, lambda x: functional.normalize(x, dim=1, eps=LEAST)):
        of = x.clone().requires_grad_()
        y = way(of)
        y.backward(upstream)
        ends.append((y.detach(), of.grad))
    (y, grad), (wanted, wanted_grad) = ends
    assert torch.equal(y, wanted)
    assert torch.equal(grad, wanted_grad)
    assert grad.isfinite().all()
