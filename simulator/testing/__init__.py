"""The contract check: what CI runs over every registered plug-in, for plug-in authors to run over theirs.

    >>> from simulator.retrieval import random_retriever
    >>> [check.name for check in check_retriever(random_retriever) if not check.passed]
    []

A tiny world is built, the plug-in serves and learns in its market, and everything that ``plugins.py`` promises is
tried: forms, legality, pads, inputs left alone, determinism, labels that wait, publication, isolation, snapshots, and
that it knows nothing of the truth. A plug-in that fails, or raises, yields one line with its name, the simulated time
and what was wrong.

    stage              the tiny world, its market, a log to learn from
    watched            a plug-in whose calls are guarded and whose answers are checked and written down
    bench              makes fresh ones and puts the clauses to them
    clauses            what retrievers and rankers both promise
    retriever_clauses  what a retriever promises
    ranker_clauses     what a ranker promises
    elsewhere          another hour, other global random states: what no plug-in may depend on
    knowledge          what no plug-in may know
"""

from __future__ import annotations

from functools import partial

from simulator.blame import ContractError
from simulator.plugins import RankerFactory, RetrieverFactory
from simulator.testing.bench import Bench, Check, Filed, judged
from simulator.testing.clauses import BOTH, has
from simulator.testing.knowledge import knowledge
from simulator.testing.ranker_clauses import OWN as OF_RANKERS
from simulator.testing.retriever_clauses import OWN as OF_RETRIEVERS
from simulator.testing.stage import tiny_world
from simulator.testing.watched import WatchedRanker, WatchedRetriever

KNOWS = {"knowledge": knowledge}


def check_retriever(
    factory: RetrieverFactory, *, seed: int = 0, name: str | None = None, filed: Filed | None = None
) -> list[Check]:
    """Try a retriever's whole contract in a tiny world.

    Args:
        factory: ``factory(catalog, seed)``.
        seed: of the world; the plug-in's is derived from it.
        name: how the details call it; the factory's own name if None.
        filed: a snapshot -> the snapshot as it comes back from a file; through pickle if None.

    Returns:
        The clauses, in the order in which it makes sense to mend them.
    """
    bench = Bench(factory, seed, name, WatchedRetriever, filed)
    verbs = partial(has, verbs=("retrieve", "score", "update", "sync"))
    return judged(bench, {"verbs": verbs} | OF_RETRIEVERS | BOTH | KNOWS)


def check_ranker(
    factory: RankerFactory, *, seed: int = 0, name: str | None = None, filed: Filed | None = None
) -> list[Check]:
    """Try a ranker's whole contract in a tiny world; arguments and result as of :func:`check_retriever`."""
    bench = Bench(factory, seed, name, WatchedRanker, filed)
    return judged(bench, {"verbs": partial(has, verbs=("rank", "update", "sync"))} | OF_RANKERS | BOTH | KNOWS)


__all__ = ["Check", "ContractError", "check_ranker", "check_retriever", "tiny_world"]
