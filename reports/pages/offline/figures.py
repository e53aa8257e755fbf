"""The pictures of an offline study and of a sweep, from the dicts of their results; no statistic is computed here.

Every interval is 95 % and of one of two kinds, named on its axis: over seeds (another initialisation, the same test
rows) or over users (other users, the same models).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import (
    GRID,
    INK,
    MARKS,
    MUTED,
    PAPER,
    Mark,
    Row,
    band,
    canvas,
    dot_rows,
    draw_into,
    floats,
    interval,
    name_bars,
    percent_axis,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
PANELS = {
    "auc": ("AUC", "higher is better"),
    "gauc": ("GAUC", "higher is better"),
    "logloss": ("Log loss", "lower is better"),
    "pcoc": ("PCOC", "1 is best"),
    "tau": ("Tau to ranker", "higher is better"),
    "gap": ("Gap closed", "higher is better"),
}
KINDS = {"averages": Mark(MUTED, "D", ":"), "ranker": Mark(MARKS[2].colour, "^", "-"), "arm": MARKS[1]}
"""Look of each kind of row where the rows are named on the axis."""
HUES = (*(mark.colour for mark in MARKS), "#56b4e9")
FIRST = ("dssm+cs3", "dat", "dssm+cas", "dssm+cts", "dssm+cms", "dssm-bare")
"""Arms that lines are drawn of: they take the first looks after the base's."""
DAILY = ("dssm-bare", "dssm", "dssm+cs3", "dat")
"""Arms of the picture of the days; more lines than these cannot be read."""
MOST = 6
"""Arms that are drawn day by day where none of ``DAILY`` is there."""
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


def measure(row: Record, key: str) -> tuple[float, tuple[float, float]]:
    """A row's number and its interval; NaN where it has none."""
    value = row.get(key) or {}
    (mean,) = floats([value.get("share" if key == "gap" else "mean")])
    return float(mean), interval(value.get("ci"))


@styled
def scores(results: Record) -> Figure:
    """Every measure of every row: filled as replayed, hollow as frozen before the test."""
    rows = taught(results)
    figure, axes = canvas(2 * (0.19 * len(rows) + 0.9) + 0.45, columns=3, rows=2)
    for spot, (ax, (key, (title, good))) in enumerate(zip(axes, PANELS.items(), strict=True)):
        for place, row in enumerate(rows):
            mark = KINDS[row["kind"]]
            _dot(ax, measure(row, key), place - (0.16 if key not in ("tau", "gap") else 0), mark, hollow=False)
            _dot(ax, measure(row.get("frozen") or {}, key), place + 0.2, mark, hollow=True)
        name_bars(ax, [short(row["name"]) for row in rows] if spot % 3 == 0 else [""] * len(rows))
        ax.tick_params(axis="y", labelsize=8)
        if not ax.lines:
            ax.annotate("n/a", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
            ax.set_xticks([])
        ax.margins(x=0.1)
        ax.locator_params(axis="x", nbins=3)
        if key == "gap":
            percent_axis(ax.xaxis, sign=False)
        ax.set_title(title)
        kind = over_users(results) if key == "gap" else over_seeds(results)
        ax.set_xlabel(f"{good}\n95 % {kind}", fontsize=8.5)
    _key_of_kinds(figure, {row["kind"] for row in rows})
    return figure


def _dot(ax: Axes, value: tuple[float, tuple[float, float]], place: float, mark: Mark, *, hollow: bool) -> None:
    mean, ends = value
    if np.isfinite(mean):
        if np.isfinite(ends).all():
            ax.plot(ends, (place, place), color=mark.colour, lw=1.4, solid_capstyle="butt")
        face = PAPER if hollow else mark.colour
        ax.plot([mean], [place], mark.marker, color=mark.colour, mfc=face, mew=1.1, ms=4)


def _key_of_kinds(figure: Figure, kinds: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=mark.colour, marker=mark.marker, ls="", ms=5, label=kind)
        for kind, mark in KINDS.items()
        if kind in kinds
    ]
    for words, face in (("filled: replayed", MUTED), ("hollow: frozen", PAPER)):
        handles.append(Line2D([], [], color=MUTED, marker="s", mfc=face, ls="", ms=5, label=words))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, borderaxespad=0.2, columnspacing=1.2)


# --- comparisons ---


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


def chance(value: Record | None) -> str:
    """The q value of a comparison, or its p value where it was not adjusted."""
    found = value or {}
    letter = "q" if wording.known(found.get("q")) else "p"
    words = wording.p_value(found.get(letter))
    return words if words == wording.MISSING else f"{letter} {words}"


@styled
def contrasts(results: Record) -> Figure:
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
                difference_row(short(label) if "\n" not in label else label, pair.get(key), chance(pair.get(key)))
                for label, pair in zip(labels, pairs, strict=True)
            ]
            _forest(ax, rows, named=ax is left)
        left.set_title(f"{title}, replayed" if i else f"{title}\nreplayed")
        right.set_title("frozen")
        _same_span((left, right))
    for ax in axes[-2:]:
        ax.set_xlabel(f"Difference in AUC,\n95 % {over_users(results)}", fontsize=8.5)
    return figure


def _forest(ax: Axes, rows: Sequence[Row], *, named: bool) -> None:
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
def cold(results: Record) -> Figure:
    """Differences in AUC against the base on each cold slice of the test rows."""
    pairs = against_base(results) or controls(results)
    names = side_by_side(known_slices(results))
    columns = min(2, len(names))
    lines = -(-len(names) // columns)
    figure, axes = canvas(lines * (0.2 * len(pairs) + 0.75) + 0.25, columns=columns, rows=lines)
    for spot, (ax, name) in enumerate(zip(axes, names, strict=False)):
        of = results["slices"][name]
        rows = [difference_row(short(pair["treatment"]), pair["slices"].get(name)) for pair in pairs]
        _forest(ax, rows, named=spot % columns == 0)
        ax.set_title(
            f"{name.replace('at most', '≤')}\n{wording.number(of['rows'])} rows, {wording.number(of['users'])} users",
            fontsize=9,
        )
        if spot >= len(names) - columns:
            ax.set_xlabel(f"Difference in AUC to {short(results['base'])},\n95 % over these users", fontsize=8.5)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    return figure


# --- lines ---


@styled
def noise(results: Record) -> Figure:
    """AUC of the frozen scores against the noise on the inputs, a panel per scale, a line per arm."""
    found = results["noise"]
    level, scales = floats(found["levels"]), found["scales"]
    marks = looks(names_of(results), results["base"])
    figure, axes = canvas(3.1, columns=len(scales))
    for ax, (scale, arms) in zip(axes, scales.items(), strict=True):
        for name, one in arms.items():
            band(ax, level, ends_apart(one["auc"]), marks[name], short(name))
        ax.set_title(scale.replace(", ", ",\n").capitalize(), fontsize=9)
        ax.set_xlabel("Noise std" if scale != "relative" else "Noise std / input's std", fontsize=8.5)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(axis="y")
    _same_height(axes)
    axes[0].set_ylabel(f"AUC, frozen; band 95 % {over_seeds(results)}", fontsize=8.5)
    _legend(figure, axes[0], 3)
    return figure


def ends_apart(values: Sequence[Record | None]) -> dict[str, list[Any]]:
    """Means with intervals as the three lists of a curve."""
    ends = [(value or {}).get("ci") or [None, None] for value in values]
    return {
        "mean": [(value or {}).get("mean", (value or {}).get("effect")) for value in values],
        "lo": [end[0] for end in ends],
        "hi": [end[1] for end in ends],
    }


def _same_height(axes: Sequence[Axes]) -> None:
    """One y range for panels side by side, ticks named on the first only: what differs is then seen."""
    ends = np.array([ax.get_ylim() for ax in axes])
    for spot, ax in enumerate(axes):
        ax.set_ylim(ends[:, 0].min(), ends[:, 1].max())
        ax.tick_params(axis="y", labelleft=spot == 0)


def _legend(figure: Figure, ax: Axes, columns: int) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, borderaxespad=0.2, columnspacing=1.2,
            handlelength=2.6, fontsize=8.5,
        )  # fmt: skip


def drawn_daily(results: Record) -> list[str]:
    """Names of the rows whose days are drawn: averages, rankers, and a few arms."""
    arms = [row["name"] for row in results["rows"] if row["kind"] == "arm"]
    chosen = [name for name in arms if name in (*DAILY, results["base"])]
    if len(chosen) < 2:
        chosen = list(dict.fromkeys([*chosen, *arms]))[:MOST]
    others = {row["name"] for row in taught(results) if row["kind"] != "arm"}
    return [name for name in names_of(results) if name in others or name in chosen]


@styled
def by_day(results: Record) -> Figure:
    """AUC of every day of the log, with intervals over seeds; test days are shaded."""
    days, marks = results["by_day"], looks(names_of(results), results["base"])
    place = np.arange(len(days["date"]), dtype=np.float64)
    figure, (ax,) = canvas(3.7)
    for name in drawn_daily(results):
        if name in days["auc"]:
            band(ax, place, days["auc"][name], marks[name], short(name))
    tested = np.flatnonzero(days["test"])
    if tested.size:
        ax.axvspan(tested[0] - 0.5, tested[-1] + 0.5, color=GRID, alpha=0.45, lw=0, zorder=0)
        ax.annotate("test", (tested[0] - 0.4, 0.02), xycoords=("data", "axes fraction"), color=MUTED, fontsize=8)
    step = max(1, -(-place.size // 15))
    ax.set_xticks(place[::step], [f"{date // 100 % 100}/{date % 100}" for date in days["date"][::step]])
    ax.set_xlabel("Day of the log (month/day)")
    ax.set_ylabel(f"AUC; band 95 % {over_seeds(results)}")
    ax.grid(axis="y")
    _legend(figure, ax, 3)
    return figure


# --- sweeps ---


def period(seconds: Any) -> str:
    """A length of time: 45 s, 15 min, 6 h, 1 d."""
    if not wording.known(seconds):
        return wording.MISSING
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{wording.number(seconds / size)} {unit}"
    return f"{wording.number(seconds)} s"


def spelled_dial(results: Record, value: Any) -> str:
    """A value of the dial; lengths of time with their unit."""
    return period(value) if results["unit"] == "seconds" else f"{value:g}"


def dial_name(results: Record) -> str:
    """The dial in words, with the unit where the values do not carry it."""
    name = str(results["dial"]).replace("_", " ")
    return name if results["unit"] in ("", "seconds") else f"{name}, {results['unit']}"


def compared_arms(results: Record) -> list[str]:
    """Arms of a sweep that have a difference to the base at any value."""
    return [name for name, one in results["arms"].items() if name != results["base"] and any(one["users"])]


@styled
def sweep(results: Record) -> Figure:
    """AUC at every value of a dial on the left, what each arm adds to the base on the right."""
    values = results["values"]
    place = np.arange(len(values), dtype=np.float64)
    marks = looks(results["arms"], results["base"])
    against = compared_arms(results)
    figure, axes = canvas(3.4, columns=2 if against else 1)
    for name, one in results["arms"].items():
        band(axes[0], place, ends_apart(one["auc"]), marks[name], short(name))
    axes[0].set_title("AUC")
    axes[0].set_ylabel(f"AUC; band 95 % {over_seeds(results)}", fontsize=8.5)
    if against:
        _differences(axes[1], results, place, marks, against)
    default = [i for i, value in enumerate(values) if value == results["default"]]
    for ax in axes:
        ax.set_xticks(place, [spelled_dial(results, value) for value in values], fontsize=8)
        ax.set_xlim(-0.5, len(values) - 0.5)
        ax.set_xlabel(dial_name(results), fontsize=8.5)
        ax.grid(axis="y")
        for spot in default:
            ax.axvspan(spot - 0.32, spot + 0.32, color=GRID, alpha=0.55, lw=0, zorder=0)
            ax.annotate(
                "default", (spot, 1.0), (0, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
                ha="center", va="top", color=MUTED, fontsize=7.5,
            )  # fmt: skip
        lo, hi = ax.get_ylim()
        ax.set_ylim(lo, hi + 0.1 * (hi - lo))  # room for the word
    _legend(figure, axes[0], 3)
    return figure


def _differences(
    ax: Axes, results: Record, place: np.ndarray[Any, Any], marks: Mapping[str, Mark], against: Sequence[str]
) -> None:
    ax.axhline(0, color=MUTED, lw=0.9, zorder=0)
    for i, name in enumerate(against):
        curve = ends_apart(results["arms"][name]["users"])
        x = place + 0.14 * (i - (len(against) - 1) / 2)  # so that whiskers stand side by side
        mean, lo, hi = (floats(curve[key]) for key in ("mean", "lo", "hi"))
        ax.vlines(x, lo, hi, color=marks[name].colour, lw=1.5)
        ax.plot(x, mean, marks[name].marker, color=marks[name].colour)
    ax.set_title(f"Difference to {short(results['base'])}")
    ax.set_ylabel(f"AUC; 95 % {over_users(results)}", fontsize=8.5)


# --- to disk ---


def drawable(results: Record) -> dict[str, Callable[[Record], Figure]]:
    """The figures that these results have numbers for, in the page's order."""
    if results.get("kind") == "sweep":
        return {"sweep": sweep}
    every: tuple[tuple[Any, Callable[[Record], Figure]], ...] = (
        (results["rows"], scores),
        (results["contrasts"], contrasts),
        (known_slices(results), cold),
        (results["noise"]["scales"], noise),
        (results["by_day"]["date"], by_day),
    )
    return {draw.__name__: draw for present, draw in every if present}


def draw_all(results: Record, out: Path) -> dict[str, str]:
    """Draw the figures and write ``figures/NAME.png`` and ``.svg``; the SVG text by name."""
    return draw_into(out, {name: functools.partial(draw, results) for name, draw in drawable(results).items()})
