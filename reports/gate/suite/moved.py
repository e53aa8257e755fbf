"""Names that moved: an older revision, over which the gate runs these files too, has them at their former place."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def imported(name: str, *, formerly: str) -> Any:
    """The object ``package.module:attribute``, from where it is or from where it was.

    Raises:
        ModuleNotFoundError: if it is at neither place; of the present one.
    """
    try:
        return _object(name)
    except ModuleNotFoundError as missing:
        try:
            return _object(formerly)
        except ModuleNotFoundError:
            raise missing from None


def _object(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
