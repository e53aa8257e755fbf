"""Lifts against tea-tasting and by hand; certified by simulation with a stated Monte-Carlo error."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from reports.numbers.lifts import from_influence, ratio_lift, two_sided_lift, winsorised
from tests.reports.numbers.many_tests import TESTS, within


def users(rng: np.random.Generator, n: int = 300, lift: float = 0.0, share: float = 0.5):
    """Requests per user are skewed, a user's rate is her own: rows of one user are not independent."""
    arm = (rng.random(n) < share).astype(int)
    requests = 3 + rng.geometric(0.4, n)
    rate = rng.gamma(2.0, 0.5, n)
    money = rng.poisson(requests * rate * np.where(arm, 1 + lift, 1.0)).astype(float)
    before = 3 + rng.geometric(0.4, n)
    return money, requests.astype(float), arm, rng.poisson(before * rate).astype(float), before.astype(float)


def aggregates(mask, **columns):
    from tea_tasting.aggr import Aggregates

    kept = {name: values[mask] for name, values in columns.items()}
    names = list(kept)
    return Aggregates(
        count_=int(mask.sum()),
        mean_={name: float(kept[name].mean()) for name in names},
        var_={name: float(kept[name].var(ddof=1)) for name in names},
        cov_={(a, b): float(np.cov(kept[a], kept[b])[0, 1]) for a, b in product(names, names) if a < b},
    )


@pytest.mark.parametrize("with_covariate", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_ratio_lift_is_tea_tastings(with_covariate, share):
    from tea_tasting.metrics import RatioOfMeans

    y, n, arm, x, w = users(np.random.default_rng(7), n=400, lift=0.2, share=share)
    metric = RatioOfMeans("y", "n", *(("x", "w") if with_covariate else ()), confidence_level=0.9)
    sides = [aggregates(arm == a, y=y, n=n, x=x, w=w) for a in (0, 1)]
    theirs = metric.analyze_aggregates(*sides)
    ours = ratio_lift(y, n, arm, covariate=(x, w) if with_covariate else None, level=0.9)
    assert ours.rel_effect == pytest.approx(theirs.rel_effect_size, rel=1e-9)
    assert (ours.lo, ours.hi) == pytest.approx(
        (theirs.rel_effect_size_ci_lower, theirs.rel_effect_size_ci_upper), rel=1e-9
    )
    assert ours.n == 400


def test_delta_method_by_hand():
    y, n, arm = [1.0, 3.0, 4.0, 8.0], [1.0, 2.0, 1.0, 2.0], [0, 0, 1, 1]
    found = ratio_lift(y, n, arm)
    assert found.rel_effect == pytest.approx((12 / 3) / (4 / 3) - 1)
    # Y - R N is -1/3, 1/3 in control and 0, 0 in treatment
    variance = np.var([-1 / 3, 1 / 3], ddof=1) / (2 * 1.5**2) / (4 / 3) ** 2
    assert found.se == pytest.approx(np.sqrt(variance))


def test_false_alarms_and_coverage_of_the_ratio():
    rng = np.random.default_rng(11)
    alarms = covered = 0
    for _ in range(TESTS):
        y, n, arm, x, w = users(rng)
        alarms += ratio_lift(y, n, arm).p < 0.05
        y, n, arm, x, w = users(rng, lift=0.15)
        with_covariate = ratio_lift(y, n, arm, covariate=(x, w))
        covered += with_covariate.lo <= 0.15 <= with_covariate.hi
    assert within(alarms, TESTS, 0.05)
    assert within(covered, TESTS, 0.95)


def test_rows_as_units_raise_false_alarms():
    """The mistake that the unit is there for: each request of a user as if it were a user."""
    rng = np.random.default_rng(12)
    alarms = 0
    for _ in range(300):
        arm = rng.integers(2, size=60)
        rate = rng.beta(0.5, 4.5, 60)
        click = rng.binomial(20, rate)
        shown = [20 * (arm == a).sum() for a in (0, 1)]
        clicks = [click[arm == a].sum() for a in (0, 1)]
        pooled = sum(clicks) / sum(shown)
        z = (clicks[1] / shown[1] - clicks[0] / shown[0]) / np.sqrt(
            pooled * (1 - pooled) * (1 / shown[0] + 1 / shown[1])
        )
        alarms += abs(z) > 1.96
    assert alarms / 300 > 0.15


def test_cuped_narrows_and_never_moves_the_truth():
    rng = np.random.default_rng(13)
    plain, adjusted = [], []
    for _ in range(200):
        y, n, arm, x, w = users(rng, lift=0.1)
        plain.append(ratio_lift(y, n, arm).rel_effect)
        adjusted.append(ratio_lift(y, n, arm, covariate=(x, w)).rel_effect)
    assert np.std(adjusted) < 0.9 * np.std(plain)
    assert np.mean(adjusted) == pytest.approx(0.1, abs=5 * np.std(adjusted) / np.sqrt(200))
    flat = (np.ones(300), np.ones(300))
    assert ratio_lift(y, n, arm, covariate=flat) == ratio_lift(y, n, arm)


def test_two_sided_false_alarms_stay_under_the_level():
    """Users and campaigns have levels of their own, so impressions are dependent both ways."""
    rng = np.random.default_rng(14)
    tests, alarms = 400, 0
    U, C = 80, 40
    for _ in range(tests):
        level = np.exp(rng.normal(0, 0.5, (U, 1)) + rng.normal(0, 0.5, (1, C)))
        money = rng.gamma(1.0, level)
        u, c = np.divmod(np.arange(U * C), C)
        found = two_sided_lift(
            money.ravel(), u, c, asked=rng.permutation(U) % 2, side=rng.permutation(C) % 2,
            requests=np.ones(U), ads=np.ones(C),
        )  # fmt: skip
        alarms += found.p < 0.05
    # the overlap counted twice is on the safe side: under 5 %, but it does alarm
    assert 0 < alarms / tests < 0.05 + 5 * np.sqrt(0.05 * 0.95 / tests)


def test_two_sided_by_hand():
    """Treated pairs earn 3 times: against treated users' control ads and control users' treated ads."""
    u, c = np.divmod(np.arange(16), 4)
    asked, side = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    money = np.where(asked[u] & side[c], 3.0, 1.0)
    found = two_sided_lift(money, u, c, asked=asked, side=side, requests=np.ones(4), ads=np.ones(4))
    assert found.rel_effect == pytest.approx(2.0)
    assert found.n == 8
    nobody = two_sided_lift(money * 0, u, c, asked=asked, side=side, requests=np.ones(4), ads=np.ones(4))
    assert np.isnan(nobody.rel_effect)


def test_winsorised_at_what_was_before():
    assert winsorised([1.0, 5.0, 100.0], np.arange(101.0), 0.5).tolist() == [1.0, 5.0, 50.0]


def test_arms_without_money_have_no_lift():
    found = ratio_lift([0.0, 0.0, 1.0, 1.0], np.ones(4), [0, 0, 1, 1])
    assert np.isnan([found.rel_effect, found.lo, found.p]).all()
    assert np.isnan(ratio_lift([1.0, 1.0], np.ones(2), [0, 1]).rel_effect)
    with pytest.raises(ValueError, match=r"numer.shape == \(2,\), must be \[n\]"):
        ratio_lift([1.0, 1.0], np.ones(3), [0, 1])
    same = ratio_lift(np.ones(8), np.ones(8), np.arange(8) % 2)
    assert same[:5] == (0, 0, 0, 1, 0)
    alike = from_influence(0.1, [np.zeros(3), np.zeros(3)])
    assert alike.rel_effect == pytest.approx(np.expm1(0.1))
    assert np.isnan([alike.lo, alike.hi, alike.p]).all()
    assert alike.why_no_interval == "the units of each arm are all alike, without spread"
    assert found.why_no_interval == "an arm has fewer than 2 units, or earned nothing"
    assert same.why_no_interval == ""
