"""Which arm gains over which: differences in AUC over users, the picture and its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import Row, canvas, dot_rows, floats, interval, styled
from reports.drawing.tables import Cell, Table, table
from reports.numbers import mechanisms
from reports.pages.offline.cells import USERS, chance, difference, several, toned
from reports.pages.offline.looks import MINUS, Record, over_users, short
from reports.pages.offline.scores import MEASURES
from reports.pages.parts import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUESTIONS = {
    ("dssm-bare", "dssm"): "what the online counters give",
    ("dssm-bare", "dssm-bare+cs3"): "does CS3 replace the counters?",
    ("dssm-wide", "dssm+cas"): "more than as many FLOPs in wider layers?",
    ("dat", "dssm+cts"): "more than DAT, a learned stand-in of the other tower?",
    ("dssm+cts+shuffled", "dssm+cts"): "more than anyone's cross vector?",
    ("dssm+cms+shuffled", "dssm+cms"): "more than anyone's cascade vector?",
    ("dssm+cms@dnn-untrained", "dssm+cms"): "more than an untrained ranker's vectors?",
}
"""(control, treatment) -> what the comparison asks."""


def against_base(results: Record) -> list[Record]:
    """The comparisons with the base."""
    return [pair for pair in results["contrasts"] if pair["control"] == results["base"]]


def controls(results: Record) -> list[Record]:
    """The other comparisons: what each control is there for."""
    return [pair for pair in results["contrasts"] if pair["control"] != results["base"]]


def difference_row(label: str, value: Record | None, words: str = "") -> Row:
    """A row of a dot plot from an effect with its interval; n/a where there is no number."""
    found = value or {}
    ends = interval(found.get("ci"))
    (effect,) = floats([found.get("effect")])
    side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
    return Row(label, float(effect), ends, words if np.isfinite(effect) else wording.MISSING, side)


def chance_of(value: Record | None) -> str:
    """The q value of a comparison, or its p value where it was not adjusted."""
    found = value or {}
    letter = "q" if wording.known(found.get("q")) else "p"
    words = wording.p_value(found.get(letter))
    return words if words == wording.MISSING else f"{letter} {words}"


@styled
def figure(results: Record) -> Figure:
    """Differences in AUC with intervals over users: against the base above, the controls below; frozen on the right."""
    base = f"{MINUS} {short(results['base'])}"
    groups = [
        ([pair["treatment"] for pair in against_base(results)], against_base(results), f"Each arm {base}"),
        (
            [f"{short(pair['treatment'])}\n{MINUS} {short(pair['control'])}" for pair in controls(results)],
            controls(results),
            "Controls",
        ),
    ]
    shown = [group for group in groups if group[1]]
    heights = [(0.235 if group[1][0]["control"] == results["base"] else 0.36) * len(group[1]) for group in shown]
    figure, axes = canvas(
        sum(heights) + 0.95 * len(shown), columns=2, rows=len(shown), ratios=[height + 0.1 for height in heights]
    )
    for i, (labels, pairs, title) in enumerate(shown):
        left, right = axes[2 * i : 2 * i + 2]
        for ax, key in ((left, "users"), (right, "frozen")):
            rows = [
                difference_row(short(label) if "\n" not in label else label, pair.get(key), chance_of(pair.get(key)))
                for label, pair in zip(labels, pairs, strict=True)
            ]
            forest(ax, rows, named=ax is left)
        left.set_title(f"{title}, replayed" if i else f"{title}\nreplayed")
        right.set_title("frozen")
        _same_span((left, right))
    for ax in axes[-2:]:
        ax.set_xlabel(f"Difference in AUC,\n95 % {over_users(results)}", fontsize=8.5)
    return figure


def forest(ax: Axes, rows: Sequence[Row], *, named: bool) -> None:
    """Differences as dots with intervals, one line each; their names only where they are asked for."""
    dot_rows(ax, [row if named else row._replace(label="") for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", labelsize=8)
    ax.locator_params(axis="x", nbins=3)
    for text in ax.texts:
        text.set_fontsize(7.5)


def _same_span(axes: Sequence[Axes]) -> None:
    """One x range for panels that stand side by side."""
    ends = np.array([ax.get_xlim() for ax in axes])
    for ax in axes:
        ax.set_xlim(ends[:, 0].min(), ends[:, 1].max())


def section(results: Record) -> Section | None:
    """Every comparison: with the base, and of the controls."""
    if not results["contrasts"]:
        return None
    base, seeds = results["base"], len(results["seeds"])
    tables: list[Table] = []
    for letter, pairs in (("q", against_base(results)), ("p", controls(results))):
        if pairs:
            found: list[tuple[str | Cell, ...]] = [
                (
                    named(pair),
                    toned(pair["users"]),
                    chance(pair["users"], letter),
                    toned(pair["frozen"]),
                    chance(pair["frozen"], "p"),
                )
                for pair in pairs
            ]
            name = f"Each arm {MINUS} {base}" if letter == "q" else "Controls"
            titles = ("arms", "AUC, over users", letter, "frozen AUC, over users", "p")
            tables.append(table(name, titles, found, shown=True))
    asked = [(named(pair), QUESTIONS[sides(pair)]) for pair in controls(results) if sides(pair) in QUESTIONS]
    if asked:
        tables.append(table("What the controls ask", ("arms", "question"), asked, shown=True, prose=True))
    on_seeds: list[tuple[str | Cell, ...]] = [
        (named(pair), *(difference(pair.get(key)) for key in MEASURES)) for pair in results["contrasts"]
    ]
    tables.append(table("Every measure, over seeds", ("arms", *MEASURES.values()), on_seeds))
    frozen: list[tuple[str | Cell, ...]] = [
        (named(pair), *(difference(pair.get(f"frozen_{key}")) for key in MEASURES)) for pair in results["contrasts"]
    ]
    tables.append(table("Every measure, frozen, over seeds", ("arms", *MEASURES.values()), frozen))
    return Section(
        key="comparisons",
        title="Comparisons",
        lead=gains(results),
        figure="contrasts",
        alt=f"Differences in AUC with intervals over users: each arm against {base} above, the controls below; "
        "replayed on the left, frozen on the right. The numbers are in the tables below.",
        caption=f"95 % intervals {USERS}. Filled: the interval leaves 0. q: p adjusted over all arms against {base} by "
        f"Benjamini and Hochberg; the controls and the frozen scores are not adjusted. Over {several(seeds, 'seed')}: "
        "paired t, on the same users.",
        tables=tuple(tables),
    )


def named(pair: Record) -> str:
    """A comparison's arms."""
    return f"{pair['treatment']} {MINUS} {pair['control']}"


def sides(pair: Record) -> tuple[str, str]:
    """A comparison's control and treatment."""
    return pair["control"], pair["treatment"]


def gains(results: Record) -> str:
    """Which arms gain and which lose against the base, after adjustment."""
    base, pairs = results["base"], against_base(results)
    if not pairs:
        return "No arm is compared with the base."
    sure = [
        pair
        for pair in pairs
        if wording.known(pair["users"].get("q", pair["users"]["p"]))
        and pair["users"].get("q", pair["users"]["p"]) <= mechanisms.LEVEL
    ]
    up = [pair["treatment"] for pair in sure if (pair["users"]["effect"] or 0) > 0]
    down = [pair["treatment"] for pair in sure if (pair["users"]["effect"] or 0) < 0]
    return (
        f"Above {base} at q ≤ {mechanisms.LEVEL}: {', '.join(up) or 'none'}. Below it: {', '.join(down) or 'none'}. "
        f"Of {several(len(pairs), 'arm')}."
    )
