"""How much an arm can know, in the currency of its recall: the informed oracle's, beside which an arm is held.

An arm that finds more of the truly best ads than an oracle whose view of each user and ad has the noise of the
catalogue and of the log (``simulator.world.informed``) knows something that neither holds. An arm that uses the truth
and stays below goes unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reports.numbers.recall import recall_at_k
from reports.numbers.verdict import Light
from reports.records.spelling import Spelling
from reports.studies.arms import ORACLE
from reports.studies.market.evaluation import Sample, last_sample, ranked_in_blocks
from simulator.plugins import Ranker, Retriever
from simulator.records import Impressions, Keys, take
from simulator.retrieval import OracleRetriever, candidates_from
from simulator.scenario import Scenario
from simulator.world import World
from simulator.world.informed import informed

MARGIN = 3
"""Standard errors over requests between the informed oracle's recall and what is called beyond it."""


def knowledge(
    s: Scenario, world: World, log: Impressions, retriever: Retriever, ranker: Ranker
) -> dict[str, dict[str, float]]:
    """Recall of an arm's published parts, each as if it chose among all ads, and the most that it can know.

    Args:
        s: the scenario.
        world: of the arm.
        log: all rows that the arm could learn from.
        retriever: the arm's.
        ranker: the arm's.

    Returns:
        ``retriever`` and ``ranker``: ``recall`` and ``allowed`` each.
    """
    asked, k = last_sample(s, world), s.cascade.candidates
    few = first(asked, s.run.tau)
    oracle = OracleRetriever(informed(s.world, world, log).everything)
    return {
        "retriever": _held(asked, retriever.retrieve(asked.requests, asked.offers, k).ad, oracle, k),
        "ranker": _held(few, best_of(ranker, few, k), oracle, k),
    }


def _held(asked: Sample, ads: Keys, oracle: Retriever, k: int) -> dict[str, float]:
    """Recall of an arm's ads, and the informed oracle's with the margin, on one sample."""
    eligible = asked.offers.eligible
    mine, its = (
        recall_at_k(found, asked.value, eligible, k)
        for found in (ads, oracle.retrieve(asked.requests, asked.offers, k).ad)
    )
    error = its.std(ddof=1) / np.sqrt(its.size) if its.size > 1 else 1.0
    return {"recall": float(mine.mean()), "allowed": float(min(1.0, its.mean() + MARGIN * error))}


def first(asked: Sample, n: int) -> Sample:
    """The first ``n`` requests of a sample."""
    rows = slice(0, n)
    return replace(asked, requests=take(asked.requests, rows), true_ctr=asked.true_ctr[rows], value=asked.value[rows])


def best_of(ranker: Ranker, asked: Sample, k: int) -> Keys:
    """The ``k`` eligible ads of greatest eCPM by a ranker that is asked about all -> int32 [R, k]."""
    A = asked.offers.eligible.size
    everything = np.broadcast_to(np.arange(A, dtype=np.int32), (len(asked.requests), A))
    pctr = ranked_in_blocks(ranker, asked.requests, everything)
    money = np.where(asked.offers.eligible, pctr * asked.offers.bid, -np.inf)
    return candidates_from(money, pctr, k).ad


def beyond(arm: str, facts: Sequence[Mapping[str, Any]]) -> Iterator[Light]:
    """Red for an arm that finds more than it can know; an oracle is there to know."""
    if Spelling.of(arm).backbone == ORACLE:
        return
    for part in ("retriever", "ranker"):
        rows = [one["knowledge"][part] for one in facts if "knowledge" in one]
        if not rows:
            continue
        recall, allowed = (float(np.mean([row[key] for row in rows])) for key in ("recall", "allowed"))
        if recall > allowed:
            yield Light(
                f"Knowledge, {arm}, {part}",
                "red",
                f"{arm}: its {part} finds {recall:.0%} of the truly best ads; whoever knows only the catalogue and the "
                f"log finds {allowed:.0%} at most. It knows the truth.",
            )
