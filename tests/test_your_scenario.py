"""The scenario of docs/your-scenario.md, as written, is one that loads, is feasible, and lives a day."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.marketplace import Marketplace
from simulator.ranking import OracleRanker
from simulator.retrieval import PopularityRetriever
from simulator.scenario import load
from simulator.world import build

PAGE = Path(__file__).parents[1] / "docs" / "your-scenario.md"


@pytest.fixture
def news(tmp_path: Path) -> str:
    text = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    path = tmp_path / "news.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_it_loads_in_both_forms(news: str) -> None:
    whole, small = load(news), load(news, small=True)
    assert (whole.name, whole.world.ads, small.world.ads) == ("news", 400, 120)
    assert whole.auction.pricing == small.auction.pricing == "first"
    assert small.run.worlds == 2


def test_it_lives_and_budgets_bind(news: str) -> None:
    scenario = load(news, small=True, sets=["traffic.requests_per_day=3000", "world.base_logit=-2"])
    world = build(scenario.world, 1, 1)
    market = Marketplace(
        world,
        scenario.market,
        PopularityRetriever(world.catalog, 1),
        OracleRanker(lambda r, a: world.truth.pairs(r.user, a, r.time)),
    )
    day = market.run_day(0)
    assert 0 < len(day.log) <= 2 * 3000
    assert (day.log.price == day.log.bid).all()
    assert day.bound_spend > 0
