"""The world card: facts of the world beside those of real logs, the fit of constants to it, its picture."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from reports.pages.card.figures import draw
from reports.studies.card import calibrate
from reports.studies.card.real_facts import (
    PUBLISHED,
    TOP_SHARE,
    count_facts,
    data_folder,
    logit_sd,
    recomputed,
    time_facts,
)
from reports.studies.card.study import FACTS, card, lines, survey
from simulator.world import build
from tests.reports.studies.tiny import tiny

S = tiny("world.users=400", "world.ads=100", "traffic.requests_per_day=1500")


@pytest.fixture(scope="module")
def whole():
    return survey(S, 2, 1)


@pytest.fixture(scope="module")
def facts(whole):
    return whole["facts"]


def test_every_fact_is_measured(facts):
    assert list(facts) == list(FACTS)
    for name, fact in facts.items():
        assert np.isfinite(fact["world"]), name
        assert (fact["real"] is None) == (not FACTS[name].real)
        assert fact["target"] == (fact["tolerance"] is not None) == (fact["met"] is not None)
        if fact["target"]:
            assert fact["met"] == (abs(fact["world"] - fact["real"]) <= fact["tolerance"])


@pytest.mark.parametrize(
    "sets", [("world.base_logit=-15",), ("world.users=2", "traffic.requests_per_day=1"), ("auction.reserve=2",)]
)
@pytest.mark.filterwarnings("error")
def test_what_a_short_or_empty_log_cannot_tell_is_absent(sets, tmp_path):
    s = tiny("world.users=40", "world.ads=60", "traffic.requests_per_day=100", *sets)
    found = survey(s, 2, 1)
    told = json.dumps(found, allow_nan=False)
    assert "null" in told
    shown = lines(found["facts"], s)
    assert "n/a" in shown
    assert "nan" not in shown
    draw(found, tmp_path)


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
    assert len(text) == 3 + len(FACTS)
    assert any(line.startswith("click_rate") and " n/a " in line for line in text)
    assert sum(" met " in line or " MISSED " in line for line in text) == sum(f["target"] for f in facts.values())


def test_the_picture_is_drawn_twice_alike(whole, tmp_path):
    json.dumps(whole)
    first, second = ([p.read_bytes() for p in draw(whole, tmp_path / name)] for name in ("a", "b"))
    assert first == second
    assert b"this world" in first[0]
    assert all(len(content) > 5000 for content in first)


class TestFactsByHand:
    def test_counts(self):
        users, ads = np.array([0.0, 1, 1, 2]), np.array([8.0, 4, 2, 1, 0, 0])
        found = count_facts(users, ads)
        assert found["user_median"] == 1
        assert found["gini_impressions_per_ad"] == pytest.approx(count_facts(users, ads[:4])["gini_impressions_per_ad"])

    @pytest.mark.parametrize("slope", [-0.3, -1.2])
    def test_a_power_law_has_its_slope(self, slope):
        counts = 1e6 * np.arange(1, 1001.0) ** slope
        assert count_facts(np.ones(3), counts)["zipf_slope"] == pytest.approx(slope)
        steep = np.where(np.arange(1000) < TOP_SHARE * 1000, counts, 1.0)
        assert count_facts(np.ones(3), steep)["zipf_slope"] == pytest.approx(slope), "only the top counts"

    def test_times(self):
        user, ad = np.array([0, 1, 0, 0, 1]), np.array([3, 3, 3, 4, 5])
        time = np.array([0, 10, 100, 3700, 40])
        found = time_facts(user, ad, time)
        assert found["repeat_share"] == pytest.approx(1 / 5)
        assert found["gap_median"] == 100
        assert found["busiest_hour"] == pytest.approx(4 / 5)

    def test_the_spread_of_true_rates_is_told_from_chance(self):
        rng = np.random.default_rng(0)
        unit = np.repeat(np.arange(2000), 40)
        for sd in (0.0, 0.7):
            p = 1 / (1 + np.exp(-sd * rng.normal(size=2000)))
            found = logit_sd(unit, rng.random(unit.size) < p[unit])
            assert found == pytest.approx(sd, abs=0.12)


@pytest.mark.skipif(data_folder() is None, reason="the real logs are not at hand (set CS3BENCH_DATA)")
def test_the_published_facts_are_the_logs():
    found, curves, there = recomputed(data_folder())
    assert len(there) == 2
    assert set(found) == set(PUBLISHED)
    for name, value in found.items():
        assert value == pytest.approx(PUBLISHED[name], rel=0.01), name
    assert curves.hours.sum() == pytest.approx(1)
    assert curves.rank.size == 6361


class TestCalibration:
    def test_the_search_finds_what_a_grid_finds(self):
        """A misfit with a known least point, within the step that is left."""
        dials = [calibrate.Dial("a.x", 0.1, 10), calibrate.Dial("a.n", 1, 500, whole=True)]

        def evaluate(values):
            far = np.log(values["a.x"] / 3) ** 2 + np.log(values["a.n"] / 80) ** 2
            return calibrate.Fit(values=dict(values), misfit=float(far), facts={})

        fits = list(calibrate.search(evaluate, {"a.x": 0.5, "a.n": 200}, dials, rounds=12))
        assert [f.misfit for f in fits] == sorted((f.misfit for f in fits), reverse=True)
        assert fits[-1].misfit < 0.03
        assert isinstance(fits[-1].values["a.n"], int)

    def test_a_dial_stays_in_its_range(self):
        dial = calibrate.Dial("a.x", 0.5, 1.0)
        seen = []

        def evaluate(values):
            seen.append(values["a.x"])
            return calibrate.Fit(values=dict(values), misfit=-values["a.x"], facts={})

        assert list(calibrate.search(evaluate, {"a.x": 0.9}, [dial], rounds=3))[-1].values["a.x"] == 1.0
        assert 0.5 <= min(seen) <= max(seen) <= 1.0

    def test_the_misfit_is_zero_at_the_real_values(self):
        real = {name: value for name, (value, _) in calibrate.targets().items()}
        assert calibrate.misfit(real) == 0
        assert calibrate.misfit(real | {"zipf_slope": real["zipf_slope"] + 0.3}) == pytest.approx(4.0)

    def test_the_command_measures_and_refuses(self):
        ran = CliRunner().invoke(calibrate.main, ["null_dot", "--small", "--rounds", "0", "--days", "1"])
        assert ran.exit_code == 0, ran.output
        assert ran.output.startswith("misfit ")
        assert "gini_impressions_per_ad" in ran.output
        wrong = CliRunner().invoke(calibrate.main, ["null_dot", "--dial", "world.user"])
        assert wrong.exit_code == 1
        assert "must be one of" in wrong.output


def test_days_beyond_memory_are_refused_before_the_world_is_made():
    with pytest.raises(ValueError, match=r"^days == 100000000, world\.users == \d+, must be lower: at least"):
        survey(S, 1, 10**8)
