"""Segments of a log that is short enough to count by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reports.studies.market.segments import active, by_segment, exposure, membership
from simulator.records import DAY, Conversions, Impressions, Ledger, take
from simulator.world import build
from tests.reports.studies.tiny import tiny

SEAM, END = 2 * DAY, 6 * DAY


def log_of(user: list[int], ad: list[int], time: list[int], price: float = 2.0, clicked: Any = False) -> Impressions:
    n = len(user)
    click = np.broadcast_to(clicked, n)
    return Impressions(
        request=np.arange(n),
        user=np.array(user, dtype=np.int32),
        ad=np.array(ad, dtype=np.int32),
        slot=np.zeros(n, dtype=np.int8),
        time=np.array(time, dtype=np.int64),
        context=np.zeros((n, 2), dtype=np.int32),
        explored=np.zeros(n, dtype=bool),
        bid=np.full(n, 3.0),
        price=np.full(n, price),
        paid=np.where(click, price, 0.0),
        pctr=np.zeros(n, dtype=np.float32),
        logit=np.zeros(n, dtype=np.float32),
        hidden=np.zeros((n, 0), dtype=np.float16),
        ready_at=np.array(time, dtype=np.int64),
        label=click.copy(),
    )


def ledger_of(log: Impressions, value: float = 5.0) -> Ledger:
    """Every click rate 1/4, every slot examined one time in two."""
    n = len(log)
    return Ledger(
        true_ctr=np.full(n, 0.25, dtype=np.float32),
        examine_p=np.full(n, 0.5, dtype=np.float32),
        examined=np.ones(n, dtype=bool),
        click=log.label,
        value=np.full(n, value),
    )


def world_of(users: int, start: list[int], end: list[int] | None = None, rate: float = 0.1) -> Any:
    """What the segments read of a world: advertiser 0 owns ads 0 and 1, advertiser 1 the others."""
    ads = len(start)
    entities = SimpleNamespace(users=SimpleNamespace(rows=users), ads=SimpleNamespace(rows=ads))
    demand = SimpleNamespace(
        start=np.array(start),
        end=np.array(end or [100 * DAY] * ads),
        advertiser=np.minimum(np.arange(ads) // 2, 1),
        campaign=np.arange(ads) // 2,
    )
    truth = SimpleNamespace(conversion_rate=lambda users, ads: np.full(len(users), rate))
    return SimpleNamespace(catalog=entities, demand=demand, truth=truth)


@pytest.fixture
def burn() -> Impressions:
    """User 0 sees 10 ads, user 1 sees 9, user 2 sees 30, user 3 none; ad 0 is shown 40 times, ad 1 nine, the rest 0."""
    user = [0] * 10 + [1] * 9 + [2] * 30
    return log_of(user, [0] * 40 + [1] * 9, [0] * 49)


class TestMembership:
    def test_users_by_their_impressions_in_the_burn_in(self, burn):
        found = membership(burn, world_of(4, [0] * 12), SEAM).users
        assert found["cold_users"].tolist() == [False, True, False, True]
        assert found["returning_users"].tolist() == [True, False, True, False]
        # Of the users seen, 9, 10 and 30: the 90 % quantile is 26.
        assert found["heavy_users"].tolist() == [False, False, True, False]

    def test_ads_by_start_and_by_their_impressions_in_the_burn_in(self, burn):
        found = membership(burn, world_of(4, [0, 0, SEAM - 1, SEAM, SEAM + 1] + [0] * 7), SEAM).ads
        assert np.flatnonzero(found["new_ads"]).tolist() == [3, 4]
        # Twelve ads: position 9.9 of the sorted counts 0 (ten times), 9, 40 is 0.9 x 9.
        assert np.flatnonzero(found["head_ads"]).tolist() == [0, 1]
        assert (found["tail_ads"] == ~found["head_ads"]).all()

    def test_nobody_is_heavy_in_an_empty_burn_in(self, burn):
        assert not membership(take(burn, slice(0)), world_of(4, [0, 0]), SEAM).users["heavy_users"].any()


class TestBySegment:
    @pytest.fixture
    def found(self, burn) -> dict[str, dict[str, float]]:
        world = world_of(4, [0, 0, 0, SEAM] + [0] * 8)
        log = log_of([0, 1, 2, 2, 3], [0, 1, 2, 3, 3], [SEAM] * 5, clicked=[True, False, True, False, True])
        sold = Conversions(
            request=np.array([0, 4]),
            user=np.array([0, 3], dtype=np.int32),
            ad=np.array([0, 3], dtype=np.int32),
            click_at=np.array([SEAM, SEAM]),
            at=np.array([SEAM, END]),
            value=np.array([7.0, 11.0]),
        )
        return by_segment(membership(burn, world, SEAM), log, ledger_of(log), sold, world)

    @pytest.mark.parametrize(
        ("name", "members", "impressions", "clicks", "conversions", "value"),
        [
            ("cold_users", 2, 2, 1, 1, 11.0),
            ("returning_users", 2, 3, 2, 1, 7.0),
            ("heavy_users", 1, 2, 1, 0, 0.0),
            ("new_ads", 1, 2, 1, 1, 11.0),
            ("head_ads", 2, 2, 1, 1, 7.0),
            ("tail_ads", 10, 3, 2, 1, 11.0),
        ],
    )
    def test_sums(self, found, name, members, impressions, clicks, conversions, value):
        one = found[name]
        assert (one["members"], one["impressions"], one["clicks"]) == (members, impressions, clicks)
        assert (one["conversions"], one["conversion_value"]) == (conversions, value)
        assert one["revenue"] == 2.0 * clicks
        assert one["expected_clicks"] == pytest.approx(impressions / 8)
        assert one["expected_revenue"] == pytest.approx(impressions / 4)
        assert one["surplus"] == pytest.approx(impressions * 3 / 8)
        assert one["expected_conversions"] == pytest.approx(impressions / 80)

    def test_a_world_without_conversions_has_no_such_keys(self, burn):
        world, log = world_of(4, [0] * 12), log_of([0], [0], [SEAM])
        found = by_segment(membership(burn, world, SEAM), log, ledger_of(log), None, world)
        assert not [key for one in found.values() for key in one if "conversion" in key]


def test_an_active_advertiser_has_a_click_and_a_paying_one_paid():
    world = world_of(4, [0] * 6)
    log = log_of([0, 0, 0, 0], [0, 1, 2, 5], [0] * 4, clicked=[True, True, True, False])
    unpaid = log_of([0, 0, 0, 0], [0, 1, 2, 5], [0] * 4, clicked=[True, False, False, False])
    found = active(unpaid, ledger_of(log), world.demand)
    assert found == {"active_advertisers": 2, "active_campaigns": 2, "active_ads": 3, "paying_advertisers": 1}


class TestExposure:
    START = (0, 0, 0, SEAM, SEAM + 1, SEAM + DAY, SEAM + DAY + 1, SEAM)
    LATER = 100 * DAY
    STOP = (LATER, SEAM, SEAM + 1, LATER, LATER, LATER, LATER, SEAM + 2 * DAY)

    def found(self, *rows: tuple[int, int, bool]) -> dict[str, float]:
        """Rows of (ad, seconds since the seam, clicked)."""
        ad, time, click = zip(*rows, strict=True)
        log = log_of([0] * len(rows), list(ad), [SEAM + t for t in time], clicked=list(click))
        return exposure(log, ledger_of(log), world_of(1, list(self.START), list(self.STOP)).demand, SEAM, END)

    def test_ads_that_are_never_there_in_the_test_do_not_count(self):
        # Ad 1 ends at the seam; of the other seven one has all the impressions: (n - 1) / n.
        found = self.found((0, 0, False), (0, 1, False))
        assert found["eligible_ads"] == 7
        assert found["gini"] == pytest.approx(6 / 7)

    def test_equal_exposure_has_a_gini_of_0(self):
        assert self.found(*((ad, 0, False) for ad in (0, 2, 3, 4, 5, 6, 7)))["gini"] == pytest.approx(0)

    def test_survival_counts_only_new_ads_whose_first_three_days_are_in_the_test(self):
        # Of ads 3 to 7, ad 6 starts too late and ad 7 ends too soon.
        found = self.found((3, 0, True), (4, 3 * DAY, True), (4, 3 * DAY + 1, True), (5, DAY, False), (7, 0, True))
        assert found["new_ads_matured"] == 3
        assert found["new_ads_survived"] == 2, "ad 3 at once, ad 4 one second before its three days are over"
        assert found["new_ad_survival"] == pytest.approx(2 / 3)

    def test_a_click_after_three_days_comes_too_late(self):
        assert self.found((3, 3 * DAY, True))["new_ads_survived"] == 0

    def test_without_a_matured_ad_there_is_no_share(self):
        log = log_of([0], [0], [SEAM])
        found = exposure(log, ledger_of(log), world_of(1, [0, SEAM + 2 * DAY]).demand, SEAM, END)
        assert found["new_ads_matured"] == 0
        assert np.isnan(found["new_ad_survival"])


def test_the_true_conversion_rate_is_none_where_conversions_are_off_and_none_of_a_bot_s():
    off = build(tiny().world, 3, 2).truth
    assert (off.conversion_rate(np.array([0, 1], dtype=np.int32), np.array([0, 1], dtype=np.int32)) == 0).all()
    on = build(tiny("world.conversion_rate=0.2", "world.bots=0.3").world, 3, 2).truth
    users = np.arange(100, dtype=np.int32)
    rate = on.conversion_rate(users, np.zeros(100, dtype=np.int32))
    assert on.bot is not None
    assert (rate[on.bot] == 0).all()
    assert (rate[~on.bot] > 0).all()
    assert 0.1 < np.median(rate[~on.bot]) < 0.4
