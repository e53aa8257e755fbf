"""What the figures of an offline study share: names that fit, a look for each row, the kind of an interval.

Every interval is 95 % and of one of two kinds, named on its axis: over seeds (another initialisation, the same test
rows) or over users (other users, the same models).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import INK, MARKS, MUTED, Mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
HUES = (*(mark.colour for mark in MARKS), "#56b4e9")
FIRST = ("dssm+cs3", "dat", "dssm+cas", "dssm+cts", "dssm+cms", "dssm-bare")
"""Arms that lines are drawn of: they take the first looks after the base's."""
LONGEST = 28
"""Characters of a name that fit beside a panel."""
MINUS = "\N{MINUS SIGN}"


def short(name: str) -> str:
    """A name cut in its middle where it is too long for an axis."""
    half = (LONGEST - 1) // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def looks(names: Iterable[str], base: str = "") -> dict[str, Mark]:
    """Mark of each arm or row, the same in every figure of lines; no two are equal.

    Args:
        names: of rows; averages and rankers are known by their first word.
        base: the arm that the others are compared with.
    """
    every = list(dict.fromkeys(names))
    floor = [name for name in every if name.startswith("averages:")]
    rankers = [name for name in every if name.startswith("ranker ")]
    order = [name for name in (base, *FIRST) if name in every]
    order += [name for name in every if name not in (*order, *floor, *rankers)]
    found = {name: Mark(MUTED, "", MARKS[(3, 0)[i % 2]].line) for i, name in enumerate(floor)}
    found |= {name: Mark(INK, MARKS[-1 - i % 6].marker, MARKS[1 - i % 6].line) for i, name in enumerate(rankers)}
    for i, name in enumerate(order):
        turn = i // len(HUES)
        found[name] = Mark(HUES[i % len(HUES)], MARKS[(i + turn) % 6].marker, MARKS[(i + 2 * turn) % 6].line)
    return found


def names_of(results: Record) -> list[str]:
    """The rows' names in the page's order."""
    return [row["name"] for row in results["rows"]]


def taught(results: Record) -> list[Record]:
    """The rows without rankers that never learned: they teach an arm, and beside them nothing else could be read."""
    return [row for row in results["rows"] if not (row["kind"] == "ranker" and row["name"].endswith("-untrained"))]


def over_seeds(results: Record) -> str:
    """The kind of an interval and its n: seeds."""
    seeds = len(results["seeds"])
    return f"over {seeds} seeds" if seeds > 1 else "n/a, 1 seed"


def over_users(results: Record) -> str:
    """The kind of an interval and its n: users."""
    return f"over {wording.number(results['data']['test_users'])} users"


def ends_apart(values: Sequence[Record | None]) -> dict[str, list[Any]]:
    """Means with intervals as the three lists of a curve."""
    ends = [(value or {}).get("ci") or [None, None] for value in values]
    return {
        "mean": [(value or {}).get("mean", (value or {}).get("effect")) for value in values],
        "lo": [end[0] for end in ends],
        "hi": [end[1] for end in ends],
    }


def legend(figure: Figure, ax: Axes, columns: int) -> None:
    """The key of a figure's lines, above its panels."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, borderaxespad=0.2, columnspacing=1.2,
            handlelength=2.6, fontsize=8.5,
        )  # fmt: skip
