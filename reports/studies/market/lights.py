"""What a reader must know before she believes a lift: the lights of a run, each a check of the run itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.numbers.verdict import Light
from reports.studies.market.ceilings import beyond

Facts = Mapping[str, Any]
BOUND_LIMIT, UNPAID_LIMIT = 0.10, 0.01
"""quickstart's promises: spend on budget-bound ads, and over-delivery, as shares of spend."""
SEAM_LIMIT = 0.05
"""Relative loss of recall or log loss after the seam that a flat curve may have; a phase's own tolerance is 1 %."""
NAMES = {"recall": "recall", "logloss": "log loss"}


def lights(
    control: str,
    treatment: str,
    learned: Mapping[str, Any],
    arms: Mapping[str, Sequence[Facts]],
    a_a: Facts | None,
    nothing: Sequence[Light] = (),
) -> list[Light]:
    """The lights of a control and a treatment, in the order in which they are read.

    Args:
        control: spelling of arm 0.
        treatment: spelling of arm 1.
        learned: ``learning.learning`` by spelling.
        arms: facts of ``control`` and ``treatment``, a row per world.
        a_a: facts of the A/A cell, or None.
        nothing: of ``untested``, first of all.
    """
    found = [*nothing, *([] if a_a is None else [same_twice(a_a)])]
    for arm in dict.fromkeys((control, treatment)):
        found += [flat(arm, learned[arm], arm == control), *seam(arm, learned[arm])]
        found += beyond(arm, arms["control" if arm == control else "treatment"])
    return [*found, budgets(arms)]


def same_twice(a_a: Facts) -> Light:
    """Red if one arm, run twice, gave two accounts."""
    if a_a["equal"]:
        return Light("A/A", "green", "The control twice, in a tiny copy of the scenario: every figure is equal.")
    return Light("A/A", "red", f"The control twice gives different figures (revenue {a_a['revenue']}): a bug.")


def flat(arm: str, curves: Mapping[str, Any], is_control: bool) -> Light:
    """Red if a curve of the control is not flat, or none could be judged; amber for another arm's.

    Flat: within burn-in and within test the last quarter is within 1 % of the quarter before, and the test's second
    half no more than ``SEAM_LIMIT`` worse than the burn-in's last quarter; a change that is not sure over worlds is
    flat.
    """
    name, judged = f"Plateau, {arm}", curves["plateau"]
    moving = [told for key in judged for told in _moving(NAMES[key], judged[key], curves["seam"].get(key, {}))]
    if judged and not moving:
        said = f"{' and '.join(NAMES[key] for key in judged)} {'have' if len(judged) > 1 else 'has'} flattened"
        return Light(name, "green", f"{arm}: {said}.")
    said = ", ".join(moving) or "no curve of two days or more to judge"
    return Light(name, "red" if is_control else "amber", f"{arm}: {said}.")


def _moving(name: str, within: Mapping[str, Any], since: Mapping[str, Any]) -> Iterator[str]:
    """What a curve does within its phase and since the seam, in words with the number; nothing if it is flat."""
    if within["rising"] or within.get("worsening"):
        word = "still improving" if within["rising"] else "worsening"
        yield f"{name} {word} ({within['change']:+.1%} in a quarter of its phase)"
    if since.get("worsening"):
        yield f"{name} worse since the seam ({since['change']:+.1%})"


def seam(arm: str, curves: Mapping[str, Any]) -> Iterator[Light]:
    """A remark if recall fell when the arm began to learn from its own log."""
    step = curves["seam"].get("recall")
    if step is not None and step["change"] < -SEAM_LIMIT:
        text = f"{arm}: recall falls by {-step['change']:.1%} when the arm begins to learn from its own log alone."
        yield Light(f"Seam, {arm}", "amber", text)


def budgets(arms: Mapping[str, Sequence[Facts]]) -> Light:
    """A remark if much of the spend is on ads that ran out of money, or much is delivered unpaid."""
    days = [day for facts in arms.values() for f in facts for day in f["days"]]
    spend = sum(d["revenue"] for d in days) or 1.0  # where nothing is spent, no share of it is bound
    bound, unpaid = sum(d["bound_spend"] for d in days) / spend, sum(d["unpaid"] for d in days) / spend
    return Light(
        "Budgets",
        "green" if bound < BOUND_LIMIT and unpaid < UNPAID_LIMIT else "amber",
        f"{bound:.1%} of spend is on budget-bound ads, {unpaid:.2%} is unpaid over-delivery.",
    )
