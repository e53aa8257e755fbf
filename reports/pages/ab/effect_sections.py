"""What the page says of effects: every metric, each day, the ladder, the mechanisms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction, effect
from reports.drawing.tables import Cell, table
from reports.pages.parts import ARROW, TONES, WORDS, Section, columns_of, speller, worlds

Record = Mapping[str, Any]


def metrics(results: Record) -> Section:
    """Every metric, both arms, effect, interval, p, Holm p and n."""
    rows: list[list[str | Cell]] = []
    for metric in results["metrics"].values():
        spell, tone = speller(metric), TONES.get(direction(metric), "")
        name = str(metric.get("label")) + (f" ({metric['unit']})" if metric.get("unit") else "")
        sides = [wording.number(metric.get("control")), wording.number(metric.get("treatment"))]
        ends = wording.span(metric.get("ci"), spell)
        tests = [wording.p_value(metric.get("p")), holm(metric), wording.number(metric.get("n_worlds"))]
        strong = Cell(text=name, tone="strong" if metric.get("headline") else "")
        rows.append([strong, *sides, Cell(text=spell(effect(metric)), tone=tone), ends, *tests])
    control, treatment = str(results.get("control")), str(results.get("treatment"))
    if control == treatment:
        control, treatment = f"{control} (A)", f"{treatment} (A)"
    columns = ("Metric", control, treatment, "Effect", "95% CI", "p", "Holm p", "n")
    return Section(
        key="metrics",
        title="All metrics",
        lead="Per cent is a relative lift, a plain number an absolute difference. Headline metrics are in bold and "
        "share one Holm correction; the others are shown uncorrected and carry no claim.",
        caption="Arm columns: mean over worlds. Effect: true effect by twin worlds, paired over worlds; 95% t "
        "interval; p from the paired t test; n counts worlds.",
        tables=(table("", columns, rows, shown=True),),
    )


def holm(metric: Record) -> str:
    """Holm's p of a headline metric in words, a dash for the others."""
    return wording.p_value(metric.get("p_holm")) if wording.known(metric.get("p_holm")) else "\N{EM DASH}"


def forest(results: Record) -> Section:
    """Effects with intervals, and each world's own effect folded below."""
    found = list(results["metrics"].values())
    sides = [direction(metric) for metric in found]
    better, worse, open_ = (sides.count(side) for side in ("better", "worse", ""))
    lead = (
        f"Of {len(found)} metrics, {better} are better with the treatment and {worse} worse; for the other {open_} the "
    )
    lead += "interval includes 0 or the metric has no good side."
    every = results.get("worlds") or ()
    rows = [
        [str(metric.get("label")), *(speller(metric)(value) for value in metric["per_world"])]
        for metric in found
        if len(metric.get("per_world") or ()) == len(every) > 0
    ]
    worlds_table = (
        (table("Effect in each world", ["Metric", *(f"world {world}" for world in every)], rows),) if rows else ()
    )
    return Section(
        key="forest",
        title="Effects with their uncertainty",
        lead=lead,
        figure="forest",
        alt=f"Dot plot of the effect of the treatment on {len(found)} metrics with 95% intervals. {lead}",
        caption="Lift in per cent (top) or absolute difference in the metric's own unit (bottom); 95% t intervals "
        f"over {worlds(len(every) or None)}, not corrected for their number. Filled: the interval leaves 0; an arrow "
        "at the edge: the interval goes on; an arrow "
        "down: lower is better.",
        tables=worlds_table,
    )


def per_day(results: Record) -> Section:
    """Lift by day since the arms parted."""
    days = results["per_day"]
    together = days.get("cumulative") or {}
    last = wording.percent((days.get("lift") or [None])[-1])
    ends = wording.span([(days.get(key) or [None])[-1] for key in ("lo", "hi")], wording.percent)
    lead = (
        f"On the last test day the lift of revenue was {last}, 95% CI {ends}. A lift that still climbs or decays is a "
    )
    lead += "transient: read the last days, not only the mean."
    always = "band_lo" in together
    daily = columns_of(days, "day", "lift", "lo", "hi")
    total = columns_of(together, "lift", *(("band_lo", "band_hi") if always else ("lo", "hi")))
    rows = [
        [
            wording.number(day),
            wording.percent(lift),
            wording.span(ends, wording.percent),
            *((wording.percent(total[place][0]), wording.span(total[place][1:], wording.percent)) if total else ()),
        ]
        for place, (day, lift, *ends) in enumerate(daily)
        if not total or place < len(total)
    ]
    columns = ["Day", "Lift that day", "95% CI"] + (
        ["Lift of all days so far", "95%, all days together" if always else "95% CI"] if total else []
    )
    return Section(
        key="per-day",
        title="Lift by simulated day",
        lead=lead,
        figure="per_day",
        alt=f"Lift of revenue on each test day with 95% intervals. {lead}",
        caption=f"Lift of revenue in per cent over {worlds(len(results.get('worlds') or ()) or None)}. Dots: pointwise "
        "95% t intervals, valid for one day fixed in advance, not for stopping at the best one. "
        + (
            "Band: 95% t intervals at Bonferroni's level, which hold on all days together, so whenever one stops. "
            if always
            else "Band: the same of all days so far. "
        )
        + "Dashed: the true effect of the whole test in these worlds.",
        tables=(table("Lift by day", columns, rows),),
    )


def ladder(results: Record) -> Section:
    """Bare tower, counters, CS3: which rung the gain is on."""
    found = results["ladder"]
    rungs = found["rows"]
    rows = [
        [
            str(rung.get("arm")),
            wording.number(rung.get("revenue_per_1000")),
            wording.percent(rung.get("lift_vs_bare")),
            wording.span(rung.get("ci"), wording.percent),
            wording.number(rung.get("recall")),
        ]
        for rung in rungs
    ]
    lead = _ladder_lead(rungs)
    return Section(
        key="ladder",
        title="The ladder: what is CS3's and what is not",
        lead=lead,
        figure="ladder",
        alt=f"Lift over the bare tower of each rung with 95% intervals. {lead}",
        caption=f"Lift of revenue over the tower without online counters, in per cent; 95% t intervals over "
        f"{worlds(found.get('n_worlds'))}. {found.get('note') or ''}".strip(),
        tables=(table("Rungs", ("Arm", "Revenue per 1,000", "Lift over bare", "95% CI", "Recall"), rows),),
    )


def _ladder_lead(rungs: Sequence[Record]) -> str:
    steps = []
    for below, rung in itertools.pairwise(rungs):
        low, high = below.get("revenue_per_1000"), rung.get("revenue_per_1000")
        if wording.known(low) and wording.known(high) and low > 0:
            steps.append(f"{below.get('arm')} {ARROW} {rung.get('arm')}: {wording.percent(high / low - 1)}")
    return f"Revenue, rung by rung: {'; '.join(steps)}." if steps else ""


def mechanisms(results: Record) -> Section:
    """Each mechanism alone, and the paper's claim called."""
    found = results["mechanisms"]
    rows: list[list[str | Cell]] = [
        [
            str(row.get("mechanism") or row.get("arm")),
            str(row.get("claim") or ""),
            wording.percent(row.get("lift")),
            wording.span(row.get("ci"), wording.percent),
            wording.p_value(row.get("p")),
            holm(row),
            Cell(text=str(row.get("word") or "undecided"), tone=WORDS.get(str(row.get("word")), "")),
        ]
        for row in found["rows"]
    ]
    said = [f"{row.get('mechanism') or row.get('arm')} {row.get('word') or 'undecided'}" for row in found["rows"]]
    lead = f"The paper's claims: {', '.join(said)}."
    apart = any(wording.known(row.get("lift")) for row in found["rows"])
    columns = ("Mechanism", "Claim", "Lift", "95% CI", "p", "Holm p", "Call")
    return Section(
        key="mechanisms",
        title="Mechanism by mechanism",
        lead=f"{lead} {found.get('note') or ''}".strip(),
        figure="mechanisms" if apart else "",
        alt=f"Lift of each mechanism alone with 95% intervals. {lead}",
        caption=f"Lift of revenue over the control in per cent; 95% t intervals over {worlds(found.get('n_worlds'))}.",
        tables=(table("Claims", columns, rows, prose=True, shown=not apart),),
    )
