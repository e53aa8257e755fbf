"""The contract check: every registered plug-in keeps it, and each way of breaking it is caught by the right clause."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from time import time
from typing import Any

import numpy as np
import pytest

from reports.studies.arms import make_retriever, parse, takes_extras
from reports.studies.contract import told
from simulator.log import LabelQueue
from simulator.marketplace import Marketplace
from simulator.plugins import RANKERS, RETRIEVERS, make, registered
from simulator.records import PAD, Candidates, Ranked
from simulator.retrieval import PopularityRetriever
from simulator.testing import Check, check_ranker, check_retriever
from tests.contract import cheats

BOTH = ["inputs", "determinism", "no peeking", "publication", "isolation", "snapshot", "knowledge"]
ARMS = [*sorted(registered(RETRIEVERS)), "dssm+cs3"]


def faults(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.detail for check in checks if not check.passed}


class TestTheRegisteredOnes:
    @pytest.mark.parametrize("name", ARMS)
    def test_retrievers_keep_the_contract(self, name):
        spelling = parse(name)
        checks = check_retriever(lambda catalog, seed: make_retriever(spelling, catalog, seed, {}, {}), name=name)
        assert faults(checks) == {}
        names = [check.name for check in checks]
        first = ["verbs", "shapes", "legality", "pads", "full", "few eligible", "none eligible", "scores"]
        assert names == first + BOTH
        said = {check.name: check.detail for check in checks if check.detail}
        learned = takes_extras(make(spelling.backbone, RETRIEVERS))
        assert ("snapshot" in said) != learned
        assert ("scores" in said) == (name == "random")

    @pytest.mark.parametrize("name", sorted(registered(RANKERS)))
    def test_rankers_keep_the_contract(self, name):
        checks = check_ranker(make(name, RANKERS))
        assert faults(checks) == {}
        assert [check.name for check in checks] == ["verbs", "shapes", "probabilities", "pads", *BOTH]
        assert not any(check.detail for check in checks)

    def test_one_seed_is_handed_on_and_it_is_not_the_worlds(self):
        seeds = []

        def factory(catalog, seed):
            seeds.append(seed)
            return PopularityRetriever(catalog, seed)

        assert faults(check_retriever(factory, seed=3)) == {}
        assert len(set(seeds)) == 1
        assert set(seeds) != {3}


def waiting_labels() -> np.ndarray:
    """What a thief of labels finds on the way up the stack: all rows that wait in the market's queue."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        queue = getattr(frame.f_locals.get("self"), "queue", None)
        if isinstance(queue, LabelQueue) and queue._waiting:
            return np.concatenate([rows.label for rows in queue._waiting])
        frame = frame.f_back
    return np.zeros(0, dtype=bool)


class NaNScores(PopularityRetriever):
    def score(self, requests, ads):
        return np.where(ads % 7 == 0, np.nan, super().score(requests, ads)).astype(np.float32)


class NoOpinionAtFirst(PopularityRetriever):
    learned = False

    def score(self, requests, ads):
        return super().score(requests, ads) if self.learned else np.full(ads.shape, np.nan, dtype=np.float32)

    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        return found if self.learned else replace(found, logit=np.full(found.ad.shape, np.nan, dtype=np.float32))

    def sync(self, now):
        super().sync(now)
        self.learned = True


class OtherLogits(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        return replace(found, logit=found.logit + np.float32(0.1))


class ServesAnyAd(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        return super().retrieve(requests, replace(offers, eligible=np.ones_like(offers.eligible)), k)


class ServesTwice(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        ad = found.ad.copy()
        ad[:, 1:2] = ad[:, :1]
        return replace(found, ad=ad)


class FiltersAfterSearch(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, replace(offers, eligible=np.ones_like(offers.eligible)), k)
        legal = offers.eligible[found.ad]
        order = np.argsort(~legal, axis=1, kind="stable")
        ad = np.take_along_axis(np.where(legal, found.ad, np.int32(PAD)), order, axis=1)
        return replace(found, ad=ad, logit=np.take_along_axis(found.logit, order, axis=1))


class PadsFirst(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        return replace(found, ad=found.ad[:, ::-1], logit=found.logit[:, ::-1])


class NeedsAnAd(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        offers.bid[offers.eligible].max()
        return super().retrieve(requests, offers, k)


class FlatScores(PopularityRetriever):
    def score(self, requests, ads):
        return super().score(requests, ads).reshape(-1)


class WideIds(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        return replace(found, ad=found.ad.astype(np.int64))


class Lists(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        return Candidates(ad=found.ad.tolist(), logit=found.logit, explored=found.explored)


class TooMany(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        return super().retrieve(requests, offers, k + 1)


class Unsynced(PopularityRetriever):
    def update(self, impressions):
        super().update(impressions)
        super().sync(0)


class Thief(PopularityRetriever):
    stolen = 0.0

    def sync(self, now):
        super().sync(now)
        labels = waiting_labels()
        self.stolen = float(labels.mean()) if labels.size else 0.0

    def score(self, requests, ads):
        return super().score(requests, ads) + np.float32(self.stolen)

    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        return replace(found, logit=found.logit + np.float32(self.stolen))


class WritesBids(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        offers.bid[:] = 1.0
        return super().retrieve(requests, offers, k)


class WritesLabels(PopularityRetriever):
    def update(self, impressions):
        impressions.label[:] = True
        super().update(impressions)


class Restless(PopularityRetriever):
    def score(self, requests, ads):
        return super().score(requests, ads) + np.random.default_rng().normal(0, 1e-6, ads.shape).astype(np.float32)


class UnseededStart(PopularityRetriever):
    def __init__(self, catalog, seed):
        super().__init__(catalog, seed)
        self._clicks = self._clicks * np.random.default_rng().uniform(0.9, 1.1, self._clicks.size)


class Shared(PopularityRetriever):
    counts: np.ndarray | None = None

    def __init__(self, catalog, seed):
        super().__init__(catalog, seed)
        Shared.counts = np.zeros_like(self._clicks) if Shared.counts is None else Shared.counts

    def update(self, impressions):
        Shared.counts += np.bincount(impressions.ad, weights=impressions.label, minlength=Shared.counts.size)

    def sync(self, now):
        self._clicks = self._clicks * 0 + 1 + Shared.counts * 1e-3
        super().sync(now)


class Snapshots(PopularityRetriever):
    def snapshot(self):
        return {"clicks": self._clicks.copy(), "shown": self._shown.copy(), "served": self._log_odds}

    def restore(self, state):
        self._clicks, self._shown = state["clicks"].copy(), state["shown"].copy()
        self._log_odds = state["served"]


class SnapshotByReference(Snapshots):
    def snapshot(self):
        return {"clicks": self._clicks, "shown": self._shown, "served": self._log_odds}


class SnapshotOfNothingServed(Snapshots):
    def restore(self, state):
        self._clicks, self._shown = state["clicks"].copy(), state["shown"].copy()


class HalfASnapshot(PopularityRetriever):
    def snapshot(self):
        return {}


class SnapshotForNoFile(Snapshots):
    def snapshot(self):
        return super().snapshot() | {"rule": lambda x: x}


class Nothing(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        return None


class OneShort(PopularityRetriever):
    def retrieve(self, requests, offers, k):
        few = k == 10 and offers.eligible.sum() > 10
        return super().retrieve(requests, offers, k - 1 if few else k)


class WritesCatalog(PopularityRetriever):
    def __init__(self, catalog, seed):
        super().__init__(catalog, seed)
        catalog.price[:] = 0


class WritesCodes(PopularityRetriever):
    def __init__(self, catalog, seed):
        super().__init__(catalog, seed)
        catalog.users.codes["device"][:] = 0


def tilted(model, by):
    model._clicks = model._clicks * (1 + np.arange(model._clicks.size) * (by % 1000) / 1e6)


class ByTheClock(PopularityRetriever):
    def __init__(self, catalog, seed):
        super().__init__(catalog, seed)
        tilted(self, time() // 60)


class ByTheDate(PopularityRetriever):
    def __init__(self, catalog, seed):
        super().__init__(catalog, seed)
        tilted(self, datetime.now().toordinal())


class ByGlobalState(PopularityRetriever):
    def __init__(self, catalog, seed):
        super().__init__(catalog, seed)
        tilted(self, int(np.random.get_state()[1][0]) + 1)  # noqa: NPY002


class Quits(PopularityRetriever):
    def score(self, requests, ads):
        if len(requests) > 1 and ads.shape[1] > 1:
            sys.exit(3)
        return super().score(requests, ads)


class KeepsTheMarket(PopularityRetriever):
    kept: Any = None

    def update(self, impressions):
        super().update(impressions)
        frame: Any = sys._getframe(1)
        while frame is not None and not isinstance(frame.f_locals.get("self"), Marketplace):
            frame = frame.f_back
        self.kept = frame and {"here": [frame.f_locals["self"]]}


def caught(checks: list[Check], broken: type, root: str, others: set[str] | None, said: str) -> None:
    """The first fault is ``root`` and says so; the others are exactly ``others`` (None: whatever follows from it)."""
    found = faults(checks)
    assert next(iter(found)) == root
    assert said in found[root]
    assert others is None or set(found) == {root} | others
    for detail in found.values():
        assert detail.startswith(f"{broken.__name__} at time ")
        assert "\n" not in detail


def by_name(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else ""


STOPPED = {"determinism", "no peeking", "knowledge"}
"""The market refuses to go on with the plug-in: what needs a day of it fails too."""


@pytest.mark.parametrize(
    ("broken", "root", "others", "said"),
    [
        (NaNScores, "scores", set(), "score has 144 of 960 values not finite"),
        (NoOpinionAtFirst, "scores", set(), "must be all finite or always NaN"),
        (OtherLogits, "scores", set(), "differ by up to 0.1"),
        (
            ServesAnyAd,
            "legality",
            {"pads", "full", "few eligible", "none eligible", "scores"} | STOPPED,
            "must be eligible",
        ),
        (ServesTwice, "legality", {"pads", "full", "few eligible", "scores"} | STOPPED, "must be once"),
        (FiltersAfterSearch, "full", {"few eligible"}, "when K == 10 and 30 may compete"),
        (
            OneShort,
            "full",
            set(),
            "has 9 ads in the worst of 16 requests, must have 10 when K == 10 and 60 may compete",
        ),
        (WritesCatalog, "inputs", None, "it changed catalog.price, must leave what it is handed as it is"),
        (WritesCodes, "inputs", None, "it changed catalog.users.codes['device'], must leave"),
        (ByTheClock, "determinism", {"no peeking"}, "two runs with one seed differ, where the wall clock is another,"),
        (ByTheDate, "determinism", {"no peeking"}, "two runs with one seed differ, where the wall clock is another,"),
        (ByGlobalState, "determinism", {"no peeking"}, "differ, where global random states are another,"),
        (Quits, "shapes", None, "score raised SystemExit: 3 (test_contract.py:"),
        (cheats.Rebuilds, "knowledge", set(), "it builds a world (cheats.py:"),
        (cheats.Collects, "knowledge", set(), "it holds a Truth of the market's"),
        (cheats.Climbs, "knowledge", set(), "it holds a Truth of the market's"),
        (cheats.ClimbsLate, "knowledge", None, "it holds a Truth of the market's"),
        (cheats.Copies, "knowledge", set(), "before it learned, it finds "),
        (KeepsTheMarket, "knowledge", set(), "it holds a Marketplace of the market's"),
        (PadsFirst, "pads", set(), "must have its pads last"),
        (NeedsAnAd, "none eligible", set(), "ValueError: zero-size array"),
        (FlatScores, "shapes", None, "score is float32 [960], must be float32 [16, 60]"),
        (WideIds, "shapes", None, "candidates.ad is int64 [16, 10], must be int32 [16, any]"),
        (Lists, "shapes", None, "candidates.ad is a list, must be a numpy array"),
        (TooMany, "shapes", None, "must be [16, <= 10]"),
        (Thief, "no peeking", set(), "depends on labels that may be seen from the sync at 57600 on"),
        (Unsynced, "no peeking", {"publication"}, "what it serves after update depends on labels"),
        (Restless, "determinism", {"no peeking", "publication", "isolation"}, "asked twice"),
        (UnseededStart, "determinism", {"no peeking"}, "two runs with one seed differ"),
        (Shared, "determinism", {"no peeking", "isolation"}, "two runs with one seed differ"),
        (Nothing, "shapes", None, "retrieve returned a NoneType without 'ad', must be like Candidates"),
        (WritesBids, "inputs", set(), "it changed offers.bid, must leave what it is handed as it is"),
        (WritesLabels, "inputs", None, "it changed impressions.label"),
        (HalfASnapshot, "snapshot", set(), "has snapshot only, must have both snapshot and restore or none"),
        (SnapshotForNoFile, "snapshot", set(), "keeping its snapshot in a file raised AttributeError: Can't pickle"),
        (SnapshotByReference, "snapshot", set(), "after restore it learns otherwise"),
        (SnapshotOfNothingServed, "snapshot", set(), "does not serve what was served"),
    ],
    ids=by_name,
)
def test_a_broken_retriever_is_caught_by_the_right_clause(broken, root, others, said):
    caught(check_retriever(broken), broken, root, others, said)


class Rates:
    """A ranker of smoothed click rates by ad, published at sync."""

    def __init__(self, catalog, seed):
        A = catalog.ads.rows
        self.clicks, self.shown = np.full(A, 20 * catalog.base_ctr), np.full(A, 20.0)
        self.rate = self.clicks / self.shown

    def rank(self, requests, ads):
        pctr = np.where(ads == PAD, 0, self.rate[ads]).astype(np.float32)
        return Ranked(pctr=pctr, hidden=np.repeat(pctr[..., None], 4, axis=2))

    def update(self, impressions):
        self.shown = self.shown + np.bincount(impressions.ad, minlength=self.shown.size)
        self.clicks = self.clicks + np.bincount(impressions.ad, impressions.label, minlength=self.shown.size)

    def sync(self, now):
        self.rate = self.clicks / self.shown


class TooSure(Rates):
    def rank(self, requests, ads):
        ranked = super().rank(requests, ads)
        return replace(ranked, pctr=ranked.pctr * 40)


class Undefined(Rates):
    def rank(self, requests, ads):
        ranked = super().rank(requests, ads)
        return replace(ranked, pctr=np.where(ads == 5, np.nan, ranked.pctr).astype(np.float32))


class Huge(Rates):
    def rank(self, requests, ads):
        ranked = super().rank(requests, ads)
        return replace(ranked, hidden=ranked.hidden + np.float32(1e5))


class WritesContext(Rates):
    def rank(self, requests, ads):
        ranked = super().rank(requests, ads)
        requests.context[:] = 0
        return ranked


class PricedPads(Rates):
    def rank(self, requests, ads):
        return replace(super().rank(requests, ads), pctr=self.rate[ads].astype(np.float32))


class FlatHidden(Rates):
    def rank(self, requests, ads):
        ranked = super().rank(requests, ads)
        return replace(ranked, hidden=ranked.hidden[..., 0])


class UnsyncedRates(Rates):
    def update(self, impressions):
        super().update(impressions)
        super().sync(0)


class ThievingRates(Rates):
    def sync(self, now):
        super().sync(now)
        labels = waiting_labels()
        self.rate = self.rate * (0.5 + 0.5 * labels.mean() if labels.size else 1.0)


class SharedRates(Rates):
    pool: np.ndarray | None = None

    def update(self, impressions):
        clicks = np.bincount(impressions.ad, impressions.label, minlength=self.shown.size)
        SharedRates.pool = clicks if SharedRates.pool is None else SharedRates.pool + clicks

    def sync(self, now):
        self.rate = (1 + (0 if SharedRates.pool is None else SharedRates.pool)) / 1e4 + np.zeros_like(self.shown)


@pytest.mark.parametrize(
    ("broken", "root", "others", "said"),
    [
        (TooSure, "probabilities", STOPPED, "must be in [0, 1]"),
        (Undefined, "probabilities", {"pads"} | STOPPED, "ranked.pctr == nan"),
        (Huge, "probabilities", set(), "must be finite in half precision"),
        (WritesContext, "inputs", None, "it changed requests.context"),
        (PricedPads, "pads", set(), "at a pad, must be 0"),
        (FlatHidden, "shapes", None, "must be float32 [16, 60, any]"),
        (UnsyncedRates, "no peeking", {"publication"}, "what it serves after update depends on labels"),
        (ThievingRates, "no peeking", set(), "depends on labels that may be seen from the sync at 57600 on"),
        (SharedRates, "determinism", {"no peeking", "isolation"}, "two runs with one seed differ"),
        (cheats.RanksByTruth, "knowledge", set(), "it holds a Truth of the market's"),
    ],
    ids=by_name,
)
def test_a_broken_ranker_is_caught_by_the_right_clause(broken, root, others, said):
    caught(check_ranker(broken), broken, root, others, said)


def test_shared_state_is_named_as_such():
    for broken, check in ((Shared, check_retriever), (SharedRates, check_ranker)):
        broken.counts = broken.pool = None
        assert "another instance" in faults(check(broken))["isolation"]


def test_the_models_that_the_broken_ones_are_made_of_keep_the_contract():
    for factory, check in ((PopularityRetriever, check_retriever), (Snapshots, check_retriever), (Rates, check_ranker)):
        assert faults(check(factory)) == {}


class TestWhatAStrangersCodeRaises:
    def test_an_exception_becomes_a_line_that_says_where(self):
        class Crashes(PopularityRetriever):
            def update(self, impressions):
                raise KeyError("no such table\nand a second line")

        found = faults(check_retriever(Crashes))
        assert found["publication"].startswith("Crashes at time ")
        assert "update raised KeyError" in found["publication"]
        assert "(test_contract.py:" in found["publication"]

    def test_a_factory_that_raises(self):
        def factory(catalog, seed):
            raise RuntimeError("no weights")

        assert [c.name for c in check_retriever(factory)] == ["verbs"]
        detail = faults(check_retriever(factory))["verbs"]
        assert detail.startswith("factory at time 0: its factory raised RuntimeError: no weights (test_contract.py:")

    def test_missing_verbs(self):
        class Half:
            def rank(self, requests, ads): ...

        wanted = {"verbs": "mine at time 0: Half has no update, sync, must have rank, update, sync"}
        assert faults(check_ranker(lambda catalog, seed: Half(), name="mine")) == wanted

    def test_a_signature_that_does_not_fit(self):
        class Narrow(PopularityRetriever):
            def score(self, ads):
                return ads

        found = faults(check_retriever(Narrow))
        assert "score raised TypeError" in found["shapes"]
        assert "testing.py" not in found["shapes"]

    def test_a_fault_is_told_once_whatever_the_time_and_counts(self):
        class Crashes(PopularityRetriever):
            def retrieve(self, requests, offers, k):
                raise KeyError("no such table")

        checks = check_retriever(Crashes)
        lines = list(told(checks))
        broken = [line for line in lines if line.startswith("FAILED")]
        assert len(broken) == 1
        others = [check.name for check in checks if not check.passed][1:]
        assert len(others) == 12
        assert broken[0].startswith("FAILED  shapes: Crashes at time ")
        assert broken[0].endswith(f" (12 more for the same reason: {', '.join(others)})")
        assert lines[0] == "passed  verbs"

    def test_faults_that_differ_are_told_apart(self):
        checks = [Check("a", False, "x at time 3: one"), Check("b", False, "x at time 4: two"), Check("c", True, "")]
        lines = ["FAILED  a: x at time 3: one", "FAILED  b: x at time 4: two", "passed  c"]
        assert list(told(checks)) == lines

    def test_an_interrupt_is_no_fault_of_the_plug_in(self):
        class Interrupted(PopularityRetriever):
            def sync(self, now):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            check_retriever(Interrupted)

    def test_an_unnamed_factory_is_called_by_what_it_makes(self):
        found = faults(check_retriever(lambda catalog, seed: NaNScores(catalog, seed)))
        assert found["scores"].startswith("NaNScores at time ")
