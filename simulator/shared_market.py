"""One market in which two arms live: every pair is retrieved and ranked by its arm, all else is one market.

Requests come stamped with their side. Each arm has a retriever and a ranker of its own (and so its own vectors and
stores); budgets, exposures, labels waiting and the click of the money are the market's. Clicks are charged in event
order whoever served them. With one arm this is exactly the market of `marketplace`.

    ticks -> _serve_all (stamp; under `budget_split` a part for each pot) -> _serve, by way of Sides
            -> _learn -> each arm gets its rows (`training_rows`) -> syncs
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.designs import BY_AD, Assignment, DesignConfig, stamped
from simulator.marketplace import MarketConfig, Marketplace
from simulator.pacing import Budgets, PacingConfig
from simulator.plugins import Ranker, Retriever
from simulator.records import (
    PAD,
    Candidates,
    Floats,
    Impressions,
    Keys,
    Money,
    Offers,
    Ranked,
    Requests,
    take,
)
from simulator.served import Served
from simulator.training_rows import Training, TrainingRows
from simulator.world import World


@dataclass(frozen=True, kw_only=True)
class MarketArm:
    """What an arm brings to a shared market; nothing of it may be another arm's."""

    retriever: Retriever
    ranker: Ranker


class SharedMarket(Marketplace):
    """A market with one or two arms.

    Args:
        world: the world.
        config: the market's dials.
        arms: control, treatment; one arm alone serves everything.
        design: who is assigned to which arm, and whether budgets are split.
        training: which rows an arm learns from.
        since: time at which the arms part; rows from before it are everybody's.
        seam: ``truth``, ``waiting`` and ``shown`` of :class:`~simulator.marketplace.Marketplace`.

    Raises:
        ValueError: for no arm, more than two, or two that share a part.
    """

    def __init__(
        self,
        world: World,
        config: MarketConfig,
        arms: Sequence[MarketArm],
        design: DesignConfig,
        *,
        training: Training = "own",
        since: int = 0,
        **seam: Any,
    ) -> None:
        if not 1 <= len(arms) <= 2:
            raise ValueError(f"len(arms) == {len(arms)}, must be 1 or 2")
        if len({id(part) for arm in arms for part in (arm.retriever, arm.ranker)}) < 2 * len(arms):
            raise ValueError("arms share a retriever or a ranker, must have their own")
        if len(arms) == 1:
            design = design.model_copy(update={"share": 0.0})
        self.assignment = Assignment(seed=world.seed, design=design, campaign=world.demand.campaign)
        self.arms = tuple(arms)
        rows = ArmRows(self.assignment, TrainingRows(training, world.seed, world.catalog.ads.rows, len(arms)), since)
        retriever, ranker = (arms[0].retriever, arms[0].ranker)
        if len(arms) == 2:
            split = self.assignment.ads if design.name in BY_AD else None
            retriever = SidesRetriever([arm.retriever for arm in arms], split, rows)
            ranker = SidesRanker([arm.ranker for arm in arms], split, rows)
        budgets = None
        if len(arms) == 2 and design.name == "budget_split":
            demand, shares = world.demand, (1 - design.share, design.share)
            budgets = Pots(demand.budget, demand.campaign, demand.bid, config.pacing, shares=shares)
        super().__init__(world, config, retriever, ranker, budgets=budgets, **seam)

    def arm_of(self, log: Impressions) -> npt.NDArray[np.int8]:
        """int8 [n]: the arm that served each row."""
        return self.assignment.pairs(log.user, log.time, log.ad)

    def _serve_all(self, requests: Requests, now: int) -> tuple[Served, ...]:
        if len(self.arms) == 1:
            return super()._serve_all(requests, now)
        requests = stamped(requests, self.assignment)
        if not isinstance(self.budgets, Pots):
            return super()._serve_all(requests, now)
        sides = [(np.flatnonzero(requests.arm == side), pot) for side, pot in enumerate(self.budgets.pots)]
        return tuple(self._serve(take(requests, rows), now, pot) for rows, pot in sides if rows.size)


class Pots(Budgets):
    """Every campaign's budget split between the arms; each arm's pot is charged and paced alone.

    Args:
        daily: float64 [C], the whole budgets.
        campaign: int32 [A].
        bid: float64 [A].
        pacing: as of :class:`~simulator.pacing.Budgets`.
        shares: of each budget, to each arm.
    """

    def __init__(
        self, daily: Money, campaign: Keys, bid: Money, pacing: PacingConfig | None = None, *, shares: Sequence[float]
    ) -> None:
        super().__init__(daily, campaign, bid, pacing)
        self.pots = tuple(Budgets(daily * share, campaign, bid, pacing) for share in shares)

    def new_day(self) -> None:
        """Refill every pot."""
        super().new_day()
        for pot in self.pots:
            pot.new_day()

    def steer(self, share: float) -> None:
        """Set the pace of every pot; a campaign counts as budget-bound once one of its pots is."""
        for pot in self.pots:
            pot.steer(share)
            self.exhausted |= pot.exhausted
        self.spent = np.sum([pot.spent for pot in self.pots], axis=0)


class ArmRows:
    """The rows of each arm, out of the rows of the market.

    Args:
        assignment: who served what.
        training: which rows an arm learns from.
        since: rows from before this time are everybody's.
    """

    def __init__(self, assignment: Assignment, training: TrainingRows, since: int) -> None:
        self._assignment = assignment
        self._training = training
        self._since = since
        self._last: tuple[Impressions | None, list[Impressions]] = (None, [])

    def by_arm(self, rows: Impressions, arms: int) -> list[Impressions]:
        """What each arm learns from rows [n]; asked twice for the same rows, by retrievers and rankers, split once."""
        if self._last[0] is not rows:
            self._last = (rows, self._split(rows, arms))
        return self._last[1]

    def _split(self, rows: Impressions, arms: int) -> list[Impressions]:
        # Rows come in event order, so the burn-in's are the first ones.
        first = int(np.searchsorted(rows.time, self._since))
        before, after = rows[:first], rows[first:]
        served = self._assignment.pairs(after.user, after.time, after.ad)
        self._training.see(after, served)
        return [before + self._training.of(after, served, arm) for arm in range(arms)]


class SidesRetriever:
    """Two retrievers as one: a pair is scored by the retriever of its arm.

    Where the ads have sides, each arm gets seats among the K candidates in proportion to its eligible ads, spread over
    the order, so that exploration takes the last places of both.

    Args:
        arms: control, treatment.
        ads: int8 [A], the ads' sides; None if ads have none, and a request is one arm's alone.
        rows: routes what is learned.
    """

    def __init__(self, arms: Sequence[Retriever], ads: npt.NDArray[np.int8] | None, rows: ArmRows) -> None:
        self._arms = arms
        self._ads = ads
        self._rows = rows

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Top ``k`` of each request by the arms that serve its pairs."""
        found = _blank(len(requests), k)
        for side in range(len(self._arms)):
            rows = np.flatnonzero(requests.arm == side)
            if rows.size:
                part = take(requests, rows)
                mixed = self._ads is not None and side
                one = self._mixed(part, offers, k) if mixed else self._arms[side].retrieve(part, offers, k)
                _write(found, rows[:, None], np.arange(one.ad.shape[1]), one)
        return found

    def _mixed(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Both arms retrieve among their own ads; their candidates are laid side by side."""
        assert self._ads is not None
        eligible = [offers.eligible & (self._ads == arm) for arm in range(len(self._arms))]
        total = max(int(offers.eligible.sum()), 1)
        treated = round(k * int(eligible[1].sum()) / total)
        seats = np.array([k - treated, treated])
        place = np.argsort(np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in seats]), kind="stable")
        column = np.empty(k, dtype=np.int64)
        column[place] = np.arange(k)
        found = _blank(len(requests), k)
        everyone = np.arange(len(requests))[:, None]
        for arm, columns in enumerate(np.split(column, [seats[0]])):
            if columns.size:
                own = Offers(eligible=eligible[arm], bid=offers.bid)
                one = self._arms[arm].retrieve(requests, own, int(columns.size))
                _write(found, everyone, columns[: one.ad.shape[1]], one)
        return found

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """The logit [R, n] of each pair by its arm."""
        out = np.empty(ads.shape, dtype=np.float32)
        for arm, rows, own in _pairs(requests, ads, self._ads):
            scored = self._arms[arm].score(take(requests, rows), ads[rows])
            out[rows] = scored if own is None else np.where(own, scored, out[rows])
        return out

    def update(self, impressions: Impressions) -> None:
        """Each arm learns from its rows."""
        for arm, rows in zip(self._arms, self._rows.by_arm(impressions, len(self._arms)), strict=True):
            if len(rows):
                arm.update(rows)

    def sync(self, now: int) -> None:
        """Each arm publishes."""
        for arm in self._arms:
            arm.sync(now)


class SidesRanker:
    """Two rankers as one; arguments as of :class:`SidesRetriever`."""

    def __init__(self, arms: Sequence[Ranker], ads: npt.NDArray[np.int8] | None, rows: ArmRows) -> None:
        self._arms = arms
        self._ads = ads
        self._rows = rows

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """Prediction and hidden vector of each pair by its arm's ranker; a narrower hidden vector ends in zeros."""
        parts = []
        for arm, rows, own in _pairs(requests, ads, self._ads):
            asked = ads[rows] if own is None else np.where(own, ads[rows], PAD)
            parts.append((rows, own, self._arms[arm].rank(take(requests, rows), asked)))
        width = max(ranked.hidden.shape[2] for _, _, ranked in parts)
        pctr = np.zeros(ads.shape, dtype=np.float32)
        hidden = np.zeros((*ads.shape, width), dtype=np.float32)
        for rows, own, ranked in parts:
            wide = np.arange(ranked.hidden.shape[2])
            if own is None:
                pctr[rows] = ranked.pctr
                hidden[rows[:, None, None], np.arange(ads.shape[1])[:, None], wide] = ranked.hidden
            else:
                r, c = np.nonzero(own)
                pctr[rows[r], c] = ranked.pctr[r, c]
                hidden[rows[r][:, None], c[:, None], wide] = ranked.hidden[r, c]
        return Ranked(pctr=pctr, hidden=hidden)

    def update(self, impressions: Impressions) -> None:
        """Each arm learns from its rows."""
        for arm, rows in zip(self._arms, self._rows.by_arm(impressions, len(self._arms)), strict=True):
            if len(rows):
                arm.update(rows)

    def sync(self, now: int) -> None:
        """Each arm publishes."""
        for arm in self._arms:
            arm.sync(now)


def _pairs(
    requests: Requests, ads: Keys, sides: npt.NDArray[np.int8] | None
) -> list[tuple[int, npt.NDArray[np.intp], npt.NDArray[np.bool_] | None]]:
    """(arm, its requests, which of their ads [., n] are its own; None if all are), arms without a request left out."""
    found: list[tuple[int, npt.NDArray[np.intp], npt.NDArray[np.bool_] | None]] = []
    for side in (0, 1):
        rows = np.flatnonzero(requests.arm == side)
        if not rows.size:
            continue
        if sides is None or side == 0:
            found.append((side, rows, None))
        else:
            # A pad takes the last ad's side: it is a pad in either arm.
            treated = sides.take(ads[rows], mode="wrap") == 1
            found += [(0, rows, ~treated), (1, rows, treated)]
    return found


def _blank(rows: int, k: int) -> Candidates:
    return Candidates(
        ad=np.full((rows, k), PAD, dtype=np.int32),
        logit=np.full((rows, k), np.nan, dtype=np.float32),
        explored=np.zeros((rows, k), dtype=bool),
    )


def _write(found: Candidates, rows: Any, columns: Any, part: Candidates) -> None:
    found.ad[rows, columns] = part.ad
    found.logit[rows, columns] = part.logit
    found.explored[rows, columns] = part.explored
