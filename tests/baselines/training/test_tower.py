"""The online two-tower retriever: published state only, exact search, one start for all arms, bit-equal restore."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from baselines.towers.dssm import dssm
from simulator.marketplace import learn_from_log
from simulator.records import DAY, Offers, Requests
from tests.baselines.conftest import SMALL, extras_of, make_towers


def trained(world, log, config, arm, days=1, **modifiers):
    towers = make_towers(world, arm, **modifiers)
    for day in range(days):
        learn_from_log(log, towers, config.cascade, day)
    return towers


def every_ad(world, requests):
    ads = np.arange(world.catalog.ads.rows, dtype=np.int32)
    return np.broadcast_to(ads, (len(requests), ads.size))


@pytest.fixture(scope="module")
def cs3(world, log, market_config):
    return trained(world, log, market_config, "dssm+cs3")


def test_every_arm_starts_equal(world, requests):
    ads = every_ad(world, requests)
    base = make_towers(world, "dssm")
    scores = base.score(requests, ads)
    for arm in ("dssm+cas", "dssm+cts", "dssm+cms", "dssm+cs3"):
        assert_array_equal(make_towers(world, arm).score(requests, ads), scores, err_msg=arm)


def test_shared_layers_start_equal(world):
    base, full = (dict(make_towers(world, arm).model.named_parameters()) for arm in ("dssm", "dssm+cs3"))
    shared = 0
    for name, weight in base.items():
        twin = full.get(name, full.get(name.replace(".weight", ".base.weight").replace(".bias", ".base.bias")))
        assert twin is not None, name
        if twin.shape != weight.shape:  # the widened input layer: its extra inputs start at zero weight
            assert not twin[:, weight.shape[1] :].any()
            twin = twin[:, : weight.shape[1]]
        assert torch.equal(weight, twin), name
        shared += weight.numel()
    assert shared > 1000


@pytest.mark.parametrize("arm", ["dssm", "dssm-bare", "dssm+cs3"])
def test_learning_lowers_the_loss_on_what_was_seen(world, log, market_config, arm):
    rows = log[(log.ready_at <= DAY) & (log.slot == 0)]
    who = Requests(id=rows.request, user=rows.user, time=rows.time, context=rows.context, arm=np.zeros(len(rows), "i1"))
    untrained, learned = make_towers(world, arm), trained(world, log, market_config, arm)
    # served at the day's end, when counters and vectors of that time are published
    late = replace(who, time=np.full(len(rows), DAY))
    logits = [towers.score(late, rows.ad[:, None])[:, 0] for towers in (untrained, learned)]
    before, after = (np.logaddexp(0.0, np.where(rows.label, -z, z)).mean() for z in logits)
    assert after < before - 0.01


def test_retrieve_ranks_exactly_by_logit_plus_log_bid(world, requests, cs3):
    A = world.catalog.ads.rows
    offers = Offers(eligible=np.arange(A) % 3 != 0, bid=np.exp(np.random.default_rng(0).normal(size=A)))
    found = cs3.retrieve(requests, offers, 12)
    logit = cs3.score(requests, every_ad(world, requests))
    money = logit + offers.log_bid()
    best = np.argsort(-money, axis=1, kind="stable")[:, :12]
    assert_array_equal(found.ad, best)
    np.testing.assert_allclose(found.logit, np.take_along_axis(logit, best, axis=1), atol=1e-5)
    assert len(np.unique(found.ad, axis=0)) > 1, "users get different ads"


def test_retrieve_pads_where_too_few_may_compete(world, requests, cs3):
    offers = Offers(eligible=np.arange(world.catalog.ads.rows) < 4, bid=np.ones(world.catalog.ads.rows))
    found = cs3.retrieve(requests, offers, 6)
    assert_array_equal(np.sort(found.ad, axis=1), np.tile([-1, -1, 0, 1, 2, 3], (len(requests), 1)))
    assert_array_equal(np.isnan(found.logit), found.ad == -1)


def test_item_vectors_are_the_published_encoding(world, cs3):
    """The index equals an encoding made now from published weights, counters and vectors, however far training went."""
    ads = torch.arange(world.catalog.ads.rows)
    with torch.no_grad():
        side = cs3.trainer.inputs.ads(ads.numpy(), np.full(ads.numel(), cs3.published.at))
        vectors = cs3.serving.item(side, extras_of(cs3).published_items(ads))
    torch.testing.assert_close(vectors, cs3.items(), rtol=0, atol=1e-6)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(ads.numel()))


@pytest.mark.parametrize("arm", ["dssm-bare", "dssm", "dssm+cs3"])
def test_few_ads_are_scored_as_the_index_would(world, log, market_config, requests, arm):
    """Before the index is built a few ads are encoded alone; pads get the last ad's, learning changes neither."""
    towers = trained(world, log, market_config, arm)
    towers.update(log[(log.ready_at > DAY) & (log.ready_at <= DAY + 7200)])
    few = np.tile(np.array([3, 1, -1, 3], dtype=np.int32), (len(requests), 1))
    alone = towers.score(requests, few)
    assert "items" not in vars(towers.published)
    towers.items()
    np.testing.assert_allclose(towers.score(requests, few), alone, rtol=0, atol=1e-5)


def test_without_softmax_no_ad_is_drawn(world, log, market_config):
    plain = SMALL | {"softmax": 0.0}
    with_draws, without = (dssm(world.catalog, 3, **(plain | {"negatives": n})) for n in (64, 0))
    for towers in (with_draws, without):
        learn_from_log(log, towers, market_config.cascade, 0)
    for one, other in zip(with_draws.model.parameters(), without.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("arm", ["dssm", "dssm+cs3"])
def test_nothing_learned_is_served_before_a_sync(world, log, market_config, requests, arm):
    towers = trained(world, log, market_config, arm)
    ads = every_ad(world, requests)
    before = towers.score(requests, ads)
    matured = log[(log.ready_at > DAY) & (log.ready_at <= DAY + 7200)]
    towers.update(matured)
    assert_array_equal(towers.score(requests, ads), before)
    towers.sync(DAY + 7200)
    assert np.all(towers.score(requests, ads) != before)


@pytest.mark.parametrize("arm", ["dssm", "maxsim"])
def test_a_publication_stays_as_it_was(world, log, market_config, requests, arm):
    """Whoever holds one, a server or a probe, is not moved by what is learned and published later."""
    towers = trained(world, log, market_config, arm)
    held, ads = towers.published, every_ad(world, requests)
    before = held.score(requests, ads)
    towers.update(log[(log.ready_at > DAY) & (log.ready_at <= DAY + 7200)])
    towers.sync(DAY + 7200)
    again = replace(held)  # a copy has encoded nothing yet
    assert_array_equal(again.score(requests, ads), before)
    assert np.all(towers.score(requests, ads) != before)
    with pytest.raises(FrozenInstanceError):
        held.at = DAY


@pytest.mark.parametrize("arm", ["dssm", "dssm-bare", "dssm+cs3"])
def test_restore_continues_bit_equal(world, log, market_config, requests, arm):
    straight = trained(world, log, market_config, arm)
    state = straight.snapshot()
    learn_from_log(log, straight, market_config.cascade, 1)
    resumed = make_towers(world, arm, seed=99)
    for _ in range(2):  # a snapshot serves more than once
        resumed.restore(state)
        learn_from_log(log, resumed, market_config.cascade, 1)
        ads = every_ad(world, requests)
        assert_array_equal(resumed.score(requests, ads), straight.score(requests, ads))
        for one, other in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("arm", ["dssm", "dssm+cs3"])
def test_a_label_reaches_no_score_before_it_matured_and_was_published(world, log, market_config, requests, arm):
    row = int(np.flatnonzero(~log.label & (log.time > DAY // 2))[0])
    label = log.label.copy()
    label[row] = True
    flipped = replace(log, label=label)
    clock = market_config.cascade
    due = -(-int(log.ready_at[row]) // clock.tick) * clock.tick  # the tick that trains on it
    published = -(-due // clock.sync) * clock.sync
    learners = [Recorder(make_towers(world, arm), requests, every_ad(world, requests)) for _ in range(2)]
    for learner, rows in zip(learners, (log, flipped), strict=True):
        learn_from_log(rows, learner, clock, 0)
    assert published < DAY
    for now, one in learners[0].scores.items():
        other = learners[1].scores[now]
        assert np.array_equal(one, other) == (now < published), f"scores of the sync at {now}"


class Recorder:
    """Passes on what a learner gets, and scores after each sync."""

    def __init__(self, learner, requests, ads):
        self.learner, self.requests, self.ads = learner, requests, ads
        self.scores = {}

    def update(self, rows):
        self.learner.update(rows)

    def sync(self, now):
        self.learner.sync(now)
        self.scores[now] = self.learner.score(self.requests, self.ads)


def test_cost_counts_the_gate_of_cas(world):
    plain, gated = make_towers(world, "dssm").cost(), make_towers(world, "dssm+cas").cost()
    assert plain.item_bytes == gated.item_bytes == 4 * 64
    assert plain.scan_flops == 2 * 64 * world.catalog.ads.rows
    assert gated.user_flops == plain.user_flops + 2 * 2 * 2 * (32 * 16 + 16 * 64) // 2
