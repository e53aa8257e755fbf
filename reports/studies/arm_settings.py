"""What a part of an arm may be told: keys that its factory takes, values of the kinds that it declares.

Kinds come from the factory's own annotations and from the config that it fills (:func:`simulator.plugins.takes`, or the
config that it returns), and that config is built once on the spot, for its ranges. A factory that declares nothing is
believed until it is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from simulator.blame import ContractError, one_line
from simulator.plugins import nearest, settings_of

Factory = Callable[..., Any]


def check_settings(name: str, factory: Factory | None, settings: Mapping[str, Any]) -> None:
    """Refuse what a factory does not take.

    Args:
        name: of the part, for the line.
        factory: of a registered or a stranger's part; None for one that takes nothing.
        settings: as they were given.

    Raises:
        ValueError: one line, for an unknown key (with the nearest), or a value of another kind, not finite or out of
            range.
    """
    known = [] if factory is None else settings_of(factory)
    for key in settings if known is not None else ():
        if not known:
            raise ValueError(f"setting == '{key}', must be left out: {name} takes none")
        if key not in known:
            raise ValueError(f"setting == '{key}', must be one of {name}'s{nearest(key, known)}")
    kinds = _kinds(factory) if settings else {}
    for key, value in settings.items():
        check_value(f"{name}[{key}]", kinds.get(key, Any), value)
    for config in getattr(factory, "kinds", ()):
        fields = {key: value for key, value in settings.items() if key in get_type_hints(config)}
        try:
            config(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


@contextmanager
def strangers(name: str) -> Iterator[None]:
    """What a stranger's part raises in this block becomes one line; a ValueError is one, and our own parts keep theirs.

    Args:
        name: spelling of the part, or of an arm; a stranger's has a colon.

    Raises:
        ContractError: with the name, the exception's type and first line, and the line of code.
    """
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        if ":" not in name:
            raise
        raise ContractError(f"'{name}' raised {one_line(error)}") from None


def check_value(what: str, kind: Any, value: Any) -> None:
    """Refuse a value that is not of a kind, or a number that is not finite.

    Args:
        what: whose value it is, for the line.
        kind: an annotation; ``Any`` for whatever is finite.
        value: a list counts as a tuple.
    """
    for number in value if isinstance(value, list | tuple) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"{what} == {value}, must be finite")
    try:
        adapter = TypeAdapter(kind, config=None if _has_config(kind) else ConfigDict(arbitrary_types_allowed=True))
        adapter.validate_python(tuple(value) if isinstance(value, list) else value, strict=True)
    except ValidationError as error:
        wanted = error.errors()[0]["msg"].removeprefix("Input should be ")
        wanted = wanted.replace("a valid tuple", "a list, e.g. [64, 32]")
        raise ValueError(f"{what} == {value!r}, must be {wanted}") from None
    except PydanticUserError:
        return  # a stranger's annotation that says nothing checkable


def _has_config(kind: Any) -> bool:
    return is_dataclass(kind) or hasattr(kind, "model_fields")


def _kinds(factory: Factory | None) -> dict[str, Any]:
    """Key -> annotation, as far as they can be read."""
    found = _hints(factory)
    returned = found.pop("return", None)
    inner = [one for one in (*getattr(factory, "kinds", ()), returned) if is_dataclass(one)]
    return {key: kind for one in inner for key, kind in _hints(one).items()} | found


def _hints(thing: Any) -> dict[str, Any]:
    try:
        return dict(get_type_hints(thing))
    except Exception:  # a stranger's annotations are strings that may name anything
        return {}


__all__ = ["check_settings", "check_value", "strangers"]
