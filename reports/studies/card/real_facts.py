"""Stylised facts of the real logs, recomputed where a log is at hand, else as they were when it was.

KuaiRand-Pure, standard log, 25 April to 8 May 2022 (Gao et al., CIKM 2022), exact duplicates dropped, gives facts of
users and items; iPinYou 1458 (Zhang et al., arXiv 1407.7073) gives prices, of won auctions only. Counts are over users
and items that were shown at least once: a log cannot know the others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reports.numbers.inequality import gini
from simulator.records import DAY

Numbers = npt.NDArray[np.float64]

KUAIRAND, IPINYOU = "kuairand-pure", "ipinyou-1458"
LOGS = {KUAIRAND: "KuaiRand-Pure, 25 Apr - 8 May", IPINYOU: "iPinYou 1458, won auctions"}
TOP_SHARE = 1000 / 6361
"""The Zipf slope is that of KuaiRand's top 1,000 of the 6,361 items shown; a world's, of the same share of its ads."""
LEAST = 10
"""Impressions of a user or item from which her, or its, click rate counts in the spread of true rates."""
PUBLISHED: Mapping[str, float] = {
    "gini_user_impressions": 0.465,
    "user_median": 6,
    "user_p99": 41,
    "gini_impressions_per_ad": 0.727,
    "top_1_percent_ads": 0.169,
    "zipf_slope": -0.627,
    "sd_user_logit": 0.768,
    "sd_ad_logit": 0.695,
    "repeat_share": 0.0089,
    "gap_median": 36_137,
    "busiest_hour": 0.0642,
    "quietest_hour": 0.0078,
    "bid_cv": 0.826,
}
"""What :func:`recomputed` gave when the logs were at hand; a test holds the two against each other."""

COUNTED = (
    "gini_user_impressions", "user_median", "user_p99", "gini_impressions_per_ad", "top_1_percent_ads", "zipf_slope",
)  # fmt: skip
TIMED = ("repeat_share", "gap_median", "busiest_hour", "quietest_hour")


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What a picture of a log needs.

    Attributes:
        rank: float64 [n], impressions of the items, most first, in units of their mean.
        hours: float64 [24], share of the day.
        price: float64 [m], quantiles 0.5 %, 1.5 %, ... of the price, in units of its mean.
    """

    rank: Numbers
    hours: Numbers
    price: Numbers


def data_folder() -> Path | None:
    """Where the real logs are: the folder that ``CS3BENCH_DATA`` names, else ``../shared/data``; None if neither is."""
    named = os.environ.get("CS3BENCH_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3].parent / "shared" / "data"
    return folder if folder.is_dir() else None


def count_facts(per_user: Numbers, per_ad: Numbers) -> dict[str, float]:
    """Facts of impressions per user [U] and per ad [A]; zeros are left out; NaN where nothing tells."""
    users, ads = (np.sort(x[x > 0])[::-1].astype(np.float64) for x in (per_user, per_ad))
    if not users.size:
        return dict.fromkeys(COUNTED, float("nan"))
    top = ads[: max(2, round(TOP_SHARE * ads.size))]
    return {
        "gini_user_impressions": float(gini(users)),
        "user_median": float(np.median(users)),
        "user_p99": float(np.quantile(users, 0.99)),
        "gini_impressions_per_ad": float(gini(ads)),
        "top_1_percent_ads": float(ads[: max(1, round(ads.size / 100))].sum() / ads.sum()),
        "zipf_slope": _slope(top),
    }


def _slope(top: Numbers) -> float:
    """Log-log slope of counts by rank; one point has none."""
    if top.size < 2:
        return float("nan")
    return float(np.polyfit(np.log(np.arange(1, top.size + 1)), np.log(top), 1)[0])


def logit_sd(unit: npt.NDArray[np.integer], label: npt.NDArray[np.bool_], least: int = LEAST) -> float:
    """Sd of the units' true click rates on the logit scale, by the method of moments.

    The variance of the observed rates, less what chance alone gives at these counts, carried to the logit scale by the
    slope p (1 - p) there. Units with fewer than ``least`` impressions do not count.
    """
    n = np.bincount(unit)
    clicks = np.bincount(unit, weights=label)[n >= least]
    n = n[n >= least]
    rate, p = clicks / n, clicks.sum() / n.sum()
    chance = (rate * (1 - rate) / np.maximum(n - 1, 1)).mean()
    return float(np.sqrt(max(rate.var() - chance, 0.0)) / (p * (1 - p)))


def time_facts(
    user: npt.NDArray[np.integer], ad: npt.NDArray[np.integer], time: npt.NDArray[np.integer]
) -> dict[str, float]:
    """Facts of when and how often: seconds between a user's requests, hours, repeated pairs; NaN where none tells."""
    if not time.size:
        return dict.fromkeys(TIMED, float("nan"))
    order = np.lexsort((time, user))
    gap, same = np.diff(time[order]), np.diff(user[order]) == 0
    gaps = gap[same & (gap > 0)]
    hours = np.bincount((time % DAY) // 3600, minlength=24) / time.size
    pair = user.astype(np.int64) * (int(ad.max()) + 1) + ad
    return {
        "repeat_share": float(1 - np.unique(pair).size / pair.size),
        "gap_median": float(np.median(gaps)) if gaps.size else float("nan"),
        "busiest_hour": float(hours.max()),
        "quietest_hour": float(hours.min()),
    }


def curves(per_ad: Numbers, time: npt.NDArray[np.integer] | None, price: Numbers | None) -> Curves:
    """The curves of a log; an absent column is an empty curve."""
    ads = np.sort(per_ad[per_ad > 0])[::-1].astype(np.float64)
    grid = (np.arange(100) + 0.5) / 100
    hours = np.zeros(0)
    if time is not None and time.size:
        hours = np.bincount((time % DAY) // 3600, minlength=24) / time.size
    return Curves(
        rank=ads / ads.mean() if ads.size else ads,
        hours=hours,
        price=np.zeros(0) if price is None or not price.size else np.quantile(price, grid) / price.mean(),
    )


@lru_cache(maxsize=2)
def recomputed(folder: Path | None) -> tuple[dict[str, float], Curves | None, tuple[str, ...]]:
    """Facts from the logs of a folder, its curves, and the names of the logs that were there."""
    facts: dict[str, float] = {}
    found: list[str] = []
    per_ad, time, price = np.zeros(0), None, None
    if folder is not None and (folder / KUAIRAND).is_dir():
        from simulator.datasets.door import read_log

        log = read_log("kuairand", folder / KUAIRAND, label_wait=1800).impressions
        per_ad, time = np.bincount(log.ad).astype(np.float64), log.time
        facts |= count_facts(np.bincount(log.user).astype(np.float64), per_ad)
        facts |= time_facts(log.user, log.ad, log.time)
        facts |= {"sd_user_logit": logit_sd(log.user, log.label), "sd_ad_logit": logit_sd(log.ad, log.label)}
        found.append(KUAIRAND)
    if folder is not None and (folder / IPINYOU / "data.txt").is_file():
        price = np.loadtxt(folder / IPINYOU / "data.txt", delimiter="\t", usecols=1)
        facts["bid_cv"] = float(price.std() / price.mean())
        found.append(IPINYOU)
    return facts, curves(per_ad, time, price) if found else None, tuple(found)
