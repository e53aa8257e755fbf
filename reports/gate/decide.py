"""From paired blocks to a decision: bounds of the median log ratio, false alarms, the smallest slowdown that is seen.

A pair is a block of the base and a block of the head, one after the other, in alternating order; d = log(head / base).
The bound is an order statistic (David & Nagaraja 2003, 7.1): with n pairs, P(d_(k) > median) = P(Bin(n, 1/2) < k)
whatever the distribution of d. Timings on shared machines are skewed and heavy-tailed, by which a mean or a bound that
wants symmetry (Hodges-Lehmann, sign-flips of the mean) would be misled; a median is not, and neither is its bound.
What it wants is that pairs are independent: so pairs of one benchmark are taken far apart, all others in between, and a
slow spell that lasts hits both blocks of a pair.

A benchmark whose bounds still hold the threshold between them gets more pairs: there are three looks, at n, 2 n and 4 n
pairs, each with a third of the error, so that all three together keep it whatever is seen in between.

The family of m benchmarks: one fails only if the bound of two independent pairs of processes says so, each wrong with
probability at most a. All false alarms together have at most m a^2, so a = min(0.05, sqrt(0.05 / m)) keeps the whole
gate's at 5 %, even if every benchmark were exactly as much slower as is allowed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

FAMILY = 0.05
"""False alarms of the whole gate at most."""
POWER = 0.8
"""With which the smallest slowdown is seen."""
LOOKS = (1, 2, 4)
"""At how many times the pairs that were asked for the bounds are looked at."""

Floats = npt.NDArray[np.float64]


class Bounds(NamedTuple):
    """A median of log ratios and its one-sided bounds, each of the same level.

    Attributes:
        log_ratio: median of log(head / base).
        lo, hi: lower and upper bound; infinite where the pairs are too few to have one.
        n: pairs.
    """

    log_ratio: float
    lo: float
    hi: float
    n: int


def level(m: int) -> float:
    """Of a one-sided bound over all looks: 0.95, or more where ``m`` benchmarks need it to keep 5 % false alarms."""
    return 1 - min(0.05, float(np.sqrt(FAMILY / max(m, 1))))


def at_a_look(confidence: float) -> float:
    """Of a bound at one look, so that all looks together have ``confidence``."""
    return 1 - (1 - confidence) / len(LOOKS)


def rank(n: int, confidence: float) -> int:
    """The k of d_(k), 1-based, that is a lower bound of the median with this confidence; 0 if there is none."""
    below = np.arange(n + 1)
    return int((binom.cdf(below - 1, n, 0.5) <= 1 - confidence).sum()) - 1


def fewest_pairs(confidence: float) -> int:
    """Pairs below which there is no bound."""
    n = 1
    while rank(n, confidence) == 0:
        n += 1
    return n


def bounds(d: Floats, confidence: float) -> Bounds:
    """Median of log ratios [n] with its bounds."""
    n = d.size
    if n == 0 or not np.isfinite(d).all():
        raise ValueError(f"log ratios == {d.tolist()[:5]}, must be finite and at least one")
    k, ordered = rank(n, confidence), np.sort(d)
    lo, hi = (float(ordered[k - 1]), float(ordered[n - k])) if k else (-np.inf, np.inf)
    return Bounds(float(np.median(d)), lo, hi, n)


def alarms(found: Bounds, threshold: float) -> bool:
    """Whether a slowdown by more than ``threshold`` (0.1 is 10 %) is proven."""
    return bool(found.lo > np.log1p(threshold))


def undecided(found: Bounds, threshold: float) -> bool:
    """Whether more pairs may tell: the threshold is between the bounds."""
    return bool(found.lo <= np.log1p(threshold) <= found.hi)


def alarm_rate(d: Floats, slowdown: float, threshold: float, confidence: float, n: int) -> float:
    """How often ``n`` pairs like these, made slower by ``slowdown``, raise an alarm: drawn again with replacement.

    P(k-th smallest of n draws is over t) = P(Bin(n, F(t)) < k) with F of the pairs at hand; half a pair is put on
    either side of t, since pairs that were not seen are not impossible.
    """
    k = rank(n, confidence)
    if k == 0:
        return 0.0
    t = np.log1p(threshold) - np.log1p(slowdown)
    share = ((d <= t).sum() + 0.5) / (d.size + 1)
    return float(binom.cdf(k - 1, n, share))


def smallest_slowdown(d: Floats, threshold: float, confidence: float, n: int) -> float | None:
    """The least slowdown that ``n`` pairs of either pair of processes both see with 80 % probability; None if none is.

    From A/A pairs [any number]. Looked for up to a factor of 100, to a tenth of a per cent point.
    """

    def seen(s: float) -> bool:
        return alarm_rate(d, s, threshold, confidence, n) ** 2 >= POWER

    lo, hi = 0.0, 99.0
    if not seen(hi):
        return None
    while hi - lo > 0.0005:
        middle = (lo + hi) / 2
        lo, hi = (lo, middle) if seen(middle) else (middle, hi)
    return hi


def false_alarm(rates: Floats) -> float:
    """Of the whole gate: at least one benchmark alarms in both pairs of processes, given each one's rate in one."""
    return float(1 - np.prod(1 - rates**2))
