import copy

import torch
from torch import nn

from baselines.training.features import mlp
from baselines.training.rectifier import Rectifier


def test_values_and_gradients_are_those_of_relu_bit_for_bit():
    torch.manual_seed(1)
    ours = mlp([9, 16, 8, 4])
    plain = copy.deepcopy(ours)
    for i, layer in enumerate(plain):
        if isinstance(layer, Rectifier):
            plain[i] = nn.ReLU()
    results = []
    for layers in (ours, plain):
        x = torch.randn(33, 9, generator=torch.Generator().manual_seed(2), requires_grad=True)
        out = layers(x)
        out.square().sum().backward()
        results.append([out, x.grad, *(p.grad for p in layers.parameters())])
    assert sum(isinstance(layer, Rectifier) for layer in ours) == 2
    for own, other in zip(*results, strict=True):
        assert torch.equal(own, other)


def test_a_gradient_that_is_no_memory_of_its_own_is_left_alone():
    x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    Rectifier()(x * 1.0).sum().backward()  # the sum hands back one number, repeated
    assert x.grad.tolist() == [0.0, 1.0, 1.0]


def test_without_gradients_it_works_in_place():
    x = torch.tensor([-1.0, 2.0])
    with torch.no_grad():
        assert Rectifier()(x) is x
    assert x.tolist() == [0.0, 2.0]
