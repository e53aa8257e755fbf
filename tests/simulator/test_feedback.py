"""Feedback by key: the same event has the same luck, whatever else is shown."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logit as log_odds

from simulator.feedback import FeedbackConfig, examine_p, misreported, respond, times_sent
from simulator.records import PAD, Outcomes, Requests, Slates, take
from tests.simulator.test_log import rows

R, S, A = 20_000, 4, 50
CONFIG = FeedbackConfig()


def requests_of(n: int = R) -> Requests:
    i = np.arange(n)
    return Requests(
        id=i.astype(np.int64),
        user=(i % 97).astype(np.int32),
        time=(i * 10).astype(np.int64),
        context=np.zeros((n, 1), dtype=np.int32),
        arm=np.zeros(n, dtype=np.int8),
    )


def slates_of(ad: np.ndarray) -> Slates:
    money = np.ones(ad.shape)
    return Slates(ad=ad.astype(np.int32), place=np.zeros(ad.shape, dtype=np.int32), bid=money, score=money, price=money)


def outcomes(ad: np.ndarray, rate: float = 0.3, config: FeedbackConfig = CONFIG, seed: int = 1) -> Outcomes:
    logit = np.full(ad.shape, log_odds(rate), dtype=np.float32)
    return respond(seed, requests_of(len(ad)), slates_of(ad), logit, config)


@pytest.fixture(scope="module")
def ads() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.permuted(np.tile(np.arange(A), (R, 1)), axis=1)[:, :S]


def test_same_ad_same_slot_same_luck_whatever_else_is_shown(ads):
    other = ads.copy()
    other[:, [0, 2, 3]] = A + np.arange(3)
    other[::2, 3] = PAD
    a, b = outcomes(ads), outcomes(other)
    assert a.click[:, 1].any()
    for name in ("examined", "click", "click_at"):
        assert np.array_equal(getattr(a, name)[:, 1], getattr(b, name)[:, 1]), name
    assert not np.array_equal(a.click[:, 0], b.click[:, 0])


def test_an_ad_in_another_slot_keeps_its_click_if_both_slots_are_looked_at(ads):
    a, b = outcomes(ads), outcomes(ads[:, ::-1])
    both = a.examined & b.examined[:, ::-1]
    assert 0.2 < both.mean() < 1
    assert np.array_equal(a.click[both], b.click[:, ::-1][both])


def test_examination_belongs_to_the_slot_not_to_the_ad(ads):
    assert np.array_equal(outcomes(ads).examined, outcomes((ads + 7) % A).examined)


def test_requests_alone_together_or_in_another_order(ads):
    whole = outcomes(ads)
    rows = np.random.default_rng(1).permutation(R)[:500]
    logit = np.full((500, S), log_odds(0.3), dtype=np.float32)
    some = respond(1, take(requests_of(), rows), slates_of(ads[rows]), logit, CONFIG)
    for name in ("examined", "click", "click_at"):
        assert np.array_equal(getattr(some, name), getattr(whole, name)[rows]), name


def test_a_higher_rate_only_adds_clicks(ads):
    """Common luck is monotone: what was clicked at 0.1 is clicked at 0.3."""
    low, high = outcomes(ads, 0.1).click, outcomes(ads, 0.3).click
    assert (high >= low).all()
    assert high.sum() > 2 * low.sum()


def test_rates_are_those_asked_for(ads):
    seen = outcomes(ads, 0.3)
    p = examine_p(S, CONFIG.examine_decay)
    se = np.sqrt(p * (1 - p) / R)
    assert (np.abs(seen.examined.mean(axis=0) - p) <= 4 * se + 1e-12).all()
    n = seen.examined.sum()
    assert abs(seen.click.sum() / n - 0.3) < 4 * np.sqrt(0.21 / n)
    # The click is independent of the examination that let it happen: equal rate in every slot.
    by_slot = seen.click.sum(axis=0) / seen.examined.sum(axis=0)
    assert_allclose(by_slot, 0.3, atol=4 * np.sqrt(0.21 / (R * p.min())))


def test_no_click_without_a_look_and_nothing_at_pads(ads):
    holes = np.where(np.arange(S) == 2, PAD, ads)
    seen = outcomes(holes, 0.9)
    assert not seen.examined[:, 2].any()
    assert not seen.click[~seen.examined].any()
    assert (seen.click_at[~seen.click] == -1).all()
    assert seen.click[:, 0].any()


def test_delays(ads):
    seen = outcomes(ads, 0.5)
    delay = (seen.click_at - requests_of().time[:, None])[seen.click]
    assert delay.min() >= 0
    # floor of an exponential: mean is half a second less, to first order
    assert abs(delay.mean() + 0.5 - CONFIG.click_delay) < 4 * CONFIG.click_delay / np.sqrt(delay.size)


def test_off_positions(ads):
    plain = outcomes(ads, 0.5, FeedbackConfig(examine_decay=1.0, click_delay=0.0))
    assert plain.examined.all()
    assert (plain.click_at == np.where(plain.click, requests_of().time[:, None], -1)).all()


def test_another_seed_another_luck(ads):
    a, b = outcomes(ads, 0.5, seed=1).click, outcomes(ads, 0.5, seed=2).click
    assert abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) < 4 / np.sqrt(R)


class TestMisreports:
    """Noise of the log: the learners see it, the money does not."""

    LOG = replace(
        rows(4000, ready=np.arange(4000)), request=np.arange(4000, dtype=np.int64), ad=np.arange(4000, dtype=np.int32)
    )

    def test_off(self):
        assert misreported(1, self.LOG, CONFIG) is self.LOG
        assert (times_sent(1, self.LOG.request, self.LOG.ad, CONFIG) == 1).all()

    def test_lost_clicks(self):
        seen = misreported(1, self.LOG, FeedbackConfig(lost_clicks=0.25)).label
        assert not (seen & ~self.LOG.label).any()
        n = self.LOG.label.sum()
        assert abs(seen.sum() / n - 0.75) < 4 * np.sqrt(0.19 / n)

    def test_label_flips(self):
        seen = misreported(1, self.LOG, FeedbackConfig(label_flips=0.1)).label
        wrong = seen != self.LOG.label
        assert abs(wrong.mean() - 0.1) < 4 * np.sqrt(0.09 / 4000)
        assert wrong[self.LOG.label].any()
        assert wrong[~self.LOG.label].any()

    def test_only_the_label_changes_and_by_key(self):
        config = FeedbackConfig(lost_clicks=0.2, label_flips=0.2)
        whole = misreported(1, self.LOG, config)
        for field in fields(whole):
            if field.name != "label":
                assert getattr(whole, field.name) is getattr(self.LOG, field.name)
        some = misreported(1, self.LOG[1000:1500], config)
        assert np.array_equal(some.label, whole.label[1000:1500])

    def test_duplicates(self):
        sent = times_sent(1, self.LOG.request, self.LOG.ad, FeedbackConfig(duplicate_clicks=0.3))
        assert set(sent.tolist()) == {1, 2}
        assert abs((sent - 1).mean() - 0.3) < 4 * np.sqrt(0.21 / 4000)
