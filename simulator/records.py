"""The nouns of the road: small frozen records of arrays, one per step.

Letters: R requests of a tick, K candidates, S slots, U users, A ads, H width of the ranker's hidden vector,
n rows of a log. Money is float64 in currency units; time is int64 seconds since the run's start; ids count from 0
and ``-1`` pads where a row has fewer entries than its width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Money = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Halves = npt.NDArray[np.float16]

PAD = -1
DAY = 86_400
"""Seconds in a day."""
MOST_IDS = 2**31 - 1
"""Ids are int32."""
MOST_SLOTS = 64
"""A log holds a slot in int8, and models keep a weight or a count for each of so many."""
MOST_SECONDS = 2**40
"""Times are int64 seconds; so long, 35,000 years, is added to them without a thought."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Observable features of one kind of entity, a row each.

    Attributes:
        codes: field name -> int32 [rows], category codes ``0 <= code < sizes[name]``.
        sizes: field name -> number of codes.
        dense: float32 [rows, width], roughly standardised real features (width may be 0).
    """

    codes: Mapping[str, Keys]
    sizes: Mapping[str, int]
    dense: Floats

    @property
    def rows(self) -> int:
        """Number of entities."""
        return int(self.dense.shape[0])


@dataclass(frozen=True, kw_only=True)
class History:
    """The organic behaviour history: the items that users engaged with, oldest first, as of the start of each day.

    Attributes:
        items: int32 [days, U, L], ad ids, left-padded with -1. Day ``i`` holds what had happened before it began.
        start: time at which day 0 begins, seconds.
    """

    items: Keys
    start: int = 0

    def as_of(self, users: npt.NDArray[Any], time: npt.NDArray[Any]) -> Keys:
        """History of ``users`` [n] at ``time`` [n] -> int32 [n, L]; nothing of the same day or later is in it."""
        day = np.clip((np.asarray(time) - self.start) // DAY, 0, self.items.shape[0] - 1)
        return np.asarray(self.items[day, users], dtype=np.int32)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Everything that models may know about users and ads before the first request. The truth is elsewhere.

    Attributes:
        users: features of the users; ``users.codes["user"]`` is the id itself.
        ads: features of the ads; ``ads.codes["ad"]`` is the id itself.
        context: context field name -> number of codes, in the column order of ``Requests.context``.
        category: int32 [A], category of each ad (one of the ad fields, named because counters and crosses need it).
        categories: number of categories.
        segment: int32 [U], the observable user group that the ranker crosses with the category.
        segments: number of such groups.
        price: float32 [A], observable price level of each ad, standardised.
        history: organic behaviour history.
        base_ctr: click rate to start biases and smoothed averages from, in (0, 1).
    """

    users: Table
    ads: Table
    context: Mapping[str, int]
    category: Keys
    categories: int
    segment: Keys
    segments: int
    price: Floats
    history: History
    base_ctr: float


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Opportunities to show ads, in event order.

    Attributes:
        id: int64 [R], unique within a world.
        user: int32 [R].
        time: int64 [R], seconds, non-decreasing.
        context: int32 [R, C], codes in the order of ``Catalog.context``.
        arm: int8 [R], stamped by the design.
    """

    id: Ints
    user: Keys
    time: Ints
    context: Keys
    arm: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return int(self.id.size)


@dataclass(frozen=True, kw_only=True)
class Offers:
    """The demand side of one tick: who may compete, and at what effective bid.

    Attributes:
        eligible: bool [A], budget left and inside its dates.
        bid: float64 [A], effective bid per click (after pacing); positive wherever eligible.
    """

    eligible: Flags
    bid: Money

    def log_bid(self) -> Floats:
        """float32 [A]: log of the effective bid, -inf where the ad may not compete."""
        with np.errstate(divide="ignore"):
            return np.where(self.eligible, np.log(self.bid), -np.inf).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What retrieval returns.

    Attributes:
        ad: int32 [R, K], -1 pads; no ad twice in a row.
        logit: float32 [R, K], the retriever's own estimate of logit P(click | impression); NaN where it has none.
        explored: bool [R, K], put there by the keyed exploration, not by the retriever.
    """

    ad: Keys
    logit: Floats
    explored: Flags


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Candidates with the ranker's prediction.

    Attributes:
        pctr: float32 [R, K], P(click | impression) at the ranker's serving slot; 0 at pads.
        hidden: float32 [R, K, H], the ranker's last hidden layer (docs/formulas.md 10).
    """

    pctr: Floats
    hidden: Floats


@dataclass(frozen=True, kw_only=True)
class Slates:
    """The ordered ads shown, with their prices.

    Attributes:
        ad: int32 [R, S], -1 where no ad reached the reserve.
        place: int32 [R, S], column of the ad among the candidates (0 at pads).
        bid: float64 [R, S].
        score: float64 [R, S], bid x pctr, expected revenue per impression at the bid.
        price: float64 [R, S], money per click, never above the bid.
    """

    ad: Keys
    place: Keys
    bid: Money
    score: Money
    price: Money


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What happened on the slates.

    Attributes:
        examined: bool [R, S].
        click: bool [R, S].
        click_at: int64 [R, S], time at which the click is known; -1 without click.
    """

    examined: Flags
    click: Flags
    click_at: Ints


@dataclass(frozen=True, kw_only=True)
class Impressions:
    """The log, a row per placed ad, in event order (time, request, slot). The only channel from the market to a model.

    Attributes:
        request, user, ad, slot, time: int64/int32/int32/int8/int64 [n].
        context: int32 [n, C].
        explored: bool [n].
        bid, price, paid: float64 [n], bid and price per click, and the money charged.
        pctr: float32 [n], the ranker's prediction when it scored the impression.
        logit: float32 [n], the retriever's own logit at serving, NaN if it had none.
        hidden: float16 [n, H], the ranker's hidden vector at serving.
        ready_at: int64 [n], time from which the label may be seen.
        label: bool [n], clicked, and known by ``ready_at`` (a later click is charged but is a lost label).
    """

    request: Ints
    user: Keys
    ad: Keys
    slot: npt.NDArray[np.int8]
    time: Ints
    context: Keys
    explored: Flags
    bid: Money
    price: Money
    paid: Money
    pctr: Floats
    logit: Floats
    hidden: Halves
    ready_at: Ints
    label: Flags

    def __len__(self) -> int:
        return int(self.request.size)

    def __getitem__(self, rows: Any) -> Impressions:
        return take(self, rows)

    def __add__(self, later: Impressions) -> Impressions:
        return concatenate([self, later])


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The market's own account of the impressions, row by row with the log. Holds the truth; no model is handed one.

    Attributes:
        true_ctr: float32 [n], P(click | examined).
        examine_p: float32 [n], P(examined | slot).
        examined, click: bool [n]; ``click`` is before label wait and noise.
        value: float64 [n], what a click is worth to its advertiser: the bid per click before pacing, or the bid per
            conversion x the true rate; 0 for a bot's.
    """

    true_ctr: Floats
    examine_p: Floats
    examined: Flags
    click: Flags
    value: Money


@dataclass(frozen=True, kw_only=True)
class Clicks:
    """Clicks on their way to the advertiser.

    Attributes:
        request, user, ad: int64/int32/int32 [n].
        at: int64 [n], time at which the click was known.
    """

    request: Ints
    user: Keys
    ad: Keys
    at: Ints


@dataclass(frozen=True, kw_only=True)
class Conversions:
    """What clicks led to, a row per conversion, in the order of the clicks. The market's account; no model gets one.

    Attributes:
        request, user, ad: int64/int32/int32 [n].
        click_at: int64 [n], time at which the click was known.
        at: int64 [n], time of the conversion.
        value: float64 [n], what it is worth to its advertiser.
    """

    request: Ints
    user: Keys
    ad: Keys
    click_at: Ints
    at: Ints
    value: Money


Record = TypeVar("Record", Impressions, Ledger, Requests, Conversions)


def take(record: Record, rows: Any) -> Record:
    """The rows of a flat record picked by an index, mask or slice."""
    return type(record)(**{f.name: getattr(record, f.name)[rows] for f in fields(record)})


def concatenate(records: list[Record]) -> Record:
    """Flat records joined in the order given; at least one."""
    if not records:
        raise ValueError("records == [], must hold at least one")
    kind = type(records[0])
    return kind(**{f.name: np.concatenate([getattr(r, f.name) for r in records]) for f in fields(kind)})
