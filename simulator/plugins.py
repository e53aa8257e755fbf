"""The door: what a retriever and a ranker must offer, and how a name becomes one.

Plug-ins fit by shape, not by ancestry; nothing of ours needs to be imported to write one. A name is either registered
under an entry-point group or spelled ``"package.module:factory"``, and is resolved only when it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar, runtime_checkable

from simulator.blame import one_line
from simulator.keyed_random import subseed
from simulator.records import Candidates, Catalog, Floats, Impressions, Keys, Offers, Ranked, Requests

DISTRIBUTION = "cs3-bench"
RETRIEVERS = "cs3bench.retrievers"
RANKERS = "cs3bench.rankers"
MODIFIERS = "cs3bench.modifiers"


@runtime_checkable
class Retriever(Protocol):
    """The cheap stage: all eligible ads in, K candidates out, best expected money first.

    Serving (``retrieve``, ``score``) reads only what the last ``sync`` published; ``update`` gets matured rows of its
    own arm in event order.
    """

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Top ``k`` eligible ads of each request by logit + log bid (approximate expected revenue)."""
        ...

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Logit of P(click | impression) of the given ads [R, n] -> float32 [R, n], by published state."""
        ...

    def update(self, impressions: Impressions) -> None:
        """Learn from rows whose labels are ready."""
        ...

    def sync(self, now: int) -> None:
        """Publish what was learned: weights, counters, vectors, item index, all at once."""
        ...


@runtime_checkable
class Ranker(Protocol):
    """The costly stage: predicts the click of each candidate."""

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """pctr and hidden vector of ads [R, K] (-1 pads), by published state."""
        ...

    def update(self, impressions: Impressions) -> None:
        """Learn from rows whose labels are ready."""
        ...

    def sync(self, now: int) -> None:
        """Publish what was learned."""
        ...


RetrieverFactory = Callable[..., Retriever]
"""``factory(catalog: Catalog, seed: int, **params) -> Retriever``."""
RankerFactory = Callable[..., Ranker]
"""``factory(catalog: Catalog, seed: int, **params) -> Ranker``."""


SLOTS = frozenset({"catalog", "seed", "extras", "auxiliary"})
"""Parameters of a factory that are handed to it; all others are its settings."""

F = TypeVar("F", bound=Callable[..., Any])


def takes(*kinds: type) -> Callable[[F], F]:
    """Marks a factory whose ``**params`` are the fields of ``kinds``: a wrong one is then refused before it is called.

    Args:
        kinds: dataclasses or config sections; none of them for a factory that takes no settings.
    """
    fields: list[Mapping[str, Any]] = [
        getattr(kind, "model_fields", None) or vars(kind)["__dataclass_fields__"] for kind in kinds
    ]
    names = [name for one in fields for name in one]

    def mark(factory: F) -> F:
        factory.settings = tuple(names)  # type: ignore[attr-defined]
        factory.kinds = kinds  # type: ignore[attr-defined]
        return factory

    return mark


def settings_of(factory: Callable[..., Any]) -> list[str] | None:
    """Names of the settings that a factory takes; None if its ``**params`` are not told (:func:`takes`)."""
    parameters = inspect.signature(factory).parameters.values()
    by_key = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [p.name for p in parameters if p.kind in by_key and p.name not in SLOTS]
    told: Iterable[str] | None = getattr(factory, "settings", None)
    if told is None and any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return None
    return list(dict.fromkeys([*named, *(told or ())]))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a typo: ``"; did you mean 'x'?"``, or the list of what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(names)}"


def registered(group: str) -> Mapping[str, Any]:
    """The entry points of a group by name, without importing what they point at."""
    return _on_path(group, tuple(sys.path))


@lru_cache(maxsize=32)
def _on_path(group: str, path: tuple[str, ...]) -> Mapping[str, Any]:  # noqa: ARG001 - a key of the cache
    """Every installed package is looked at, so it is done once for a group and a ``path``."""
    return {point.name: point for point in entry_points(group=group)}


_closed: ContextVar[str] = ContextVar("closed", default="")


@contextmanager
def registered_only(hint: str) -> Iterator[None]:
    """In this block no ``"module:factory"`` is imported: its name was read from a file, nobody typed it.

    Args:
        hint: what the line that refuses one says to do.
    """
    before = _closed.set(hint)
    try:
        yield
    finally:
        _closed.reset(before)


def seed_for(name: str, group: str, seed: int) -> int:
    """The seed that the factory behind ``name`` is handed; this is the one place that decides.

    A factory that this distribution registers gets the world's seed. Any other gets one that is derived from it and
    from the role (retriever, ranker, modifier), for a world is built from its seed: equal in both arms, never its own.

    Args:
        name: registered, or ``"module:factory"``.
        group: where it is looked up.
        seed: of the world.
    """
    dist = getattr(registered(group).get(name), "dist", None)
    if dist is not None and dist.name == DISTRIBUTION:
        return seed
    return subseed(seed, f"plug-in of {group}")


def make(name: str, group: str) -> Callable[..., Any]:
    """The factory behind ``name``.

    Raises:
        ValueError: for a name that is neither registered in ``group`` nor an importable ``"module:factory"``, or for
            the latter where :func:`registered_only` holds.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        if _closed.get():
            raise ValueError(f"name == '{name}', module '{module}' is not imported: {_closed.get()}")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"name == '{name}', must be an importable 'module:factory' ({error})") from error
        except Exception as error:
            # A stranger's module runs when it is imported, and may raise anything.
            raise ValueError(f"name == '{name}', must be importable, its module raised {one_line(error)}") from error
        if not callable(found):
            raise ValueError(f"name == '{name}', must be callable, got {type(found).__name__}")
        if group in (RETRIEVERS, RANKERS):
            _check_takes(name, found)
        return found  # type: ignore[no-any-return]
    points = registered(group)
    if name not in points:
        raise ValueError(f"name == '{name}', must be in {group}{nearest(name, points)}")
    return points[name].load()  # type: ignore[no-any-return]


def _check_takes(name: str, factory: Callable[..., Any]) -> None:
    """Refuse a factory that cannot be called with a catalog and a seed."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some of C tell nothing
        return
    try:
        signature.bind_partial("catalog", 0)
    except TypeError:
        raise ValueError(f"name == '{name}', must take (catalog, seed, **settings), takes {signature}") from None


__all__ = [
    "MODIFIERS", "RANKERS", "RETRIEVERS", "Candidates", "Catalog", "Ranker", "RankerFactory", "Retriever",
    "RetrieverFactory", "make", "nearest", "registered", "registered_only", "seed_for", "settings_of", "takes",
]  # fmt: skip
