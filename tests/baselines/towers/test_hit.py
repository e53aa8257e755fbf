"""HIT: the generators' loss has the right sign, reaches them alone, and they read features and no id."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.towers.hit import generation_loss, hit, static_fields
from baselines.training.features import Events
from cs3.cas import CASLinear
from reports.studies.arms import make_retriever, parse
from simulator.marketplace import learn_from_log
from tests.baselines.conftest import SMALL


@pytest.fixture
def towers(world):
    return hit(world.catalog, 3, **SMALL)


@pytest.fixture
def read(towers, requests):
    ads = np.arange(10)
    inputs = towers.trainer.inputs
    return inputs.users(Events.of(requests)), inputs.ads(ads, np.zeros(10, dtype=np.int64))


def generators(tower):
    return [*tower.clicked.parameters(), *tower.passed.parameters()]


def test_the_generation_loss_by_hand():
    target = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    clicked, passed = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    # row 0 was clicked: 1 - cos(m+, t) = 1 - 0.6; row 1 was not: 1 - cos(m-, t) = 1 + 1
    assert float(generation_loss(clicked, passed, target, torch.tensor([1.0, 0.0]))) == pytest.approx((0.4 + 2) / 2)
    assert float(generation_loss(target, -target, target, torch.ones(2))) == pytest.approx(0.0, abs=1e-6)


def test_a_step_down_the_loss_brings_the_guess_nearer():
    """The public code minimises +cos: its guesses of what is clicked go away from it."""
    draws = torch.Generator().manual_seed(0)
    clicked, passed, target = (torch.randn(6, 5, generator=draws) for _ in range(3))
    clicked.requires_grad_(), passed.requires_grad_()
    label = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    generation_loss(clicked, passed, target, label).backward()
    near = functional.cosine_similarity(clicked, target), functional.cosine_similarity(passed, target)
    with torch.no_grad():
        later = [functional.cosine_similarity(m - 0.5 * m.grad, target) for m in (clicked, passed)]
    assert (later[0] > near[0]).tolist() == [True] * 3 + [False] * 3
    assert (later[1] > near[1]).tolist() == [False] * 3 + [True] * 3
    assert not clicked.grad[3:].any()
    assert not passed.grad[:3].any()


def test_generators_can_guess_negative_numbers(towers, read):
    for tower, side in zip((towers.model.user, towers.model.item), read, strict=True):
        for made in (tower.clicked, tower.passed):
            assert type(made[-1]) is nn.Linear
        for guess in tower.guesses(side):
            assert (guess < 0).any()
            torch.testing.assert_close(guess.norm(dim=1), torch.ones(len(guess)))


def test_generators_learn_from_their_loss_alone_and_nothing_else_does(towers, read):
    model, (users, items) = towers.model, read
    model.zero_grad()
    u, v = model.user(users, None), model.item(items, None)
    model.score.of_all(u, v).sum().backward()
    assert all(p.grad is None for tower in (model.user, model.item) for p in generators(tower))
    model.zero_grad()
    target, label = v.flatten(1)[:5], torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    clicked, passed = (m[:5] for m in model.user.guesses(users))
    generation_loss(clicked, passed, target, label).backward()
    assert all(p.grad.any() for p in generators(model.user)[::2])
    own = {id(p) for p in generators(model.user)}
    assert all(p.grad is None or not p.grad.any() for p in model.parameters() if id(p) not in own)


def test_guesses_enter_the_tower(towers, read):
    users, _ = read
    before = towers.model.user(users, None)
    with torch.no_grad():
        towers.model.user.clicked[-1].weight.neg_()
    assert not torch.allclose(towers.model.user(users, None), before)


def test_guesses_depend_on_no_id(world, towers, read):
    """Two users with one profile get one guess, whatever was learned of either; the other fields do matter."""
    for tower, side, codes, key in (
        (towers.model.user, read[0], world.catalog.users.codes, "user"),
        (towers.model.item, read[1], world.catalog.ads.codes, "ad"),
    ):
        before, column = tower.guesses(side), list(codes).index(key)
        moved = side.codes.clone()
        moved[:, column] += 1
        assert all(torch.equal(a, b) for a, b in zip(before, tower.guesses(side._replace(codes=moved)), strict=True))
        other = (column + 1) % len(codes)
        moved[:, other] = moved[:, other].flip(0)
        assert not torch.equal(before[0], tower.guesses(side._replace(codes=moved))[0])


def test_guesses_of_the_clicked_become_like_the_clicked(world, log, market_config):
    """Trained on the log, the guess from a user's profile is nearer to the ads that she clicked than at the start."""
    towers = hit(world.catalog, 3, **SMALL, generation=3.0, lr=1e-3, counters=False)
    rows = log[np.flatnonzero(log.label)]

    def near():
        events, seen = Events(rows.user, rows.time, rows.context), np.zeros(len(rows), dtype=np.int64)
        with torch.no_grad():
            m = towers.model.user.guesses(towers.trainer.inputs.users(events))
            v = towers.model.item(towers.trainer.inputs.ads(rows.ad, seen), None).flatten(1)
        return float(functional.cosine_similarity(m[0], v).mean())

    start = near()
    learn_from_log(log, towers, market_config.cascade, 0)
    assert near() > start + 0.1


def test_cas_leaves_the_generators_alone(world):
    towers = make_retriever(parse("hit+cas[cas_towers=both]"), world.catalog, 3, SMALL, {})
    for tower in (towers.model.user, towers.model.item):
        inside = {m for made in (tower.clicked, tower.passed) for m in made.modules()}
        assert not any(isinstance(m, CASLinear) for m in inside)
        assert any(isinstance(m, CASLinear) for m in tower.layers.modules())


def test_a_side_needs_a_field_beside_its_id(world):
    assert static_fields({"ad": 0, "category": 1, "brand": 2}, "ad") == [1, 2]
    only = replace(world.catalog.users, codes={"user": world.catalog.users.codes["user"]})
    with pytest.raises(ValueError, match=r"^fields == \['user'\], must hold one beside the id"):
        hit(replace(world.catalog, users=only), 3, **SMALL)


def test_facets_divide_the_width(world):
    with pytest.raises(ValueError, match=r"^facets == 3, must divide width == 32$"):
        hit(world.catalog, 3, facets=3)
