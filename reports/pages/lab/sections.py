"""What the laboratory's page says, from the dict of its results.json. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.tables import Cell, table
from reports.pages.parts import Section, appendix, worlds

Record = Mapping[str, Any]
COLUMNS = (
    "Spend bound", "Design", "Share", "Learns from", "Estimator", "Truth", "Estimate", "Bias", "Sd of the error",
    "Coverage of 95%", "Sign errors", "Requests for 1 point", "Revenue forgone",
)  # fmt: skip
WHAT = {
    "interference": "Interference: shared budgets",
    "contamination": "Contamination: what the arms learn from",
}


def build(results: Record, timing: Record, manifest: Record, drawn: Mapping[str, str]) -> list[Section]:
    """The page's sections, in order."""
    found = [meter(results, name, drawn) for name in WHAT if name in results["meters"]]
    return [*found, *looks(results, drawn), appendix(results, timing, manifest)]


def headline(results: Record) -> str:
    """One sentence a meter: how far the worst design is from the truth."""
    return " ".join(_worst(name, one) for name, one in results["meters"].items())


def _worst(name: str, found: Record) -> str:
    sure = [
        (abs(row["quality"]["bias"]), row, level)
        for level in found["levels"]
        for row in level["rows"]
        if row["quality"] and row["estimator"] == "plain" and _sure(row["quality"])
    ]
    arms = f"{found['treatment']} against {found['control']}"
    if not sure:
        return f"{name.capitalize()}, {arms}: no design is surely biased."
    _, row, level = max(sure, key=lambda one: one[0])
    learns = f" on {row['training']} rows" if name == "contamination" else ""
    return (
        f"{name.capitalize()}, {arms}: the largest sure bias is {wording.percent(row['quality']['bias'])}, of "
        f"{row['design']}{learns}, where the truth is {wording.percent(level['truth']['rel_effect'])}."
    )


def _sure(quality: Record) -> bool:
    lo, hi = quality["bias_lo"], quality["bias_hi"]
    return wording.known(lo) and wording.known(hi) and (lo > 0 or hi < 0)


def meter(results: Record, name: str, drawn: Mapping[str, str]) -> Section:
    """One meter: every design at every level, truth, estimate and bias side by side."""
    found = results["meters"][name]
    rows = [_row(level, row) for level in found["levels"] for row in level["rows"]]
    return Section(
        key=name,
        title=WHAT[name],
        lead=f"{found['treatment']} against {found['control']}. {_worst(name, found)}",
        figure=name if name in drawn else "",
        alt=f"Bias of the lift that live designs report, with 95% intervals: {name}.",
        caption=f"Revenue, {worlds(len(results['worlds']))}. Truth: twin worlds, geometric mean and 95% t interval. "
        "Bias: mean over worlds of estimate minus that world's truth, 95% t interval; marked where it leaves 0. "
        "Coverage: share of the designs' own 95% intervals that hold the truth, 95% Wilson interval. Sign errors: "
        "estimates on the other side of 0. Requests for 1 point: how many bring the sd of the error of log lift to "
        "0.01. Forgone: revenue of the test against all traffic on the better arm.",
        tables=(table("", COLUMNS, rows, shown=True),),
    )


def _row(level: Record, row: Record) -> list[str | Cell]:
    truth, quality = level["truth"], row["quality"] or {}
    bias = f"{wording.percent(quality.get('bias'))} {_ends(quality, 'bias', wording.percent)}"
    coverage = f"{wording.percent(quality.get('coverage'), sign=False)} {_ends(quality, 'coverage', _share)}"
    return [
        wording.percent(level["bound"], sign=False),
        row["design"],
        wording.percent(row["share"], sign=False) if row["share"] else "all",
        row["training"],
        row["estimator"],
        f"{wording.percent(truth['rel_effect'])} {wording.span(truth['ci'], wording.percent)}",
        wording.percent(row["estimate"]),
        Cell(text=bias, tone="warn" if quality and _sure(quality) else "") if quality else "the truth",
        wording.percent(row["sd"], sign=False),
        coverage if quality else "",
        wording.percent(quality["sign_errors"], sign=False) if quality else "",
        _rounded(row["cost"]["requests_per_point"]),
        wording.percent(row["cost"]["forgone"], sign=False) if quality else "",
    ]


def _ends(record: Record, key: str, spell: Any) -> str:
    return wording.span((record.get(f"{key}_lo"), record.get(f"{key}_hi")), spell)


def _share(value: Any) -> str:
    return wording.percent(value, sign=False)


def _rounded(value: Any) -> str:
    """Two significant digits: more would be luck."""
    return wording.number(float(f"{value:.2g}")) if wording.known(value) else wording.MISSING


def looks(results: Record, drawn: Mapping[str, str]) -> list[Section]:
    """What looking before the end does to users' designs, and what the always-valid answers cost."""
    rows = []
    for name, found in results["meters"].items():
        for one in found["levels"]:
            for row in one.get("looks") or ():
                shares = [
                    f"{_share(row[key]['value'])} {_ends_of(row[key])}" for key in ("at_the_end", "ever", "band_ever")
                ]
                stopped = f"{_share(row['stopped']['value'])} {_ends_of(row['stopped'])}"
                at = wording.MISSING if row["mean_look"] is None else f"{row['mean_look']:.1f} of {row['looks']}"
                wrong = wording.MISSING if row["wrong_sign"] is None else _share(row["wrong_sign"])
                rows.append(
                    [name, _share(one["bound"]), row["design"], _share(row["share"]), row["training"], *shares,
                     stopped, at, wrong]
                )  # fmt: skip
    if not rows:
        return []
    columns = (
        "Meter", "Spend bound", "Design", "Share", "Learns from", "95% interval misses the truth at the end",
        "... at any look", "Always-valid band ever misses", "Stopped by always-valid p", "At look", "Wrong sign then",
    )  # fmt: skip
    part = Section(
        key="looks",
        title="Looking before the end",
        figure="looks" if "looks" in drawn else "",
        alt="Cumulative lift of a user split at every look with its plain 95% interval and always-valid band, and the "
        "true effect as a line.",
        caption="Shares of worlds with 95% Wilson intervals. The truth is that of the whole test. An honest interval "
        "misses in 5% at the end and in more at any of many looks; a band that is valid at all looks misses in at most "
        "5% where the design has no bias. A design with a bias misses whatever the statistics. Picture: the first "
        "world, the first share.",
        tables=(table("", columns, rows, shown=True),),
    )
    return [part]


def _ends_of(share: Record) -> str:
    return wording.span((share["lo"], share["hi"]), _share)


def power(results: Record, drawn: Mapping[str, str]) -> Section:
    """Days, users and worlds that each design needs: by the formula and as simulated."""
    rows: list[list[str]] = []
    for name, one in results["designs"].items():
        if "reason" in one:
            rows.append([name, one["reason"], *[""] * 5])
            continue
        sd, days, users = one["sd"], one["days_needed"], one.get("users_needed") or {}
        rows.append(
            [name, f"{_share(sd['formula'][-1])} / {_share(sd['simulated'][-1])}", wording.percent(one["bias"]),
             _rounded(days["formula"]), _rounded(days["simulated"]), _rounded(users.get("formula")),
             _rounded(users.get("simulated"))]
        )  # fmt: skip
    twin = results["twin"]
    needed = twin["worlds_needed"]
    most = twin["worlds"][-1]
    simulated = wording.number(needed["simulated"]) if needed["simulated"] else f"more than {most}"
    lead = twin.get("reason") and f"Twin worlds: n/a, {twin['reason']}."
    lead = lead or (
        f"Twin worlds: {wording.number(needed['formula'])} by the noncentral t, {simulated} as simulated (sd of log "
        f"lift {_share(twin['sd'])} over {worlds(twin['n_worlds'])})."
    )
    columns = (
        "Design", "Sd of the error: formula / simulated", "Bias", "Days, formula", "Days, simulated",
        "Users, formula", "Users, simulated",
    )  # fmt: skip
    return Section(
        key="power",
        title=f"What it takes to find {wording.percent(results['lift'])}",
        lead=lead,
        figure="power" if "power" in drawn else "",
        alt="Two panels: power of each live design over days, and of twin worlds over their number.",
        caption=f"Power {_share(results['power'])}, two-sided 5%. Marks: as simulated, each world's centred error is "
        f"moved to the lift, n = {worlds(twin['n_worlds'])}; lines: the normal formula from the first day's own "
        f"standard error (twin: noncentral t). Users: over all {results['days']['test']} test days.",
        tables=(table("", columns, rows, shown=True),),
    )


def sensitivity(results: Record, drawn: Mapping[str, str]) -> Section:
    """Lift per level of a dial and where it ends."""
    rows = [
        [
            wording.number(one["level"]),
            wording.percent(one["bound"], sign=False),
            *(
                f"{wording.percent(one[key]['rel_effect'])} {wording.span(one[key]['ci'], wording.percent)}"
                for key in ("revenue", "expected_revenue")
            ),
        ]
        for one in results["levels"]
    ]
    ends = results["break_even"]["expected_revenue"]
    where = f"at {wording.number(ends['x'])}" if wording.known(ends["x"]) else f"n/a: {ends['reason']}"
    lead = f"Break-even of expected revenue, {results['what']}: {where}."
    saved = results.get("saved")
    if saved:
        k = saved["equal_revenue_k"]
        told = f"{k:.1f} candidates {wording.span(saved['ci'])}" if wording.known(k) else f"n/a: {saved['reason']}"
        lead += f" The control's revenue at K = {saved['k']} is earned with: {told}."
    return Section(
        key="sensitivity",
        title=f"{results['treatment']} against {results['control']} over {results['dial']}",
        lead=lead,
        figure="sensitivity" if "sensitivity" in drawn else "",
        alt="Lift of revenue at every level of the dial with 95% intervals.",
        caption=f"Twin worlds, paired, 95% t intervals over {worlds(len(results['worlds']))}, each level by itself, "
        f"not corrected for being several. The field is {results['field']}. Break-even: linear between levels.",
        tables=(table("", (results["dial"], "Spend bound", "Revenue", "Expected revenue"), rows, shown=True),),
    )
