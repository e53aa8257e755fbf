"""The study ``growth`` in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing.strokes import write_aside
from reports.drawing.tables import table

Record = Mapping[str, Any]


def write_growth(results: Record, out: Path) -> Path:
    """Writes ``growth.md`` from the dict of results.json; its path."""
    path = out / "growth.md"
    write_aside(path, (page(results) + "\n").encode())
    return path


def page(results: Record) -> str:
    """The whole text."""
    config = results["config"]
    rows = [
        [
            row["dial"],
            f"{row['size']:,}",
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['build_seconds']:.2f}",
            f"{row['requests_per_second']:,.0f}",
        ]
        for row in results["rows"]
    ]
    parts = [
        "# How a market grows",
        "",
        f"`{results['command']}`",
        "",
        f"One day of {config['requests']:,} requests, {config['scenario']}, no models, one process a size. Memory: "
        "peak of what Python and NumPy allocated. Requests a second: of CPU time, one run.",
        "",
        *table("", ("grows", "size", "memory, MB", "building, s", "requests a second"), rows).markdown(),
        "",
    ]
    parts += [
        f"- {dial}: {fit['per_one']:,.0f} bytes each beside {fit['at_zero'] / 1e6:.0f} MB; between the two largest "
        f"sizes memory grows as the power {fit['last_exponent']:.2f}."
        for dial, fit in results["fits"].items()
    ]
    return "\n".join(parts)
