"""A stack of layers is ``nn.Sequential``, forth and back.

Up to rounding: its products have other shapes, and a kernel may add the same terms in another order for another shape.
In float64, so that no unit near its kink falls on the other side of it, which is no matter of rounding. The same call
twice gives the same bits.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from baselines.training import stack
from baselines.training.rectifier import Rectifier
from baselines.training.stack import Stack


def layers(*widths):
    drawn = [nn.Linear(a, b) for a, b in pairwise(widths)]
    return [part for layer in drawn for part in (layer, Rectifier())][:-1]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def close(found, wanted):
    """Sums of up to 1,300 terms of about 1, added in any order: 1e-12 is 4,500 times the rounding of 1."""
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def learned(module, x, constant, upstream):
    """Output and all gradients."""
    module.zero_grad()
    x = x.clone().requires_grad_()
    if type(module) is Stack:
        out = module(x, constant)
    else:
        out = module(x if constant is None else torch.cat([x, constant], dim=1))
    out.backward(upstream)
    return [out.detach(), x.grad, *(p.grad for p in module.parameters())]


@pytest.mark.parametrize("rows", [1, 7, 512, 1300])
@pytest.mark.parametrize(("width", "constant"), [(96, 4), (128, 67), (48, 0), (96, None)])
def test_a_stack_is_sequential(rows, width, constant):
    torch.manual_seed(1)
    made = [layer.double() for layer in layers(width + (constant or 0), 256, 128, 64)]
    x, more = drawn(rows, width).double(), None if constant is None else drawn(rows, constant, seed=1).double()
    upstream = drawn(rows, 64, seed=2).double()
    close(*(learned(kind(*made), x, more, upstream) for kind in (Stack, nn.Sequential)))


@pytest.mark.parametrize("rows", [1, 7, 1300])
def test_the_same_call_twice_gives_the_same_bits(rows):
    torch.manual_seed(1)
    made = Stack(*layers(100, 256, 128, 64))
    given = drawn(rows, 96), drawn(rows, 4, seed=1), drawn(rows, 64, seed=2)
    once, twice = (learned(made, *given) for _ in range(2))
    for one, other in zip(once, twice, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("end", [1, 2, 3])
def test_what_follows_the_plain_layers_is_called_as_it_is(end):
    class Gate(nn.Linear):
        pass

    torch.manual_seed(1)
    made = [*layers(12, 10, 9, 8)[:end], Gate((0, 10, 10, 9)[end], 4), Rectifier(), nn.Linear(4, 3)]
    made = [layer.double() for layer in made]
    x, upstream = drawn(20, 12).double(), drawn(20, 3, seed=2).double()
    close(*(learned(kind(*made), x, None, upstream) for kind in (Stack, nn.Sequential)))


def test_a_layer_with_a_hook_is_called():
    made, seen = layers(6, 5, 4), []
    made[2].register_forward_hook(lambda *given: seen.append(given[2].shape))
    Stack(*made)(drawn(3, 6)).sum().backward()
    assert seen == [(3, 4)]


def test_no_product_for_an_input_that_nobody_learns():
    made = Stack(*layers(6, 5, 4))
    x = drawn(3, 6)
    made(x).sum().backward()
    assert x.grad is None
    assert all(p.grad is not None for p in made.parameters())


def test_what_stands_beside_the_input_may_be_learned_too():
    torch.manual_seed(1)
    made, upstream = [layer.double() for layer in layers(9, 8, 4)], drawn(20, 4, seed=2).double()
    grads = []
    for way in (Stack(*made), lambda x, more: nn.Sequential(*made)(torch.cat([x, more], dim=1))):
        x, more = (inputs.double().requires_grad_() for inputs in (drawn(20, 6), drawn(20, 3, seed=1)))
        way(x, more).backward(upstream)
        grads.append((x.grad, more.grad))
    close(*grads)


def test_parts_are_equal_and_never_small():
    for rows in (1, 255, 256, 511, 512, 513, 2047, 2048, 2049):
        parts = stack._parts(rows)
        assert parts[0].start == 0
        sizes = [len(range(rows)[part]) for part in parts]
        assert sum(sizes) == rows
        assert min(sizes) >= min(rows, stack.ROWS // 2)
