"""``cs3bench check``: the public contract check over a name, an arm's spelling, or ``package.module:factory``."""

from __future__ import annotations

from typing import Any

from reports.arms import make_retriever, parse
from simulator.plugins import RANKERS, RETRIEVERS, make, nearest, registered
from simulator.testing import Check, check_ranker, check_retriever


def check_name(name: str) -> list[Check]:
    """Check whatever ``name`` makes.

    A factory that is not registered is checked as what it makes: a thing with ``retrieve`` is a retriever, one with
    ``rank`` a ranker.

    Raises:
        ValueError: one line, for a name that makes nothing.
    """
    if name in registered(RANKERS):
        return check_ranker(make(name, RANKERS))
    if "+" in name or name in registered(RETRIEVERS):
        spelling = parse(name)
        return check_retriever(lambda catalog, seed, **_: make_retriever(spelling, catalog, seed, {}, {}), name=name)
    if ":" not in name:
        known = [*registered(RETRIEVERS), *registered(RANKERS)]
        raise ValueError(f"name == '{name}', must be a retriever, ranker, arm or module:factory{nearest(name, known)}")
    factory: Any = make(name, RETRIEVERS)
    made = factory(*_tiny())
    if hasattr(made, "retrieve"):
        return check_retriever(factory)
    if hasattr(made, "rank"):
        return check_ranker(factory)
    raise ValueError(f"name == '{name}', must make a thing with `retrieve` or `rank`, got {type(made).__name__}")


def _tiny() -> tuple[Any, int]:
    """A small catalog and a seed, to see what a factory makes."""
    from simulator.world import WorldConfig, build

    return build(WorldConfig(users=20, ads=10, advertisers=3), 0, 1).catalog, 0
