"""What a worker computes: nothing learned before its time, and better retrieval earns more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.studies.arms import make_ranker, make_retriever, parse
from reports.studies.market.cells import BURN_IN, Task, compute, tiny_copy
from reports.studies.market.learned import publications, staleness
from reports.studies.market.stage import backfill
from simulator.current_truth import CurrentTruth
from simulator.experiment import Cell, RunDirectory, read_json
from simulator.feasible import check_worlds
from simulator.marketplace import CascadeConfig, Marketplace, learn_from_log
from simulator.ranking import OracleRanker, TableRanker
from simulator.records import DAY, Requests, concatenate
from simulator.retrieval import OracleRetriever, PopularityRetriever, RandomRetriever
from simulator.scenario import load, names
from simulator.world import build
from tests.reports.studies.tiny import PlainRanker, tiny

CLOCK = CascadeConfig(candidates=8, tick=3600, sync=7200)
ARMS = ["popularity", "dssm-bare", "dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cs3"]


@pytest.fixture(scope="module")
def burn_in():
    """A world and a day's log, made by popularity and a trained ranker, so that it has hidden vectors."""
    s = tiny("cascade.tick=3600")
    world = build(s.world, 3, 3)
    logger = PopularityRetriever(world.catalog, 3, temperature=1.0)
    market = Marketplace(world, s.market, logger, make_ranker(parse("dssm"), world.catalog, 3, {}))
    return world, market.run_day(0).log


class TestLeak:
    """One flipped label is felt by no score before it was ready, learned and published; then it is."""

    @pytest.mark.parametrize("name", [*ARMS, "@dnn"])
    def test_a_label_is_unknown_until_it_is_published(self, burn_in, name):
        world, log = burn_in
        row = int(np.searchsorted(log.time, DAY // 3))
        label = log.label.copy()
        label[row] = ~label[row]
        published = -(-int(log.ready_at[row]) // CLOCK.sync) * CLOCK.sync
        probe = self.probe(world, int(log.user[row]))
        honest, flipped = (
            self.scores(name, world, part, probe)
            for part in (replace(log, label=log.label.copy()), replace(log, label=label))
        )
        assert len(honest) == 24
        assert 8 * 3600 < published < DAY
        for tick, (a, b) in enumerate(zip(honest, flipped, strict=True)):
            now = (tick + 1) * CLOCK.tick
            if now < published:
                assert np.array_equal(a, b), now
            elif now == published:
                assert not np.array_equal(a, b)
        assert not np.array_equal(honest[0], honest[-1]), "it must have learned something"

    def probe(self, world, user: int) -> Requests:
        """The row's user among others, late in the day."""
        users = np.unique([user, 1, 2, 3]).astype(np.int32)
        n = users.size
        return Requests(
            id=np.arange(n),
            user=users,
            time=np.full(n, DAY - 1),
            context=np.zeros((n, 2), dtype=np.int32),
            arm=np.zeros(n, dtype=np.int8),
        )

    def scores(self, name, world, log, probe) -> list[np.ndarray]:
        """All scores of the probe after each tick of a replay."""
        ads = np.tile(np.arange(world.catalog.ads.rows, dtype=np.int32), (len(probe), 1))
        if name.startswith("@"):
            learner = make_ranker(parse(f"dssm{name}"), world.catalog, 3, {})

            def read() -> np.ndarray:
                ranked = learner.rank(probe, ads)
                return np.concatenate([ranked.pctr[..., None], ranked.hidden], axis=2)

        else:
            learner = make_retriever(parse(name), world.catalog, 3, {}, {})

            def read() -> np.ndarray:
                return np.array(learner.score(probe, ads))

        seen: list[np.ndarray] = []
        learn_from_log(log, learner, CLOCK, 0, lambda _: seen.append(read()))
        return seen


class TestBackfill:
    def test_each_row_is_scored_before_it_is_learned(self, burn_in):
        world, log = burn_in
        s = tiny("cascade.tick=5000", "cascade.sync=10000")
        ranker = PlainRanker(world.catalog, 3)
        filled = backfill(log, ranker, s)
        scored, learned, now = 0, 0, -1
        for verb, what in ranker.calls:
            if verb == "rank":
                assert np.array_equal(what, log.request[scored : scored + what.size])
                scored += what.size
                now = int(log.time[scored - 1])
            elif verb == "update":
                assert np.array_equal(what.request, log.request[learned : learned + len(what)])
                learned += len(what)
                assert learned <= scored
                assert what.ready_at.max() < (now // 5000 + 1) * 5000 + 5000
        assert scored == len(log)
        assert learned == (log.ready_at <= DAY).sum() < len(log)
        assert filled.hidden.shape == (len(log), 3)
        assert np.array_equal(filled.hidden[:, 0], log.ad.astype(np.float16))
        assert (filled.pctr == np.float32(world.catalog.base_ctr)).all()
        for name in ("ad", "label", "logit", "ready_at"):
            assert getattr(filled, name) is getattr(log, name)

    def test_it_is_the_live_ranker_s_own_log(self):
        """Backfilling with the ranker that served gives what it had logged."""
        s = tiny()
        world = build(s.world, 4, 2)

        def fresh():
            return make_ranker(parse("dssm"), world.catalog, 4, {})

        log = Marketplace(world, s.market, PopularityRetriever(world.catalog, 4), fresh()).run_day(0).log
        filled = backfill(replace(log, pctr=np.zeros_like(log.pctr), hidden=log.hidden[:, :0]), fresh(), s)
        np.testing.assert_allclose(filled.pctr, log.pctr, rtol=1e-5)
        np.testing.assert_allclose(filled.hidden.astype(float), log.hidden.astype(float), atol=2e-3)


def test_in_a_live_market_knowing_more_earns_more():
    """The oracle earns more than trained towers, these more than popularity, and it more than chance."""
    s = tiny(
        "world.users=60",
        "world.ads=60",
        "world.interaction_sd=2.5",
        "world.low_rank_share=1.0",
        "world.drift_half_life=0",
        "world.base_logit=-1.5",
        "world.bid_sd=0.3",
        "world.budget_clicks=1e9",
        "traffic.requests_per_day=4000",
        "feedback.fatigue=0",
        "cascade.candidates=6",
        "cascade.tick=3600",
        "auction.slots=3",
    )
    revenue = dict.fromkeys(["oracle", "dssm", "popularity", "random"], 0.0)
    for seed in (11, 12):
        world = build(s.world, seed, 4)
        for name in revenue:
            truth = CurrentTruth(world, s.market.feedback)
            retriever = (
                OracleRetriever(truth.everything)
                if name == "oracle"
                else make_retriever(parse(name), world.catalog, seed, {}, {})
            )
            market = Marketplace(world, s.market, retriever, OracleRanker(truth.pairs), truth=truth)
            days = [market.run_day(day) for day in range(3)]
            revenue[name] += concatenate([d.log for d in days[1:]]).paid.sum()
    assert revenue["oracle"] > revenue["dssm"] > revenue["popularity"] > revenue["random"] > 0


@pytest.mark.parametrize(
    "sets",
    [
        ["world.ads=3", "cascade.candidates=3", "auction.slots=2"],
        # Among the first hundred ads no bid reaches this reserve; among all of them one does.
        ["world.ads=2000", "auction.reserve=9"],
    ],
)
def test_a_tiny_copy_is_cut_no_further_than_it_can_sell(sets):
    s = load("quickstart", sets=sets)
    copy = tiny_copy(s)
    assert copy.cascade.candidates >= 1
    check_worlds(copy, [s.run.seed])
    assert tiny_copy(load("quickstart")).world.ads == 100


@pytest.mark.parametrize("name", names())
def test_the_tiny_copy_of_every_scenario_can_run(name):
    for small in (False, True):
        s = tiny_copy(load(name, small=small))
        assert s.auction.slots <= s.cascade.candidates <= s.world.ads <= 100
        assert (s.run.burn_in, s.run.days) == (1, 1)


@pytest.mark.parametrize("arm", ["dssm", "dssm+cs3", "dssm+kd+cit", "dssm-bare+cms@bst"])
def test_labels_may_be_later_than_a_model_remembers_by_default(arm, tmp_path):
    """A day of waiting: what a model knew when it served a row is asked for a day later."""
    s = tiny("feedback.label_wait=86400", "cascade.tick=3600", "cascade.sync=3600", "run.burn_in=2")
    assert s.oldest_row == DAY + 2 * 3600
    run = RunDirectory(tmp_path, {"identity": {}})
    for cell in (Cell(world=1, name=BURN_IN), Cell(world=1, name=arm, days=1)):
        compute(Task(cell=cell, scenario=s, root=str(tmp_path), identity={}, index=0, full=False), 2)
    assert sum(day["revenue"] for day in read_json(run.cell(cell) / "cell.json")["days"]) > 0


def test_a_log_without_a_row_has_no_staleness_and_is_filled_with_nothing():
    s = tiny("auction.reserve=2", "world.base_logit=-14")
    world = build(s.world, 1, s.all_days)
    rate = np.full(world.catalog.ads.rows, 1e-6, dtype=np.float32)
    market = Marketplace(world, s.market, RandomRetriever(world.catalog, 1), TableRanker(rate))
    log = market.run_day(0).log
    assert len(log) == 0
    assert np.isnan(list(staleness(log, log, s.cascade).values())).all()
    assert len(backfill(log, TableRanker(rate), s)) == 0


def test_a_tick_that_divides_no_day_publishes_at_the_first_end_past_each_sync():
    clock = CascadeConfig(candidates=8, tick=7000, sync=14_000)
    found = publications(clock, 3 * DAY)
    ends = [min(day * DAY + tick, (day + 1) * DAY) for day in range(3) for tick in range(7000, DAY + 7000, 7000)]
    last, expected = 0, []
    for end in ends:
        if end // 14_000 > last // 14_000:
            expected.append(end)
        last = end
    assert found.tolist() == expected
    assert np.diff(found).max() <= clock.sync + clock.tick
