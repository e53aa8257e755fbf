"""The world: keyed, dialled, and its truth kept apart from its catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from simulator.records import DAY, PAD, Requests
from simulator.world import LATENT, World, WorldConfig, build, eligible_at

SMALL = WorldConfig(users=400, ads=120, advertisers=20)


def arrays(value: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array below a record, with its path."""
    if isinstance(value, np.ndarray):
        yield path, value
    elif is_dataclass(value):
        for f in fields(value):
            yield from arrays(getattr(value, f.name), f"{path}.{f.name}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from arrays(inner, f"{path}[{key}]")


def some_requests(world: World, n: int = 60) -> Requests:
    rng = np.random.default_rng(0)
    users = world.catalog.users.rows
    return Requests(
        id=np.arange(n),
        user=rng.integers(0, users, n).astype(np.int32),
        time=np.sort(rng.integers(0, 3 * DAY, n)),
        context=np.zeros((n, 2), dtype=np.int32),
        arm=np.zeros(n, dtype=np.int8),
    )


def spread(config: WorldConfig, days: int = 3, seed: int = 1) -> np.ndarray:
    """True logits of the first day's noon for all users and ads [U, A]."""
    world = build(config, seed, days)
    n = config.users
    noon = Requests(
        id=np.arange(n),
        user=np.arange(n, dtype=np.int32),
        time=np.full(n, DAY // 2),
        context=np.zeros((n, 2), dtype=np.int32),
        arm=np.zeros(n, dtype=np.int8),
    )
    return world.truth.everything(noon)


class TestKeys:
    def test_same_seed_same_world(self, world, world_config):
        again = build(world_config, seed=5, days=3)
        for (path, a), (_, b) in zip(arrays(world), arrays(again), strict=True):
            assert np.array_equal(a, b), path
            assert a.dtype == b.dtype, path

    def test_another_seed_another_world(self, world, world_config):
        other = build(world_config, seed=6, days=3)
        for name in ("theta", "phi", "user_level", "ad_level", "cross", "activity"):
            a, b = (getattr(w.truth, name).ravel() for w in (world, other))
            assert abs(np.corrcoef(a, b)[0, 1]) < 0.35, name

    def test_more_users_change_nobody(self):
        few, many = build(SMALL, 1, 2), build(SMALL.model_copy(update={"users": 700}), 1, 2)
        assert np.array_equal(few.truth.theta, many.truth.theta[:, :400])
        assert np.array_equal(few.catalog.history.items, many.catalog.history.items[:, :400])
        for name in ("user_level", "segment", "sensitivity", "activity", "arrival"):
            assert np.array_equal(getattr(few.truth, name), getattr(many.truth, name)[:400]), name
        assert np.array_equal(few.demand.bid, many.demand.bid)

    def test_more_days_change_no_earlier_interest(self):
        short, long = build(SMALL, 1, 2), build(SMALL, 1, 5)
        assert np.array_equal(short.truth.theta, long.truth.theta[:2])
        assert np.array_equal(short.truth.popularity, long.truth.popularity[:2])

    def test_budgets_change_no_truth(self, world, rich_world):
        for (path, a), (_, b) in zip(arrays(world.truth), arrays(rich_world.truth), strict=True):
            assert np.array_equal(a, b), path
        assert not np.array_equal(world.demand.budget, rich_world.demand.budget)


class TestTruth:
    def test_pairs_and_everything_are_one_equation(self, world):
        requests = some_requests(world)
        ads = np.random.default_rng(1).integers(0, world.catalog.ads.rows, (60, 7)).astype(np.int32)
        whole = world.truth.everything(requests)
        some = world.truth.pairs(requests.user, ads, requests.time)
        assert some.dtype == whole.dtype == np.float32
        assert_allclose(some, np.take_along_axis(whole, ads.astype(np.int64), axis=1), rtol=1e-4, atol=1e-5)

    def test_the_equation_by_hand(self, world):
        t, requests = world.truth, some_requests(world, 5)
        for r, user, time in zip(range(5), requests.user, requests.time, strict=True):
            day, hour = time // DAY, time % DAY // 3600
            for ad in (0, 17):
                category = t.category[ad]
                expected = (
                    t.base
                    + t.user_level[user]
                    + t.ad_level[ad]
                    + t.gamma * float(t.theta[day, user] @ t.phi[ad])
                    + t.popularity[day, category]
                    + t.cross[t.segment[user], category]
                    + t.hour_cross[hour, category]
                    - t.sensitivity[user] * t.price[ad]
                )
                assert world.truth.everything(requests)[r, ad] == pytest.approx(expected, abs=1e-4)

    def test_spread_of_levels_is_the_logs(self):
        """World card, KuaiRand-Pure: sd of users' and items' rates on the logit scale 0.74 and 0.68."""
        t = build(WorldConfig(users=8000, ads=4000, history_days=0, history_per_day=0), 1, 1).truth
        assert t.user_level.std() == pytest.approx(0.74, abs=0.03)
        assert t.ad_level.std() == pytest.approx(0.68, abs=0.03)

    def test_spread_of_the_interaction_is_the_dials(self):
        sds = []
        for seed in range(6):
            logit = spread(SMALL.model_copy(update={"user_sd": 0, "quality_sd": 0, "category_drift_sd": 0}), seed=seed)
            sds.append(logit.std())
        assert np.mean(sds) == pytest.approx(SMALL.interaction_sd, rel=0.15)

    def test_the_last_day_goes_on(self, world):
        assert world.truth.day(np.array([0, DAY - 1, DAY, 9 * DAY])).tolist() == [0, 0, 1, 2]


class TestOffPositions:
    def test_drift(self):
        still = build(SMALL.model_copy(update={"drift_half_life": 0}), 1, 4).truth
        assert np.array_equal(still.theta[0], still.theta[3])
        assert np.array_equal(still.popularity[0], still.popularity[3])
        assert np.array_equal(still.theta[0], build(SMALL, 1, 4).truth.theta[0])

    def test_drift_has_its_half_life_and_keeps_its_spread(self):
        c = SMALL.model_copy(update={"users": 3000, "drift_half_life": 4.0})
        theta = build(c, 1, 9).truth.theta
        assert theta[8].std() == pytest.approx(theta[0].std(), rel=0.03)
        segment = build(c, 1, 1).truth.segment
        own = theta - np.stack([theta[:, segment == g].mean((0, 1)) for g in range(c.segments)])[segment]
        for lag, left in ((4, 0.5), (8, 0.25)):
            r = np.corrcoef(own[0].ravel(), own[lag].ravel())[0, 1]
            assert r == pytest.approx(left, abs=0.03)

    def test_arrivals_and_endings(self):
        off = build(SMALL.model_copy(update={"new_ads": 0, "ending_ads": 0, "new_users": 0}), 1, 3)
        assert (off.demand.start == 0).all()
        assert (off.demand.end > 3 * DAY).all()
        assert (off.truth.arrival == 0).all()
        assert all(eligible_at(off.demand, t).all() for t in (0, DAY, 3 * DAY))

    def test_noise_and_missing_features(self):
        update = {"feature_noise": 0, "missing": 0, "segment_accuracy": 1}
        clear = build(SMALL.model_copy(update=update), 1, 1)
        assert np.array_equal(clear.catalog.segment, clear.truth.segment)
        for code, size in (
            (clear.catalog.users.codes, clear.catalog.users.sizes),
            (clear.catalog.ads.codes, clear.catalog.ads.sizes),
        ):
            assert all((code[name] < size[name]).all() for name in code)
        # Without noise the dense features are a projection of the latent interest: nothing is left of them outside it.
        theta = np.column_stack([clear.truth.theta[0], np.ones(SMALL.users)])
        residual = np.linalg.lstsq(theta, clear.catalog.users.dense, rcond=None)[1]
        assert residual.max() < 1e-3

    @pytest.mark.parametrize(("share", "rank"), [(1.0, LATENT), (0.0, 0)])
    def test_low_rank_share(self, share, rank):
        """All low rank: the pair logit is a dot product. None: it is made of the crosses alone."""
        off = {"user_sd": 0, "quality_sd": 0, "category_drift_sd": 0, "low_rank_share": share}
        logit = spread(SMALL.model_copy(update=off)) - SMALL.base_logit
        world = build(SMALL.model_copy(update=off), 1, 3)
        if rank:
            assert np.linalg.matrix_rank(logit, tol=1e-2) <= rank
            assert not world.truth.cross.any()
        else:
            assert world.truth.gamma == 0

    def test_no_signal_at_all(self):
        flat = {"user_sd": 0, "quality_sd": 0, "interaction_sd": 0, "category_drift_sd": 0}
        assert_allclose(spread(SMALL.model_copy(update=flat)), SMALL.base_logit, rtol=1e-6)

    def test_equal_bids(self):
        assert (build(SMALL.model_copy(update={"bid_sd": 0}), 1, 1).demand.bid == 1).all()


class TestArrivals:
    @pytest.mark.parametrize(
        ("update", "line"),
        [
            ({"users": 1, "new_users": 0.999999}, r"^world\.new_users == 0\.999999, must leave a user"),
            ({"new_ads": 0.999999}, r"^world\.new_ads == 0\.999999, must leave an ad for the first tick \(seed 1\)$"),
        ],
    )
    def test_a_world_that_begins_with_nobody(self, update, line):
        with pytest.raises(ValueError, match=line):
            build(SMALL.model_copy(update=update), 1, 400)

    def test_shares_of_late_users_and_ads(self):
        world = build(SMALL.model_copy(update={"new_ads": 0.4, "ending_ads": 0.3, "new_users": 0.5}), 1, 10)
        assert np.mean(world.demand.start > 0) == pytest.approx(0.4, abs=0.12)
        assert np.mean(world.demand.end < 11 * DAY) == pytest.approx(0.3, abs=0.12)
        assert np.mean(world.truth.arrival > 0) == pytest.approx(0.5, abs=0.1)


class TestOffByDefault:
    def test_no_bots_no_conversions_no_bids_per_conversion(self, world):
        assert world.truth.bot is None
        assert world.truth.buying is None
        assert world.demand.target is None

    def test_they_change_nothing_else(self):
        plain = build(SMALL, 1, 2)
        rich = build(SMALL.model_copy(update={"bots": 0.1, "conversion_rate": 0.1, "ocpc_share": 0.3}), 1, 2)
        for name in ("theta", "phi", "user_level", "ad_level", "cross", "price", "sensitivity", "arrival"):
            assert np.array_equal(getattr(plain.truth, name), getattr(rich.truth, name)), name
        assert np.array_equal(plain.demand.bid, rich.demand.bid)
        people = ~rich.truth.bot
        assert np.array_equal(plain.truth.activity[people], rich.truth.activity[people])
        assert_allclose(rich.truth.activity[~people], 5 * plain.truth.activity[~people])

    def test_everything_and_pairs_agree_on_bots(self):
        world = build(SMALL.model_copy(update={"bots": 0.3}), 1, 2)
        requests = some_requests(world)
        ads = np.tile(np.arange(5, dtype=np.int32), (60, 1))
        whole = world.truth.everything(requests)
        some = world.truth.pairs(requests.user, ads, requests.time)
        assert_allclose(some, whole[:, :5], rtol=1e-4, atol=1e-5)
        assert_allclose(whole[world.truth.bot[requests.user]], np.log(0.3 / 0.7), rtol=1e-6)


class TestBuying:
    def test_spread_and_level_are_the_dials(self):
        c = WorldConfig(users=3000, ads=2000, history_days=0, history_per_day=0, conversion_rate=0.05)
        b = build(c, 1, 1).truth.buying
        n = np.arange(2000)
        logit = b.pairs(np.tile(n, 3).astype(np.int32), np.concatenate([n, n[::-1], (7 * n) % 2000]).astype(np.int32))
        assert logit.mean() == pytest.approx(np.log(0.05 / 0.95), abs=0.15)
        sds = (c.conversion_user_sd, c.landing_sd, c.conversion_interaction_sd)
        assert logit.std() == pytest.approx(np.sqrt(np.square(sds).sum()), rel=0.1)
        assert np.unique(b.median_value).size <= c.categories

    def test_a_good_click_is_not_a_good_customer(self):
        t = build(WorldConfig(users=100, ads=2000, history_days=0, history_per_day=0, conversion_rate=0.05), 1, 1).truth
        assert abs(np.corrcoef(t.ad_level, t.buying.landing)[0, 1]) < 0.1

    def test_bids_per_conversion_come_to_the_bid_per_click_at_the_median_rate(self):
        c = SMALL.model_copy(update={"conversion_rate": 0.1, "ocpc_share": 0.5})
        demand = build(c, 1, 1).demand
        per_conversion = ~np.isnan(demand.target)
        assert_allclose(demand.target[per_conversion] * 0.1, demand.bid[per_conversion])
        for campaign in np.unique(demand.campaign):
            assert np.unique(per_conversion[demand.campaign == campaign]).size == 1


class TestCatalog:
    def test_no_array_of_the_truth_is_in_it(self, world):
        """The category is public by design; every other truth is at best seen through noise."""
        secrets = {p: a for p, a in arrays(world.truth) if p != ".category"}
        secrets |= {".theta[0]": world.truth.theta[0], ".bid": world.demand.bid, ".budget": world.demand.budget}
        for public, seen in arrays(world.catalog):
            for secret, true in secrets.items():
                assert not np.shares_memory(seen, true), (public, secret)
                if seen.shape == true.shape and true.std() > 0:
                    assert not np.allclose(seen, true), (public, secret)

    def test_features_tell_something_but_not_all(self, world):
        theta = np.column_stack([world.truth.theta[0], np.ones(world.catalog.users.rows)])
        dense = world.catalog.users.dense
        residual = dense - theta @ np.linalg.lstsq(theta, dense, rcond=None)[0]
        explained = 1 - residual.var() / dense.var()
        assert 0.3 < explained < 0.75
        honest = (world.catalog.segment == world.truth.segment).mean()
        assert 0.7 < honest < 0.9
        assert 0.9 < np.corrcoef(world.catalog.price, world.truth.price)[0, 1] < 0.99

    def test_codes_fit_their_sizes(self, world):
        for table in (world.catalog.users, world.catalog.ads):
            assert table.codes.keys() == table.sizes.keys()
            for name, codes in table.codes.items():
                assert codes.dtype == np.int32
                assert codes.shape == (table.rows,)
                assert codes.min() >= 0
                assert codes.max() < table.sizes[name]
            assert np.isfinite(table.dense).all()
        assert world.catalog.segment.max() < world.catalog.segments
        assert world.catalog.category.max() < world.catalog.categories

    def test_history_grows_and_holds_only_what_was(self, world):
        items = world.catalog.history.items
        filled = (items != PAD).sum(axis=2)
        assert (np.diff(filled, axis=0) >= 0).all()
        # Left-padded: once an item, always items.
        assert ((items != PAD)[..., :-1] <= (items != PAD)[..., 1:]).all()
        for day in range(1, items.shape[0]):
            changed = (items[day] != items[day - 1]).any(axis=1)
            newest = items[day, changed, -1]
            assert (world.demand.start[newest] < day * DAY).all()
            assert np.array_equal(items[day, changed, :-1], items[day - 1, changed, 1:])

    def test_history_is_read_as_of_the_start_of_the_day(self, world):
        history = world.catalog.history
        users = np.array([3, 3, 3, 3], dtype=np.int32)
        seen = history.as_of(users, np.array([0, DAY - 1, DAY, 99 * DAY]))
        assert np.array_equal(seen, history.items[[0, 0, 1, 2], 3])

    def test_history_follows_taste(self, world):
        """Engaged ads are truly more attractive to their user than the average ad is."""
        items = world.catalog.history.items[0]
        user, place = np.nonzero(items != PAD)
        everything = world.truth.everything(
            Requests(
                id=np.arange(len(items)),
                user=np.arange(len(items), dtype=np.int32),
                time=np.full(len(items), DAY // 2),
                context=np.zeros((len(items), 2), dtype=np.int32),
                arm=np.zeros(len(items), dtype=np.int8),
            )
        )
        gain = everything[user, items[user, place]] - everything.mean(axis=1)[user]
        assert gain.mean() > 0.5


class TestDemand:
    def test_bids_spread_as_the_logs_prices(self):
        """World card, iPinYou 1458: coefficient of variation 0.83."""
        c = WorldConfig(users=10, ads=60_000, advertisers=6000, history_days=0, history_per_day=0)
        bid = build(c, 1, 1).demand.bid
        assert bid.std() / bid.mean() == pytest.approx(0.83, abs=0.05)

    def test_ads_of_an_advertiser_bid_alike(self):
        demand = build(SMALL.model_copy(update={"ads": 3000, "advertisers": 100}), 1, 1).demand
        log_bid = np.log(demand.bid)
        n = np.bincount(demand.advertiser)
        mean = np.bincount(demand.advertiser, weights=log_bid) / np.maximum(n, 1)
        within = ((log_bid - mean[demand.advertiser]) ** 2).sum() / (3000 - (n > 0).sum())
        assert within == pytest.approx(0.5 * SMALL.bid_sd**2, rel=0.1)

    def test_every_ad_has_an_owner_and_a_life(self, world):
        d = world.demand
        assert (d.bid > 0).all()
        assert (d.budget > 0).sum() >= np.unique(d.campaign).size
        assert d.campaign.max() < d.budget.size
        assert (d.end >= d.start + DAY).all()
        assert (world.demand.start > 0).mean() == pytest.approx(0.15, abs=0.08)
        for time in (0, DAY + 1, 3 * DAY - 1):
            expected = [s <= time < e for s, e in zip(d.start, d.end, strict=True)]
            assert eligible_at(d, time).tolist() == expected
        # One advertiser per campaign.
        pairs = np.unique(np.stack([d.campaign, d.advertiser]), axis=1)
        assert np.unique(pairs[0]).size == pairs.shape[1]


@pytest.mark.parametrize(
    "wrong",
    [{"users": 0}, {"ads": 1}, {"low_rank_share": 1.1}, {"missing": -0.1}, {"history_temperature": 0}, {"user": 3}],
)
def test_wrong_dials_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WorldConfig(**wrong)
