"""What every section of a scenario shares: frozen, validated, closed to unknown keys; errors are one line."""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from simulator.plugins import nearest

NUMBERS: Mapping[Any, str] = {int: "integer", float: "number"}
"""Kind of a field -> what it is called where it is refused."""


class Section(BaseModel):
    """Base of every config section: immutable; an unknown key is an error, and so is a number that is not finite.

    A truth or a text is no number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _number(cls, value: Any, info: ValidationInfo) -> Any:
        wanted = NUMBERS.get(cls.model_fields[str(info.field_name)].annotation)
        if wanted and isinstance(value, bool | str):
            raise ValueError(f"input should be a valid {wanted}")
        return value


Config = TypeVar("Config", bound=BaseModel)
MOST_SEED = 2**53 - 1
"""Seeds are written to JSON, whose readers keep whole numbers up to here."""
_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 300, 60, 60


def shown(value: Any) -> str:
    """A value as an error names it: its ``repr``, cut where it is long."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer of more digits than Python spells
        return "a number of thousands of digits"


def parsed(text: str, source: str) -> dict[str, Any]:
    """TOML as a dict.

    Raises:
        ValueError: one line that begins with ``source``.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"{source}: nested too deeply, must be tables of plain values") from None
    except ValueError as error:  # also of an integer of thousands of digits
        raise ValueError(f"{source}: {error}") from None


def validated(kind: type[Config], values: dict[str, Any], source: str) -> Config:
    """``kind`` built from ``values``.

    Raises:
        ValueError: one line that names the key, the value got and what was wanted, or the nearest right key.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            hint = nearest(str(first["loc"][-1]), _fields_at(kind, tuple(first["loc"][:-1])))
            raise ValueError(f"{source}: unknown key {shown(path)}{hint}") from None
        if not path:  # a check of the whole; it names its keys
            raise ValueError(f"{source}: {first['ctx']['error']}") from None
        raise ValueError(f"{source}: {path} == {shown(first['input'])}, {_wanted(first)}") from None


def _wanted(error: Any) -> str:
    """What a value should have been, in pydantic's words or in those of the check that refused it."""
    own = error.get("ctx", {}).get("error")
    return str(own) if own is not None else str(error["msg"])[:1].lower() + str(error["msg"])[1:]


def _fields_at(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the section that ``path`` leads to."""
    for part in path:
        inner = kind.model_fields[str(part)].annotation if str(part) in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        kind = inner
    return list(kind.model_fields)


def overrides(items: Sequence[str], source: str = "--set") -> dict[str, Any]:
    """``["section.key=value", ...]`` as one nested dict; the values are TOML, a bare word is a string.

    Args:
        items: of one key the last wins, as of the command line's other options.
        source: where they were given, for errors.

    Raises:
        ValueError: one line, for an item of another form, or a key that is a value here and a section there.
    """
    out: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not (equals and text.strip() and all(path)):
            raise ValueError(f"{source} {shown(item)[1:-1]}: must be section.key=value")
        if not item.isprintable():
            raise ValueError(f"{source} {shown(item)}: must be one line of printable characters")
        at = f"{source} {shown('.'.join(path))[1:-1]}"
        value: Any = _value(text.strip(), at)
        for part in reversed(path):
            value = {part: value}
        for both in _clashes(out, value):
            raise ValueError(f"{at}: {shown(both)[1:-1]} is a value and a section, must be one of them")
        out = merged(out, value)
    return out


def _value(text: str, source: str) -> Any:
    """One value: TOML, or the text itself where that is no TOML, as a bare word."""
    try:
        # As the only entry of a list, so that nothing after it is dropped as a comment is.
        found = tomllib.loads(f"value = [{text}]")["value"]
    except tomllib.TOMLDecodeError:
        found = []
    except (RecursionError, ValueError):  # told by the parser's own words
        found = parsed(f"value = {text}", source)
    if len(found) == 1 and not text.endswith(","):
        return found[0]
    before, comment, _ = text.partition(" #")
    if comment and _is_toml(before):
        raise ValueError(f"{source}: {shown(text)}, must be a value without a comment")
    if text[0] in "\"'[{":
        raise ValueError(f"{source}: {shown(text)}, must be a TOML value")
    return text


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(f"value = {text}")
    except (RecursionError, ValueError):
        return False
    return True


def _clashes(a: Mapping[str, Any], b: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Keys that are a value in one of two nested dicts and a section in the other."""
    for key in a.keys() & b.keys():
        if isinstance(a[key], Mapping) and isinstance(b[key], Mapping):
            yield from _clashes(a[key], b[key], f"{above}{key}.")
        elif isinstance(a[key], Mapping) or isinstance(b[key], Mapping):
            yield f"{above}{key}"


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the fields of ``over``, section by section."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out
