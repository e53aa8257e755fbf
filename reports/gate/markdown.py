"""The results of the gate in words: lines for a terminal, Markdown for the summary of a pull request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing.tables import Table, table

Record = Mapping[str, Any]
SIGNS = {"passed": "\N{WHITE HEAVY CHECK MARK}", "failed": "\N{CROSS MARK}"}


def percent(ratio: float | None) -> str:
    """A ratio as a change: 1.1 is +10.0 %."""
    return "n/a" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def span(found: Record) -> str:
    """The two one-sided bounds."""
    return f"{percent(found['lo'])} to {percent(found['hi'])}"


def micros(seconds: float) -> str:
    """Microseconds, three digits."""
    us = 1e6 * seconds
    return f"{us:,.0f}" if us >= 100 else f"{us:.3g}"


def rare(share: float) -> str:
    """A share that is hoped to be small; what resampling cannot tell from nothing is not told."""
    return "under 0.01 %" if share < 1e-4 else f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def order(results: Record) -> list[Record]:
    """Failed first, then what was compared, the slowest first, then what was not."""
    rank = {"failed": 0, "passed": 1}

    def key(row: Record) -> tuple[int, float, str]:
        ratio = row.get("ratio")
        return rank.get(row["status"], 2), -(ratio["value"] if ratio else 0.0), row["name"]

    return sorted(results["benchmarks"], key=key)


def compared(results: Record) -> Table:
    """A row for each benchmark."""
    columns = ("benchmark", "base, us", "head, us", "change", "bounds", "p95", "A/A", "smallest seen", "clock", "")
    rows: list[tuple[str, ...]] = []
    for row in order(results):
        said = row["status"] if not row["reason"] else f"{row['status']}: {row['reason']}"
        if row.get("ratio") is None:
            rows.append((row["name"], *["n/a"] * 8, said))
            continue
        if row["confirmation"] is not None:
            again = row["confirmation"]
            said += f" (second pair {percent(again['value'])}, {span(again)})"
        aa, seconds = row["aa"], row["seconds"]
        seen = None if aa is None or aa["smallest_slowdown"] is None else 1 + aa["smallest_slowdown"]
        rows.append(
            (
                row["name"],
                micros(seconds["base"]),
                micros(seconds["head"]),
                percent(row["ratio"]["value"]),
                span(row["ratio"]),
                percent(row["p95"]["ratio"]),
                "n/a" if aa is None else percent(aa["ratio"]["value"]),
                percent(seen),
                row["clock"],
                said,
            )
        )
    return table("", columns, rows)


def trust(results: Record) -> list[str]:
    """What the gate says of itself: its rule, its false alarms and what it can see."""
    config, found = results["config"], results["false_alarm"]
    rule = (
        f"A benchmark fails if the lower {100 * config['level']:.1f} % bound of the median ratio is over "
        f"{percent(1 + config['threshold'])} in two independent pairs of processes, {config['pairs']} paired blocks "
        "each, up to four times as many while undecided. p95 is advisory."
    )
    if found is None:
        return [rule, "False-alarm rate: n/a, the head was not timed against itself (--no-aa)."]
    seen = [row["aa"]["smallest_slowdown"] for row in results["benchmarks"] if row.get("aa")]
    known = sorted(s for s in seen if s is not None)
    least = "n/a, the machine is too noisy"
    if known:
        middle = percent(1 + known[len(known) // 2])
        blind = f"; none up to a factor of 100 for {len(seen) - len(known)}" if len(known) < len(seen) else ""
        least = f"{percent(1 + known[0])} at best, {middle} in the median, {percent(1 + known[-1])} at worst{blind}"
    return [
        rule,
        f"A/A, head against head in this run: {found['alarms']} of {found['tried']} benchmarks alarmed in one pair of "
        f"processes; of whole gates with two, resampled, {rare(found['gate_rate'])} would be false alarms.",
        f"Smallest slowdown seen here, 80 % power: {least}.",
    ]


def title(results: Record) -> str:
    """Which against which."""
    head, base = results["head"], results["base"]
    mine = "head" if head["commit"] is None else head["commit"][:10]
    theirs = base["name"] if base["commit"] is None else f"{base['name']} ({base['commit'][:10]})"
    return f"{mine}{' with uncommitted changes' if head['dirty'] else ''} against {theirs}"


def counted(results: Record) -> list[str]:
    """The second witness, if it was asked for."""
    found = results.get("instructions")
    if found is None:
        return []
    if found["reason"]:
        return [f"Instruction counts: n/a, {found['reason']}."]
    return [
        "Instructions a run, base to head: "
        + "; ".join(f"{name} {percent(one['ratio'])}" for name, one in found["benchmarks"].items())
        + "."
    ]


def last_line(results: Record) -> str:
    """N passed, N failed."""
    return f"{results['passed']} passed, {results['failed']} failed"


def lines(results: Record) -> str:
    """For a terminal; the last line counts."""
    body = compared(results).text("lrrrrrrrrl")
    words = [*trust(results), *counted(results)]
    return "\n".join([f"latency: {title(results)}", "", *body, "", *words, "", last_line(results)])


def markdown(results: Record) -> str:
    """For the summary of a job."""
    sign = SIGNS["failed" if results["failed"] else "passed"]
    words = [*trust(results), *counted(results)]
    return "\n".join(
        [
            f"### {sign} Latency gate: {last_line(results)}",
            "",
            f"{title(results)}.",
            "",
            *compared(results).markdown("lrrrrrrrl"),
            "",
            *(f"- {w}" for w in words),
            "",
        ]
    )
