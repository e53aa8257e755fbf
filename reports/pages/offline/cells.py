"""The wording of an offline study: scores, differences, shares and lengths of time, the kind of an interval."""

from __future__ import annotations

from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import interval
from reports.drawing.tables import Cell
from reports.pages.offline.looks import MINUS, Record

SEEDS = "over seeds: what another initialisation would give on the same test rows"
USERS = (
    "over users: what other users would give these models; whole users are resampled, the effect is the mean of seeds"
)


def period(seconds: Any) -> str:
    """A length of time: 45 s, 15 min, 6 h, 1 d."""
    if not wording.known(seconds):
        return wording.MISSING
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{wording.number(seconds / size)} {unit}"
    return f"{wording.number(seconds)} s"


def mean(value: Record | None) -> str:
    """A mean with its interval as one cell; averages and single seeds have none."""
    if not value:
        return wording.MISSING
    ends = wording.span(value.get("ci"), level)
    return level(value.get("mean")) + ("" if ends == wording.MISSING else f" {ends}")


def delta(value: float) -> str:
    """A difference with its sign and four decimals, so that the numbers of a column stand under each other."""
    text = f"{value:+.4f}"
    return level(0.0) if float(text) == 0 else text.replace("-", MINUS)


def level(value: Any) -> str:
    """A score with four decimals."""
    return f"{value:z.4f}".replace("-", MINUS) if wording.known(value) else wording.MISSING


def difference(value: Record | None) -> Cell:
    """An effect with its interval as one cell."""
    if not value or not wording.known(value.get("effect")):
        return Cell(text=wording.MISSING)
    ends = wording.span(value.get("ci"), delta)
    return Cell(text=delta(value["effect"]) + ("" if ends == wording.MISSING else f" {ends}"))


def toned(value: Record | None) -> Cell:
    """A difference in AUC, green or red where its interval leaves 0."""
    cell = difference(value)
    lo, hi = interval((value or {}).get("ci"))
    return Cell(text=cell.text, tone="good" if lo > 0 else "bad" if hi < 0 else "")


def share(value: Record | None) -> str:
    """A share with its interval, in per cent."""
    if not value or not wording.known(value.get("share")):
        return wording.MISSING

    def spell(part: Any) -> str:
        return wording.percent(part, sign=False)

    return f"{spell(value['share'])} {wording.span(value.get('ci'), spell)}"


def chance(value: Record | None, key: str) -> str:
    """A p or q value."""
    return wording.p_value((value or {}).get(key))


def several(count: int, word: str) -> str:
    """A number with its noun: 1 seed, 5 seeds."""
    return f"{wording.number(count)} {word}{'' if count == 1 else 's'}"
