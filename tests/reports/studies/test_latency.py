"""Latency: what is timed and in which order; never how fast."""

from __future__ import annotations

import numpy as np
import pytest

from reports.studies.serving.latency import BATCH, machine, measure
from simulator.retrieval import PopularityRetriever
from simulator.world import build
from tests.reports.studies.tiny import PlainRanker, tiny


@pytest.fixture(scope="module")
def timed():
    s = tiny("run.latency=40")
    world = build(s.world, 1, s.all_days)
    asked: list[tuple[str, int, int]] = []

    class Watched(PopularityRetriever):
        name = ""

        def retrieve(self, requests, offers, k):
            asked.append((self.name, len(requests), k))
            return super().retrieve(requests, offers, k)

    arms = {}
    for name in ("a", "b"):
        retriever = Watched(world.catalog, 1)
        retriever.name = name
        arms[name] = (retriever, PlainRanker(world.catalog, 1))
    return measure(s, world, arms, [4, 8, 16]), asked


def test_shape(timed):
    found, _ = timed
    assert list(found) == ["a", "b"]
    for arm in found.values():
        assert set(arm) == {"retrieval", "cascade", "qps_batch", "k"}
        for kind in ("retrieval", "cascade"):
            assert arm[kind]["n"] == 40
            for q in ("p50_ms", "p95_ms", "p99_ms"):
                assert arm[kind][q]["value"] > 0
            assert arm[kind]["p50_ms"]["lo"] <= arm[kind]["p50_ms"]["value"] <= arm[kind]["p50_ms"]["hi"]
        assert arm["k"]["k"] == [4, 8, 16]
        assert np.isfinite(arm["k"]["cascade_p50_ms"]).all()
        assert arm["qps_batch"]["batch"] == BATCH


def test_arms_take_turns_and_are_asked_alike(timed):
    _, asked = timed
    mine, theirs = ([(n, k) for name, n, k in asked if name == arm] for arm in ("a", "b"))
    assert sorted(mine) == sorted(theirs)
    turns = [name for name, n, _ in asked if n == 1]
    pairs = {tuple(turns[i : i + 2]) for i in range(0, len(turns), 2)}
    assert pairs == {("a", "b"), ("b", "a")}, "each request goes to both, in alternating order"
    assert {k for _, n, k in asked if n == 1} == {4, 8, 16}
    assert {n for _, n, _ in asked} == {1, BATCH}


def test_machine():
    assert machine()["threads_per_measurement"] == 1
    assert machine()["cores"] >= 1
