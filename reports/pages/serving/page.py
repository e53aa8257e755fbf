"""The study ``serving`` in Markdown: what a request costs in each arm, beside the paper's claim, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.drawing.strokes import save, write_aside
from reports.drawing.tables import table
from reports.pages.serving.figures import drawable

Record = Mapping[str, Any]


def write_latency(results: Record, out: Path) -> Path:
    """Writes ``latency.md`` and ``figures/latency-by-*.{png,svg}`` from the dict of results.json; the page's path."""
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    for name, draw in drawable(results).items():
        figure = draw()
        for form in ("png", "svg"):
            write_aside(folder / f"{name}.{form}", save(figure, form))
    path = out / "latency.md"
    write_aside(path, (page(results) + "\n").encode())
    return path


def page(results: Record) -> str:
    """The whole text."""
    config, machine = results["config"], results["machine"]
    paper = ", ".join(f"{x:+.3f} %" for x in results["paper_qps_percent"])
    base = config["arms"][0]
    parts = [
        "# What a request costs",
        "",
        f"`{results['command']}`",
        "",
        f"{machine['processor']}, {machine['cores']} cores, one thread unless said otherwise; runtime of the user "
        f"tower: {config['runtime']}; clock of the closed loops at one thread: {config['clock']}; "
        f"K = {config['candidates']}. Arms take turns request by request. Intervals are "
        "95 % from order statistics; n/a where n cannot give an end.",
        "",
        f"The paper reports a change of QPS by the full CS3 of {paper} in its three scenarios, and speaks of "
        f"milliseconds. Our change is the median over paired calls of (time of {base}) / (time of the arm) - 1.",
        "",
    ]
    for ads in config["ads"]:
        parts += [f"## {ads:,} ads", "", *_closed([row for row in results["closed"] if row["ads"] == ads]), ""]
    parts += ["![Latency by size](figures/latency-by-size.png)", "", "## Stages of a single request", ""]
    parts += [*_stages(results["stages"]), "", "## The whole cascade", "", *_cascade(results["cascade"]), ""]
    parts += ["## Threads", "", *_threads(results["threads"]), "", "## Under load", "", *_open(results["open"]), ""]
    parts += ["![Latency by load](figures/latency-by-load.png)"]
    if results.get("growth"):
        parts += ["", "## How it grows", "", *_growth(results["growth"])]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return table("", head, rows).markdown()


def _number(x: float | None, spell: str = "{:.3f}") -> str:
    return "n/a" if x is None else spell.format(x)


def _interval(ci: Record, spell: str = "{:.3f}") -> str:
    return f"{_number(ci['value'], spell)} ({_number(ci['lo'], spell)} to {_number(ci['hi'], spell)})"


def _percent(ci: Record) -> str:
    return _interval({end: None if x is None else 100 * x for end, x in ci.items()}, "{:+.2f} %")


def _closed(rows: Sequence[Record]) -> list[str]:
    return _table(
        ["arm", "batch", "n", "p50, ms", "p95, ms", "p99, ms", "QPS", "change of QPS"],
        [
            [
                row["arm"],
                str(row["batch"]),
                str(row["n"]),
                *(_interval(row[q]) for q in ("p50_ms", "p95_ms", "p99_ms")),
                f"{row['qps']:,.0f}",
                _percent(row["qps_change"]),
            ]
            for row in rows
        ],
    )


def _stages(rows: Sequence[Record]) -> list[str]:
    return _table(
        ["arm", "features and state fetch, us", "user tower, us", f"search of {rows[0]['ads']:,} ads, us"],
        [[row["arm"], *(_interval(row[f"{s}_us"], "{:.1f}") for s in ("input", "tower", "search"))] for row in rows],
    )


def _cascade(rows: Sequence[Record]) -> list[str]:
    head = f"Retrieve from {rows[0]['ads']:,} ads, rank {rows[0]['k']}, auction; one request."
    return [
        head,
        "",
        *_table(
            ["arm", "p50, ms", "p95, ms", "p99, ms", "change of QPS"],
            [
                [row["arm"], *(_interval(row[q]) for q in ("p50_ms", "p95_ms", "p99_ms")), _percent(row["qps_change"])]
                for row in rows
            ],
        ),
    ]


def _threads(rows: Sequence[Record]) -> list[str]:
    ways = list(rows[0]["qps"])
    return [
        "QPS, median of three; the best of a row is what was measured to be best, not a rule.",
        "",
        *_table(
            ["ads", "batch", *ways, "best"],
            [
                [
                    f"{row['ads']:,}",
                    str(row["batch"]),
                    *(f"{row['qps'][way]:,.1f}" for way in ways),
                    max(ways, key=lambda way, row=row: row["qps"][way]),  # type: ignore[misc]
                ]
                for row in rows
            ],
        ),
    ]


def _growth(rows: Sequence[Record]) -> list[str]:
    return [
        "p50 of one request in ms at each size, and the exponent: the median over requests of the slope of log time "
        "over log size (1 is linear).",
        "",
        *_table(
            ["grows with", "arm", "sizes", "p50, ms", "exponent"],
            [
                [
                    row["dial"],
                    row["arm"],
                    " / ".join(f"{point['size']:,}" for point in row["points"]),
                    " / ".join(_number(point["p50_ms"]["value"]) for point in row["points"]),
                    _interval(row["exponent"], "{:.2f}") if "exponent" in row else "n/a",
                ]
                for row in rows
            ],
        ),
    ]


def _open(found: Record) -> list[str]:
    head = (
        f"{found['ads']:,} ads. Arrivals are Poisson at a fixed rate; latency counts from the scheduled arrival. "
        f"The base answers {found['capacity']:,.0f} a second in a closed loop. The knee is the last rate up to which "
        "the p95 stays within 3 times that of the lightest load."
    )
    rows = [
        [
            name,
            f"{point['load']:.2f}",
            f"{point['offered']:,.0f}",
            f"{point['achieved']:,.0f}",
            *(_interval(point[q]) for q in ("p50_ms", "p95_ms", "p99_ms")),
        ]
        for name, arm in found["arms"].items()
        for point in arm["points"]
    ]
    knees = ", ".join(f"{name} {_knee(arm)}" for name, arm in found["arms"].items())
    head_row = ["arm", "load", "offered a second", "answered a second", "p50, ms", "p95, ms", "p99, ms"]
    return [head, "", *_table(head_row, rows), "", f"Knee: {knees}."]


def _knee(arm: Record) -> str:
    if arm["knee"] is None or arm["knee"] == arm["points"][-1]["offered"]:
        return "not reached by these loads"
    return f"{arm['knee']:,.0f} a second"
