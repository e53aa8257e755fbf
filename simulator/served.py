"""What a tick leaves: everything that was done for its requests, and the rows that stay."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simulator.records import (
    Candidates,
    Conversions,
    Impressions,
    Ledger,
    Money,
    Offers,
    Ranked,
    Requests,
    Slates,
    concatenate,
    take,
)


@dataclass(frozen=True, kw_only=True)
class Served:
    """What was done for the requests of a tick that share their budgets, step by step.

    Attributes:
        requests: R requests.
        spent: float64 [C], money that each campaign had spent that day before the tick.
        offers: who could compete, and at what bid.
        retrieved: [R, <= K], as the retriever gave them.
        found: the same with exploration and without those who sat the request out; what the ranker was asked.
        ranked: what it said, mishaps included.
        slates: what the auction placed.
        log: the impressions.
        ledger: the truth about them, row by row.
        unpaid: value (price) of clicks delivered after the budget's end.
        sold: what the clicks led to, whenever; None if the world has no conversions.
    """

    requests: Requests
    spent: Money
    offers: Offers
    retrieved: Candidates
    found: Candidates
    ranked: Ranked
    slates: Slates
    log: Impressions
    ledger: Ledger
    unpaid: float
    sold: Conversions | None


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One tick: what was served under each set of budgets, and the rows of all of them.

    Attributes:
        served: a part for each set of budgets that had a request.
        log, ledger: the rows of all parts, in event order.
        unpaid, sold: as of :class:`Served`, over all parts.
    """

    served: tuple[Served, ...]
    log: Impressions
    ledger: Ledger
    unpaid: float
    sold: Conversions | None

    @classmethod
    def of(cls, served: tuple[Served, ...]) -> Tick:
        """A tick of one part or several."""
        first = served[0]
        if len(served) == 1:
            return cls(served=served, log=first.log, ledger=first.ledger, unpaid=first.unpaid, sold=first.sold)
        log, ledger = concatenate([part.log for part in served]), concatenate([part.ledger for part in served])
        order = np.argsort(log.request, kind="stable")  # request ids run in event order
        return cls(
            served=served,
            log=take(log, order),
            ledger=take(ledger, order),
            unpaid=sum(part.unpaid for part in served),
            sold=joined([part.sold for part in served]),
        )

    def rows(self) -> Tick:
        """What stays of it: a tick's candidates and hidden vectors are many times its rows."""
        return replace(self, served=())


def joined(sold: list[Conversions | None]) -> Conversions | None:
    """Conversions in the order given; None if there are none to have."""
    known = [part for part in sold if part is not None]
    return concatenate(known) if known else None
