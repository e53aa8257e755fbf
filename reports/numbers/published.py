"""What the CS3 paper (arXiv 2604.19269) publishes and our offline study measures too: constants, no opinion.

Absolute AUCs do not compare with ours: features, loss, number of epochs and the offline state protocol are not public.
Signs, orders and gains do.
"""

from __future__ import annotations

from typing import NamedTuple

PAPER = "arXiv 2604.19269"
CAUTION = (
    "Absolute AUCs do not compare: the paper's features, loss, number of epochs and the offline protocol of its state "
    "are not public. Compare signs, orders and gains. Public summaries disagree which data set the pairs belong to, "
    "and 0.6855 stands in two of them. The gain on RecSys2017 is far beyond what a change of architecture gives "
    "elsewhere: a warning to look for leakage."
)


class Pair(NamedTuple):
    """An AUC before and after CS3 on DSSM.

    Attributes:
        what: the quantity.
        reader: name of our reader of that log; "" where the paper's summaries name no log.
        cold: our slices of the test rows that it is about: their names start so; "" for all rows.
        before: DSSM.
        after: DSSM+CS3.
    """

    what: str
    reader: str
    cold: str
    before: float
    after: float


PAIRS = (
    Pair("KuaiRand, all rows", "kuairand", "", 0.6646, 0.7484),
    Pair("TaobaoAd, all rows", "taobao-ad", "", 0.6194, 0.6855),
    Pair("RecSys2017, all rows", "recsys2017", "", 0.6855, 0.8380),
    Pair("cold users, at most 3 interactions, log not named", "", "users with at most", 0.5333, 0.6037),
    Pair("cold items, at most 3 interactions, log not named", "", "videos with at most", 0.5964, 0.6408),
)
NOISE = "AUC lost to Gaussian noise of std 0.1 on the inputs"
NOISE_CLAIM = "DSSM+CAS loses far less than DSSM; no figure in the public summaries"
NOISE_LEVEL = 0.1
"""Standard deviation at which the paper speaks of noise."""


class Online(NamedTuple):
    """One row of the paper's online A/B tests, per cent against the base in its three scenarios; None: not published.

    Attributes:
        what: the quantity.
        arm: our spelling of the cell.
        key: our measure of the same name.
        percent: in the first, second and third scenario.
    """

    what: str
    arm: str
    key: str
    percent: tuple[float | None, float | None, float | None]


ONLINE = (
    Online("revenue, CAS", "dssm+cas", "revenue", (1.677, None, None)),
    Online("revenue, CAS and CMS", "dssm+cas+cms", "revenue", (7.880, None, None)),
    Online("revenue, full CS3", "dssm+cs3", "revenue", (8.356, 1.366, 2.177)),
    Online("DAC (active customers), full CS3", "dssm+cs3", "active_advertisers", (0.468, 0.143, 0.228)),
    Online("QPS, full CS3", "dssm+cs3", "qps", (-0.589, -0.388, -0.456)),
    Online("Kendall tau with the ranker, full CS3", "dssm+cs3", "tau", (3.2, 2.9, 6.0)),
)
"""Online figures. The tau gains are three numbers in the scenarios' order; the summaries do not say their unit."""
