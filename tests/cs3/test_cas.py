import copy

import pytest
import torch
from torch import nn

from cs3.cas import CASLinear, wrap_linears
from cs3.widened import Slot, WidenedLinear


def tower(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 4))


def opened(layer):
    """The layer with a gate that does something."""
    with torch.no_grad():
        layer.gate_weight.normal_()
        layer.gate_bias.normal_()
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_a_closed_gate_is_the_base_layer_exactly(bias):
    base = nn.Linear(6, 4, bias=bias)
    for x in (torch.randn(7, 6), torch.randn(2, 3, 6)):
        assert torch.equal(CASLinear(base, cycles=2)(x), base(x))


@pytest.mark.parametrize("cycles", [1, 3])
def test_it_computes_the_formula(cycles):
    base = nn.Linear(6, 4).double()
    layer = opened(CASLinear(base, cycles=cycles))
    x = torch.randn(5, 6, dtype=torch.float64)
    out = x @ base.weight.T + base.bias
    for _ in range(cycles):
        e = 1 / (1 + torch.exp(-(out @ layer.gate_weight.T + layer.gate_bias)))
        out = (2 * x * e) @ base.weight.T + base.bias
    torch.testing.assert_close(layer(x), out)
    assert not torch.allclose(layer(x), base(x))


def test_gradients_are_right_and_reach_the_closed_gate():
    layer = opened(CASLinear(nn.Linear(3, 2)).double())
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    closed = CASLinear(nn.Linear(3, 2))
    closed(torch.randn(4, 3)).square().sum().backward()
    assert closed.gate_weight.grad.abs().max() > 0
    assert closed.gate_bias.grad.abs().max() > 0


def test_its_weight_is_the_base_layers_and_read_only():
    base = nn.Linear(6, 4)
    layer = CASLinear(base)
    assert layer.weight is base.weight
    assert layer.bias is base.bias
    assert (layer.in_features, layer.out_features) == (6, 4)
    with pytest.raises((AttributeError, KeyError)):
        layer.weight = nn.Parameter(torch.zeros(4, 6))
    with pytest.raises(AttributeError):
        layer.in_features = 3


def test_flops_are_three_times_the_base_layers():
    assert CASLinear(nn.Linear(6, 4)).flops == 3 * 2 * 6 * 4


@pytest.mark.parametrize(
    "make", [lambda: CASLinear(nn.Linear(2, 2), cycles=0), lambda: CASLinear(nn.Bilinear(2, 2, 2))]
)
def test_it_refuses_what_it_cannot_wrap(make):
    with pytest.raises(ValueError, match="must be"):
        make()


@pytest.mark.parametrize(("skip_input", "wrapped"), [(True, [2, 4]), (False, [0, 2, 4])])
def test_surgery_wraps_each_layer_and_changes_no_output(skip_input, wrapped):
    module, x = tower(), torch.randn(9, 6)
    expected = module(x)
    assert wrap_linears(module, skip_input=skip_input) == len(wrapped)
    assert [i for i, part in enumerate(module) if type(part) is CASLinear] == wrapped
    assert torch.equal(module(x), expected)


def test_surgery_twice_wraps_nothing_more():
    module = tower()
    wrap_linears(module, skip_input=True)
    assert wrap_linears(module, skip_input=True) == 0


def test_surgery_draws_from_no_generator():
    module = tower()
    before = torch.get_rng_state()
    wrap_linears(module, skip_input=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_shared_layers_stay_shared():
    shared = nn.Linear(4, 4)
    module = nn.ModuleDict({"a": nn.Sequential(nn.Linear(4, 4), shared), "b": nn.Sequential(shared, nn.Linear(4, 4))})
    assert wrap_linears(module, skip_input=True) == 2
    assert type(module["a"][1]) is CASLinear
    assert module["a"][1] is module["b"][0]
    assert type(module["a"][0]) is nn.Linear


def test_only_plain_linears_outside_attention_are_wrapped():
    class Special(nn.Linear):
        pass

    module = nn.ModuleList([nn.Linear(4, 4), Special(4, 4), nn.MultiheadAttention(4, 2), nn.Linear(4, 4)])
    assert wrap_linears(module, skip_input=True) == 1
    assert type(module[1]) is Special
    assert not [m for m in module[2].modules() if isinstance(m, CASLinear)]


def test_a_bare_linear_cannot_be_replaced_in_place():
    with pytest.raises(ValueError, match="module == Linear, must hold"):
        wrap_linears(nn.Linear(2, 2), skip_input=False)


def test_a_named_input_layer_is_skipped_instead_of_the_first():
    module = tower()
    wrap_linears(module, skip_input=True, input_layer=module[2])
    assert [type(part) is CASLinear for part in module] == [True, False, False, False, True]


def test_a_transformer_uses_its_gates_in_eval_too():
    torch.manual_seed(0)
    module = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2)
    x = torch.randn(3, 5, 8)
    module.eval()
    with torch.no_grad():
        expected = module(x)
        assert wrap_linears(module, skip_input=False) == 4
        torch.testing.assert_close(module(x), expected)
        for part in module.modules():
            if isinstance(part, CASLinear):
                opened(part)
        in_eval = module(x)
        assert not torch.allclose(in_eval, expected)
        torch.testing.assert_close(in_eval, module.train()(x))
        mask = torch.tensor([[False] * 4 + [True]] * 3)
        module.eval()
        torch.testing.assert_close(
            module(x, src_key_padding_mask=mask)[:, :4], module.train()(x, src_key_padding_mask=mask)[:, :4]
        )


def test_copies_and_checkpoints():
    module = tower()
    wrap_linears(module, skip_input=True)
    opened(module[2])
    x = torch.randn(3, 6)
    expected = module(x)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(x), expected)
    assert twin[2].weight is not module[2].weight
    fresh = tower(seed=1)
    wrap_linears(fresh, skip_input=True)
    fresh.load_state_dict(module.state_dict())
    assert torch.equal(fresh(x), expected)


def test_a_checkpoint_from_before_the_surgery_loads():
    old, x = tower(), torch.randn(3, 6)
    module = tower(seed=1)
    wrap_linears(module, skip_input=False)
    opened(module[2])
    module.load_state_dict(old.state_dict())
    assert torch.equal(module(x), old(x))


def widened(seed=0, width=3):
    torch.manual_seed(seed)
    return WidenedLinear(nn.Linear(6, 4), width, Slot())


def test_widened_at_zero_is_the_base_layer_exactly():
    layer, x = widened(), torch.randn(5, 6)
    layer.slot.value = torch.randn(5, 3)
    assert torch.equal(layer(x), layer.base(x))


@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 6), (5, 2, 3, 6)])
def test_widened_equals_a_linear_layer_on_the_concatenation(shape):
    layer, x, r = widened(), torch.randn(shape), torch.randn(5, 3)
    with torch.no_grad():
        layer.extra_weight.normal_()
    layer.slot.value = r
    concatenated = nn.Linear(9, 4)
    with torch.no_grad():
        concatenated.weight.copy_(torch.cat([layer.weight, layer.extra_weight], 1))
        concatenated.bias.copy_(layer.bias)
    joined = torch.cat([x, r.reshape(5, *[1] * (len(shape) - 2), 3).expand(*shape[:-1], 3)], -1)
    torch.testing.assert_close(layer(x), concatenated(joined))


def test_cas_over_the_widened_layer_weighs_the_extras_too():
    layer, x, r = widened(), torch.randn(5, 6), torch.randn(5, 3)
    with torch.no_grad():
        layer.extra_weight.normal_()
    plain = nn.Linear(9, 4)
    with torch.no_grad():
        plain.weight.copy_(layer.joint_weight())
        plain.bias.copy_(layer.bias)
    layer.slot.value = r
    gated, expected = opened(CASLinear(layer)), CASLinear(plain)
    assert gated.gate_bias.shape == (9,)
    expected.load_state_dict(dict(expected.state_dict(), gate_weight=gated.gate_weight, gate_bias=gated.gate_bias))
    torch.testing.assert_close(gated(x), expected(torch.cat([x, r], 1)))


def test_a_checkpoint_of_the_base_loads_through_both_wrappers():
    old = nn.Sequential(nn.Linear(6, 4))
    layer = nn.Sequential(CASLinear(widened(seed=1)))
    layer.load_state_dict(old.state_dict())
    assert torch.equal(layer[0].weight, old[0].weight)
    assert torch.equal(layer[0].bias, old[0].bias)
    layer[0].base.slot.value = torch.randn(2, 3)
    x = torch.randn(2, 6)
    # One product on [x; r]: the zeros of r change nothing but the order in which a kernel may add the terms.
    torch.testing.assert_close(layer(x), old(x))


def test_an_empty_slot_is_an_error():
    with pytest.raises(ValueError, match="extras == None"):
        widened()(torch.randn(5, 6))


@pytest.mark.parametrize("r", [torch.zeros(4, 3), torch.zeros(5, 2)])
def test_extras_must_fit_the_input(r):
    layer = widened()
    layer.slot.value = r
    with pytest.raises(ValueError, match=r"extras.shape == .* must be \(5, 3\)"):
        layer(torch.randn(5, 6))


def test_width_zero_is_refused():
    with pytest.raises(ValueError, match="width == 0"):
        widened(width=0)
