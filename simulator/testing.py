"""The contract check: what CI runs over every registered plug-in, for plug-in authors to run over theirs.

    >>> from simulator.retrieval import random_retriever
    >>> [check.name for check in check_retriever(random_retriever) if not check.passed]
    []

A tiny world is built, the plug-in serves and learns in its market, and everything that ``plugins.py`` promises is
tried: forms, legality, pads, determinism, labels that wait, publication, isolation, snapshots. A plug-in that fails, or
raises, yields one line with its name, the simulated time and what was wrong.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from simulator.auction import AuctionConfig
from simulator.feedback import FeedbackConfig
from simulator.keyed_random import normals
from simulator.log import LabelQueue
from simulator.marketplace import CascadeConfig, MarketConfig, Marketplace
from simulator.plugins import RankerFactory, RetrieverFactory
from simulator.records import DAY, PAD, Candidates, Floats, Impressions, Keys, Offers, Ranked, Requests, take
from simulator.retrieval import RandomRetriever, check_legal
from simulator.traffic import TrafficConfig, day_requests
from simulator.world import PLACEMENTS, World, WorldConfig, build

HIDDEN = 64
"""Width of the hidden vectors in the log that retrievers learn from: the default of the arms."""
K = 10
MARKET = MarketConfig(
    traffic=TrafficConfig(requests_per_day=300),
    auction=AuctionConfig(slots=3, reserve=0.0),
    feedback=FeedbackConfig(label_wait=10_000),
    cascade=CascadeConfig(candidates=K, tick=7200, sync=14_400),
)
"""Two ticks to a publication; a label wait that is no multiple of a tick: some rows of a tick mature before others."""
FLIP_AT = 3 * MARKET.cascade.sync
"""The labels that wait at this publication are flipped in the twin market; the next publication may show it."""
ROWS = 16
"""Requests of a probe."""

Arrays = tuple[npt.NDArray[Any], ...]


class Check(NamedTuple):
    """One clause of the contract.

    Attributes:
        name: of the clause.
        passed: kept, or skipped for a reason that ``detail`` tells.
        detail: one line: what was wrong, where and when; empty if there is nothing to say.
    """

    name: str
    passed: bool
    detail: str


class ContractError(Exception):
    """A plug-in broke the contract; one line that names it, the simulated time and what was wrong."""


def tiny_world(seed: int = 0) -> World:
    """200 users, 60 ads, 3 days; clicks frequent enough to learn from, budgets that seldom bind."""
    return build(WorldConfig(users=200, ads=60, advertisers=12, base_logit=-1.5, budget_clicks=60.0), seed, 3)


def check_retriever(factory: RetrieverFactory, *, seed: int = 0, name: str | None = None) -> list[Check]:
    """Try a retriever's whole contract in a tiny world.

    Args:
        factory: ``factory(catalog, seed)``.
        seed: of the world and of the plug-in.
        name: how the details call it; the factory's own name if None.

    Returns:
        The clauses, in the order in which it makes sense to mend them.
    """
    bench = _Bench(factory, seed, name, _WatchedRetriever)
    return _run(
        bench,
        ("retrieve", "score", "update", "sync"),
        {
            "shapes": _retriever_shapes,
            "legality": _legality,
            "pads": _retriever_pads,
            "few eligible": _few_eligible,
            "none eligible": _none_eligible,
            "scores": _scores,
        },
    )


def check_ranker(factory: RankerFactory, *, seed: int = 0, name: str | None = None) -> list[Check]:
    """Try a ranker's whole contract in a tiny world; arguments and result as of :func:`check_retriever`."""
    bench = _Bench(factory, seed, name, _WatchedRanker)
    return _run(
        bench,
        ("rank", "update", "sync"),
        {"shapes": _ranker_shapes, "probabilities": _probabilities, "pads": _ranker_pads},
    )


# --- the stage -------------------------------------------------------------------------------------------------------


class _StandIn:
    """A ranker that learns nothing: keyed pctr and hidden vectors, so that a retriever's log holds something."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        logit = normals(self._seed, "stand-in pctr", requests.user[:, None], np.maximum(ads, 0)) - 2.0
        hidden = normals(
            self._seed,
            "stand-in hidden",
            requests.user[:, None, None],
            np.maximum(ads, 0)[..., None],
            np.arange(HIDDEN),
        )
        return Ranked(pctr=np.where(ads == PAD, 0.0, expit(logit)).astype(np.float32), hidden=hidden.astype(np.float32))

    def update(self, impressions: Impressions) -> None:
        """Nothing to learn."""

    def sync(self, now: int) -> None:
        """Nothing to publish."""


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """The tiny world, requests to probe with, offers, and a day's log that no plug-in under test had a part in."""

    world: World
    probe: Requests
    offers: Offers
    log: Impressions

    def parts(self) -> tuple[Impressions, Impressions]:
        """The log in two halves, in event order."""
        half = len(self.log) // 2
        return self.log[:half], self.log[half:]

    def only(self, ads: Sequence[int]) -> Offers:
        """Offers in which just ``ads`` may compete; the others bid more, to tempt."""
        eligible = np.zeros(self.offers.eligible.size, dtype=bool)
        eligible[list(ads)] = True
        return Offers(eligible=eligible, bid=np.where(eligible, self.offers.bid, 1e3 * self.offers.bid))


@lru_cache(maxsize=2)
def _stage(seed: int) -> _Stage:
    world = tiny_world(seed)
    truth = world.truth
    requests = day_requests(MARKET.traffic, seed, 1, truth.activity, truth.arrival, PLACEMENTS)
    every = np.ones(world.catalog.ads.rows, dtype=bool)
    day = Marketplace(world, MARKET, RandomRetriever(world.catalog, seed), _StandIn(seed)).run_day(0)
    return _Stage(
        world=world,
        probe=take(requests, slice(0, ROWS)),
        offers=Offers(eligible=every, bid=world.demand.bid),
        log=day.log,
    )


class _FlippedQueue(LabelQueue):
    """A queue in which every label that waits at ``FLIP_AT`` is the opposite of the truth."""

    def put(self, rows: Impressions) -> None:
        waits = (rows.time < FLIP_AT) & (rows.ready_at > FLIP_AT)
        super().put(replace(rows, label=rows.label ^ waits))


# --- the plug-in under watch -----------------------------------------------------------------------------------------


class _Note(NamedTuple):
    """What was served: at the simulated time, after which verb."""

    time: int
    verb: str
    answer: Arrays


class _Watched(ABC):
    """A plug-in whose calls are guarded, whose answers are checked for form, and written down."""

    def __init__(self, name: str, inner: Any, stage: _Stage) -> None:
        self.name = name
        self.inner = inner
        self.stage = stage
        self.now = 0
        self.notes: list[_Note] = []

    def broken(self, what: str) -> NoReturn:
        raise ContractError(f"{self.name} at time {self.now}: {what}")

    def call(self, verb: str, *args: Any) -> Any:
        try:
            return getattr(self.inner, verb)(*args)
        except Exception as error:
            # Whatever a stranger's code raises becomes one line that says where.
            self.broken(f"{verb} raised {_one_line(error)}")

    def form(self, what: str, value: Any, kind: type[np.generic], shape: tuple[int | None, ...]) -> None:
        """Refuse what is not an array of this dtype and shape; None stands for any length."""
        wanted = f"{np.dtype(kind).name} [{', '.join('any' if n is None else str(n) for n in shape)}]"
        if not isinstance(value, np.ndarray):
            self.broken(f"{what} is a {type(value).__name__}, must be a numpy array, {wanted}")
        fits = value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
        if not fits or value.dtype != kind:
            self.broken(f"{what} is {value.dtype.name} {list(value.shape)}, must be {wanted}")

    def update(self, impressions: Impressions) -> None:
        self.now = int(impressions.ready_at[-1])
        self.call("update", impressions)
        self.note("update", self.answer())

    def sync(self, now: int) -> None:
        self.now = now
        self.call("sync", now)
        self.note("sync", self.answer())

    def note(self, verb: str, answer: Arrays) -> None:
        self.notes.append(_Note(self.now, verb, answer))

    def learn(self, rows: Impressions) -> None:
        """Update and publish."""
        self.update(rows)
        self.sync(self.now)

    def probe(self) -> Requests:
        """The probe's requests, as if they came now."""
        return replace(self.stage.probe, time=np.full(ROWS, self.now, dtype=np.int64))

    def everything(self) -> Keys:
        """All ads for each request of the probe, int32 [R, A]."""
        A = self.stage.world.catalog.ads.rows
        return np.tile(np.arange(A, dtype=np.int32), (ROWS, 1))

    @abstractmethod
    def answer(self) -> Arrays:
        """What it serves to the probe right now."""

    @abstractmethod
    def market(self) -> Marketplace:
        """A market in which it serves, with a stand-in for the other stage."""


class _WatchedRetriever(_Watched):
    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        self.now = int(requests.time[0])
        found = self.call("retrieve", requests, offers, k)
        for field, kind in (("ad", np.int32), ("logit", np.float32), ("explored", np.bool_)):
            if not hasattr(found, field):
                self.broken(f"retrieve returned a {type(found).__name__} without '{field}', must be like Candidates")
            self.form(f"candidates.{field}", getattr(found, field), kind, (len(requests), None))
        ad, logit, explored = found.ad, found.logit, found.explored
        if not ad.shape == logit.shape == explored.shape or ad.shape[1] > k:
            shapes = f"ad {list(ad.shape)}, logit {list(logit.shape)}, explored {list(explored.shape)}"
            self.broken(f"candidates have {shapes}, must be [{len(requests)}, <= {k}] all three")
        self.note("retrieve", (ad.copy(), logit.copy()))
        return Candidates(ad=ad, logit=logit, explored=explored)

    def score(self, requests: Requests, ads: Keys) -> Floats:
        self.now = int(requests.time[0])
        logit: Floats = self.call("score", requests, ads)
        self.form("score", logit, np.float32, ads.shape)
        return logit

    def answer(self) -> Arrays:
        found = self.call("retrieve", self.probe(), self.stage.offers, K)
        return np.array(found.ad), np.array(found.logit), np.array(self.score(self.probe(), self.everything()))

    def legal(self, offers: Offers, k: int = K) -> Candidates:
        """Candidates of the probe, or a broken contract."""
        found = self.retrieve(self.probe(), offers, k)
        try:
            check_legal(found, offers, self.stage.probe, k)
        except ValueError as error:
            self.broken(str(error))
        return found

    def market(self) -> Marketplace:
        return Marketplace(self.stage.world, MARKET, self, _StandIn(self.stage.world.seed))


class _WatchedRanker(_Watched):
    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        self.now = int(requests.time[0])
        ranked = self.call("rank", requests, ads)
        for field, shape in (("pctr", ads.shape), ("hidden", (*ads.shape, None))):
            if not hasattr(ranked, field):
                self.broken(f"rank returned a {type(ranked).__name__} without '{field}', must be like Ranked")
            self.form(f"ranked.{field}", getattr(ranked, field), np.float32, shape)
        self.note("rank", (ranked.pctr.copy(), ranked.hidden.copy()))
        return Ranked(pctr=ranked.pctr, hidden=ranked.hidden)

    def answer(self) -> Arrays:
        ranked = self.call("rank", self.probe(), self.everything())
        return np.array(ranked.pctr), np.array(ranked.hidden)

    def market(self) -> Marketplace:
        return Marketplace(self.stage.world, MARKET, RandomRetriever(self.stage.world.catalog, 0), self)


def _one_line(error: Exception) -> str:
    """Type and first line of an exception, and the last line of the plug-in's own file that led to it."""
    said = (str(error).splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{where}"


class _Bench:
    """Makes fresh plug-ins of one factory, and runs them through the market."""

    def __init__(self, factory: Callable[..., Any], seed: int, name: str | None, watch: type[_Watched]) -> None:
        self.factory = factory
        self.seed = seed
        self.watch = watch
        self.stage = _stage(seed)
        own = getattr(factory, "__name__", type(factory).__name__)
        self.named = name is not None or own != "<lambda>"
        self.name = name or own

    def make(self) -> Any:
        """A fresh watched plug-in (typed Any: the clauses know which of the two they ask)."""
        try:
            inner = self.factory(self.stage.world.catalog, self.seed)
        except Exception as error:
            # As in `_Watched.call`: a stranger's code may raise anything.
            raise ContractError(f"{self.name} at time 0: its factory raised {_one_line(error)}") from None
        if not self.named:
            self.name, self.named = type(inner).__name__, True
        return self.watch(self.name, inner, self.stage)

    def day(self, *, flipped: bool = False) -> list[_Note]:
        """All that a fresh plug-in serves in one day of the market."""
        plugin = self.make()
        market = plugin.market()
        if flipped:
            market.queue = _FlippedQueue()
        try:
            # The log holds hidden vectors in half precision; those that do not fit are the `probabilities` clause's.
            with np.errstate(over="ignore"):
                market.run_day(0)
        except ValueError as error:
            plugin.broken(f"the market stopped: {error}")
        notes: list[_Note] = plugin.notes
        return notes

    @cached_property
    def first_day(self) -> list[_Note]:
        return self.day()

    @cached_property
    def second_day(self) -> list[_Note]:
        return self.day()


def _run(bench: _Bench, verbs: Sequence[str], clauses: dict[str, Callable[[_Bench], str]]) -> list[Check]:
    verbs_kept = _judge("verbs", lambda: _verbs(bench, verbs))
    if not verbs_kept.passed:
        return [verbs_kept]
    shared = {
        "determinism": _determinism,
        "no peeking": _no_peeking,
        "publication": _publication,
        "isolation": _isolation,
        "snapshot": _snapshot,
    }
    return [verbs_kept, *(_judge(name, partial(clause, bench)) for name, clause in (clauses | shared).items())]


def _judge(name: str, clause: Callable[[], str]) -> Check:
    try:
        return Check(name, True, clause())
    except ContractError as error:
        return Check(name, False, str(error))


def _same(a: Arrays, b: Arrays) -> bool:
    """Bit-equal, a NaN being equal to a NaN."""
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


# --- clauses of both -------------------------------------------------------------------------------------------------


def _verbs(bench: _Bench, verbs: Sequence[str]) -> str:
    plugin = bench.make()
    missing = [verb for verb in verbs if not callable(getattr(plugin.inner, verb, None))]
    if missing:
        plugin.broken(f"{type(plugin.inner).__name__} has no {', '.join(missing)}, must have {', '.join(verbs)}")
    return ""


def _determinism(bench: _Bench) -> str:
    """Asked twice it answers the same, and two lives with one seed are equal."""
    plugin = bench.make()
    if not _same(plugin.answer(), plugin.answer()):
        plugin.broken("the same question asked twice got two answers, must be equal")
    apart = _first_difference(bench.first_day, bench.second_day)
    if apart is not None:
        where = f"{bench.name} at time {apart.time}"
        raise ContractError(f"{where}: two runs with seed {bench.seed} differ after {apart.verb}, must be equal")
    return ""


def _first_difference(a: Sequence[_Note], b: Sequence[_Note]) -> _Note | None:
    if len(a) != len(b):
        return a[min(len(a), len(b)) - 1]
    return next((x for x, y in zip(a, b, strict=True) if x[:2] != y[:2] or not _same(x.answer, y.answer)), None)


def _no_peeking(bench: _Bench) -> str:
    """Flipped labels that wait at ``FLIP_AT`` change nothing before the first publication at which they are ready."""
    if _first_difference(bench.first_day, bench.second_day) is not None:
        raise ContractError(f"{bench.name} at time 0: cannot be judged, two runs with one seed already differ")
    true, flipped = (_until_published(notes) for notes in (bench.first_day, bench.day(flipped=True)))
    apart = _first_difference(true, flipped)
    if apart is not None:
        raise ContractError(
            f"{bench.name} at time {apart.time}: what it serves after {apart.verb} depends on labels that may be "
            f"seen from the sync at {FLIP_AT + MARKET.cascade.sync} on"
        )
    return ""


def _until_published(notes: Sequence[_Note]) -> list[_Note]:
    return list(takewhile(lambda note: note.verb != "sync" or note.time <= FLIP_AT, notes))


def _steady_answer(plugin: _Watched) -> Arrays:
    answer = plugin.answer()
    if not _same(answer, plugin.answer()):
        plugin.broken("cannot be judged, the same question asked twice got two answers")
    return answer


def _publication(bench: _Bench) -> str:
    """An update without a sync changes nothing that is served."""
    plugin = bench.make()
    first, second = bench.stage.parts()
    plugin.learn(first)
    # The question is asked as of one time, so that nothing but the update can change its answer.
    plugin.now = int(second.ready_at[-1])
    before = _steady_answer(plugin)
    plugin.update(second)
    if not _same(before, plugin.answer()):
        plugin.broken("update without sync changed what is served, must wait for the sync")
    return ""


def _isolation(bench: _Bench) -> str:
    """What another instance learns changes nothing here."""
    here = bench.make()
    here.sync(0)
    before = _steady_answer(here)
    other = bench.make()
    for rows in bench.stage.parts():
        other.learn(rows)
    if not _same(before, here.answer()):
        here.broken("what another instance learned changed what this one serves, must share no state")
    here.sync(0)
    if not _same(before, here.answer()):
        here.broken("what another instance learned was published by this one, must share no state")
    return ""


def _snapshot(bench: _Bench) -> str:
    """A restored snapshot goes on exactly as the original did."""
    plugin = bench.make()
    if not (hasattr(plugin.inner, "snapshot") and hasattr(plugin.inner, "restore")):
        return "skipped: it has no snapshot and restore"
    first, second = bench.stage.parts()
    plugin.learn(first)
    state, then = plugin.call("snapshot"), plugin.answer()
    plugin.learn(second)
    twin = bench.make()
    twin.now = int(first.ready_at[-1])
    twin.call("restore", state)
    if not _same(then, twin.answer()):
        twin.broken("restore does not serve what was served at the snapshot")
    twin.learn(second)
    if not _same(plugin.answer(), twin.answer()):
        twin.broken("after restore it learns otherwise than the original did, must be equal")
    return ""


# --- clauses of retrievers -------------------------------------------------------------------------------------------


def _trained(bench: _Bench) -> Any:
    plugin = bench.make()
    plugin.learn(bench.stage.log)
    return plugin


def _retriever_shapes(bench: _Bench) -> str:
    plugin = _trained(bench)
    A = bench.stage.world.catalog.ads.rows
    for k in (1, K, A, A + 5):
        plugin.retrieve(plugin.probe(), bench.stage.offers, k)
    one = take(plugin.probe(), slice(0, 1))
    plugin.retrieve(one, bench.stage.offers, K)
    plugin.score(one, np.zeros((1, 1), dtype=np.int32))
    return ""


def _legality(bench: _Bench) -> str:
    """Eligible ads only, none twice, before and after learning, however many may compete."""
    A = bench.stage.world.catalog.ads.rows
    for plugin in (bench.make(), _trained(bench)):
        for step in (1, 2, 3):
            plugin.legal(bench.stage.only(range(0, A, step)))
    return ""


def _retriever_pads(bench: _Bench) -> str:
    """Pads come last, and a pad may be scored (exploration leaves some) without changing the others' scores."""
    plugin = _trained(bench)
    ad = plugin.legal(bench.stage.only(range(5))).ad
    early = (ad[:, :-1] == PAD) & (ad[:, 1:] != PAD)
    if early.any():
        plugin.broken(f"candidates.ad == {ad[early.any(axis=1)][0].tolist()}, must have its pads last")
    ads = plugin.everything()
    padded = np.where(np.arange(ads.shape[1]) % 3 == 0, np.int32(PAD), ads)
    full, some = plugin.score(plugin.probe(), ads), plugin.score(plugin.probe(), padded)
    if not np.allclose(full[padded != PAD], some[padded != PAD], rtol=1e-4, atol=1e-5, equal_nan=True):
        plugin.broken("pads among the ads change the scores of the others")
    return ""


def _few_eligible(bench: _Bench) -> str:
    """With K above the number of eligible ads each request gets all of them."""
    plugin = _trained(bench)
    for few in ([17], [3, 17, 41]):
        ad = plugin.legal(bench.stage.only(few)).ad
        short = (ad != PAD).sum(axis=1) < len(few)
        if short.any():
            plugin.broken(f"candidates.ad == {ad[short][0].tolist()}, must hold all eligible ads {few} when K == {K}")
    return ""


def _none_eligible(bench: _Bench) -> str:
    plugin = _trained(bench)
    plugin.legal(bench.stage.only([]))
    return ""


def _scores(bench: _Bench) -> str:
    """Finite logits, or none at all; those of ``retrieve`` are those of ``score``."""
    seen: list[tuple[str, Floats]] = []
    for plugin in (bench.make(), _trained(bench)):
        score = plugin.score(plugin.probe(), plugin.everything())
        found = plugin.legal(bench.stage.only(range(0, score.shape[1], 2)))
        real = found.ad != PAD
        seen += [("score", score), ("candidates.logit", found.logit[real])]
        if all(np.isnan(logit).all() for _, logit in seen):
            continue
        for what, logit in seen:
            bad = int((~np.isfinite(logit)).sum())
            if bad:
                plugin.broken(f"{what} has {bad} of {logit.size} values not finite, must be all finite or always NaN")
        again = plugin.score(plugin.probe(), found.ad)[real]
        if not np.allclose(found.logit[real], again, rtol=1e-3, atol=1e-3, equal_nan=True):
            worst = float(np.abs(found.logit[real] - again).max())
            plugin.broken(f"candidates.logit and score differ by up to {worst:.3g} for the same ads, must agree")
    return "no opinion: all scores are NaN" if np.isnan(seen[0][1]).all() else ""


# --- clauses of rankers ----------------------------------------------------------------------------------------------


def _ranker_shapes(bench: _Bench) -> str:
    """Forms for wide, narrow and single requests, and one width of the hidden vector."""
    plugin = _trained(bench)
    requests, ads = plugin.probe(), plugin.everything()
    asked = ((requests, ads), (requests, ads[:, :1]), (take(requests, slice(0, 1)), ads[:1, :K]))
    widths = {plugin.rank(r, a).hidden.shape[2] for r, a in asked}
    if len(widths) > 1:
        plugin.broken(f"ranked.hidden has widths {sorted(widths)}, must have one")
    return ""


def _probabilities(bench: _Bench) -> str:
    """Predictions in [0, 1]; hidden vectors finite, in the half precision of the log too."""
    for plugin in (bench.make(), _trained(bench)):
        ranked = plugin.rank(plugin.probe(), plugin.everything())
        inside = (ranked.pctr >= 0) & (ranked.pctr <= 1)
        if not inside.all():
            plugin.broken(f"ranked.pctr == {ranked.pctr[~inside][0]}, must be in [0, 1]")
        # 65504 is the largest half float.
        fits = np.abs(ranked.hidden) <= np.finfo(np.float16).max
        if not fits.all():
            plugin.broken(f"ranked.hidden == {ranked.hidden[~fits][0]}, must be finite in half precision")
    return ""


def _ranker_pads(bench: _Bench) -> str:
    """A pad gets pctr 0, and pads change no other prediction."""
    plugin = _trained(bench)
    ads = plugin.everything()
    pad = np.broadcast_to(np.arange(ads.shape[1]) % 3 == 0, ads.shape)
    full = plugin.rank(plugin.probe(), ads).pctr
    some = plugin.rank(plugin.probe(), np.where(pad, np.int32(PAD), ads)).pctr
    if some[pad].any():
        plugin.broken(f"ranked.pctr == {some[pad].max()} at a pad, must be 0")
    if not np.allclose(full[~pad], some[~pad], rtol=1e-4, atol=1e-6):
        plugin.broken("pads among the ads change the predictions of the others")
    plugin.rank(plugin.probe(), np.full((ROWS, K), PAD, dtype=np.int32))
    return ""


assert FLIP_AT + MARKET.cascade.sync < DAY, "the flipped labels must be published within the day"
