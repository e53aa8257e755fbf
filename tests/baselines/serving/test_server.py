"""A frozen server answers as its retriever does, for every arm of single vectors, and no later sync reaches it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from baselines.serving import freeze
from baselines.serving.layers import layers_of
from baselines.serving.runtimes import RUNTIMES
from cs3.cas import CASLinear
from cs3.embedded import EmbeddedStore
from reports.studies.arms import make_retriever, parse
from simulator.records import DAY, Offers, take
from tests.baselines.conftest import SMALL, extras_of, make_towers

CELLS = ["dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cas+cts", "dssm+cas+cms", "dssm+cts+cms", "dssm+cs3"]
OTHERS = ["dssm-bare", "dssm-bare+cs3", "dssm-wide", "dat", "dat+cs3", "dssm+cs3+shuffled", "dssm+kd"]
K = 10


def offers(world, seed=0):
    draws = np.random.default_rng(seed)
    bid = world.demand.bid * draws.uniform(0.5, 2.0, world.demand.bid.size)
    return Offers(eligible=draws.random(bid.size) < 0.8, bid=bid)


def trained(world, log, arm, **modifiers):
    """After three batches and a sync: every table of every mechanism holds something."""
    towers = make_towers(world, arm, **modifiers)
    towers.update(log[: 3 * SMALL["batch"]])
    towers.sync(DAY)
    return towers


def ask(server, requests, k=K):
    return server.serve(requests.user, requests.time, requests.context, k)


def same(server, towers, requests, offered, k=K):
    server.offer(offered)
    served, exact = ask(server, requests, k), towers.exact(requests, offered, k)
    np.testing.assert_array_equal(served.ad, exact.ad)
    np.testing.assert_allclose(served.logit, exact.logit, rtol=0, atol=1e-5)


@pytest.mark.parametrize("arm", CELLS + OTHERS)
def test_serves_what_the_retriever_serves(world, log, requests, arm):
    towers = trained(world, log, arm)
    for runtime in ("onnx", "numpy", "torch"):
        server = freeze(towers, runtime=runtime)
        same(server, towers, requests, offers(world))
        same(server, towers, take(requests, slice(5, 6)), offers(world, 1))
        expected = towers.encode_users(requests).numpy()
        np.testing.assert_allclose(
            server.encode(requests.user, requests.time, requests.context), expected, rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("setting", [{"cycles": 2}, {"cas_skip_input": False}, {"bias_correct": True}])
def test_settings_of_the_mechanisms(world, log, requests, setting):
    towers = trained(world, log, "dssm+cs3", **setting)
    for runtime in RUNTIMES:
        same(freeze(towers, runtime=runtime), towers, requests, offers(world))


def test_more_asked_for_than_may_compete(world, log, requests):
    towers = trained(world, log, "dssm+cs3")
    few = Offers(eligible=np.arange(world.demand.bid.size) < 4, bid=world.demand.bid)
    server = freeze(towers)
    same(server, towers, requests, few)
    assert (ask(server, requests).ad[:, 4:] == -1).all()


def test_nothing_competes_before_an_offer(world, requests):
    served = ask(freeze(make_towers(world, "dssm")), requests)
    assert (served.ad == -1).all()
    assert np.isnan(served.logit).all()


def test_a_later_sync_does_not_reach_the_server(world, log, requests):
    towers = trained(world, log, "dssm+cs3")
    server = freeze(towers)
    server.offer(offers(world))
    before = ask(server, requests)
    towers.update(log[384:640])
    towers.sync(DAY)
    after = ask(server, requests)
    np.testing.assert_array_equal(before.ad, after.ad)
    np.testing.assert_array_equal(before.logit, after.logit)
    assert not np.array_equal(towers.exact(requests, offers(world), K).logit, after.logit)


def test_rows_may_come_from_a_store(world, log, requests):
    towers = trained(world, log, "dssm+cs3")
    everyone = torch.arange(world.catalog.users.rows)
    store = EmbeddedStore(len(everyone), extras_of(towers).user_width)
    store.put(everyone, extras_of(towers).published_users(everyone), 1)
    asked = []

    def fetch(users):
        asked.append(len(users))
        return store.fetch(torch.from_numpy(users)).numpy()

    server = freeze(towers, fetch=fetch)
    same(server, towers, requests, offers(world))
    assert asked[-1] == len(requests)


def test_a_tower_of_a_sequence(world, log, requests):
    towers = trained(world, log, "seqtower+cs3")
    with pytest.raises(ValueError, match="runtime == 'onnx', must be 'torch' for a SeqTower"):
        freeze(towers)
    same(freeze(towers, runtime="torch"), towers, requests, offers(world))


def test_refused(world):
    with pytest.raises(ValueError, match="score == MaxSim, must be of single vectors"):
        freeze(make_retriever(parse("hit"), world.catalog, 3, {}, {}))
    with pytest.raises(ValueError, match="runtime == 'tpu', must be one of onnx, numpy, torch"):
        freeze(make_towers(world, "dssm"), runtime="tpu")


def test_a_tower_that_computes_more_than_it_shows_is_refused(world):
    towers = make_towers(world, "dssm")
    kind = type(towers.serving.user)

    class Turned(kind):
        def forward(self, *given):
            return -super().forward(*given)

    towers.serving.user.__class__ = Turned
    with pytest.raises(
        ValueError, match=r"\|u - Turned's\| == .*, must be at most 0.0001: serve it by runtime 'torch'"
    ):
        freeze(towers)


def test_layers_that_are_not_known_are_refused():
    with pytest.raises(ValueError, match="layer == GELU, must be linear, gated, a ReLU or a dropout"):
        layers_of(nn.Sequential(nn.Linear(2, 2), nn.GELU()))


def test_what_a_gate_costs():
    plain = nn.Linear(8, 4)
    gated = layers_of([CASLinear(plain, cycles=3)])[0]
    assert layers_of([plain])[0].flops == 2 * 8 * 4
    assert gated.flops == 2 * (8 * 4 + 3 * 8 * 8)
    assert gated.numbers == 8 * 4 + 4 + 8 * 8 + 8


def test_a_zero_vector_stays_zero():
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    for make in RUNTIMES.values():
        assert not make(layers_of([layer]))(np.ones((2, 3), dtype=np.float32)).any()
