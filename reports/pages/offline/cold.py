"""Cold users and cold videos: the picture and its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.drawing import wording
from reports.drawing.strokes import canvas, styled
from reports.drawing.tables import Cell, table
from reports.pages.offline.cells import mean, toned
from reports.pages.offline.comparisons import against_base, controls, difference_row, forest, named
from reports.pages.offline.looks import Record, short
from reports.pages.parts import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def known_slices(results: Record) -> list[str]:
    """Slices of the test rows on which any comparison has a number."""
    return [
        name
        for name in results["slices"]
        if any(wording.known(((pair["slices"] or {}).get(name) or {}).get("effect")) for pair in results["contrasts"])
    ]


def side_by_side(names: Sequence[str]) -> list[str]:
    """Slices of users in the left column and the same ones of videos in the right, where there are as many."""
    users = [name for name in names if name.startswith("users")]
    videos = [name for name in names if name not in users]
    if len(users) != len(videos):
        return list(names)
    return [name for pair in zip(users, videos, strict=True) for name in pair]


@styled
def figure(results: Record) -> Figure:
    """Differences in AUC against the base on each cold slice of the test rows."""
    pairs = against_base(results) or controls(results)
    names = side_by_side(known_slices(results))
    columns = min(2, len(names))
    lines = -(-len(names) // columns)
    figure, axes = canvas(lines * (0.2 * len(pairs) + 0.75) + 0.25, columns=columns, rows=lines)
    for spot, (ax, name) in enumerate(zip(axes, names, strict=False)):
        of = results["slices"][name]
        rows = [difference_row(short(pair["treatment"]), pair["slices"].get(name)) for pair in pairs]
        forest(ax, rows, named=spot % columns == 0)
        ax.set_title(
            f"{name.replace('at most', '≤')}\n{wording.number(of['rows'])} rows, {wording.number(of['users'])} users",
            fontsize=9,
        )
        if spot >= len(names) - columns:
            ax.set_xlabel(f"Difference in AUC to {short(results['base'])},\n95 % over these users", fontsize=8.5)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    return figure


def section(results: Record) -> Section | None:
    """Users and videos of which little was visible when they were scored."""
    slices = results["slices"]
    if not slices:
        return None
    sizes = [(name, *(wording.number(of[key]) for key in ("rows", "clicks", "users"))) for name, of in slices.items()]
    tables = [table("Sizes", ("slice of the test rows", "rows", "clicks", "users"), sizes, shown=True)]
    names = known_slices(results)
    if names:
        found: list[tuple[str | Cell, ...]] = [
            (named(pair), *(toned(pair["slices"].get(name)) for name in names)) for pair in results["contrasts"]
        ]
        tables.append(table("Differences in AUC, 95 % over users", ("arms", *names), found, shown=True))
    measured = [
        name for name in slices if any(((row["cold"] or {}).get(name) or {}).get("mean") for row in results["rows"])
    ]
    if measured:
        found_auc = [
            (row["name"], *(mean(row["cold"].get(name)) for name in measured)) for row in results["rows"] if row["cold"]
        ]
        tables.append(table("AUC, 95 % over seeds", ("model", *measured), found_auc))
    empty = [name for name, of in slices.items() if not of["rows"]]
    return Section(
        key="cold",
        title="Cold users, cold videos",
        lead="Cold by what was visible when the row was scored. Which interactions the paper counts is not said, so "
        "impressions and clicks are counted apart." + (f" Without a row: {', '.join(empty)}." if empty else ""),
        figure="cold",
        alt=f"Differences in AUC to {results['base']} with intervals over users, a panel per slice of cold users or "
        "videos. The numbers are in the tables below.",
        caption="Intervals over users of the slice, not adjusted: read them together, not one by one. n/a: the slice "
        "has no click, or nothing but clicks.",
        tables=tuple(tables),
    )
