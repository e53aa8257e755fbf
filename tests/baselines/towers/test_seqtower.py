"""The transformer tower: its mask, its order, what it may see of the past, and CAS outside the attention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from baselines.towers.seqtower import seqtower
from baselines.training.features import Events
from cs3.cas import CASLinear
from reports.studies.arms import make_retriever, parse
from simulator.records import DAY, History
from tests.baselines.conftest import SMALL, extras_of


@pytest.fixture
def towers(world):
    return seqtower(world.catalog, 3, **SMALL, token=16)


@pytest.fixture
def users(towers, requests):
    return towers.trainer.inputs.users(Events.of(requests))


def encoded(towers, users):
    with torch.no_grad():
        return towers.serving.user(users, None)


def test_an_empty_history_is_no_nan(towers, users):
    """A softmax over pads alone is NaN: [USER] is never masked."""
    empty = users._replace(bags=torch.zeros_like(users.bags))
    towers.model.zero_grad()
    u = towers.model.user(empty, None)
    u[:, 0].sum().backward()
    assert u.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in towers.model.parameters())
    assert len(torch.unique(u.detach(), dim=0)) > 1, "the profile still counts"


def test_pads_are_masked(towers, users):
    known = users.bags[:, 0] != 0
    assert known.any()
    assert not known.all()
    before = encoded(towers, users)
    with torch.no_grad():
        towers.serving.user.embedding.table[0] = 100.0
    torch.testing.assert_close(encoded(towers, users), before)


def test_the_order_of_the_history_counts(towers, users):
    some = users._replace(bags=users.bags.clone())
    full = (some.bags[:, 0] != 0).all(dim=1)
    assert full.any()
    flipped = users._replace(bags=users.bags.flip(2))
    assert not torch.allclose(encoded(towers, flipped)[full], encoded(towers, users)[full], atol=1e-4)


def test_the_latest_items_are_kept(world, requests):
    short = seqtower(world.catalog, 3, **SMALL, token=16, length=3)
    users = short.trainer.inputs.users(Events.of(requests))
    older, newer = users.bags.clone(), users.bags.clone()
    older[:, :, :-3] = 0
    newer[:, :, -3:] = 0
    before = encoded(short, users)
    assert torch.equal(encoded(short, users._replace(bags=older)), before)
    assert not torch.equal(encoded(short, users._replace(bags=newer)), before)


def test_nothing_of_the_request_s_day_or_later_may_enter(world, requests):
    """Days end before the label wait does: what a day's requests read had happened before the day began."""
    day = int(requests.time[0] // DAY)
    assert (requests.time // DAY == day).all()
    ads = np.tile(np.arange(5, dtype=np.int32), (len(requests), 1))

    def scores(first):
        """With the history from day ``first`` on replaced by another one."""
        items = world.catalog.history.items.copy()
        items[first:] = (items[first:] + 7) % world.catalog.ads.rows
        catalog = replace(world.catalog, history=History(items=items, start=world.catalog.history.start))
        return seqtower(catalog, 3, **SMALL, token=16).score(requests, ads)

    as_it_is = seqtower(world.catalog, 3, **SMALL, token=16).score(requests, ads)
    np.testing.assert_array_equal(scores(day + 1), as_it_is)
    assert not np.allclose(scores(day), as_it_is)


def test_the_last_block_s_one_query_is_the_first_of_all(towers, users, monkeypatch):
    encoder, before = towers.serving.user.layers, encoded(towers, users)
    every = encoder.places.shape[0] + 1
    monkeypatch.setattr(encoder, "steps", lambda: [(block, every) for block in encoder.blocks])
    torch.testing.assert_close(encoded(towers, users), before)


def test_the_attention_by_its_formula(towers, users):
    attention = towers.serving.user.layers.blocks[0].attention
    x, known = torch.randn(3, 6, 16), torch.ones(3, 6, dtype=torch.bool)
    known[0, 3:] = False
    k, v = attention.key_value(x).chunk(2, dim=2)
    heads = []
    for part in torch.arange(16).split(4):
        weights = attention.query(x)[:, :, part] @ k[:, :, part].mT / 4**0.5
        heads.append(weights.masked_fill(~known[:, None, :], -torch.inf).softmax(dim=2) @ v[:, :, part])
    expected = attention.out(torch.cat(heads, dim=2))
    torch.testing.assert_close(attention(x, known, 6), expected)
    torch.testing.assert_close(attention(x, known, 1), expected[:, :1])


@pytest.mark.parametrize("skip", [True, False])
def test_cas_is_in_the_ffn_and_nowhere_else(world, skip):
    modifier = {"cas_skip_input": skip}
    towers = make_retriever(parse("seqtower+cs3"), world.catalog, 3, SMALL | {"blocks": 3}, modifier)
    gated = [name for name, part in towers.model.user.named_modules() if isinstance(part, CASLinear)]
    assert gated == [f"layers.blocks.{i}.ffn.{j}" for i in range(3) for j in (0, 2)]
    for block in towers.model.user.layers.blocks:
        assert {type(part) for part in block.attention.children()} == {nn.Linear}


def test_the_memory_reads_the_extras_and_is_there_without_them(world, requests):
    plain, full = (make_retriever(parse(arm), world.catalog, 3, SMALL, {}) for arm in ("seqtower", "seqtower+cts+cms"))
    assert plain.model.user.layers.memory is None
    memory = full.model.user.layers.memory
    assert memory.in_features == extras_of(full).user_width == 128
    users = full.trainer.inputs.users(Events.of(requests))
    with torch.no_grad():
        before = full.model.user(users, torch.zeros(len(requests), 128))
        memory.weight.normal_()
        assert torch.equal(full.model.user(users, torch.zeros(len(requests), 128)), before)
        assert not torch.allclose(full.model.user(users, torch.ones(len(requests), 128)), before, atol=1e-3)
    assert plain.model.user.layers.places.shape == full.model.user.layers.places.shape


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"token": 30}, "heads == 4, must divide token == 30"),
        ({"blocks": 0}, "blocks == 0, must be at least 1"),
        ({"length": 0}, "length == 0, must be at least 1"),
    ],
)
def test_refusals(world, params, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        seqtower(world.catalog, 3, **params)
