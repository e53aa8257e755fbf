"""``cs3bench check``: the public contract check over a name, an arm's spelling, or ``package.module:factory``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from reports.records.spelling import Spelling
from reports.studies.arms import make_ranker, make_retriever, parse
from simulator.blame import blamed
from simulator.plugins import RANKERS, RETRIEVERS, make, nearest, registered
from simulator.testing import Check, check_ranker, check_retriever
from simulator.world import WorldConfig, build

TIME = re.compile(r" at time \d+")


def check_name(name: str) -> list[Check]:
    """Check whatever ``name`` makes: a retriever, a ranker, or both parts of an arm that names its ranker.

    A factory that is not registered is checked as what it makes: a thing with ``retrieve`` is a retriever, one with
    ``rank`` a ranker.

    Raises:
        ValueError: one line, for a name that makes nothing.
    """
    spelled = Spelling.of(name)
    part = spelled.backbone
    if part in registered(RANKERS) and spelled.head is None and not spelled.extras:
        return _ranker(f"random@{name}", name)
    if spelled.head is not None:
        towers, learned = replace(spelled, head=None).name, spelled.head.text
        return [
            *(check._replace(name=f"retriever: {check.name}") for check in _retriever(name, towers)),
            *(check._replace(name=f"ranker: {check.name}") for check in _ranker(f"random@{learned}", learned)),
        ]
    if spelled.extras or part in registered(RETRIEVERS):
        return _retriever(name, name)
    if ":" not in name:
        known = [*registered(RETRIEVERS), *registered(RANKERS)]
        raise ValueError(f"name == '{name}', must be a retriever, ranker, arm or module:factory{nearest(name, known)}")
    made = _made(part)
    if hasattr(made, "retrieve"):
        return _retriever(name, name)
    if hasattr(made, "rank"):
        return _ranker(f"random@{name}", name)
    raise ValueError(f"name == '{name}', must make a thing with `retrieve` or `rank`, got {type(made).__name__}")


def told(checks: Sequence[Check]) -> Iterator[str]:
    """A line for each clause; clauses that are broken by the same fault, whenever it showed, share one."""
    groups: dict[tuple[bool, str], list[Check]] = {}
    for check in checks:
        fault = check.name if check.passed else TIME.sub("", check.detail)
        groups.setdefault((check.passed, fault), []).append(check)
    for (passed, _), (first, *others) in groups.items():
        line = f"{'passed' if passed else 'FAILED'}  {first.name}{': ' if first.detail else ''}{first.detail}"
        more = f" ({len(others)} more for the same reason: {', '.join(one.name for one in others)})"
        yield line + (more if others else "")


def _retriever(spelling: str, name: str) -> list[Check]:
    parts = parse(spelling)
    return check_retriever(lambda catalog, seed: make_retriever(parts, catalog, seed, {}, {}), name=name, filed=_kept)


def _ranker(spelling: str, name: str) -> list[Check]:
    parts = parse(spelling)
    return check_ranker(lambda catalog, seed: make_ranker(parts, catalog, seed, {}), name=name, filed=_kept)


def _kept(state: Any) -> Any:
    """A snapshot as a run keeps it: data, no code."""
    from reports.studies.machine.packing import pack, unpack  # brings torch, which a wrong name needs not wait for

    return unpack(pack(state))


def _made(name: str) -> Any:
    """What a factory makes of a small catalog and a seed."""
    factory = make(name, RETRIEVERS)
    with blamed(f"{name} at time 0: its factory"):
        return factory(build(WorldConfig(users=20, ads=10, advertisers=3), 0, 1).catalog, 0)
