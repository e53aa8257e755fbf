"""The kinds of runs: which file holds a run's results, of which schema, which figures it has, what it found in a line.

The page of a kind, ``cs3bench plot --list`` and ``load_run`` all take a run's figures from the same ``drawable``, so
their names are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from reports import wording

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
    """The dicts of a run: its results, ``timing.json``, further results by file name."""

    results: Record
    timing: Record
    beside: Mapping[str, Record]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of run.

    Attributes:
        file: of its results, relative to the run directory.
        schema: that this version reads; None where the results carry none.
        beside: further files of results that it reads.
        figures: the parts of a run -> the figures that it has numbers for, by name; None for a kind without.
        said: results -> what the run found; None for a kind that says nothing in one line.
        levels: runs of their own inside it: a pattern of their directories, or "".
    """

    file: str = "results.json"
    schema: int | None = 1
    beside: tuple[str, ...] = ()
    figures: Callable[[Parts], dict[str, Draw]] | None = None
    said: Callable[[Record], Said] | None = None
    levels: str = ""


# --- figures --------------------------------------------------------------------------------------------------------


def _ab_figures(run: Parts) -> dict[str, Draw]:
    from reports.figures import drawable

    return drawable(run.results, run.timing)


def _arena_figures(run: Parts) -> dict[str, Draw]:
    from reports.arena_figures import drawable

    return drawable(run.results, run.timing)


def _ablation_figures(run: Parts) -> dict[str, Draw]:
    from reports.ablation_figures import drawable

    return drawable(run.results)


def _offline_figures(run: Parts) -> dict[str, Draw]:
    from reports.offline_figures import drawable

    return {name: partial(draw, run.results) for name, draw in drawable(run.results).items()}


def _lab_figures(run: Parts) -> dict[str, Draw]:
    from reports.lab_figures import drawable

    return drawable(run.results)


def _power_figures(run: Parts) -> dict[str, Draw]:
    from reports import lab_figures

    return {"power": partial(lab_figures.power, run.results), **lab_figures.drawable(run.beside["results.json"])}


def _sensitivity_figures(run: Parts) -> dict[str, Draw]:
    from reports.lab_figures import sensitivity

    return {"sensitivity": partial(sensitivity, run.results)}


def _late_figures(run: Parts) -> dict[str, Draw]:
    from reports.late_figures import drawable

    return drawable(run.results, run.timing)


def _latency_figures(run: Parts) -> dict[str, Draw]:
    from reports.latency_figures import drawable

    return drawable(run.results)


# --- what was found -------------------------------------------------------------------------------------------------


def _ab_said(results: Record) -> Said:
    found = results.get("verdict") or {}
    return Said(str(found.get("word") or ""), str(found.get("reason") or ""))


def _arena_said(results: Record) -> Said:
    from reports.arena_sections import headline

    return Said("", headline(results))


def _ablation_said(results: Record) -> Said:
    from reports.ablation_sections import headline

    return Said("", headline(results))


def _offline_said(results: Record) -> Said:
    calls = [f"{found['mechanism']} {found['word']}" for found in results["verdicts"]]
    return Said("", f"{', '.join(calls)}." if calls else "")


def _sweep_said(results: Record) -> Said:
    values = results["values"]
    return Said("", f"{results['dial']} at {len(values)} values, {values[0]:g} to {values[-1]:g}.")


def _lab_said(results: Record) -> Said:
    from reports.lab_sections import headline

    return Said("", headline(results))


def _power_said(results: Record) -> Said:
    from reports.lab_sections import power

    return Said("", power(results, {}).lead)


def _sensitivity_said(results: Record) -> Said:
    from reports.lab_sections import sensitivity

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


KINDS: Mapping[str, Kind] = {
    "ab": Kind(figures=_ab_figures, said=_ab_said),
    "arena": Kind(figures=_arena_figures, said=_arena_said),
    "ablation": Kind(figures=_ablation_figures, said=_ablation_said, levels="scenarios/*/"),
    "offline": Kind(schema=2, figures=_offline_figures, said=_offline_said),
    "sweep": Kind(file="sweep.json", figures=_offline_figures, said=_sweep_said, levels="*/"),
    "lab": Kind(figures=_lab_figures, said=_lab_said),
    "power": Kind(file="power.json", beside=("results.json",), figures=_power_figures, said=_power_said),
    "sensitivity": Kind(figures=_sensitivity_figures, said=_sensitivity_said, levels="levels/*/"),
    "late": Kind(figures=_late_figures),
    "latency": Kind(schema=None, figures=_latency_figures, said=_latency_said),
    "growth": Kind(schema=None, said=_growth_said),
    "tune": Kind(file="tuning.json", said=_tune_said),
    "market-tune": Kind(file="tuning.json", said=_tune_said),
}
"""Kind of run -> what is known of it."""

FILES = ("power.json", "sweep.json", "tuning.json", "results.json")
"""Files of results; the first that is there tells the kind. A power study's directory also holds its laboratory's."""
