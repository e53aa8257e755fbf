"""What holds for every learned ranker: one forward for serving and training, pads, empty histories, state, cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.utils.flop_counter import FlopCounterMode

from baselines.rankers.bst import bst
from baselines.rankers.dcnv2 import dcnv2
from baselines.rankers.din import din
from baselines.rankers.dnn import dnn
from baselines.rankers.eulernet import eulernet
from baselines.rankers.network import Network, Rows
from baselines.rankers.online import OnlineRanker
from baselines.training.features import Events
from simulator.records import DAY, Impressions, Requests, concatenate, take

SMALL = {"embedding": 4, "hidden": (32, 16), "batch": 128, "horizon": 10 * DAY}
MAKERS: dict[str, tuple[Callable[..., OnlineRanker], dict[str, object]]] = {
    "dnn": (dnn, {}),
    "din": (din, {"unit": 8}),
    "bst": (bst, {"heads": 2}),
    "dcnv2": (dcnv2, {"layers": 3}),
    "eulernet": (eulernet, {"orders": (5,)}),
    "eulernet of two layers": (eulernet, {"orders": (7, 5)}),
}
every_ranker = pytest.mark.parametrize("name", MAKERS)


def made(name: str, catalog, seed: int = 3, **params: object) -> OnlineRanker:
    factory, own = MAKERS[name]
    return factory(catalog, seed, **(SMALL | own | params))


def learn(ranker: OnlineRanker, log: Impressions, day: int) -> None:
    """The rows of a day in a few updates, each published."""
    rows = log[log.time // DAY == day]
    for first in range(0, len(rows), 300):
        ranker.update(rows[first : first + 300])
        ranker.sync(min(int(rows.time[first : first + 300][-1]) + 3600, (day + 1) * DAY))
    ranker.sync((day + 1) * DAY)


@pytest.fixture(scope="module")
def learned(world, log) -> dict[str, OnlineRanker]:
    rankers = {name: made(name, world.catalog) for name in MAKERS}
    for ranker in rankers.values():
        learn(ranker, log, 0)
    return rankers


@pytest.fixture
def ads(world, requests) -> np.ndarray:
    draws = np.random.default_rng(1).permuted(np.tile(np.arange(world.catalog.ads.rows), (len(requests), 1)), axis=1)
    return draws[:, :7].astype(np.int32)


def same(one, other, **tolerance: float) -> None:
    assert_allclose(one.pctr, other.pctr, **(tolerance or {"rtol": 2e-5, "atol": 1e-7}))
    assert_allclose(one.hidden, other.hidden, **(tolerance or {"rtol": 2e-4, "atol": 2e-5}))


@every_ranker
def test_serving_equals_the_training_forward_without_dropout(name, learned, requests, ads):
    ranker = learned[name]
    net, n = ranker.serving, ads.shape[1]
    request, events, flat = np.repeat(np.arange(len(requests)), n), Events.of(requests), ads.reshape(-1)
    # an ad's share is as of the sync
    user, ad = ranker._user_input(events), ranker._ad_input(flat, np.full(flat.size, DAY))
    codes, dense = ranker._crosses(events, request, flat)
    tables = net.embedding.table, net.crosses.table
    at, slot = torch.from_numpy(request), torch.zeros(flat.size, dtype=torch.int64)
    with torch.no_grad():
        logit, hidden = net(Rows(user, ad, codes, dense, at, slot, *tables, ()))
        elsewhere, _ = net(Rows(user, ad, codes, dense, at, slot + 2, *tables, ()))
    ranked = ranker.rank(requests, ads)
    assert_allclose(torch.sigmoid(logit).view(ads.shape).numpy(), ranked.pctr, rtol=2e-5)
    assert_allclose(hidden.view(*ads.shape, -1).numpy(), ranked.hidden, rtol=2e-4, atol=2e-5)
    assert ranked.pctr.std() > 0.003
    assert not torch.equal(logit, elsewhere)


@every_ranker
@pytest.mark.parametrize("pairs", [1, 23])
def test_some_requests_at_a_time_score_as_all_at_once(name, pairs, learned, requests, ads, monkeypatch):
    whole = learned[name].rank(requests, ads)
    monkeypatch.setattr(Network, "pairs_at_once", pairs)
    monkeypatch.setattr(type(learned[name].serving), "pairs_at_once", pairs)
    same(learned[name].rank(requests, ads), whole)


@every_ranker
def test_a_candidate_is_scored_alike_in_any_company(name, learned, requests, ads):
    whole = learned[name].rank(requests, ads)
    order = np.array([4, 0, 6, 2])
    some = learned[name].rank(requests, ads[:, order])
    same(some, replace(whole, pctr=whole.pctr[:, order], hidden=whole.hidden[:, order]))
    padded = np.where(np.arange(7) == 3, -1, ads).astype(np.int32)
    ranked = learned[name].rank(requests, padded)
    assert not ranked.pctr[:, 3].any()
    kept = [0, 1, 2, 4, 5, 6]
    same(
        replace(ranked, pctr=ranked.pctr[:, kept], hidden=ranked.hidden[:, kept]),
        replace(whole, pctr=whole.pctr[:, kept], hidden=whole.hidden[:, kept]),
    )


@every_ranker
def test_an_empty_history_is_no_nan(name, world, log, requests, ads):
    history = world.catalog.history
    catalog = replace(world.catalog, history=replace(history, items=np.full_like(history.items, -1)))
    ranker = made(name, catalog)
    ranker.update(log[:300])
    ranker.sync(DAY)
    ranked = ranker.rank(requests, ads)
    assert np.isfinite(ranked.hidden).all()
    assert np.isfinite(ranked.pctr).all()
    assert all(torch.isfinite(p).all() for p in ranker.model.parameters())


@every_ranker
def test_more_pads_in_the_history_change_nothing(name, world, learned, requests, ads):
    catalog, ranker = world.catalog, learned[name]
    items = np.pad(catalog.history.items, ((0, 0), (0, 0), (3, 0)), constant_values=-1)
    longer = made(name, replace(catalog, history=replace(catalog.history, items=items)))
    state = ranker.snapshot()
    for weights in (state["model"], state["serving"]):
        if "positions" in weights:
            # places are counted from the candidate, the last one
            weights["positions"] = torch.cat([torch.randn(3, weights["positions"].shape[1]), weights["positions"]])
    del state["adam"]["state"]
    longer.model.load_state_dict(state["model"])
    longer.counters.restore(state["counters"])
    longer.serving.load_state_dict(state["serving"])
    longer._shares = state["shares"]
    same(longer.rank(requests, ads), ranker.rank(requests, ads))


@every_ranker
def test_nothing_of_the_day_is_in_the_history_that_is_read(name, world, learned, requests, ads):
    """Behaviours are dated at noon at the earliest: what the day adds is after any request minus a label wait."""
    catalog, day = world.catalog, int(requests.time.min() // DAY)
    items = catalog.history.items.copy()
    for changed, read in ((slice(day + 1, None), False), (slice(day, None), True)):
        items[changed] = np.random.default_rng(0).integers(0, catalog.ads.rows, items[changed].shape)
        other = made(name, replace(catalog, history=replace(catalog.history, items=items)))
        other.restore(learned[name].snapshot())
        differs = other.rank(requests, ads).pctr != learned[name].rank(requests, ads).pctr
        assert differs.any() == read


@every_ranker
def test_dropout_and_the_start_are_the_rankers_own(name, world, log):
    state = torch.get_rng_state()
    one, other = (made(name, world.catalog) for _ in range(2))
    one.update(log[:256])
    torch.manual_seed(5)
    other.update(log[:256])
    torch.set_rng_state(state)
    assert all(torch.equal(p, q) for p, q in zip(one.model.parameters(), other.model.parameters(), strict=True))
    plain = made(name, world.catalog, dropout=0.0)
    plain.update(log[:256])
    assert not torch.equal(plain.model.top.head.weight, one.model.top.head.weight)


@every_ranker
def test_every_mask_of_dropout_is_used(name, world, log):
    ranker = made(name, world.catalog, dropout=0.5)
    rows = log[:64]
    for masked in range(len(ranker.model.dropped)):
        masks = [torch.ones(len(rows), width) for width in ranker.model.dropped]
        masks[masked].requires_grad_()
        ranker._keep = lambda n, masks=masks: masks
        ranker._train(rows)
        assert masks[masked].grad is not None
        assert masks[masked].grad.any()


@every_ranker
def test_every_weight_gets_a_gradient(name, world, log):
    ranker = made(name, world.catalog)
    start = {key: value.clone() for key, value in ranker.model.state_dict().items()}
    ranker.update(log[:1024])
    still = {key for key, value in ranker.model.state_dict().items() if torch.equal(value, start[key])}
    assert {key for key in still if not key.endswith("edges")} == set()


@every_ranker
def test_cost_is_what_is_counted(name, learned, requests, ads):
    ranker = learned[name]

    def counted(candidates: int) -> int:
        with FlopCounterMode(display=False) as counter:
            ranker.rank(take(requests, slice(0, 1)), ads[:1, :candidates])
        return counter.get_total_flops()

    cost = ranker.cost()
    assert counted(3) - counted(2) == cost.candidate_flops
    assert counted(1) == cost.request_flops + cost.candidate_flops


@every_ranker
def test_restore_continues_bit_equal(name, world, log, requests, ads):
    straight = made(name, world.catalog)
    learn(straight, log, 0)
    state = straight.snapshot()
    learn(straight, log, 1)
    resumed = made(name, world.catalog, seed=4)
    resumed._dropout_seed = straight._dropout_seed
    for _ in range(2):
        resumed.restore(state)
        learn(resumed, log, 1)
        one, other = resumed.rank(requests, ads), straight.rank(requests, ads)
        assert_array_equal(one.pctr, other.pctr)
        assert_array_equal(one.hidden, other.hidden)


def planted(world, log: Impressions, rows: int = 9000) -> tuple[Impressions, np.ndarray]:
    """Clicks that depend on whether region and advertiser have the same parity, which no cross feature tells."""
    bits = np.random.default_rng(4)
    users, ads = world.catalog.users, world.catalog.ads
    user, ad = (bits.integers(0, side.rows, rows).astype(np.int32) for side in (users, ads))
    agree = users.codes["region"][user] % 2 == ads.codes["advertiser"][ad] % 2
    many = concatenate([log] * (1 + rows // len(log)))[:rows]
    found = replace(
        many,
        request=np.arange(rows),
        user=user,
        ad=ad,
        slot=np.zeros_like(many.slot),
        time=np.sort(many.time),
        label=bits.random(rows) < np.where(agree, 0.6, 0.1),
    )
    return found, agree


@every_ranker
def test_it_learns_an_interaction_of_user_and_ad(name, world, log):
    rows, agree = planted(world, log)
    known, asked = rows[:7000], rows[7000:]
    wide = {"embedding": 8, "hidden": (64, 16), "dropout": 0.0, "lr": 3e-3, "table_lr": 0.1}
    ranker = made(name, world.catalog, **wide)
    ranker.update(known)
    ranker.sync(int(rows.time[-1]))
    arm = np.zeros(len(asked), dtype=np.int8)
    requests = Requests(id=asked.request, user=asked.user, time=asked.time, context=asked.context, arm=arm)
    pctr = ranker.rank(requests, asked.ad[:, None]).pctr[:, 0]
    assert auc(pctr, agree[7000:]) > 0.85
    # what a linear model of the two sides would say: the sum of their log odds
    added = log_odds(known.user, known.label)[asked.user] + log_odds(known.ad, known.label)[asked.ad]
    assert abs(auc(added, agree[7000:]) - 0.5) < 0.05


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    return float((score[positive][:, None] > score[~positive]).mean())


def log_odds(key: np.ndarray, label: np.ndarray) -> np.ndarray:
    clicks, shows = np.bincount(key, label) + 1, np.bincount(key) + 2
    return np.log(clicks / (shows - clicks))
