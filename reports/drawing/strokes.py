"""What all figures share: colours and marks, the canvas, dot rows, axes in per cent, and the way to disk.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), told apart by marker and line style as well; pages map
them to their light and dark themes (see `shell.inline_svg`). Output is byte-equal for equal input: fixed SVG hash salt,
no dates in metadata.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import numpy as np

from reports.drawing import hover, wording
from reports.drawing.lettering import file_name, lettered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Record = Mapping[str, Any]
P = ParamSpec("P")

INK, MUTED, GRID, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
BETTER, WORSE = "#009e73", "#d55e00"
WIDTH = 6.2  # inches; the page scales it, and a narrow figure keeps its words readable on a phone


class Mark(NamedTuple):
    """How one arm looks everywhere: colour, marker and line style, any one of which is enough to tell it."""

    colour: str
    marker: str
    line: str


MARKS = (
    Mark("#4b5563", "o", "--"),
    Mark("#0072b2", "s", "-"),
    Mark("#e69f00", "^", "-."),
    Mark("#009e73", "D", ":"),
    Mark("#cc79a7", "v", (0, (5, 1, 1, 1, 1, 1))),  # type: ignore[arg-type]
    Mark("#d55e00", "P", (0, (1, 2))),  # type: ignore[arg-type]
)


def style() -> dict[Any, Any]:
    """The rc settings that every figure shares: seaborn's paper context and ticks, our inks, text as text in SVG."""
    import seaborn as sns

    return {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper"),
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib and is wide, so no reader's own font overflows
        "font.size": 9,
        "axes.labelsize": 9.5,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "axes.titlecolor": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "svg.fonttype": "none",
        "svg.hashsalt": "cs3-bench",
    }


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """`draw`, run under `style()`; nothing of matplotlib's global state is left changed."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        with mpl.rc_context(style()):
            return draw(*args, **kwargs)

    return inside


def canvas(
    height: float, columns: int = 1, rows: int = 1, ratios: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure `WIDTH` x `height` inches and its axes, row by row; `ratios` are the heights of the rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, wspace=0.05, hspace=0.06)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, columns, squeeze=False, height_ratios=ratios)
    return figure, list(grid.ravel())


def floats(values: Iterable[Any] | None) -> NDArray[np.float64]:
    """A list of results.json as float64, null as NaN."""
    return np.array([value if wording.known(value) else np.nan for value in values or ()], dtype=np.float64)


def interval(values: Iterable[Any] | None) -> tuple[float, float]:
    """`[lo, hi]` as floats, NaN where missing."""
    ends = floats(values)
    return (float(ends[0]), float(ends[1])) if ends.size == 2 else (np.nan, np.nan)


def effect(metric: Record) -> Any:
    """A metric's effect: relative for kind "ratio", absolute for kind "difference"."""
    return metric.get("rel_effect") if metric.get("kind") == "ratio" else metric.get("effect")


def direction(metric: Record) -> str:
    """Which side of 0 the whole interval lies on: "better", "worse" or "" (undecided, or no side is good)."""
    lo, hi = interval(metric.get("ci"))
    side = 1 if lo > 0 else -1 if hi < 0 else 0
    good = {"higher": 1, "lower": -1}.get(str(metric.get("better")), 0)
    return {1: "better", -1: "worse"}.get(side * good, "")


def percent_axis(axis: Any, *, sign: bool = True) -> None:
    """Tick labels of a matplotlib axis in per cent, as short as the step between ticks allows."""
    from matplotlib.ticker import FuncFormatter

    def spell(value: float, _: int | None = None) -> str:
        shown = f"{100 * value:+.4g}%" if sign else f"{100 * value:.4g}%"
        return "0%" if abs(value) < 1e-12 else shown.replace("-", "\N{MINUS SIGN}")

    axis.set_major_formatter(FuncFormatter(spell))


def band(ax: Axes, x: NDArray[np.float64], curve: Record, mark: Mark, label: str | None = None) -> None:
    """A line through `curve["mean"]` with its interval as a band, both [n] over `x` [n].

    A line without markers gets unseen ones, which show when they are pointed at.
    """
    mean, lo, hi = floats(curve.get("mean")), floats(curve.get("lo")), floats(curve.get("hi"))
    (line,) = ax.plot(x, mean, color=mark.colour, ls=mark.line, marker=mark.marker, label=label)
    if not mark.marker:
        (line,) = ax.plot(x, mean, "o", color=mark.colour, alpha=0.0)
    hover.tell(line, name=label, ends=(lo, hi) if lo.size == mean.size == hi.size else None)
    if lo.size == x.size == hi.size:
        ax.fill_between(x, lo, hi, color=mark.colour, alpha=0.16, lw=0)


def legend(figure: Figure, ax: Axes) -> None:
    """One legend for the whole figure, above its panels."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(4, len(handles)), borderaxespad=0.2)


class Row(NamedTuple):
    """One row of a dot plot: an estimate, its interval, the words beside it, and whether it is better or worse."""

    label: str
    value: float
    ends: tuple[float, float]
    text: str
    side: str = ""

    @property
    def colour(self) -> str:
        """Of its dot and its whisker."""
        return {"better": BETTER, "worse": WORSE}.get(self.side, MUTED)


def dot_rows(ax: Axes, rows: Sequence[Row]) -> None:
    """Dots with whiskers, first row on top, numbers in a column on the right; filled when the interval leaves 0.

    A row much wider than the others does not squeeze them: it is cut at the edge, with an arrow; its numbers are whole.
    """
    for place, row in enumerate(rows):
        colour = row.colour
        decided = row.ends[0] > 0 or row.ends[1] < 0
        if np.isfinite(row.ends).all():
            ax.plot(row.ends, (place, place), color=colour, lw=2.2, solid_capstyle="butt")
        if np.isfinite(row.value):
            face = colour if decided else PAPER
            (dot,) = ax.plot([row.value], [place], "o", color=colour, mfc=face, mew=1.5, ms=6.5)
            hover.tell(dot, [f"{row.label}: {row.text}"])
        ax.text(1.02, place, row.text, transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.axvline(0, color=MUTED, lw=0.9, zorder=0)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    _few_ticks(ax)
    widest = max((abs(end) for row in rows for end in (row.value, *row.ends) if np.isfinite(end)), default=0.0)
    if widest == 0:  # an A/A run: every effect is exactly zero
        ax.set_xlim(-0.01, 0.01)
    _cut_off(ax, rows)


CUT = 6.0
"""A row is cut where it reaches this many times as far from 0 as the median row."""


def _cut_off(ax: Axes, rows: Sequence[Row]) -> None:
    """Limit the x axis to what most rows need, with an arrow at the edge for each whisker that goes on."""
    ends = np.array([(row.value, *row.ends) for row in rows])
    reach = np.abs(ends[np.isfinite(ends).all(axis=1)]).max(axis=1)
    far = CUT * float(np.median(reach)) if reach.size > 2 else 0.0
    if far == 0 or reach.max() <= far:
        return
    shown = np.clip([0.0, *ends[np.isfinite(ends)]], -far, far)
    air = 0.05 * (shown.max() - shown.min())
    edges = (shown.min() - air, shown.max() + air)
    ax.set_xlim(*edges)
    tips = (edges[0] + 0.4 * air, edges[1] - 0.4 * air)
    for place, row in enumerate(rows):
        if not np.isfinite(ends[place]).any():
            continue
        beyond = (np.nanmin(ends[place]) < edges[0], np.nanmax(ends[place]) > edges[1])
        for tip, marker, goes_on in zip(tips, "<>", beyond, strict=True):
            if goes_on:
                (arrow,) = ax.plot([tip], [place], marker, color=row.colour, ms=6, mew=0)
                hover.tell(arrow, [f"{row.label}: {row.text}"])


def _few_ticks(ax: Axes) -> None:
    """As many ticks on the x axis as signed numbers and per cents have room for, seven at most."""
    from matplotlib.ticker import MaxNLocator

    class Roomy(MaxNLocator):
        """matplotlib's own count of ticks takes every name to be three letters wide."""

        def __call__(self) -> Any:
            self.set_params(nbins=int(np.clip(0.7 * ax.xaxis.get_tick_space(), 2, 6)))
            return super().__call__()

    ax.xaxis.set_major_locator(Roomy(nbins=6, steps=[1, 2, 2.5, 5, 10]))


def name_bars(ax: Axes, labels: Sequence[str]) -> None:
    """Names horizontal bars at 0, 1, ... from the top, with a light grid behind them."""
    ax.set_yticks(range(len(labels)), list(labels))
    ax.set_ylim(len(labels) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def metric_row(metric: Record, spell: Callable[[Any], str]) -> Row:
    """A metric's row of a dot plot: its effect and interval, in words too; an arrow down where lower is better."""
    value = effect(metric)
    words = f"{spell(value)}  {wording.span(metric.get('ci'), spell)}" if wording.known(value) else wording.MISSING
    hint = {"lower": " \N{DOWNWARDS ARROW}"}.get(str(metric.get("better")), "")
    label = f"{metric.get('label', '')}{hint}"
    return Row(label, float(floats([value])[0]), interval(metric.get("ci")), words, direction(metric))


def lift_row(label: str, metric: Record) -> Row:
    """A row of a dot plot under a name of its own: a lift of something of which more is better."""
    ends = interval(metric.get("ci"))
    side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
    words = f"{wording.percent(metric.get('rel_effect'))}  {wording.span(metric.get('ci'), wording.percent)}"
    return Row(label, float(floats([metric.get("rel_effect")])[0]), ends, words, side)


def whole_days(ax: Axes, day: NDArray[np.float64]) -> None:
    """Ticks on whole days only, and half a day of air on either side."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    if np.isfinite(day).any():
        ax.set_xlim(np.nanmin(day) - 0.5, np.nanmax(day) + 0.5)


# --- to disk ----------------------------------------------------------------------------------------------------


def save(figure: Figure, kind: str) -> bytes:
    """The figure as "svg" or "png" bytes, without dates; PNG on white, SVG clear so that a page's theme shows.

    In the SVG each mark says its values (see `hover`).
    """
    import matplotlib as mpl

    held = io.BytesIO()
    words = hover.named(figure) if kind == "svg" else {}
    plain: dict[str, Any] = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context(style()), lettered(figure):
        figure.savefig(held, format=kind, dpi=160, facecolor="none" if kind == "svg" else PAPER, metadata=plain)
    if kind != "svg":
        return held.getvalue()
    return hover.titled(_numbered(held.getvalue().decode()), words).encode()


def _numbered(svg: str) -> str:
    """The SVG with its clips named by their place.

    Matplotlib names them by all digits of their corners, and the layout's solver leaves the last ones to chance.
    """
    names = {name: f"clip{place}" for place, name in enumerate(dict.fromkeys(re.findall(r"\bp[0-9a-f]{10}\b", svg)))}
    return re.sub(r"\bp[0-9a-f]{10}\b", lambda found: names[found.group()], svg)


def write_aside(path: Path, content: bytes) -> None:
    """Writes beside `path` and renames, so that an interrupted run leaves the old file or the new one, never half."""
    aside = path.with_name(f".{path.name}.part")
    try:
        # A file of our own: what has the name already may be a link to somebody's.
        aside.unlink(missing_ok=True)
        aside.write_bytes(content)
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise


def draw_into(out: Path, figures: Mapping[str, Callable[[], Figure]]) -> dict[str, str]:
    """Draws figures into `figures/NAME.png` and `figures/NAME.svg` of a run directory; the SVG texts by name.

    Raises:
        ValueError: one line, for a name that is no file's.
    """
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name in map(file_name, figures):
        figure = figures[name]()
        svg = save(figure, "svg")
        write_aside(folder / f"{name}.svg", svg)
        write_aside(folder / f"{name}.png", save(figure, "png"))
        drawn[name] = svg.decode()
    return drawn
