"""Training of the plain `dssm` beside torch-rechub's own DSSM trainer: the same log, fields, widths, batches and order.

Both take turns on slices of one log, so what else the machine does meets both; the ratio is the median over the pairs.
A third takes its turn too: the same layers alone on inputs that are ready, forth, back and one step of their Adam. It
says how much of the peer's time is tables, which depends on their size: the peer's Adam writes every row.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.matching import DSSM
from torch_rechub.trainers import MatchTrainer
from torch_rechub.utils.data import DataGenerator

from baselines.towers.dssm import dssm
from reports.numbers.discrimination import auc
from simulator.records import Catalog, History, Impressions, Requests, Table
from tests.bench.conftest import per_second

BATCH, BATCHES = 2048, 5
SLICE = BATCH * BATCHES
"""Rows that one trainer learns before it is the other's turn."""
ROUNDS, HELD_OUT = 12, 10_000
SIZES = (100_000, 300_000, 500_000, 1_000_000)
"""Numbers of users; untimed, the first alone."""
USERS = {"user": SIZES[0], "age": 8, "gender": 3, "city": 50, "device": 12}
CONTEXT = {"placement": 4}
ADS = {"ad": 10_000, "category": 40, "advertiser": 500, "format": 6, "price": 10, "brand": 200}
EMBEDDING, HIDDEN, WIDTH, DENSE = 16, (256, 128), 64, 4


class Log(NamedTuple):
    """A catalog and impressions whose clicks follow a signal in ids, fields and dense features."""

    catalog: Catalog
    rows: Impressions


def table(sizes, rows, draws):
    first, *rest = sizes
    codes = {first: np.arange(rows, dtype=np.int32)}
    codes |= {name: draws.integers(sizes[name], size=rows).astype(np.int32) for name in rest}
    return Table(codes=codes, sizes=sizes, dense=draws.standard_normal((rows, DENSE)).astype(np.float32))


def tastes(side, draws):
    """A latent vector for each entity: the sum of its fields' and of what is linear in its dense features."""
    latent = side.dense @ draws.normal(0, 0.4, (DENSE, 8))
    for name, codes in side.codes.items():
        latent += draws.normal(0, 0.5, (side.sizes[name], 8))[codes]
    return latent


@pytest.fixture(scope="module", params=SIZES)
def made(request):
    if not request.config.getoption("benchmark_only") and request.param > SIZES[0]:
        pytest.skip("untimed: the smallest size says whether it is right")
    draws = np.random.default_rng(7)
    sizes = USERS | {"user": request.param}
    users, ads = table(sizes, sizes["user"], draws), table(ADS, ADS["ad"], draws)
    A, n = ads.rows, SLICE * ROUNDS + HELD_OUT
    # Few users and ads make most of a log.
    user = (users.rows * draws.random(n) ** 2).astype(np.int32)
    ad = (A * draws.random(n) ** 2).astype(np.int32)
    logit = (tastes(users, draws)[user] * tastes(ads, draws)[ad]).sum(axis=1) - 1.0
    label = draws.random(n) < 1 / (1 + np.exp(-logit))
    catalog = Catalog(
        users=users,
        ads=ads,
        context=CONTEXT,
        category=ads.codes["category"],
        categories=ADS["category"],
        segment=users.codes["age"],
        segments=USERS["age"],
        price=np.zeros(A, dtype=np.float32),
        history=History(items=np.zeros((1, users.rows, 0), dtype=np.int32)),
        base_ctr=float(label.mean()),
    )
    zero, money = np.zeros(n, dtype=np.int64), np.zeros(n)
    rows = Impressions(
        request=np.arange(n),
        user=user,
        ad=ad,
        slot=zero.astype(np.int8),
        time=zero,
        context=draws.integers(CONTEXT["placement"], size=(n, 1)).astype(np.int32),
        explored=zero.astype(bool),
        bid=money,
        price=money,
        paid=money,
        pctr=money.astype(np.float32),
        logit=money.astype(np.float32),
        hidden=np.zeros((n, 0), dtype=np.float16),
        ready_at=zero,
        label=label,
    )
    return Log(catalog, rows)


def columns(log, rows):
    """The same rows as torch-rechub reads them: an array for each feature."""
    users, ads = log.catalog.users, log.catalog.ads
    x = {name: codes[rows.user] for name, codes in users.codes.items()} | {"placement": rows.context[:, 0]}
    x |= {name: codes[rows.ad] for name, codes in ads.codes.items()}
    x |= {
        f"{side}_dense_{i}": t.dense[of, i]
        for side, t, of in (("u", users, rows.user), ("a", ads, rows.ad))
        for i in range(DENSE)
    }
    return {name: np.ascontiguousarray(column) for name, column in x.items()}


def peer(sizes):
    """torch-rechub's model and trainer with its own Adam, learning rate and weight decay."""
    torch.manual_seed(1)
    user, item = (
        [SparseFeature(name, size, EMBEDDING) for name, size in sizes.items()]
        + [DenseFeature(f"{side}_dense_{i}") for i in range(DENSE)]
        for side, sizes in (("u", sizes | CONTEXT), ("a", ADS))
    )
    dims = {"dims": [*HIDDEN, WIDTH]}
    return MatchTrainer(DSSM(user, item, dims, dims), mode=0)


class LayersAlone:
    """Two towers of the same layers on random inputs: what is left of a batch without tables, fields and optimisers of
    tables."""

    def __init__(self):
        torch.manual_seed(1)
        wide = [EMBEDDING * (len(USERS) + len(CONTEXT)) + DENSE, EMBEDDING * len(ADS) + DENSE]
        self.towers = [
            nn.Sequential(
                nn.Linear(n, HIDDEN[0]), nn.ReLU(), nn.Linear(*HIDDEN), nn.ReLU(), nn.Linear(HIDDEN[1], WIDTH)
            )
            for n in wide
        ]
        self.inputs = [torch.randn(BATCH, n, requires_grad=True) for n in wide]
        self.label = (torch.rand(BATCH) < 0.5).float()
        parameters = [p for tower in self.towers for p in tower.parameters()]
        self.adam = torch.optim.Adam(parameters, 1e-3, fused=True)

    def learn(self):
        """As many batches as a slice has."""
        for _ in range(BATCHES):
            self.adam.zero_grad()
            u, v = (tower(x) for tower, x in zip(self.towers, self.inputs, strict=True))
            score = torch.nn.functional.cosine_similarity(u, v, dim=1)
            torch.nn.functional.binary_cross_entropy_with_logits(score, self.label).backward()
            self.adam.step()


def ready(x, label):
    """Its batches, ready in memory: no loader's work."""
    x = {name: torch.from_numpy(column).split(BATCH) for name, column in x.items()}
    y = torch.from_numpy(label.astype(np.float32)).split(BATCH)
    return [({name: parts[i] for name, parts in x.items()}, y[i]) for i in range(len(y))]


def loader(x, label):
    """Its batches by its own loader."""
    y = label.astype(np.float32)
    return DataGenerator(x, y).generate_dataloader(x_val=x, y_val=y, x_test=x, y_test=y, batch_size=BATCH)[0]


@pytest.mark.parametrize("feed", [ready, loader], ids=["ready batches", "own loader"])
def test_training_beside_torch_rechub(described, made, feed):
    benchmark = described("training beside torch-rechub", rows=SLICE, batch=BATCH)
    ours = dssm(
        made.catalog,
        7,
        counters=False,
        softmax=0.0,
        batch=BATCH,
        embedding=EMBEDDING,
        hidden=HIDDEN,
        width=WIDTH,
        lr=1e-3,
    )
    theirs, alone = peer(made.catalog.users.sizes), LayersAlone()
    times, bare, done = [], [], []

    def turn():
        rows = made.rows[len(done) * SLICE : (len(done) + 1) * SLICE]
        done.append(rows)
        batches = feed(columns(made, rows), rows.label)
        began = perf_counter()
        theirs.train_one_epoch(batches)
        times.append(perf_counter() - began)
        began = perf_counter()
        alone.learn()
        bare.append(perf_counter() - began)
        return (rows,), {}

    benchmark.pedantic(ours.update, setup=turn, rounds=ROUNDS if feed is ready else ROUNDS // 3)
    ours.sync(1)
    held_out = made.rows[-HELD_OUT:]
    asked = Requests(
        id=held_out.request,
        user=held_out.user,
        time=held_out.time,
        context=held_out.context,
        arm=np.zeros(HELD_OUT, dtype=np.int8),
    )
    own = auc(ours.score(asked, held_out.ad[:, None])[:, 0], held_out.label)
    other = auc(theirs.predict(theirs.model, ready(columns(made, held_out), held_out.label)), held_out.label)
    assert own > 0.5
    if benchmark.enabled:
        ratios = np.array(times) / np.array(benchmark.stats.stats.data)
        per_second(benchmark, "rows", SLICE)
        benchmark.extra_info.update(
            users=made.catalog.users.rows,
            times_faster_than_torch_rechub=round(median(ratios), 2),
            layers_alone_times_faster=round(median(np.array(times) / np.array(bare)), 2),
            quartiles=[round(float(q), 2) for q in np.quantile(ratios, [0.25, 0.75])],
            auc=round(own, 4),
            auc_of_torch_rechub=round(other, 4),
        )
        assert feed is loader or own >= other
