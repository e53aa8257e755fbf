"""An arm from its spelling: ``backbone+modifier+...@ranker``, e.g. ``dssm``, ``dssm+cas+cms``, ``dssm+cs3@dnn``.

Every part may carry its settings in brackets: ``dssm[search=hnsw]+cts[alpha=0.5]@dnn[dropout=0.1]``.

``baselines`` offers the tower trainer with a slot for extras, ``cs3`` fills it; neither knows the other. They meet
here. A modifier is a mechanism of ``cs3``, a wrapper of what the mechanisms make (``shuffled``), or an auxiliary loss
with a slot of its own (``kd``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.records.spelling import DEFAULT_RANKER, Part, Spelling
from reports.studies import names
from reports.studies.arm_settings import check_settings, strangers
from reports.studies.names import ORACLE
from simulator.config import overrides
from simulator.plugins import MODIFIERS, RANKERS, RETRIEVERS, Ranker, Retriever, make, seed_for, settings_of
from simulator.records import DAY, Catalog

WIDTH = 64
"""Width of the ranker's hidden vector, and of the towers' outputs where a backbone does not say its own."""
REMEMBERED = 14_400
"""Seconds that the counters of towers and rankers remember by default."""
OF_THE_RANKER = frozenset({"cit", "cms", "cs3", "kd", "listkl"})
"""Modifiers that read what the ranker wrote on the log."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A composed arm: its own retriever and its own ranker."""

    name: str
    retriever: Retriever
    ranker: Ranker


def parse(spelling: str) -> Spelling:
    """Split a spelling and check that every part can be made, settings included.

    Raises:
        ValueError: one line with the part or the setting that is unknown and the nearest right name.
    """
    names.check(spelling)
    parts = Spelling.of(spelling)
    backbone, modifiers = parts.backbone, parts.modifiers
    own, settings = settings_in(parts.base, "backbone"), [settings_in(part) for part in parts.extras]
    factory = None if backbone == ORACLE else make(backbone, RETRIEVERS)
    factories = {modifier: make(modifier, MODIFIERS) for modifier in modifiers}
    if modifiers and (factory is None or not takes_extras(factory)):
        raise ValueError(f"arm == '{spelling}', must have a backbone that takes `extras` to carry modifiers")
    auxiliaries = [name for name, one in factories.items() if hasattr(one, "auxiliary")]
    if auxiliaries and factory is not None and not takes_auxiliary(factory):
        raise ValueError(f"arm == '{spelling}', must have a backbone that takes `auxiliary` to carry {auxiliaries[0]}")
    if len(set(modifiers)) < len(modifiers):
        raise ValueError(f"arm == '{spelling}', must name each modifier once")
    check_settings(backbone, factory, own)
    for name, its in zip(modifiers, settings, strict=True):
        check_settings(name, factories[name], its)
    with strangers(spelling):
        made = [factories[name](**its) for name, its in zip(modifiers, settings, strict=True)]
    if made:
        _check_mechanism(spelling, made)
    learned = parts.learned
    check_settings(learned.name, make(learned.name, RANKERS), settings_in(learned, "ranker"))
    return parts


def _check_mechanism(spelling: str, made: Sequence[Any]) -> None:
    """Refuse a wrapper that has no mechanism to act on."""
    from cs3.extras import CS3Config

    wrappers = [one for one in made if not isinstance(one, CS3Config) and not hasattr(one, "auxiliary")]
    if wrappers and not any(isinstance(one, CS3Config) for one in made):
        raise ValueError(f"arm == '{spelling}', must have a mechanism for its control to act on, e.g. cs3")


def settings_in(part: Part, what: str = "modifier") -> dict[str, Any]:
    """The settings in the brackets of a part, which has the role ``what``."""
    return overrides(part.settings(what), f"{what} '{part.text}',")


def make_retriever(
    spelling: Spelling,
    catalog: Catalog,
    seed: int,
    params: Mapping[str, Any],
    modifier_params: Mapping[str, Any],
    *,
    oldest_row: int = 0,
) -> Retriever:
    """The retriever of an arm; seeds depend on (world seed, role), never on the arm's name (:func:`seed_for`).

    Args:
        spelling: the arm's parts.
        catalog: of the world.
        seed: of the world.
        params: hyper-parameters for towers.
        modifier_params: those of them that a modifier knows are for it.
        oldest_row: seconds that a row may be old when it is learned (``Scenario.oldest_row``); parts whose defaults
            forget sooner remember as long.
    """
    factory, own_seed = make(spelling.backbone, RETRIEVERS), seed_for(spelling.backbone, RETRIEVERS, seed)
    # Only towers get the hyper-parameters that a study sets for towers.
    longer = _longer(factory, oldest_row)
    takes = {**longer, **(params if takes_extras(factory) else {}), **settings_in(spelling.base, "backbone")}
    modifier_params = {**({"horizon": oldest_row} if oldest_row > DAY else {}), **modifier_params}
    if not spelling.modifiers:
        return factory(catalog, own_seed, **takes)  # type: ignore[no-any-return]
    made = [(_made(part, modifier_params), seed_for(part.name, MODIFIERS, seed)) for part in spelling.extras]
    losses = [(one, its) for one, its in made if hasattr(one, "auxiliary")]
    others = [(one, its) for one, its in made if not hasattr(one, "auxiliary")]
    slots: dict[str, Any] = {}
    if others:
        slots["extras"] = _extras(others, catalog, vector_widths(factory, takes))
    if losses:
        from baselines.training.auxiliary import together

        widths = vector_widths(factory, takes)
        slots["auxiliary"] = together(*(one.auxiliary(catalog, its, widths, WIDTH) for one, its in losses))
    return factory(catalog, own_seed, **slots, **takes)  # type: ignore[no-any-return]


def _made(part: Part, shared: Mapping[str, Any]) -> Any:
    """What a modifier's factory returns: it gets those of the shared settings that it knows, and all of its own."""
    factory, own = make(part.name, MODIFIERS), settings_in(part)
    parameters = inspect.signature(factory).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return factory(**{**shared, **own})
    return factory(**{**{key: value for key, value in shared.items() if key in parameters}, **own})


def check_modifiers(spelling: Spelling, shared: Mapping[str, Any]) -> set[str]:
    """Names of the settings, shared by a study's modifiers, that those of an arm take.

    Raises:
        ValueError: one line, if they cannot be made with them.
    """
    found: set[str] = set()
    for part in spelling.extras:
        factory = make(part.name, MODIFIERS)
        known = settings_of(factory)
        taken = dict(shared) if known is None else {key: value for key, value in shared.items() if key in known}
        check_settings(part.name, factory, {**taken, **settings_in(part)})
        _made(part, shared)
        found |= set(taken)
    return found


def _extras(made: Sequence[tuple[Any, int]], catalog: Catalog, widths: tuple[int, int]) -> Any:
    """The mechanisms among what was made as one filler of the towers' slot, with the wrappers, by seed, around it."""
    from cs3.extras import CS3Config, CS3Extras, merge

    configs = [one for one, _ in made if isinstance(one, CS3Config)]
    extras: Any = CS3Extras(
        merge(configs),
        users=catalog.users.rows,
        items=catalog.ads.rows,
        width=widths[0],
        hidden=WIDTH,
        item_vector_width=widths[1],
    )
    for wrapper, seed in made:
        if not isinstance(wrapper, CS3Config):
            extras = wrapper(extras, catalog, seed)
    return extras


def takes_extras(factory: Callable[..., Any]) -> bool:
    """Whether a factory makes towers: those take extras and hyper-parameters."""
    return "extras" in inspect.signature(factory).parameters


def takes_auxiliary(factory: Callable[..., Any]) -> bool:
    """Whether a factory makes towers with a slot for a further loss."""
    return "auxiliary" in inspect.signature(factory).parameters


def vector_widths(factory: Callable[..., Any], params: Mapping[str, Any]) -> tuple[int, int]:
    """Widths of the vectors that a backbone hands over for a user and for an ad.

    A factory says them as ``factory.vector_widths(**params)``; one that does not hands over vectors of ``WIDTH``.
    """
    ask: Callable[..., tuple[int, int]] | None = getattr(factory, "vector_widths", None)
    return (WIDTH, WIDTH) if ask is None else ask(**params)


def make_ranker(
    spelling: Spelling, catalog: Catalog, seed: int, params: Mapping[str, Any], *, oldest_row: int = 0
) -> Ranker:
    """The ranker of an arm; ``oldest_row`` as of :func:`make_retriever`."""
    name, own = spelling.learned.name, settings_in(spelling.learned, "ranker")
    factory = make(name, RANKERS)
    given = {**_longer(factory, oldest_row), **params, **own}
    return factory(catalog, seed_for(name, RANKERS, seed), **given)  # type: ignore[no-any-return]


def _longer(factory: Callable[..., Any], oldest_row: int) -> dict[str, int]:
    """A longer memory of the counters for a factory that has one, if the default forgets before labels are ready."""
    return {"horizon": oldest_row} if oldest_row > REMEMBERED and "horizon" in (settings_of(factory) or ()) else {}


def make_arm(
    spelling: str,
    catalog: Catalog,
    seed: int,
    *,
    retriever: Mapping[str, Any] | None = None,
    modifiers: Mapping[str, Any] | None = None,
    ranker: Mapping[str, Any] | None = None,
) -> Arm:
    """A whole arm by its spelling, with optional hyper-parameters of its parts."""
    parts = parse(spelling)
    return Arm(
        name=spelling,
        retriever=make_retriever(parts, catalog, seed, retriever or {}, modifiers or {}),
        ranker=make_ranker(parts, catalog, seed, ranker or {}),
    )


__all__ = [
    "DEFAULT_RANKER", "OF_THE_RANKER", "ORACLE", "REMEMBERED", "WIDTH", "Arm", "Spelling", "make_arm", "make_ranker",
    "make_retriever", "parse", "settings_in", "takes_auxiliary", "takes_extras", "vector_widths",
]  # fmt: skip
