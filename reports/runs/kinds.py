"""The kinds of runs: which file holds a run's results, of which schema, which figures it has, what it found in a line.

The page of a kind, ``cs3bench plot --list`` and ``load_run`` all take a run's figures from the same ``drawable``, so
their names are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reports.drawing import wording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Draw = Callable[[], "Figure"]


class Said(NamedTuple):
    """What a run found.

    Attributes:
        word: "ship", "do not ship" or "undecided"; "" for a kind of run that has no such rule.
        text: one sentence; "" where the run says nothing in one sentence.
    """

    word: str
    text: str


class Parts(NamedTuple):
    """The dicts of a run: its results, ``timing.json``, further results by file name, ``manifest.json``."""

    results: Record
    timing: Record
    beside: Mapping[str, Record]
    manifest: Record


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of run.

    Attributes:
        file: of its results, relative to the run directory.
        schema: that this version reads; None where the results carry none.
        beside: further files of results that it reads.
        figures: the parts of a run -> the figures that it has numbers for, by name; None for a kind without.
        said: results -> what the run found; None for a kind that says nothing in one line.
        page: draws the run's page from its parts into a directory; the page's path.
        tables: file beside the page that holds its tables as text; "" where there is none.
        pageless: why there is no page, for a kind without.
        needs: keys without which its results are not whole.
        levels: runs of their own inside it: a pattern of their directories, or "".
    """

    file: str = "results.json"
    schema: int | None = 1
    beside: tuple[str, ...] = ()
    figures: Callable[[Parts], dict[str, Draw]] | None = None
    said: Callable[[Record], Said] | None = None
    page: Callable[[Parts, Path], Path] | None = None
    tables: str = ""
    pageless: str = ""
    needs: tuple[str, ...] = ()
    levels: str = ""


# --- figures --------------------------------------------------------------------------------------------------------


def _ab_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.ab.figures import drawable

    return drawable(run.results, run.timing)


def _arena_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.arena.figures import drawable

    return drawable(run.results, run.timing)


def _ablation_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.ablation.figures import drawable

    return drawable(run.results)


def _offline_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.offline.figures import drawable

    return {name: partial(draw, run.results) for name, draw in drawable(run.results).items()}


def _lab_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.lab.figures import drawable

    return drawable(run.results)


def _power_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.lab import figures as lab_figures

    return {"power": partial(lab_figures.power, run.results), **lab_figures.drawable(run.beside["results.json"])}


def _sensitivity_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.lab.figures import sensitivity

    return {"sensitivity": partial(sensitivity, run.results)}


def _late_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.late.figures import drawable

    return drawable(run.results, run.timing)


def _latency_figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.serving.figures import drawable

    return drawable(run.results)


# --- pages ----------------------------------------------------------------------------------------------------------


def _ab_page(run: Parts, out: Path) -> Path:
    from reports.pages.ab.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _arena_page(run: Parts, out: Path) -> Path:
    from reports.pages.arena.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _ablation_page(run: Parts, out: Path) -> Path:
    from reports.pages.ablation.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _offline_page(run: Parts, out: Path) -> Path:
    from reports.pages.offline.page import write_page

    return write_page(run.results, out)


def _sweep_page(run: Parts, out: Path) -> Path:
    from reports.pages.offline.page import write_sweep_page

    return write_sweep_page(run.results, out)


def _lab_page(run: Parts, out: Path) -> Path:
    from reports.pages.lab.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _power_page(run: Parts, out: Path) -> Path:
    from reports.pages.lab.page import write_power_page

    return write_power_page(run.results, run.beside["results.json"], run.timing, run.manifest, out)


def _sensitivity_page(run: Parts, out: Path) -> Path:
    from reports.pages.lab.page import write_sensitivity_page

    return write_sensitivity_page(run.results, run.timing, run.manifest, out)


def _late_page(run: Parts, out: Path) -> Path:
    from reports.pages.late.page import write_late

    return write_late(run.results, run.timing, out)


def _latency_page(run: Parts, out: Path) -> Path:
    from reports.pages.serving.page import write_latency

    return write_latency(run.results, out)


def _growth_page(run: Parts, out: Path) -> Path:
    from reports.pages.serving.growth import write_growth

    return write_growth(run.results, out)


# --- what was found -------------------------------------------------------------------------------------------------


def _ab_said(results: Record) -> Said:
    found = results.get("verdict") or {}
    return Said(str(found.get("word") or ""), str(found.get("reason") or ""))


def _arena_said(results: Record) -> Said:
    from reports.pages.arena.sections import headline

    return Said("", headline(results))


def _ablation_said(results: Record) -> Said:
    from reports.pages.ablation.sections import headline

    return Said("", headline(results))


def _offline_said(results: Record) -> Said:
    calls = [f"{found['mechanism']} {found['word']}" for found in results["verdicts"]]
    return Said("", f"{', '.join(calls)}." if calls else "")


def _sweep_said(results: Record) -> Said:
    values = results["values"]
    return Said("", f"{results['dial']} at {len(values)} values, {values[0]:g} to {values[-1]:g}.")


def _lab_said(results: Record) -> Said:
    from reports.pages.lab.sections import headline

    return Said("", headline(results))


def _power_said(results: Record) -> Said:
    from reports.pages.lab.sections import power

    return Said("", power(results, {}).lead)


def _sensitivity_said(results: Record) -> Said:
    from reports.pages.lab.sections import sensitivity

    return Said("", sensitivity(results, {}).lead)


def _latency_said(results: Record) -> Said:
    base, most = results["config"]["arms"][0], max(results["config"]["ads"])
    rows = [row for row in results["closed"] if row["ads"] == most and row["batch"] == 1 and row["arm"] != base]
    changes = [f"{row['arm']} {wording.percent(row['qps_change']['value'])}" for row in rows]
    return Said("", f"QPS against {base}, {most:,} ads: {', '.join(changes)}." if changes else "")


def _growth_said(results: Record) -> Said:
    grown = [f"{dial} to the power {fit['last_exponent']:.2f}" for dial, fit in results["fits"].items()]
    return Said("", f"Memory grows with {', '.join(grown)}.")


def _tune_said(results: Record) -> Said:
    return Said("", f"Settings of {len(results['models'])} models, {results['budget']} points each.")


SETTINGS = "a search has no page, what it found is in tuned.toml"
KINDS: Mapping[str, Kind] = {
    "ab": Kind(
        figures=_ab_figures, said=_ab_said, page=_ab_page,
        needs=("scenario", "control", "treatment", "worlds", "verdict", "metrics"),
    ),
    "arena": Kind(
        figures=_arena_figures, said=_arena_said, page=_arena_page, tables="tables.md",
        needs=("scenario", "reference", "worlds", "arms", "learning"),
    ),
    "ablation": Kind(
        figures=_ablation_figures, said=_ablation_said, page=_ablation_page, tables="tables.md",
        needs=("base", "cells", "scenarios"), levels="scenarios/*/",
    ),
    "offline": Kind(
        schema=2, figures=_offline_figures, said=_offline_said, page=_offline_page,
        needs=("data", "seeds", "rows", "contrasts"),
    ),
    "sweep": Kind(
        file="sweep.json", figures=_offline_figures, said=_sweep_said, page=_sweep_page,
        needs=("dial", "values", "data", "arms"), levels="*/",
    ),
    "lab": Kind(
        figures=_lab_figures, said=_lab_said, page=_lab_page, tables="tables.md",
        needs=("scenario", "worlds", "days", "meters"),
    ),
    "power": Kind(
        file="power.json", beside=("results.json",), figures=_power_figures, said=_power_said, page=_power_page,
        tables="tables.md", needs=("control", "treatment", "lift", "designs", "twin"),
    ),
    "sensitivity": Kind(
        figures=_sensitivity_figures, said=_sensitivity_said, page=_sensitivity_page, tables="tables.md",
        needs=("dial", "control", "treatment", "levels"), levels="levels/*/",
    ),
    "late": Kind(figures=_late_figures, page=_late_page, tables="late.md", needs=("k", "sizes")),
    "latency": Kind(
        schema=None, figures=_latency_figures, said=_latency_said, page=_latency_page, tables="latency.md",
        needs=("config", "arms", "closed"),
    ),
    "growth": Kind(
        schema=None, said=_growth_said, page=_growth_page, tables="growth.md", needs=("config", "rows", "fits"),
    ),
    "tune": Kind(file="tuning.json", said=_tune_said, pageless=SETTINGS, needs=("budget", "models")),
    "market-tune": Kind(file="tuning.json", said=_tune_said, pageless=SETTINGS, needs=("budget", "models")),
}  # fmt: skip
"""Kind of run -> what is known of it."""

FILES = ("power.json", "sweep.json", "tuning.json", "results.json")
"""Files of results; the first that is there tells the kind. A power study's directory also holds its laboratory's."""
