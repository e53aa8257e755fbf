"""What the page says about budgets: who runs dry, and what is delivered past the money, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.tables import table
from reports.pages.parts import Section, columns_of, worlds

Record = Mapping[str, Any]


def budgets(results: Record) -> Section:
    """Spend by day, the share of it on budget-bound ads, and over-delivery."""
    found = results["budgets"]
    rows, said = [], []
    for arm, one in found.items():
        curves = [columns_of(one[key], "mean", "lo", "hi") for key in ("spend", "bound", "unpaid")]
        for day, spend, bound, unpaid in zip(one["day"], *curves, strict=True):
            shares = [
                (wording.percent(mean, sign=False), wording.span(ends, _share)) for mean, *ends in (bound, unpaid)
            ]
            rows.append(
                [arm, wording.number(day), wording.number(spend[0]), *(text for pair in shares for text in pair)]
            )
        means = [[mean for mean, *_ in curve if wording.known(mean)] for curve in curves[1:]]
        if all(means):
            most = [wording.percent(max(values), sign=False) for values in means]
            said.append(f"{arm} {most[0]} and {most[1]}")
    lead = f"On its highest day, spend on budget-bound ads and over-delivery: {'; '.join(said)}." if said else ""
    columns = ("Arm", "Day", "Spend", "On budget-bound ads", "95% CI", "Over-delivery", "95% CI")
    return Section(
        key="budgets",
        title="Budgets and pacing",
        lead=lead,
        figure="budgets",
        alt=f"Share of each day's spend on budget-bound ads, and over-delivery, for both arms. {lead}",
        caption="Per cent of the day's spend. Budget-bound: ads of campaigns that ran out of budget that day. "
        "Over-delivery: price of clicks that came after the budget's end and were not paid. Spend in currency units a "
        f"world. Mean and pointwise 95% t intervals over {worlds(len(results.get('worlds') or ()) or None)}.",
        tables=(table("Budgets by day", columns, rows),),
    )


def _share(value: Any) -> str:
    return wording.percent(value, sign=False)
