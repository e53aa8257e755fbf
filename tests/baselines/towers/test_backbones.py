"""What every backbone promises, alone and with CS3: one start, learning, restore, exact search, honest cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from reports.studies.arms import make_retriever, parse, vector_widths
from simulator.marketplace import learn_from_log
from simulator.plugins import RETRIEVERS, make
from simulator.records import DAY, Offers, Requests, take
from tests.baselines.conftest import SMALL, extras_of, make_towers

BACKBONES = ["inttower", "hit", "seqtower"]


def every_ad(world, requests):
    ads = np.arange(world.catalog.ads.rows, dtype=np.int32)
    return np.broadcast_to(ads, (len(requests), ads.size))


@pytest.fixture(scope="module", params=[name + plus for name in BACKBONES for plus in ("", "+cs3")])
def trained(request, world, log, market_config):
    """An arm's name and the arm after a day."""
    towers = make_towers(world, request.param)
    learn_from_log(log, towers, market_config.cascade, 0)
    return request.param, towers


@pytest.mark.parametrize("name", BACKBONES)
def test_every_arm_starts_equal(world, requests, name):
    ads = every_ad(world, requests)
    base = make_towers(world, name).score(requests, ads)
    for modifier in ("+cas", "+cs3"):
        np.testing.assert_allclose(make_towers(world, name + modifier).score(requests, ads), base, rtol=0, atol=1e-5)


def test_learning_lowers_the_loss_on_what_was_seen(world, log, trained):
    name, towers = trained
    rows = log[(log.ready_at <= DAY) & (log.slot == 0)]
    late = np.full(len(rows), DAY)
    who = Requests(id=rows.request, user=rows.user, time=late, context=rows.context, arm=np.zeros(len(rows), "i1"))
    logits = [some.score(who, rows.ad[:, None])[:, 0] for some in (make_towers(world, name), towers)]
    before, after = (np.logaddexp(0.0, np.where(rows.label, -z, z)).mean() for z in logits)
    assert after < before - 0.01


def test_retrieve_ranks_exactly_by_logit_plus_log_bid(world, requests, trained):
    _, towers = trained
    A = world.catalog.ads.rows
    offers = Offers(eligible=np.arange(A) % 3 != 0, bid=np.exp(np.random.default_rng(0).normal(size=A)))
    found = towers.retrieve(requests, offers, 12)
    money = towers.score(requests, every_ad(world, requests)) + offers.log_bid()
    kept = np.take_along_axis(money, found.ad, axis=1)
    np.testing.assert_allclose(kept, -np.sort(-money, axis=1)[:, :12], atol=1e-5)
    assert len(np.unique(found.ad, axis=0)) > 1, "users get different ads"


def test_few_ads_are_scored_as_the_scan_would(world, requests, trained):
    _, towers = trained
    few = np.tile(np.array([3, 1, -1, 3], dtype=np.int32), (len(requests), 1))
    alone = towers.score(requests, few)
    np.testing.assert_allclose(alone, towers.logits(requests).numpy()[:, few[0]], rtol=0, atol=1e-5)


def test_restored_in_mid_stream_it_goes_on_bit_equal(world, log, market_config, requests, trained):
    name, towers = trained
    state = towers.snapshot()
    matured = log[(log.ready_at > DAY) & (log.ready_at <= DAY + DAY // 4)]
    resumed, scores = make_towers(world, name), []
    for learner in (resumed, towers):
        learner.restore(state)
        learner.update(matured)
        learner.sync(DAY + DAY // 4)
        scores.append(learner.score(requests, every_ad(world, requests)))
        learner.restore(state)
    assert_array_equal(*scores)


def test_noise_reaches_the_whole_input_of_both_towers(world, requests, trained):
    _, towers = trained
    ads, seen = every_ad(world, requests), []
    before = towers.score(requests, ads)

    def change(x):
        seen.append(x.shape[1])
        return x + 0.1

    with towers.disturbed(change, change):
        assert (towers.score(requests, ads) != before).mean() > 0.9
    assert len(seen) == 2
    assert all(width > extra for width, extra in zip(seen, towers.extra_widths(), strict=True))
    assert_array_equal(towers.score(requests, ads), before)


def test_cost_is_what_a_request_takes(requests, trained):
    _, towers = trained
    towers.items()
    one = take(requests, slice(0, 1))
    # The counter knows the attention by its matrix products only.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
        u = towers.encode_users(one)
    assert towers.cost().user_flops == counted.get_total_flops()
    with FlopCounterMode(display=False) as counted:
        towers.serving.score.of_all(u, towers.items())
    assert towers.cost().scan_flops == counted.get_total_flops()
    assert towers.cost().item_bytes == 4 * towers.items()[0].numel()


def test_a_backbone_says_how_wide_its_vectors_are(world, log, market_config, trained):
    name, towers = trained
    score = towers.model.score
    assert vector_widths(make(name.split("+")[0], RETRIEVERS), SMALL) == (score.user_width, score.item_width)
    if extras_of(towers) is not None:
        cross = extras_of(towers).cross
        assert cross.items.published(torch.arange(3)).shape[1] == score.user_width
        assert cross.users.published(torch.arange(3)).shape[1] == score.item_width
        assert cross.users.published(torch.arange(world.catalog.users.rows)).any()


@pytest.mark.parametrize(
    ("name", "params", "widths"),
    [
        ("inttower", {"width": 160, "facets": 2}, (80, 80)),
        ("hit", {"width": 24, "facets": 3}, (24, 24)),
        ("seqtower", {"width": 24}, (24, 24)),
        ("dssm", {"width": 24}, (24, 24)),
        ("dat", {"width": 24}, (24, 24)),
    ],
)
def test_cs3_takes_the_widths_that_a_backbone_says(world, log, name, params, widths):
    towers = make_retriever(parse(f"{name}+cs3"), world.catalog, 3, SMALL | params, {})
    cross = extras_of(towers).cross
    assert (cross.items.read_width, cross.users.read_width) == widths
    towers.update(log[:40])
    towers.sync(int(log.ready_at[39]))
    clicked = torch.from_numpy(np.unique(log.user[:40][log.label[:40]]).astype(np.int64))
    assert cross.users.published(clicked).any(dim=1).all()


def test_a_factory_that_says_nothing_gets_the_default():
    def factory(catalog, seed, *, extras=None): ...

    assert vector_widths(factory, {"width": 3}) == (64, 64)


def test_labels_of_the_future_and_unpublished_learning_change_no_score(world, log, requests, trained):
    _, towers = trained
    ads, state = every_ad(world, requests), towers.snapshot()
    before = towers.score(requests, ads)
    late = log[(log.ready_at > DAY) & (log.ready_at <= DAY + 7200)]
    for rows in (late, replace(late, label=~late.label)):
        towers.update(rows)
        assert_array_equal(towers.score(requests, ads), before)
    towers.restore(state)
