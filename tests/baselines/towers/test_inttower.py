"""IntTower: one MaxSim over all layers' facets, Light-SE, and a CIR that is in the loss and aims at the row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from baselines.towers.inttower import LightSE, cir_loss, inttower
from baselines.training.features import Events
from baselines.training.score import MaxSim
from tests.baselines.conftest import SMALL


@pytest.fixture
def towers(world):
    return inttower(world.catalog, 3, **SMALL, width=24, facets=3)


@pytest.fixture
def read(towers, requests):
    """The live towers' inputs of some requests and ads."""
    ads = np.arange(10)
    inputs = towers.trainer.inputs
    return inputs.users(Events.of(requests)), inputs.ads(ads, np.zeros(10, dtype=np.int64))


def test_the_score_is_one_maxsim_with_the_facets_of_all_layers(towers, requests):
    """The FE-block by its own formula: a sum over layers of sums over the layer's facets (docs/testing.md 8)."""
    model, read, ads = towers.serving, towers.trainer.inputs, np.arange(10)
    users, items = read.users(Events.of(requests)), read.ads(ads, np.zeros(10, dtype=np.int64))
    inputs = []
    for tower, side in ((model.user, users), (model.item, items)):
        fields = tower.light_se(tower.embedding.by_field(side))
        inputs.append(torch.cat([fields.flatten(1), side.dense], dim=1))
    h, g = model.user.layers(inputs[0]), model.item.layers(inputs[1])
    of_ad = functional.normalize(model.item.projections[0](g[-1]).view(10, 3, 8), dim=2)
    expected = torch.zeros(len(requests), 10)
    for h_l, project in zip(h, model.user.projections, strict=True):
        of_layer = functional.normalize(project(h_l).view(-1, 3, 8), dim=2)
        for i in range(3):
            expected += torch.stack([of_layer[:, i] @ of_ad[:, j].T for j in range(3)]).amax(dim=0)
    u, v = model.user(users, None), model.item(items, None)
    L = len(SMALL["hidden"])
    assert u.shape == (len(requests), L * 3, 8)
    torch.testing.assert_close(MaxSim(L * 3, 3, 8).of_all(u, v) * (L * 3), expected)
    logits = towers.score(requests, np.tile(ads.astype(np.int32), (len(requests), 1)))
    gain, bias = float(model.gain()), float(model.bias)
    np.testing.assert_allclose(logits, expected.numpy() / (L * 3) * gain + bias, atol=1e-4)


def test_every_layer_of_the_user_gets_a_gradient_the_last_one_too(towers, read):
    """The public code's projections read the layers' inputs: its last layer learns nothing."""
    users, items = read
    towers.model.zero_grad()
    towers.model.score.of_all(towers.model.user(users, None), towers.model.item(items, None)).sum().backward()
    for tower in (towers.model.user, towers.model.item):
        for layer in (*tower.layers.linears, *tower.projections):
            assert layer.weight.grad.any(dim=1).float().mean() > 0.5


def test_light_se_weighs_fields_between_one_and_two():
    layer, fields = LightSE(4), torch.randn(5, 4, 3)
    share = torch.stack([torch.softmax(layer.weight @ one.mean(dim=1), dim=0) for one in fields])
    torch.testing.assert_close(layer(fields), fields * (1 + share)[:, :, None])
    assert [tuple(p.shape) for p in layer.parameters()] == [(4, 4)], "no bias"
    assert torch.equal(layer(torch.zeros(2, 4, 3)), torch.zeros(2, 4, 3))


def test_cir_by_hand():
    """Two positives among four rows; row 3 repeats the ad of row 1 and is no negative of it."""
    u = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [3.0, 4.0]])
    v = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [1.0, 1.0]])
    label, ads, half = torch.tensor([0.0, 1.0, 1.0, 0.0]), torch.tensor([5, 6, 7, 6]), 0.5**0.5
    # cosines of rows 1 and 2 with the four ads
    first = np.exp(np.array([1.0, half, 0.0]) / 0.5)
    second = np.exp(np.array([half, 1.0, half, 1.0]) / 0.5)
    expected = -(np.log(first[1] / first.sum()) + np.log(second[2] / second.sum())) / 2
    assert float(cir_loss(u, v, label, ads, 0.5)) == pytest.approx(expected, rel=1e-5)


def test_the_target_of_cir_is_the_row_and_not_the_label():
    """With the label for a target, row 0 or row 1 would be the right answer of every row."""
    u = torch.eye(4)
    ads, label = torch.arange(4), torch.tensor([0.0, 0.0, 1.0, 1.0])
    own, other = (float(cir_loss(u, v, label, ads, 0.07)) for v in (torch.eye(4), torch.eye(4)[[2, 3, 0, 1]]))
    assert own < 1e-4
    assert other > 10


def test_cir_is_in_the_loss(world, log):
    """The public code computes it and drops it."""
    rows = log[:60]
    assert rows.label.any()
    weights = []
    for cir in (0.0, 0.1, 10.0):
        towers = inttower(world.catalog, 3, **SMALL, cir=cir, softmax=0.0)
        towers.update(rows)
        weights.append(towers.model.item.projections[0].weight.detach())
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_cir_is_of_the_last_layer_and_of_batches_with_a_click(world, log, monkeypatch):
    towers = inttower(world.catalog, 3, **SMALL, cir=0.3, width=24, facets=3)
    seen, own = [], type(towers.model).own_loss
    monkeypatch.setattr(type(towers.model), "own_loss", lambda self, b: seen.append((b, own(self, b))) or seen[-1][1])
    towers.update(log[:50])
    batch, found = seen[0]
    last, ads = batch.u[:, -3:].flatten(1), torch.from_numpy(batch.rows.ad).long()
    torch.testing.assert_close(found, 0.3 * cir_loss(last, batch.v.flatten(1), batch.label, ads, 0.07))
    towers.update(log[np.flatnonzero(~log.label)[:5]])
    assert seen[-1][1] is None


def test_facets_divide_the_width(world):
    with pytest.raises(ValueError, match=r"^facets == 5, must divide width == 64$"):
        inttower(world.catalog, 3, facets=5)
