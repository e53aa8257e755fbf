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
