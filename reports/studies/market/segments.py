"""Who gains and who loses: one arm's test by segment, and how its impressions are shared out among ads.

Who belongs to a segment follows from the world and from the burn-in's log, never from the test's: both arms of a world
are compared on the same users and ads. Segments may overlap (a heavy user is a returning one).

| segment | who |
|---|---|
| cold_users | fewer than 10 impressions in the burn-in, or none because they arrive later |
| returning_users | at least 10 impressions in the burn-in |
| heavy_users | impressions in the burn-in at or above the 90 % quantile of the users that it saw |
| new_ads | start at the seam or later: no burn-in tells of them |
| head_ads | impressions in the burn-in at or above the 90 % quantile of all ads |
| tail_ads | all ads that are not head_ads, the new ones among them |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reports.numbers.inequality import gini
from simulator.records import DAY, Conversions, Flags, Impressions, Ledger
from simulator.world import Demand, World

COLD = 10
"""A user with fewer burn-in impressions is cold; a returning user has at least as many."""
TOP = 0.9
"""Heavy users and head ads are at or above this quantile."""
SURVIVAL_DAYS = 3
"""A new ad survives if it is clicked at least once in so many days from its start."""
KEPT = ("cold_users", "returning_users", "head_ads", "tail_ads")
"""Segments whose expected revenue alone is also written under ``segments``."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Who belongs to which segment.

    Attributes:
        users: segment -> bool [U]. ads: segment -> bool [A].
    """

    users: Mapping[str, Flags]
    ads: Mapping[str, Flags]


def membership(burn: Impressions, world: World, since: int) -> Membership:
    """The segments of a world.

    Args:
        burn: the burn-in's log.
        world: the world.
        since: time of the seam, seconds.
    """
    seen = np.bincount(burn.user, minlength=world.catalog.users.rows)
    shown = np.bincount(burn.ad, minlength=world.catalog.ads.rows)
    heavy = seen >= np.quantile(seen[seen > 0], TOP) if seen.any() else seen > 0
    head = shown >= np.quantile(shown, TOP)
    return Membership(
        users={"cold_users": seen < COLD, "returning_users": seen >= COLD, "heavy_users": heavy},
        ads={"new_ads": world.demand.start >= since, "head_ads": head, "tail_ads": ~head},
    )


def by_segment(
    members: Membership, log: Impressions, ledger: Ledger, conversions: Conversions | None, world: World
) -> dict[str, dict[str, float]]:
    """Sums of one arm's test over each segment.

    Args:
        members: who belongs to what.
        log: the test's impressions, n rows.
        ledger: the truth about them, row by row.
        conversions: what the test's clicks led to, whenever; None if the world has none.
        world: for the true conversion rates.

    Returns:
        Segment -> ``members`` (users or ads in it), ``impressions``, ``clicks``, ``revenue``, and given the slates
        ``expected_clicks``, ``expected_revenue``, ``surplus`` of advertisers; where conversions are on also
        ``conversions``, ``conversion_value`` and, given the slates, ``expected_conversions``. Money in currency units.
    """
    chance = ledger.examine_p.astype(np.float64) * ledger.true_ctr
    rows = {
        "impressions": np.ones(len(log)),
        "clicks": ledger.click,
        "revenue": log.paid,
        "expected_clicks": chance,
        "expected_revenue": chance * log.price,
        "surplus": chance * (ledger.value - log.price),
    }
    sold = {}
    if conversions is not None:
        rows["expected_conversions"] = chance * world.truth.conversion_rate(log.user, log.ad)
        sold = {"conversions": np.ones(conversions.ad.size), "conversion_value": conversions.value}
    found: dict[str, dict[str, float]] = {}
    for side, segments in (("user", members.users), ("ad", members.ads)):
        for name, inside in segments.items():
            found[name] = {"members": float(inside.sum())}
            for record, values in ((log, rows), (conversions, sold)):
                if record is not None:
                    mine = inside[getattr(record, side)]
                    found[name] |= {key: float(value[mine].sum()) for key, value in values.items()}
    return found


def active(log: Impressions, ledger: Ledger, demand: Demand) -> dict[str, int]:
    """Who got something out of one day: distinct advertisers, campaigns and ads with a click, and advertisers who paid.

    Args:
        log: the day's impressions.
        ledger: the truth about them.
        demand: whose ads they are.
    """
    clicked, paying = log.ad[ledger.click], log.ad[log.paid > 0]
    return {
        "active_advertisers": int(np.unique(demand.advertiser[clicked]).size),
        "active_campaigns": int(np.unique(demand.campaign[clicked]).size),
        "active_ads": int(np.unique(clicked).size),
        "paying_advertisers": int(np.unique(demand.advertiser[paying]).size),
    }


def exposure(log: Impressions, ledger: Ledger, demand: Demand, since: int, until: int) -> dict[str, float]:
    """How a test's impressions are shared out among ads, and what becomes of new ones.

    Args:
        log: the test's impressions.
        ledger: the truth about them.
        demand: the ads' dates.
        since: time of the seam, seconds.
        until: time of the end of the test, seconds.

    Returns:
        ``gini`` of impressions over the ``eligible_ads``: those inside their dates at some time of the test, shown or
        not. ``new_ads_matured``: ads that start in the test and whose first ``SURVIVAL_DAYS`` days lie in it and in the
        ad's dates; ``new_ads_survived``: of these, with a click in those days; ``new_ad_survival`` their share, NaN
        if none matured.
    """
    ads = demand.start.size
    eligible = (demand.start < until) & (demand.end > since)
    young = SURVIVAL_DAYS * DAY
    matured = (demand.start >= since) & (demand.start + young <= np.minimum(demand.end, until))
    early = ledger.click & (log.time < demand.start[log.ad] + young)
    survived = matured & (np.bincount(log.ad[early], minlength=ads) > 0)
    return {
        "gini": gini(np.bincount(log.ad, minlength=ads)[eligible]),
        "eligible_ads": float(eligible.sum()),
        "new_ads_matured": float(matured.sum()),
        "new_ads_survived": float(survived.sum()),
        "new_ad_survival": float(survived.sum() / matured.sum()) if matured.any() else float("nan"),
    }


__all__ = ["COLD", "KEPT", "SURVIVAL_DAYS", "Membership", "active", "by_segment", "exposure", "membership"]
