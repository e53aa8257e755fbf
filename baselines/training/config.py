"""Hyper-parameters of a two-tower retriever and its online training."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.search.finder import EXACT
from baselines.training.ranges import MOST_ROWS, WIDEST, check_range, check_training


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """Hyper-parameters of a two-tower retriever and its online training.

    The defaults were chosen on a world that no report uses (quickstart, seed 902) with the same grid for `dssm` and
    `dssm+cs3`: docs/tuning.md.

    Attributes:
        embedding: e, width of a field's embedding.
        hidden: widths of the hidden layers of both towers.
        width: d, width of the output.
        dropout: of the hidden layers while training.
        batch: rows of a micro-batch at most.
        lr: of Adam on dense weights.
        table_lr: of row-wise Adagrad on embeddings; l2: on the embedding rows of the batch.
        softmax: weight of the two softmax terms, per positive.
        negatives: uniform draws per batch; temperature: of the softmax.
        gain: start of the learned gain on the cosine.
        counters: feed the online counters.
        horizon: seconds for which the counters' versions are kept, at least label wait + tick + sync.
        search: how ads are found for a request: ``exact``, or by FAISS with ``hnsw`` or ``ivf`` (search/finder.py).
    """

    embedding: int = 16
    hidden: tuple[int, ...] = (256, 128)
    width: int = 64
    dropout: float = 0.0
    batch: int = 512
    lr: float = 1.2e-4
    table_lr: float = 0.3
    l2: float = 1e-5
    softmax: float = 1.0
    negatives: int = 256
    temperature: float = 0.1
    gain: float = 10.0
    counters: bool = True
    horizon: int = 14_400
    search: str = EXACT

    def __post_init__(self) -> None:
        check_training(self)
        check_range(self, "width", 1, WIDEST)
        check_range(self, "negatives", 0, MOST_ROWS)
        check_range(self, "softmax", 0, 1e6)
        check_range(self, "temperature", 0, 1e6, above=True)
        check_range(self, "gain", -1e6, 1e6)
