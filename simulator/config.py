"""What every section of a scenario shares: frozen, validated, closed to unknown keys; errors are one line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from simulator.plugins import nearest


class Section(BaseModel):
    """Base of every config section: immutable; an unknown key is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Config = TypeVar("Config", bound=BaseModel)


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
            raise ValueError(f"{source}: unknown key '{path}'{hint}") from None
        raise ValueError(f"{source}: {path} == {first['input']!r}, {first['msg'].lower()}") from None


def _fields_at(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the section that ``path`` leads to."""
    for part in path:
        inner = kind.model_fields[str(part)].annotation if str(part) in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        kind = inner
    return list(kind.model_fields)


def overrides(items: Sequence[str]) -> dict[str, Any]:
    """``["section.key=value", ...]`` as one nested dict; the values are TOML, a bare word is a string.

    Raises:
        ValueError: one line, for an item of another form.
    """
    out: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path):
            raise ValueError(f"--set {item}: must be section.key=value")
        try:
            value: Any = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        for part in reversed(path):
            value = {part: value}
        out = merged(out, value)
    return out


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the fields of ``over``, section by section."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out
