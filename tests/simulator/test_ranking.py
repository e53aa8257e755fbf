"""A ranker that is a table; two mishaps of any: noise, and a redesign of its hidden space."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from simulator.ranking import TableRanker, handicapped, redesigned
from simulator.records import PAD, Ranked
from tests.simulator.test_feedback import requests_of

R, K, H = 400, 6, 8


@pytest.fixture(scope="module")
def said() -> tuple[np.ndarray, Ranked]:
    rng = np.random.default_rng(0)
    ads = rng.permuted(np.tile(np.arange(30), (R, 1)), axis=1)[:, :K].astype(np.int32)
    ads[:, 5] = PAD
    pctr = np.where(ads == PAD, 0, rng.uniform(0.02, 0.2, (R, K))).astype(np.float32)
    return ads, Ranked(pctr=pctr, hidden=rng.lognormal(size=(R, K, H)).astype(np.float32))


def test_a_table_is_looked_up_and_a_pad_is_nothing():
    rate = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    ranked = TableRanker(rate).rank(requests_of(1), np.array([[2, 0, PAD]], dtype=np.int32))
    assert ranked.pctr.tolist() == [[rate[2], rate[0], 0]]
    assert ranked.hidden.shape == (1, 3, 0)
    assert rate.tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_a_handicap_is_noise_of_its_size_by_key(said):
    ads, ranked = said
    worse = handicapped(1, requests_of(R), ads, ranked, 0.5)
    shown = ads != PAD
    noise = logit(worse.pctr[shown].astype(float)) - logit(ranked.pctr[shown].astype(float))
    assert noise.std() == pytest.approx(0.5, rel=0.05)
    assert abs(noise.mean()) < 0.05
    assert not worse.pctr[~shown].any()
    rms = np.sqrt(np.square(ranked.hidden).mean(axis=2, keepdims=True))
    assert ((worse.hidden - ranked.hidden) / rms).std() == pytest.approx(0.5, rel=0.05)
    again = handicapped(1, requests_of(R), ads[:, ::-1], Ranked(pctr=ranked.pctr[:, ::-1], hidden=ranked.hidden), 0.5)
    assert np.array_equal(again.pctr[:, ::-1], worse.pctr)


def test_a_handicap_of_a_ranker_without_hidden_vectors(said):
    ads, ranked = said
    bare = Ranked(pctr=ranked.pctr, hidden=np.zeros((R, K, 0), dtype=np.float32))
    assert handicapped(1, requests_of(R), ads, bare, 0.5).hidden.shape == (R, K, 0)


def test_a_redesign_changes_the_space_and_nothing_else(said):
    _, ranked = said
    new = redesigned(1, ranked)
    assert new.pctr is ranked.pctr
    assert not np.array_equal(new.hidden, ranked.hidden)
    assert np.array_equal(np.sort(new.hidden, axis=2), np.sort(ranked.hidden, axis=2))
    # One permutation for all: inner products stay what they were.
    a, b = ranked.hidden[:, 0], ranked.hidden[:, 1]
    c, d = new.hidden[:, 0], new.hidden[:, 1]
    assert np.allclose((a * b).sum(axis=1), (c * d).sum(axis=1), rtol=1e-5)
    assert np.array_equal(redesigned(1, ranked).hidden, new.hidden)
    assert not np.array_equal(redesigned(2, ranked).hidden, new.hidden)
