"""Fixed-dimensional encodings against their definition, and as a way to candidates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.late.muvera import Fde, FdeConfig, Muvera
from baselines.late.scan import ExactScan, Query, max_sim
from baselines.search import faiss_index

SMALL = FdeConfig(repetitions=3, hashes=2, width=4)


def facets(*shape, seed=0):
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1)


def by_loops(fde, cloud, weights, real, item):
    """The paper's definition, one cloud of facets at a time."""
    config, blocks = fde.config, []
    for r in range(config.repetitions):
        bits = [(x @ fde._planes[r] > 0).tolist() for x in cloud]
        for bucket in range(1 << config.hashes):
            wanted = [bool(bucket >> b & 1) for b in range(config.hashes)]
            inside = [i for i, own in enumerate(bits) if own == wanted and real[i]]
            block = torch.zeros(cloud.shape[1])
            if inside and item:
                block = cloud[inside].mean(dim=0)
            elif inside:
                block = (weights[inside, None] * cloud[inside]).sum(dim=0)
            elif item and real.any():
                apart = [sum(a != b for a, b in zip(bits[i], wanted, strict=True)) for i in range(len(cloud))]
                block = cloud[min((i for i in range(len(cloud)) if real[i]), key=lambda i: apart[i])]
            blocks.append(block @ fde._project[r])
    return torch.cat(blocks)


def test_encodings_are_the_definition():
    fde = Fde(6, SMALL, seed=1)
    users, items = facets(5, 4, 6), facets(7, 3, 6, seed=1)
    weights = torch.rand(5, 4, generator=torch.Generator().manual_seed(2))
    weights[2, 1:] = 0.0
    real = torch.rand(7, 3, generator=torch.Generator().manual_seed(3)) < 0.7
    real[4] = torch.tensor([False, True, False])
    queries, encoded = fde.queries(users, weights), fde.items(items, real)
    assert queries.shape == (5, SMALL.numbers)
    for i in range(5):
        wanted = by_loops(fde, users[i], weights[i], weights[i] > 0, item=False)
        torch.testing.assert_close(queries[i], wanted, atol=1e-6, rtol=0)
    for i in range(7):
        wanted = by_loops(fde, items[i], None, real[i], item=True)
        torch.testing.assert_close(encoded[i], wanted, atol=1e-6, rtol=0)


def test_items_are_filled_and_queries_never_are():
    config = FdeConfig(repetitions=4, hashes=5, width=4)  # 32 buckets for 2 facets
    fde, cloud = Fde(6, config, seed=1), facets(3, 2, 6)
    blocks = [
        side.view(3, 4, 32, 4).abs().sum(dim=3) > 0 for side in (fde.queries(cloud, torch.ones(3, 2)), fde.items(cloud))
    ]
    assert (blocks[0].sum(dim=2) <= 2).all()
    assert blocks[1].all()


def test_one_seed_makes_one_encoding():
    cloud = facets(3, 4, 6)
    one, same, other = (Fde(6, SMALL, seed).items(cloud) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("setting", "numbers"), [((20, 3, 8), 1280), ((20, 4, 8), 2560), ((20, 5, 8), 5120), ((20, 5, 16), 10240)]
)
def test_the_papers_settings_have_the_papers_sizes(setting, numbers):
    repetitions, hashes, width = setting
    assert FdeConfig(repetitions=repetitions, hashes=hashes, width=width).numbers == numbers


def test_products_of_encodings_are_about_max_sim():
    users, items = facets(8, 6, 16), facets(300, 4, 16, seed=1)
    items[:80, 0] = torch.nn.functional.normalize(users[torch.arange(80) % 8, 0] + 0.2 * facets(80, 16, seed=2), dim=1)
    fde = Fde(16, FdeConfig(repetitions=40, hashes=3, width=16), seed=1)
    product = fde.queries(users, torch.ones(8, 6)) @ fde.items(items).T
    exact = max_sim(users[:, None], items)
    assert np.corrcoef(product.flatten(), exact.flatten())[0, 1] > 0.6


@pytest.mark.parametrize(("store", "overs"), [("flat", (1, 4, 16, 64)), ("pq", (2, 64))])
def test_recall_rises_to_one_with_the_number_of_candidates(store, overs):
    users, items = facets(10, 6, 16), facets(640, 4, 16, seed=1)
    log_bid = 0.2 * torch.randn(640, generator=torch.Generator().manual_seed(3))
    log_bid[::7] = -torch.inf
    query = Query(users, torch.ones(10, 6), 2.0, log_bid)
    truth = ExactScan(items).search(query, 10).item
    recall = []
    for over in overs:
        found = Muvera(items, None, FdeConfig(repetitions=8), 1, store, over).search(query, 10)
        assert log_bid[found.item].isfinite().all()
        recall.append(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found.item, strict=True)]))
        assert found.certain.all() == (over == 64)
    assert recall == sorted(recall)
    assert recall[0] < 0.9
    assert recall[-1] == 1.0


def test_codes_are_made_without_all_encodings_at_once(monkeypatch):
    users, items = facets(4, 6, 16), facets(640, 4, 16, seed=1)
    query, made = Query(users, torch.ones(4, 6), 2.0, torch.zeros(640)), []
    monkeypatch.setattr(faiss_index, "ADDED", 100)
    monkeypatch.setattr(faiss_index, "TRAINED", 400)
    index = Muvera(items, None, FdeConfig(repetitions=4), 1, "pq", over=3)
    encode = index.fde.items
    monkeypatch.setattr(index.fde, "items", lambda some, real: made.append(len(some)) or encode(some, real))
    assert (index.search(query, 10).item >= 0).all()
    assert made == [320, 100, 100, 100, 100, 100, 100, 40]
    assert index.held() - items.nbytes < 640 * 4 * index.fde.config.numbers  # less than the encodings


def test_the_same_encodings_asked_for_more():
    users, items = facets(10, 6, 16), facets(640, 4, 16, seed=1)
    query = Query(users, torch.ones(10, 6), 2.0, torch.zeros(640))
    for store in ("flat", "pq"):
        index = Muvera(items, None, FdeConfig(repetitions=4), 1, store, over=1)
        assert (index.search(query, 10).scored == 10).all()
        wider = index.reaching(over=8)
        assert (wider.search(query, 10).scored == 80).all()
        assert (index.search(query, 10).scored == 10).all()
        assert wider.held() == index.held()


def test_money_decides_before_the_cut():
    users, items = facets(4, 6, 16), facets(300, 4, 16, seed=1)
    log_bid = torch.zeros(300)
    log_bid[17] = 100.0
    found = Muvera(items, None, FdeConfig(), 1, "flat", over=1).search(Query(users, torch.ones(4, 6), 1.0, log_bid), 1)
    assert found.item.tolist() == [[17]] * 4


def test_refusals():
    with pytest.raises(ValueError, match="hashes == 17, must be at most 16"):
        FdeConfig(hashes=17)
    with pytest.raises(ValueError, match="width == 0, must be at least 1"):
        FdeConfig(width=0)
    with pytest.raises(ValueError, match="store == 'disk', must be one of flat, pq"):
        Muvera(facets(5, 2, 4), None, SMALL, 1, "disk")
    with pytest.raises(ValueError, match="items == 5, must be at least 256 for store 'pq'"):
        Muvera(facets(5, 2, 4), None, SMALL, 1, "pq")
