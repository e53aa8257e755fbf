"""What is known of a kind of run: where its results lie, what they say, show and hold; nothing else lists kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reports.runs.cells import cells_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Row = dict[str, Any]
Draw = Callable[[], "Figure"]
Rows = Callable[[], Iterable[Row]]


class Said(NamedTuple):
    """What a run found.

    Attributes:
        word: "ship", "do not ship" or "undecided"; "" for a kind of run that has no such rule.
        text: one sentence; "" where the run says nothing in one sentence.
    """

    word: str
    text: str


class Compared(NamedTuple):
    """An arm of a run, as it was held against its control.

    Attributes:
        scenario: or log.
        arm: spelling, with the level of a study that has several.
        control: what it was held against.
        metrics: records as in ``results.json`` of an A/B test: label, unit, kind, better, effect, ci, p, n_worlds.
    """

    scenario: str
    arm: str
    control: str
    metrics: Mapping[str, Record]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the files of a finished run hold.

    Attributes:
        root: its directory.
        of: what is known of its kind.
        results: the dict of its results, null as None.
        timing: the dict of ``timing.json``; empty if this kind of run has none.
        manifest: the dict of ``manifest.json``; empty if this kind of run has none.
        beside: further results by file name, e.g. those of the laboratory below a power study.
    """

    root: Path
    of: Kind
    results: dict[str, Any] = field(repr=False)
    timing: dict[str, Any] = field(repr=False)
    manifest: dict[str, Any] = field(repr=False)
    beside: dict[str, dict[str, Any]] = field(repr=False)

    def cells(self) -> list[Path]:
        """Directories of its complete cells, and of those of the runs inside it, in order of their paths."""
        return cells_of(self.root, (self.of.levels,))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of run. Whatever it draws with is imported when it is asked to draw, so that a list of runs is quick.

    Attributes:
        name: as its results say it.
        title: of runs of this kind, e.g. for a gallery; "" for a kind that has no figures.
        command: that makes one.
        needs: keys without which its results are not whole.
        file: of its results, relative to the run directory.
        schema: that this version reads; None where the results carry none.
        beside: further files of results that it reads.
        levels: runs of their own inside it: a pattern of their directories, or "".
        page: draws the run's page into a directory; the page's path. None for a kind without.
        pageless: why there is no page, for a kind without.
        text: what a terminal is told with the page; None where that is the file of the page's tables, or nothing.
        markdown: file beside the page that holds its tables as text; "" where there is none.
        figures: the figures that a run has numbers for, by name; None for a kind without.
        said: results -> what the run found; None for a kind that says nothing in one line.
        tables: the tables of a run by name, each made when it is asked for; None for a kind without.
        compared: its arms that were held against a control; None for a kind that holds nothing against one.
        settings: whether its results say how the arms' settings were found.
        replayed: whether ``cs3bench replay`` can live one of its requests again.
    """

    name: str
    command: str
    needs: tuple[str, ...]
    title: str = ""
    file: str = "results.json"
    schema: int | None = 1
    beside: tuple[str, ...] = ()
    levels: str = ""
    page: Callable[[Parts, Path], Path] | None = None
    pageless: str = "this kind has no page"
    text: Callable[[Parts], str] | None = None
    markdown: str = ""
    figures: Callable[[Parts], Mapping[str, Draw]] | None = None
    said: Callable[[Record], Said] | None = None
    tables: Callable[[Parts], Mapping[str, Rows]] | None = None
    compared: Callable[[Parts], Iterable[Compared]] | None = None
    settings: bool = True
    replayed: bool = False


def effect_of(label: str, unit: str, kind: str, better: str, value: Any, ci: Any) -> dict[str, Any]:
    """A metric of ``Compared`` whose two sides are not known, only what lies between them.

    Args:
        label: of the metric.
        unit: of it.
        kind: "ratio" or "difference".
        better: "higher", "lower" or "none".
        value: the effect.
        ci: its 95 % interval, low and high; None where there is none.
    """
    return {
        "label": label, "unit": unit, "kind": kind, "better": better, "control": None, "treatment": None,
        "rel_effect": value if kind == "ratio" else None, "effect": value if kind == "difference" else None,
        "ci": ci or [None, None], "p": None,
    }  # fmt: skip
