"""Clauses of the contract that retrievers and rankers share."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.blame import ContractError, blamed
from simulator.testing.bench import Bench
from simulator.testing.elsewhere import later, otherwise
from simulator.testing.stage import FLIP_AT, MARKET, Arrays, stage_of
from simulator.testing.watched import Note, Watched


def same(a: Arrays, b: Arrays) -> bool:
    """Bit-equal, a NaN being equal to a NaN."""
    return len(a) == len(b) and all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b, strict=True)
    )


def has(bench: Bench, verbs: Sequence[str]) -> str:
    """The verbs are there."""
    plugin = bench.make()
    missing = [verb for verb in verbs if not callable(getattr(plugin.inner, verb, None))]
    if missing:
        plugin.broken(f"{type(plugin.inner).__name__} has no {', '.join(missing)}, must have {', '.join(verbs)}")
    return ""


def determinism(bench: Bench) -> str:
    """Asked twice it answers the same; two lives with one seed are equal, whatever the hour and the global states."""
    plugin = bench.make()
    if not same(plugin.answer(), plugin.answer()):
        plugin.broken("the same question asked twice got two answers, must be equal")
    apart = first_difference(bench.first_day, bench.second_day)
    if apart is not None:
        raise ContractError(f"{bench.name} at time {apart.time}: {_cause(bench)} after {apart.verb}, must be equal")
    return ""


def _cause(bench: Bench) -> str:
    """Why two lives with one seed part."""
    for what, changed in (("the wall clock is", later), ("global random states are", otherwise)):
        if first_difference(bench.first_day, bench.day()) is None:
            with changed():
                if first_difference(bench.first_day, bench.day()) is not None:
                    return f"two runs with one seed differ, where {what} another,"
    return "two runs with one seed differ"


def first_difference(a: Sequence[Note], b: Sequence[Note]) -> Note | None:
    """Where two lives part: the first note that differs; None if none does."""
    if len(a) != len(b):
        return a[min(len(a), len(b)) - 1]
    return next((x for x, y in zip(a, b, strict=True) if x[:2] != y[:2] or not same(x.answer, y.answer)), None)


def no_peeking(bench: Bench) -> str:
    """Flipped labels that wait at ``FLIP_AT`` change nothing before the first publication at which they are ready."""
    if first_difference(bench.first_day, bench.second_day) is not None:
        raise ContractError(f"{bench.name} at time 0: cannot be judged, two runs with one seed already differ")
    true, flipped = (_until_published(notes) for notes in (bench.first_day, bench.day(flipped=True)))
    apart = first_difference(true, flipped)
    if apart is not None:
        raise ContractError(
            f"{bench.name} at time {apart.time}: what it serves after {apart.verb} depends on labels that may be "
            f"seen from the sync at {FLIP_AT + MARKET.cascade.sync} on"
        )
    return ""


def _until_published(notes: Sequence[Note]) -> list[Note]:
    return list(takewhile(lambda note: note.verb != "sync" or note.time <= FLIP_AT, notes))


def _steady_answer(plugin: Watched) -> Arrays:
    answer = plugin.answer()
    if not same(answer, plugin.answer()):
        plugin.broken("cannot be judged, the same question asked twice got two answers")
    return answer


def publication(bench: Bench) -> str:
    """An update without a sync changes nothing that is served."""
    plugin = bench.make()
    first, second = bench.stage.parts()
    plugin.learn(first)
    # The question is asked as of one time, so that nothing but the update can change its answer.
    plugin.now = int(second.ready_at[-1])
    before = _steady_answer(plugin)
    plugin.update(second)
    if not same(before, plugin.answer()):
        plugin.broken("update without sync changed what is served, must wait for the sync")
    return ""


def isolation(bench: Bench) -> str:
    """What another instance learns changes nothing here."""
    here = bench.make()
    here.sync(0)
    before = _steady_answer(here)
    other = bench.make()
    for rows in bench.stage.parts():
        other.learn(rows)
    if not same(before, here.answer()):
        here.broken("what another instance learned changed what this one serves, must share no state")
    here.sync(0)
    if not same(before, here.answer()):
        here.broken("what another instance learned was published by this one, must share no state")
    return ""


def snapshot(bench: Bench) -> str:
    """A restored snapshot goes on exactly as the original did, from a file too."""
    plugin = bench.make()
    there = [verb for verb in ("snapshot", "restore") if callable(getattr(plugin.inner, verb, None))]
    if not there:
        return "skipped: it has no snapshot and restore"
    if len(there) == 1:
        plugin.broken(f"{type(plugin.inner).__name__} has {there[0]} only, must have both snapshot and restore or none")
    first, second = bench.stage.parts()
    plugin.learn(first)
    state, then = plugin.call("snapshot"), plugin.answer()
    with blamed(f"{plugin.where()}: keeping its snapshot in a file"):
        filed = bench.filed(state)
    plugin.learn(second)
    twin, filed_twin = bench.make(), bench.make()
    for one, its, way in ((twin, state, ""), (filed_twin, filed, " from a file")):
        one.now = int(first.ready_at[-1])
        one.call("restore", its)
        if not same(then, one.answer()):
            one.broken(f"restore{way} does not serve what was served at the snapshot")
    twin.learn(second)
    if not same(plugin.answer(), twin.answer()):
        twin.broken("after restore it learns otherwise than the original did, must be equal")
    return ""


def inputs(bench: Bench) -> str:
    """What it is handed belongs to the market: it writes to none of it."""
    plugin = bench.make()
    # The bench's own stage may be spoilt by now if it does write.
    clean = stage_of(bench.seed)
    _untouched(plugin, "catalog", bench.stage.world.catalog, clean.world.catalog)
    log, offers, requests = copy.deepcopy((clean.log, clean.offers, clean.probe))
    plugin.learn(log)
    _untouched(plugin, "impressions", log, clean.log)
    plugin.asked(requests, offers)
    _untouched(plugin, "offers", offers, clean.offers)
    _untouched(plugin, "requests", requests, clean.probe)
    return ""


def _untouched(plugin: Watched, what: str, now: Any, before: Any) -> None:
    found, wanted = dict(_arrays(what, now)), dict(_arrays(what, before))
    for name in [*wanted, *found]:
        if name not in found or name not in wanted or not same((found[name],), (wanted[name],)):
            plugin.broken(f"it changed {name}, must leave what it is handed as it is")


def _arrays(name: str, one: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """The arrays of a record, of its records and of its tables, by name."""
    if isinstance(one, np.ndarray):
        yield name, one
    elif is_dataclass(one):
        for field in fields(one):
            yield from _arrays(f"{name}.{field.name}", getattr(one, field.name))
    elif isinstance(one, Mapping):
        for key, value in one.items():
            yield from _arrays(f"{name}[{key!r}]", value)


BOTH = {
    "inputs": inputs,
    "determinism": determinism,
    "no peeking": no_peeking,
    "publication": publication,
    "isolation": isolation,
    "snapshot": snapshot,
}
