"""The ranker: what it serves side by side is its plain network's output, and its state can be taken along."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from baselines.rankers.network import Rows
from baselines.rankers.online import OnlineRanker
from baselines.training.features import Events
from simulator.marketplace import learn_from_log
from simulator.records import DAY
from tests.baselines.conftest import make_ranker


@pytest.fixture(scope="module")
def ranker(world, log, market_config) -> OnlineRanker:
    made = make_ranker(world)
    learn_from_log(log, made, market_config.cascade, 0)
    return made


@pytest.fixture
def ads(world, requests) -> np.ndarray:
    draws = np.random.default_rng(1).permuted(np.tile(np.arange(world.catalog.ads.rows), (len(requests), 1)), axis=1)
    return draws[:, :7].astype(np.int32)


@torch.no_grad()
def plainly(ranker: OnlineRanker, requests, ads, slot: int = 0):
    """Every pair's whole input through every layer in turn, with no share computed apart or ahead."""
    net, n = ranker.serving, ads.shape[1]
    events = Events(*(np.repeat(part, n, axis=0) for part in Events.of(requests)))
    flat = ads.reshape(-1)
    at = np.full(flat.size, ranker.catalog.history.start)
    user = ranker._user_input(events)
    # an ad's share is as of the sync
    ad = ranker._ad_input(flat, at + DAY)
    codes, dense = ranker._crosses(events, np.arange(flat.size), flat)
    table = net.embedding.table
    product = table[user.codes[:, net.user_id]] * table[ad.codes[:, net.ad_id]]
    pair = torch.cat([net.crosses.table[codes].flatten(1), 10.0 * product, dense], dim=1)
    x = torch.cat([net.embedding(user), net.embedding(ad), pair], dim=1)
    h = net.first(x) + (net.top.slot[slot] if slot else 0.0)
    for layer in net.top.body:
        h = layer(torch.relu(h))
    h = torch.relu(h)
    return torch.sigmoid(net.top.head(h)[:, 0]).view(ads.shape).numpy(), h.view(*ads.shape, -1).numpy()


def test_serving_equals_the_plain_forward(ranker, requests, ads):
    pctr, hidden = plainly(ranker, requests, ads)
    ranked = ranker.rank(requests, ads)
    assert_allclose(ranked.pctr, pctr, rtol=1e-5)
    assert_allclose(ranked.hidden, hidden, rtol=1e-4, atol=1e-5)
    assert ranked.pctr.std() > 0.01


def test_the_training_forward_equals_the_plain_one_without_dropout(ranker, requests, ads):
    net = ranker.serving
    n = ads.shape[1]
    request = np.repeat(np.arange(len(requests)), n)
    events, flat = Events.of(requests), ads.reshape(-1)
    user, ad = ranker._user_input(events), ranker._ad_input(flat, np.full(flat.size, DAY))
    codes, dense = ranker._crosses(events, request, flat)
    table, crosses, at = net.embedding.table, net.crosses.table, torch.from_numpy(request)
    for slot in (0, 2):
        slots = torch.full((flat.size,), slot)
        with torch.no_grad():
            logit, hidden = net(Rows(user, ad, codes, dense, at, slots, table, crosses, ()))
        pctr, plain_hidden = plainly(ranker, requests, ads, slot)
        assert_allclose(torch.sigmoid(logit).numpy(), pctr.reshape(-1), rtol=1e-5)
        assert_allclose(hidden.numpy(), plain_hidden.reshape(flat.size, -1), rtol=1e-4, atol=1e-5)


def test_crosses_against_a_loop(world, ranker, requests, ads):
    c = world.catalog
    request = np.repeat(np.arange(len(requests)), ads.shape[1])
    codes, dense = ranker._crosses(Events.of(requests), request, ads.reshape(-1))
    for row in range(0, request.size, 11):
        r, ad = request[row], int(ads.reshape(-1)[row])
        items = [int(i) for i in c.history.as_of(requests.user[r : r + 1], requests.time[r : r + 1])[0] if i >= 0]
        n = max(len(items), 1)
        same = sum(c.category[i] == c.category[ad] for i in items) / n
        liked = sum(float(c.price[i]) for i in items) / n
        expected = [same * 4, ad in items, abs(c.price[ad] - liked), c.price[ad] * liked]
        assert_allclose(dense[row, 2:].numpy(), expected, rtol=1e-5, atol=1e-6)
        assert int(codes[row, 0]) == 1 + c.segment[requests.user[r]] * c.categories + c.category[ad]
        hour = int(requests.time[r] % DAY) // 3600
        assert int(codes[row, 1]) == 1 + (c.segments + hour) * c.categories + c.category[ad]


def test_pads_get_no_chance_and_change_nothing(ranker, requests, ads):
    padded = ads.copy()
    padded[:, 3] = -1
    ranked, whole = ranker.rank(requests, padded), ranker.rank(requests, ads)
    assert not ranked.pctr[:, 3].any()
    kept = [0, 1, 2, 4, 5, 6]
    assert_allclose(ranked.pctr[:, kept], whole.pctr[:, kept], rtol=1e-6)


def test_slot_zero_is_the_reference(ranker):
    assert not ranker.model.top.slot[0].any()
    assert ranker.model.top.slot[1].any()


def test_dropout_masks_keep_the_mean_and_are_the_steps_own(world):
    ranker = make_ranker(world, dropout=0.25)
    (mask,) = ranker._keep(4000)
    assert mask.dtype == torch.float32
    assert mask.shape == (4000, 32)
    np.testing.assert_allclose(mask.unique().numpy(), [0.0, 1 / 0.75], rtol=1e-6)
    assert abs(float(mask.mean()) - 1.0) < 5 * np.sqrt(0.25 / 0.75 / mask.numel())
    assert torch.equal(mask, ranker._keep(4000)[0])
    ranker._steps += 1
    assert not torch.equal(mask, ranker._keep(4000)[0])
    assert make_ranker(world, dropout=0.0)._keep(10) == []


def test_nothing_learned_is_served_before_a_sync(world, log, market_config, requests, ads):
    ranker = make_ranker(world)
    learn_from_log(log, ranker, market_config.cascade, 0)
    before = ranker.rank(requests, ads)
    ranker.update(log[(log.ready_at > DAY) & (log.ready_at <= DAY + 7200)])
    after = ranker.rank(requests, ads)
    assert_array_equal(after.pctr, before.pctr)
    assert_array_equal(after.hidden, before.hidden)
    ranker.sync(DAY + 7200)
    assert np.all(ranker.rank(requests, ads).pctr != before.pctr)


def test_restore_continues_bit_equal(world, log, market_config, requests, ads):
    straight = make_ranker(world)
    learn_from_log(log, straight, market_config.cascade, 0)
    state = straight.snapshot()
    learn_from_log(log, straight, market_config.cascade, 1)
    resumed = make_ranker(world)
    for _ in range(2):
        resumed.restore(state)
        learn_from_log(log, resumed, market_config.cascade, 1)
        one, other = resumed.rank(requests, ads), straight.rank(requests, ads)
        assert_array_equal(one.pctr, other.pctr)
        assert_array_equal(one.hidden, other.hidden)
