"""How numbers read: one spelling for tables, captions and figure labels.

Every function takes `float | None` (null in results.json) and answers "n/a" where there is no number, so that a gap in
a run is visible on the page and never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeGuard

MISSING = "n/a"
_EN_DASH = "\N{EN DASH}"


def known(value: Any) -> TypeGuard[float]:
    """Whether `value` is a finite number (bools are not numbers here)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _typeset(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def number(value: Any) -> str:
    """A plain number as short as it can honestly be: 1,234 · 123.4 · 1.234 · 0.7213 · 0.00012 · 1.2e−07."""
    if not known(value):
        return MISSING
    size = abs(value)
    if value == int(value) and size < 1e15:
        return _typeset(f"{int(value):,}")
    if size < 1e-5:
        return _typeset(f"{value:.2g}")
    places = 0 if size >= 1000 else 4 if 0.001 <= size < 1 else abs(3 - math.floor(math.log10(size)))
    return _typeset(f"{value:,.{places if size >= 0.001 else places - 2}f}")


def signed(value: Any) -> str:
    """A difference with its sign: +0.0123, −0.4, 0."""
    if not known(value):
        return MISSING
    return ("+" if value > 0 else "") + number(value)


def percent(value: Any, *, sign: bool = True) -> str:
    """A fraction as per cent, two decimals below 10 %, one above: +2.31%, 44.0%; exactly zero is 0%."""
    if not known(value):
        return MISSING
    if value == 0:
        return "0%"
    places = 2 if abs(value) < 0.0995 else 1
    return _typeset(f"{100 * value:+.{places}f}%" if sign else f"{100 * value:.{places}f}%")


def span(bounds: Sequence[Any] | None, spell: Any = number) -> str:
    """An interval `[lo, hi]`, each end spelled by `spell`; n/a if an end is missing."""
    if bounds is None or len(bounds) != 2 or not all(known(end) for end in bounds):
        return MISSING
    return f"[{spell(bounds[0])}, {spell(bounds[1])}]"


def p_value(value: Any) -> str:
    """A p value to three decimals, or "< 0.001"; n/a when the test was not run."""
    if not known(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def milliseconds(value: Any) -> str:
    """A latency in ms with three significant digits."""
    if not known(value):
        return MISSING
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}" if value > 0 else "0"


def seconds(value: Any) -> str:
    """A wall-clock time: 41 s, 9 min 12 s."""
    if not known(value):
        return MISSING
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def numbers(values: Sequence[Any]) -> str:
    """A list of integers, runs folded: "11–15, 20"."""
    whole = list(values)
    if not whole or not all(isinstance(value, int) for value in whole):
        return ", ".join(str(value) for value in whole) or MISSING
    folded: list[list[int]] = []
    for value in whole:
        if folded and value == folded[-1][-1] + 1:
            folded[-1].append(value)
        else:
            folded.append([value])
    return ", ".join(f"{run[0]}{_EN_DASH}{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in folded)
