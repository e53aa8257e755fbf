"""Three pairs of towers that know nothing of CS3, unedited, and a stream of impressions for each."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch_rechub.basic.features import DenseFeature, SequenceFeature, SparseFeature
from torch_rechub.models.matching import DSSM

from cs3 import Batch, CS3Config, attach

USERS, ITEMS, HIDDEN, LENGTH = 40, 30, 6, 5
CATEGORIES = 7


class RechubUser(nn.Module):
    """The user half of torch-rechub's model, which holds both towers in one module."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, feats):
        return self.model.user_tower(feats)


class RechubItem(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, feats):
        return self.model.item_tower(feats)


class HistoryTower(nn.Module):
    """A user as the mean of a transformer's outputs over the items of the history; 0 pads."""

    def __init__(self, width=8):
        super().__init__()
        self.items = nn.Embedding(ITEMS + 1, width, padding_idx=0)
        layer = nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)

    def forward(self, feats):
        padding = feats["history"] == 0
        out = self.encoder(self.items(feats["history"]), src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(2).to(out)
        return (out * kept).sum(1) / kept.sum(1)


def rechub():
    users = [
        SparseFeature("user_id", vocab_size=USERS, embed_dim=4),
        DenseFeature("age"),
        SequenceFeature("history", vocab_size=ITEMS + 1, embed_dim=4, pooling="mean", padding_idx=0),
    ]
    items = [
        SparseFeature("item_id", vocab_size=ITEMS, embed_dim=4),
        SparseFeature("category", vocab_size=CATEGORIES, embed_dim=4),
    ]
    deep = {"dims": [16, 8], "activation": "prelu", "dropout": 0.0}
    model = DSSM(users, items, user_params=deep, item_params=deep)
    return RechubUser(model), RechubItem(model)


def transformer():
    item = nn.Sequential(nn.Embedding(ITEMS, 8), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
    return HistoryTower(), item


def sequential():
    return tuple(
        nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 8))
        for width in (5, 4)
    )


def features(name, users, items):
    """What the towers of that name take for these keys; a function of the keys alone."""
    g = torch.Generator().manual_seed(3)
    of_users, of_items = torch.randn(USERS, 5, generator=g), torch.randn(ITEMS, 4, generator=g)
    histories = torch.randint(1, ITEMS + 1, (USERS, LENGTH), generator=g)
    histories[torch.arange(LENGTH) > torch.randint(LENGTH, (USERS, 1), generator=g)] = 0
    if name == "sequential":
        return of_users[users], of_items[items]
    if name == "transformer":
        return {"history": histories[users]}, items
    user = {"user_id": users, "age": of_users[users, 0], "history": histories[users]}
    return user, {"item_id": items, "category": items % CATEGORIES}


TOWERS = {"rechub": rechub, "transformer": transformer, "sequential": sequential}
LAYERS = {
    "rechub": ("input:model.user_mlp.mlp.0", "input:model.item_mlp.mlp.0"),
    "transformer": ("input:encoder.layers.0.linear1", "input:1"),
    "sequential": ("input:0", "input:0"),
}


def towers(name, seed=0):
    torch.manual_seed(seed)
    return TOWERS[name]()


def attached(name, config, *, seed=0, pair=None, **settings):
    user, item = towers(name, seed) if pair is None else pair
    sample = features(name, torch.arange(4), torch.arange(4))
    settings = {"optimizer": lambda p: torch.optim.Adam(p, lr=1e-2), **settings}
    return attach(
        user,
        item,
        config,
        users=USERS,
        items=ITEMS,
        hidden=HIDDEN,
        user_feats=sample[0],
        item_feats=sample[1],
        **settings,
    )


@dataclass
class Impressions:
    batch: Batch
    hidden: Any


def impressions(name, step, n=32):
    """Users click on items of their own parity; the ranker's vector knows both parities."""
    g = torch.Generator().manual_seed(100 + step)
    users, items = torch.randint(USERS, (n,), generator=g), torch.randint(ITEMS, (n,), generator=g)
    user_feats, item_feats = features(name, users, items)
    batch = Batch(
        users=users,
        items=items,
        user_feats=user_feats,
        item_feats=item_feats,
        labels=(users % 2 == items % 2).float(),
        as_of=torch.full((n,), 10 * step - 5),
        now=10 * step,
    )
    parities = torch.stack([users % 2, items % 2], 1).float()
    return Impressions(batch, torch.cat([parities, torch.rand(n, HIDDEN - 2, generator=g)], 1))


def run(pair, name, first, last):
    losses = []
    for step in range(first, last):
        rows = impressions(name, step)
        losses.append(pair.train_step(rows.batch))
        if pair.extras.cascade is not None:
            pair.observe_ranker(rows.batch.users, rows.batch.items, rows.hidden, rows.batch.now)
        if step % 2:
            pair.publish(rows.batch.now)
    return losses


def encoded(pair, name):
    keys = torch.arange(12)
    feats = features(name, keys, keys)
    return pair.encode_user(keys, feats[0]), pair.encode_item(keys, feats[1])


ALL = CS3Config(cas=True, cts=True, cms=True)
