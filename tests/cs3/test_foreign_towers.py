import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from cs3 import CASLinear, CS3Config, OutputAdapter, WidenedLinear
from tests.cs3.foreign_towers import (
    ALL,
    ITEMS,
    LAYERS,
    TOWERS,
    HistoryTower,
    attached,
    encoded,
    features,
    impressions,
    run,
    towers,
)

COMBINATIONS = [
    CS3Config(cas=cas, cts=cts, cms=cms)
    for cas, cts, cms in itertools.product((False, True), repeat=3)
    if cas or cts or cms
]


def spelled(config):
    return "+".join(name for name in ("cas", "cts", "cms") if getattr(config, name))


@pytest.fixture(params=TOWERS)
def name(request):
    return request.param


@pytest.mark.parametrize("config", COMBINATIONS, ids=spelled)
def test_any_combination_starts_equal_learns_and_uses_what_it_reads(name, config):
    user, item = towers(name)
    rows = impressions(name, 0)
    before = user(rows.batch.user_feats).detach(), item(rows.batch.item_feats).detach()
    serving = user.eval()(rows.batch.user_feats).detach()
    user.train()
    pair = attached(name, config, pair=(user, item))
    assert user.training
    # In eval a transformer ran in its fused kernel before, which rounds otherwise.
    served = pair.encode_user(rows.batch.users, rows.batch.user_feats)
    torch.testing.assert_close(served, serving, atol=1e-6, rtol=1e-5)
    reads = torch.randn(32, pair.extras.user_width), torch.randn(32, pair.extras.item_width)
    # P and G are zero: nothing is added and each weight of CAS is exactly 1.
    assert torch.equal(pair.user_tower(rows.batch.user_feats, reads[0]), before[0])
    assert torch.equal(pair.item_tower(rows.batch.item_feats, reads[1]), before[1])

    losses = run(pair, name, 0, 40)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    gates = [m.gate_weight for m in pair.user_tower.modules() if isinstance(m, CASLinear)]
    assert bool(gates) == config.cas
    assert all(gate.abs().max() > 0 for gate in gates)
    assert not any(isinstance(m, CASLinear) for m in pair.item_tower.modules()) or name == "rechub"
    if config.cts or config.cms:
        assert pair.injections == LAYERS[name]
        wide = [m for tower in (pair.user_tower, pair.item_tower) for m in tower.modules()]
        wide = {m for m in wide if isinstance(m, WidenedLinear)}
        assert len(wide) == 2
        assert all(m.extra_weight.abs().max() > 1e-3 for m in wide)
        keys = torch.arange(12)
        feats = features(name, keys, keys)[0]
        cold = pair.serving_user()(feats, torch.zeros(12, pair.extras.user_width))
        assert not torch.allclose(pair.encode_user(keys, feats), cold, atol=1e-3)
    else:
        assert pair.injections == ("none", "none")


def test_two_methods_of_one_module_get_only_their_own_layers():
    pair = attached("rechub", ALL)
    model = pair.user_tower.tower.model
    assert model is pair.item_tower.tower.model
    layers = [type(layer) for mlp in (model.user_mlp, model.item_mlp) for layer in mlp.mlp if hasattr(layer, "weight")]
    plain = [kind for kind in layers if kind in (nn.Linear, CASLinear, WidenedLinear)]
    assert plain == [WidenedLinear, CASLinear, WidenedLinear, nn.Linear]
    assert model.user_mlp.mlp[0].slot is not model.item_mlp.mlp[0].slot
    both = attached("rechub", CS3Config(cas=True, cts=True, cas_towers="both", cas_skip_input=False))
    kinds = {type(m) for m in both.user_tower.modules()}
    assert nn.Linear in kinds  # the base of each wrapper
    assert all(
        type(getattr(both.user_tower.tower.model, f"{side}_mlp").mlp[0]) is CASLinear for side in ("user", "item")
    )


def test_a_named_layer_must_be_one_that_its_tower_executes():
    with pytest.raises(
        ValueError, match=r"user_layer == 'model\.item_mlp\.mlp\.0', must be a layer that the user tower"
    ):
        attached("rechub", ALL, user_layer="model.item_mlp.mlp.0")
    assert attached("rechub", ALL, user_layer="model.user_mlp.mlp.4").injections[0] == "input:model.user_mlp.mlp.4"


def test_attention_keeps_its_own_projection_and_subclasses_stay():
    user, item = towers("transformer")
    quantised = NonDynamicallyQuantizableLinear(8, 8)
    user.head = quantised
    pair = attached("transformer", ALL, pair=(user, item))
    for layer in pair.user_tower.tower.encoder.layers:
        assert type(layer.self_attn.out_proj) is NonDynamicallyQuantizableLinear
        assert type(layer.linear2) is CASLinear
    assert pair.user_tower.tower.head is quantised
    assert type(pair.user_tower.tower.encoder.layers[0].linear1) is WidenedLinear
    assert type(pair.user_tower.tower.encoder.layers[1].linear1) is CASLinear


def test_padding_neither_reads_nor_is_read():
    pair = attached("transformer", ALL)
    run(pair, "transformer", 0, 8)
    tower, keys = pair.serving_user(), torch.arange(6)
    r = pair.extras.published_users(keys)
    feats = features("transformer", keys, keys)[0]
    longer = {"history": nn.functional.pad(feats["history"], (0, 3))}
    torch.testing.assert_close(tower(longer, r), tower(feats, r))
    assert not torch.allclose(tower(feats, r), tower(feats, torch.zeros_like(r)))


def test_a_layer_that_does_not_see_rows_first_is_not_the_entrance():
    """Attention over [positions, rows, width]: r has one row for each user, not for each position."""

    class PositionsFirst(HistoryTower):
        def forward(self, feats):
            out = self.encoder(self.items(feats["history"]).transpose(0, 1))
            return self.head(out.mean(0))

    user = PositionsFirst()
    user.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0), 1, enable_nested_tensor=False)
    user.head = nn.Linear(8, 8)
    pair = attached("transformer", ALL, pair=(user, towers("transformer")[1]))
    assert pair.injections[0] == "input:head"
    run(pair, "transformer", 0, 4)
    with pytest.raises(ValueError, match="must be 'output'"):
        attached("transformer", ALL, pair=(PositionsFirstOnly(), towers("transformer")[1]), injection="input")


class PositionsFirstOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.items, self.body = nn.Embedding(ITEMS + 1, 8), nn.Linear(8, 8)

    def forward(self, feats):
        return self.body(self.items(feats["history"]).transpose(0, 1)).mean(0)


def test_old_checkpoints_load(name):
    old = towers(name, seed=5)
    new = towers(name, seed=6)
    pair = attached(name, ALL, pair=new)
    for tower, checkpoint in zip(new, old, strict=True):
        tower.load_state_dict(checkpoint.state_dict())
    pair.publish(0)
    keys = torch.arange(12)
    feats = features(name, keys, keys)
    for tower, was, out in zip(old, feats, encoded(pair, name), strict=True):
        torch.testing.assert_close(out, tower.eval()(was), atol=1e-6, rtol=1e-5)


def test_weights_make_a_round_trip(name):
    pair = attached(name, ALL)
    run(pair, name, 0, 6)
    again = attached(name, ALL, seed=1)
    again.user_tower.load_state_dict(pair.user_tower.state_dict())
    again.item_tower.load_state_dict(pair.item_tower.state_dict())
    again.extras.restore(pair.extras.snapshot())
    for one in (pair, again):
        one.publish(100)
    for one, other in zip(encoded(pair, name), encoded(again, name), strict=True):
        assert torch.equal(one, other)


def test_a_snapshot_mid_stream_continues_bit_equal(name, tmp_path):
    straight = attached(name, ALL)
    run(straight, name, 0, 5)
    torch.save(straight.snapshot(), tmp_path / "pair.pt")
    losses = run(straight, name, 5, 10)
    resumed = attached(name, ALL, seed=1)
    resumed.restore(torch.load(tmp_path / "pair.pt"))
    assert run(resumed, name, 5, 10) == losses
    for one, other in zip(encoded(straight, name), encoded(resumed, name), strict=True):
        assert torch.equal(one, other)


def test_a_copy_of_the_pair_lives_its_own_life(name):
    pair = attached(name, ALL)
    run(pair, name, 0, 3)
    twin = copy.deepcopy(pair)
    before = encoded(pair, name)
    losses = run(twin, name, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(encoded(pair, name), before, strict=True))
    assert run(pair, name, 3, 6) == losses
    assert all(torch.equal(a, b) for a, b in zip(encoded(pair, name), encoded(twin, name), strict=True))


def test_the_output_adapter_is_named_and_learns(name):
    user, item = towers(name)
    rows = impressions(name, 0)
    before = nn.functional.normalize(user(rows.batch.user_feats).detach(), dim=1)
    pair = attached(name, ALL, pair=(user, item), injection="output")
    assert pair.injections == ("output", "output")
    assert isinstance(pair.user_tower, OutputAdapter)
    torch.testing.assert_close(
        pair.user_tower(rows.batch.user_feats, torch.randn(32, pair.extras.user_width)), before, atol=1e-6, rtol=1e-5
    )
    losses = run(pair, name, 0, 40)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert pair.user_tower.correction.abs().max() > 0
    assert pair.item_tower.correction.abs().max() > 0
