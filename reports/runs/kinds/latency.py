"""What a request costs on the serving path, alone and under load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reports.drawing import wording
from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Rows, Said, effect_of
from reports.runs.tables import flat, of_list, of_records


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.serving.figures import drawable

    return drawable(run.results)


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.serving.page import write_latency

    return write_latency(run.results, out)


def _said(results: Record) -> Said:
    base, most = results["config"]["arms"][0], max(results["config"]["ads"])
    rows = [row for row in results["closed"] if row["ads"] == most and row["batch"] == 1 and row["arm"] != base]
    changes = [f"{row['arm']} {wording.percent(row['qps_change']['value'])}" for row in rows]
    return Said("", f"QPS against {base}, {most:,} ads: {', '.join(changes)}." if changes else "")


def _tables(run: Parts) -> dict[str, Rows]:
    r = run.results
    listed = {key: r[key] for key in ("closed", "stages", "cascade", "threads")}
    return {
        **{key: partial(of_list, rows) for key, rows in listed.items()},
        "open": lambda: [flat(point, arm=arm) for arm, one in r["open"]["arms"].items() for point in one["points"]],
        "growth": lambda: [
            flat(point, dial=one["dial"], arm=one["arm"]) for one in r.get("growth") or () for point in one["points"]
        ],
        "cost": lambda: of_records(r["arms"]),
    }


def _compared(run: Parts) -> Iterator[Compared]:
    r = run.results
    base = r["config"]["arms"][0]
    for row in r["closed"]:
        if row["arm"] != base:
            found = row["qps_change"]
            change = effect_of("QPS", "requests/s", "ratio", "higher", found["value"], [found["lo"], found["hi"]])
            arm = f"{row['arm']}, {row['ads']:,} ads, batch {row['batch']}"
            yield Compared(r["config"]["scenario"], arm, base, {"qps": change | {"n_requests": row["n"]}})


KIND = Kind(
    name="latency", command="cs3bench latency", title="Requests under load",
    needs=("config", "arms", "closed"),
    schema=None, markdown="latency.md", settings=False,
    page=_page, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
