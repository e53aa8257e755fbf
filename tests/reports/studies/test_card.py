"""The world card: facts of the world beside those of real logs."""

from __future__ import annotations

import numpy as np
import pytest

from reports.studies.card import REAL, card, lines
from simulator.world import build
from tests.reports.studies.tiny import tiny

S = tiny("world.users=400", "world.ads=100", "traffic.requests_per_day=1500")


@pytest.fixture(scope="module")
def facts():
    return card(S, 2, 1)


def test_every_fact_is_measured(facts):
    assert list(facts) == list(REAL)
    for name, fact in facts.items():
        assert np.isfinite(fact["world"]), name
        assert (fact["real"] is None) == np.isnan(REAL[name][0])


def test_levels_are_the_world_s_own(facts):
    world = build(S.world, 2, S.all_days)
    assert facts["sd_user_logit"]["world"] == pytest.approx(world.truth.user_level.std())
    assert facts["bid_cv"]["world"] == pytest.approx(world.demand.bid.std() / world.demand.bid.mean())
    assert abs(facts["sd_user_logit"]["world"] - S.world.user_sd) < 0.1


def test_shares_are_shares(facts):
    for name in ("gini_user_activity", "gini_impressions_per_ad", "top_1_percent_ads", "click_rate", "bound_spend"):
        assert 0 <= facts[name]["world"] < 1, name
    assert 1 / 24 < facts["busiest_hour"]["world"] < 0.15
    assert facts["quietest_hour"]["world"] < 1 / 24
    assert facts["zipf_slope"]["world"] < 0


def test_same_seed_same_card(facts):
    assert card(S, 2, 1) == facts
    assert card(S, 3, 1) != facts


def test_lines(facts):
    text = lines(facts, S).splitlines()
    assert text[0].startswith("world card of 'quickstart'")
    assert len(text) == 3 + len(REAL)
    assert any(line.startswith("click_rate") and " n/a " in line for line in text)
