"""An A/B test: two arms in twin worlds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Row, Rows, Said
from reports.runs.kinds.market import of_days, of_latency, of_latency_by_k
from reports.runs.tables import of_curves, of_list, of_metrics, of_records, of_worlds, points


def _text(run: Parts) -> str:
    from reports.pages.ab.text import table

    return f"{table(run.results)}\n"


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.ab.figures import drawable

    return drawable(run.results, run.timing)


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.ab.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _said(results: Record) -> Said:
    found = results.get("verdict") or {}
    return Said(str(found.get("word") or ""), str(found.get("reason") or ""))


def _tables(run: Parts) -> dict[str, Rows]:
    r = run.results
    return {
        "metrics": lambda: of_metrics(r["metrics"]),
        "per_world": lambda: of_worlds(r["metrics"], r["worlds"]),
        "per_day": lambda: points(r.get("per_day") or {}),
        "daily": lambda: of_days(run),
        "guardrails": lambda: of_list(r.get("guardrails")),
        "segments": lambda: of_list(r.get("segments")),
        "lights": lambda: of_list(r["verdict"]["lights"]),
        "learning": lambda: of_curves(r.get("learning")),
        "budgets": lambda: of_curves(r.get("budgets")),
        "funnel": lambda: of_records(r.get("funnel")),
        "k_sweep": lambda: of_curves(r.get("k_sweep")),
        "calibration": lambda: [
            row
            for arm, sides in (r.get("calibration") or {}).items()
            for stage, bins in sides.items()
            for row in points(bins, arm=arm, stage=stage)
        ],
        "ladder": lambda: _section(r.get("ladder")),
        "mechanisms": lambda: _section(r.get("mechanisms")),
        "references": lambda: _section(r.get("references")),
        "cost": lambda: of_records(r.get("cost")),
        "latency": lambda: of_latency(run.timing),
        "latency_by_k": lambda: of_latency_by_k(run.timing),
    }


def _section(section: Record | None) -> list[Row]:
    return of_list((section or {}).get("rows"))


def _compared(run: Parts) -> Iterator[Compared]:
    r = run.results
    yield Compared(r["scenario"], r["treatment"], r["control"], r["metrics"])


KIND = Kind(
    name="ab", command="cs3bench ab", title="An A/B test",
    needs=("scenario", "control", "treatment", "worlds", "verdict", "metrics"),
    replayed=True,
    page=_page, text=_text, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
