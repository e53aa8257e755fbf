"""DAT: the mimic step is CTS's average, the towers are not moved by it, what is served was published."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.towers.controls import equal_flop_hidden, mlp_flops
from baselines.towers.dat import AugmentedVectors, DatConfig, alignment_loss, mimic_loss
from baselines.training.config import TowerConfig
from baselines.training.dropout import KeyedDropout
from baselines.training.two_tower import linear_flops
from cs3.store import VectorTable
from reports.studies.arms import make_retriever, parse
from simulator.marketplace import learn_from_log
from tests.baselines.conftest import SMALL, auxiliary_of, extras_of, make_towers


def test_a_mimic_step_is_the_moving_average_of_cts_on_positives():
    """Gradient descent with 2 lr weight = 1 - alpha, row by row (docs/testing.md 11)."""
    alpha, d, rows = 0.8, 5, 40
    draws = torch.Generator().manual_seed(0)
    keys = torch.randint(6, (rows,), generator=draws)
    values = torch.nn.functional.normalize(torch.randn(rows, d, generator=draws), dim=1)
    label = (torch.rand(rows, generator=draws) < 0.5).float()
    table = VectorTable(6, d, decay=alpha)
    a = torch.zeros(6, d)
    for i in range(rows):
        if label[i]:
            table.write(keys[i : i + 1], values[i : i + 1], now=i)
        leaf = a[keys[i : i + 1]].clone().requires_grad_()
        mimic_loss(leaf, values[i : i + 1], label[i : i + 1]).backward()
        a[keys[i]] -= (1 - alpha) / 2 * leaf.grad[0]
    torch.testing.assert_close(a, table.live, atol=1e-6, rtol=0)


def test_the_towers_get_no_gradient_from_the_mimic_terms():
    a, v = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    mimic_loss(a, v, torch.tensor([1.0, 0.0, 1.0, 1.0])).backward()
    assert v.grad is None
    assert not a.grad[1].any()
    assert a.grad[[0, 2, 3]].any(dim=1).all()


def test_alignment_is_zero_for_equal_covariances_and_leaves_small_categories_out():
    x = torch.randn(30, 4)
    both, category = torch.cat([x, x + 5.0]), torch.arange(60) // 30
    assert float(alignment_loss(both, category)) == pytest.approx(0.0, abs=1e-8)
    assert float(alignment_loss(torch.cat([x, 3 * x]), category)) > 1.0
    assert float(alignment_loss(torch.cat([x, 3 * x[:4]]), torch.tensor([0] * 30 + [1] * 4))) == 0.0


def test_alignment_by_hand():
    one, two = torch.randn(9, 2), torch.randn(7, 2)
    found = alignment_loss(torch.cat([one, two]), torch.tensor([3] * 9 + [1] * 7))
    wanted = ((np.cov(one.numpy().T) - np.cov(two.numpy().T)) ** 2).sum()
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_starts_as_dssm_does(world, requests):
    """The augmented vectors enter by weights that start at zero."""
    ads = np.broadcast_to(np.arange(world.catalog.ads.rows, dtype=np.int32), (len(requests), world.catalog.ads.rows))
    np.testing.assert_array_equal(
        make_towers(world, "dat").score(requests, ads), make_towers(world, "dssm").score(requests, ads)
    )


def test_vectors_learn_to_mimic_and_the_input_uses_them(world, log, market_config):
    towers = make_towers(world, "dat")
    start = [table.clone() for table in auxiliary_of(towers)._live]
    for day in range(2):
        learn_from_log(log, towers, market_config.cascade, day)
    users = torch.from_numpy(np.unique(log.user[log.label]).astype(np.int64))
    assert (auxiliary_of(towers)._live[0][users + 1] != start[0][users + 1]).any()
    width = auxiliary_of(towers).user_width
    assert towers.model.user.layers[0].weight[:, -width:].abs().sum() > 0


def test_served_vectors_are_the_published_ones(world):
    vectors = AugmentedVectors(world.catalog, 4, DatConfig(), TowerConfig(**SMALL), seed=1)
    users = torch.arange(5)
    before = vectors.published_users(users).clone()
    read, _ = vectors.read(users, users)
    read.sum().backward()
    vectors.step()
    assert torch.equal(vectors.published_users(users), before)
    vectors.publish()
    assert not torch.equal(vectors.published_users(users), before)


@pytest.mark.parametrize("arm", ["dat", "dat+cs3", "dssm-wide", "dssm+cs3+shuffled"])
def test_restored_in_mid_stream_it_goes_on_bit_equal(world, log, market_config, requests, arm):
    params = SMALL | {"dropout": 0.2}
    ads = np.broadcast_to(np.arange(world.catalog.ads.rows, dtype=np.int32), (len(requests), world.catalog.ads.rows))
    one = make_retriever(parse(arm), world.catalog, 3, params, {})
    learn_from_log(log, one, market_config.cascade, 0)
    state = one.snapshot()
    learn_from_log(log, one, market_config.cascade, 1)
    two = make_retriever(parse(arm), world.catalog, 3, params, {})
    two.restore(state)
    learn_from_log(log, two, market_config.cascade, 1)
    np.testing.assert_array_equal(one.score(requests, ads), two.score(requests, ads))


def test_a_shuffled_key_reads_anothers_vectors(world, log, market_config):
    plain, shuffled = make_towers(world, "dssm+cms"), make_towers(world, "dssm+cms+shuffled")
    for towers in (plain, shuffled):
        learn_from_log(log, towers, market_config.cascade, 0)
    keys = torch.arange(world.catalog.users.rows)
    one, two = (extras_of(towers).published_users(keys) for towers in (plain, shuffled))
    # The same rows (written by the log's ranker, not by the towers), in another order; no row in its own place.
    assert torch.equal(one.sum(dim=1).sort().values, two.sum(dim=1).sort().values)
    own = one.any(dim=1)
    assert own.any()
    assert not (one[own] == two[own]).all(dim=1).any()


@pytest.mark.parametrize(("width_in", "hidden"), [(700, (256, 128)), (192, (128, 64)), (90, (64, 32))])
def test_the_wide_tower_costs_what_cs3_costs(width_in, hidden):
    wide = equal_flop_hidden(width_in, hidden, 64)
    first = mlp_flops((width_in + 128, hidden[0]))
    target = first + 3 * (mlp_flops(hidden) + mlp_flops((hidden[-1], 64)))
    assert mlp_flops((width_in, *wide, 64)) == pytest.approx(target, rel=0.01)


def test_the_wide_arm_costs_what_the_cs3_arm_costs(world):
    wide, full = (make_retriever(parse(arm), world.catalog, 1, {}, {}) for arm in ("dssm-wide", "dssm+cs3"))
    assert linear_flops(wide.serving.user) == pytest.approx(linear_flops(full.serving.user), rel=0.02)


def test_dropout_is_a_function_of_seed_and_step():
    layer, other = KeyedDropout(0.25, seed=1), KeyedDropout(0.25, seed=2)
    x = torch.ones(400, 50)
    layer.step = other.step = 3
    first = layer(x)
    assert torch.equal(layer(x), first)
    assert not torch.equal(other(x), first)
    layer.step = 4
    assert not torch.equal(layer(x), first)
    assert float(first.mean()) == pytest.approx(1.0, abs=0.02)
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(layer.eval()(x), x)
    with pytest.raises(ValueError, match=r"dropout == 1\.0"):
        KeyedDropout(1.0, seed=0)
