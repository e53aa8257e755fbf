"""The online trainer of two towers: losses and steps, micro-batch by micro-batch in event order.

The order of one micro-batch (docs/formulas.md 4):

    1 read   2 forward   3 the ranker's hidden vector comes with the row   4 losses, step   5, 6 the slots observe

Letters: B rows, Q distinct requests, n distinct ads, P positives, M drawn ads.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from baselines.training.batch import Batch, batch_of
from baselines.training.config import TowerConfig
from baselines.training.dropout import KeyedDropout
from baselines.training.features import FieldEmbedding
from baselines.training.flat_adam import FlatAdam
from baselines.training.gather import Gathered
from baselines.training.inputs import Inputs
from baselines.training.rowwise_adagrad import RowwiseAdagrad
from baselines.training.slots import Read, Scored, Slot, joined
from baselines.training.softmax import StreamingFrequency, against_uniform, in_batch
from baselines.training.two_tower import Forward, TwoTower
from simulator.keyed_random import subseed
from simulator.records import Impressions


class Passed(NamedTuple):
    """The forward of one micro-batch, with gradient.

    Attributes:
        forward: what the towers read, and returned for the rows.
        similarity: [B], of the rows by the score.
        logit: [B], by the head.
        drawn: [M, ...], what the item tower returned for the drawn ads.
        gathered: the rows of the embedding table that were read.
    """

    forward: Forward
    similarity: Tensor
    logit: Tensor
    drawn: Tensor
    gathered: Gathered


class TowerTrainer:
    """Learns the weights of a two-tower model, its counters and what its slots hold.

    Args:
        model: the towers, already with room for the slots' widths and wrapped by them.
        embedding: the field table that both towers read.
        inputs: of both towers.
        slots: what else reads into the towers, learns or remembers.
        config: hyper-parameters.
        ads: A.
        seed: of the negatives' generator.
    """

    def __init__(
        self,
        model: TwoTower,
        embedding: FieldEmbedding,
        inputs: Inputs,
        slots: tuple[Slot, ...],
        config: TowerConfig,
        ads: int,
        seed: int,
    ) -> None:
        self.model, self.inputs, self.slots = model, inputs, slots
        self._config, self._ads = config, ads
        dense = [p for name, p in model.named_parameters() if not name.endswith("table")]
        self._adam = FlatAdam([*dense, *(p for slot in slots for p in slot.dense())], lr=config.lr)
        self._adagrad = RowwiseAdagrad(embedding.table, lr=config.table_lr, l2=config.l2)
        self._frequency = StreamingFrequency(ads, start=ads / config.batch)
        self._generator = torch.Generator().manual_seed(subseed(seed, "negatives"))
        self._dropouts = [m for m in model.modules() if isinstance(m, KeyedDropout)]
        self._steps = 0
        self._synced: list[int] = []

    def update(self, impressions: Impressions) -> None:
        """Learn from matured rows, in event order."""
        for first in range(0, len(impressions), self._config.batch):
            rows = impressions[first : first + self._config.batch]
            self._learn(rows)
            self.inputs.counters.update(rows)

    def publish(self, now: int) -> None:
        """Make counters and slots visible as they are; weights are copied by whoever serves them."""
        self._synced.append(now)
        self.inputs.counters.publish(now)
        for slot in self.slots:
            slot.publish(now)

    def _learn(self, rows: Impressions) -> None:
        """One micro-batch."""
        batch = batch_of(rows, self._drawn(), self._synced, self._ads)
        reads = [slot.read(batch) for slot in self.slots]
        passed = self._forward(batch, reads)
        loss, scored = self._loss(batch, passed, reads)
        self._step(loss, batch, passed.gathered)
        for slot in self.slots:
            slot.observe(batch, scored)

    def _drawn(self) -> Tensor:
        """Ads drawn uniformly, int64 [M]."""
        draws = self._config.negatives if self._config.softmax else 0
        return torch.randint(self._ads, (draws,), generator=self._generator)

    def _forward(self, batch: Batch, reads: list[Read]) -> Passed:
        self._count_step()
        user, item = self.inputs.users(batch.heads), self.inputs.ads(batch.items.numpy(), batch.item_time)
        assert user.bags is not None
        gathered = self._adagrad.gather(user.codes, user.bags, item.codes)
        codes, bags, item_codes = gathered.places
        user, item = user._replace(codes=codes, bags=bags), item._replace(codes=item_codes)
        u = self.model.user(user, joined([read.user for read in reads]), gathered.values)
        if len(u) < len(batch.rows):
            u = u.index_select(0, batch.user_row)
        v_all = self.model.item(item, joined([read.item for read in reads]), gathered.values)
        v, drawn = v_all.index_select(0, batch.place).split([len(batch.rows), len(batch.drawn)])
        places = batch.user_row, batch.item_row
        forward = Forward(batch.rows, batch.label.float(), user, item, gathered.values, *places, u, v)
        similarity = self.model.score.of_rows(u, v)
        return Passed(forward, similarity, self.model.logit(similarity, batch.rows.slot), drawn, gathered)

    def _count_step(self) -> None:
        self._steps += 1
        for layer in self._dropouts:
            layer.step = self._steps

    def _loss(self, batch: Batch, passed: Passed, reads: list[Read]) -> tuple[Tensor, Scored]:
        """The backbone's losses and then the slots', and what the slots were handed."""
        loss = self._backbone_loss(batch, passed)
        # Made last: gradients of a vector are summed in the order of its uses, newest first.
        score, u, v = self.model.score, passed.forward.u, passed.forward.v
        scored = Scored(score.user_vector(u), score.item_vector(v), passed.similarity, passed.logit)
        for slot, read in zip(self.slots, reads, strict=True):
            term = slot.loss(batch, scored, read)
            loss = loss if term is None else loss + term / self._config.batch
        return loss, scored

    def _backbone_loss(self, batch: Batch, passed: Passed) -> Tensor:
        """Sums over a full batch's size: a row weighs the same in the small batches of the night as in the day's."""
        full, rows = self._config.batch, passed.forward
        loss = functional.binary_cross_entropy_with_logits(passed.logit, rows.label, reduction="sum") / full
        won = self._won(batch)
        if len(won):
            loss = loss + self._config.softmax * len(won) / full * self._softmax(batch, passed, won)
        own = self.model.own_loss(rows)
        # One number a batch: as a share of a full batch it weighs by rows like the others.
        return loss if own is None else loss + own * (len(batch.rows) / full)

    def _won(self, batch: Batch) -> Tensor:
        """Places of the rows whose ads the softmax takes for positives, int64 [P]; none without it."""
        return batch.label.nonzero()[:, 0] if self._config.softmax else batch.ads[:0]

    def _softmax(self, batch: Batch, passed: Passed, won: Tensor) -> Tensor:
        score, tau = self.model.score, self._config.temperature
        u, v, users, ads = passed.forward.u[won], passed.forward.v[won], batch.users[won], batch.ads[won]
        scores = score.of_all(u, v) / tau
        by_batch = in_batch(scores, users, ads, self._frequency.log_q(ads))
        return by_batch + against_uniform(scores.diagonal(), score.of_all(u, passed.drawn) / tau, ads, batch.drawn)

    def _step(self, loss: Tensor, batch: Batch, gathered: Gathered) -> None:
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._adagrad.step(gathered)
        for slot in self.slots:
            slot.step()
        won = self._won(batch)
        if len(won):
            self._frequency.update(batch.ads[won])

    def snapshot(self) -> dict[str, Any]:
        """All state, copied."""
        return {
            "model": copy.deepcopy(self.model.state_dict()),
            "synced": list(self._synced),
            "adam": self._adam.snapshot(),
            "adagrad": self._adagrad.snapshot(),
            "frequency": self._frequency.snapshot(),
            "generator": self._generator.get_state(),
            "counters": self.inputs.counters.snapshot(),
            "slots": [slot.snapshot() for slot in self.slots],
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        self.model.load_state_dict(state["model"])
        self._synced = list(state["synced"])
        self._adam.restore(state["adam"])
        self._adagrad.restore(state["adagrad"])
        self._frequency.restore(state["frequency"])
        self._generator.set_state(state["generator"])
        self.inputs.counters.restore(state["counters"])
        for slot, theirs in zip(self.slots, state["slots"], strict=True):
            slot.restore(theirs)
        self._steps = state["steps"]
