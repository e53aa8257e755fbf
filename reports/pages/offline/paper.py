"""The paper's figures beside those of this log, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reports.drawing import wording
from reports.drawing.tables import table
from reports.numbers import published
from reports.pages.offline.cells import difference, level
from reports.pages.offline.comparisons import sides
from reports.pages.offline.looks import Record
from reports.pages.offline.noise import nearest
from reports.pages.parts import ARROW, Section


def section(results: Record) -> Section:
    """What the paper publishes, beside what this log says."""
    rows = [
        (
            pair.what,
            f"{pair.before:.4f} {ARROW} {pair.after:.4f}",
            f"{wording.signed(round(pair.after - pair.before, 4))}, {wording.percent(pair.after / pair.before - 1)}",
            *beside(results, pair),
        )
        for pair in published.PAIRS
    ]
    rows.append((published.NOISE, "n/a", published.NOISE_CLAIM, *noise_beside(results)))
    return Section(
        key="paper",
        title="The paper's figures beside ours",
        lead=f"DSSM {ARROW} DSSM+CS3 in the paper ({published.PAPER}), dssm {ARROW} dssm+cs3 here. {published.CAUTION}",
        tables=(
            table(
                "Published and measured",
                ("what", "paper, AUC", "paper, gain", "here, AUC", "here, gain [95 % over users]"),
                rows,
                shown=True,
                prose=True,
            ),
        ),
    )


def beside(results: Record, pair: published.Pair) -> tuple[str, str]:
    """Our AUCs and our gain where they are about the same thing as a published pair."""
    names = {row["name"]: row for row in results["rows"]}
    before, after = names.get("dssm"), names.get("dssm+cs3")
    same = pair.cold or pair.reader == results["data"]["name"]
    if before is None or after is None or not same:
        return wording.MISSING, wording.MISSING
    users = next((one for one in results["contrasts"] if sides(one) == ("dssm", "dssm+cs3")), None)
    if not pair.cold:
        return aucs(before["auc"], after["auc"]), difference(users and users["users"]).text
    slices = [name for name in results["slices"] if name.startswith(pair.cold)]
    labels = [name.removeprefix(pair.cold).strip() for name in slices]
    found = [aucs((before["cold"] or {}).get(name), (after["cold"] or {}).get(name)) for name in slices]
    gained = [difference(users and users["slices"].get(name)).text for name in slices]
    return joined(labels, found), joined(labels, gained)


def aucs(before: Record | None, after: Record | None) -> str:
    """Two means with an arrow."""
    ends = [(one or {}).get("mean") for one in (before, after)]
    return f" {ARROW} ".join(level(end) for end in ends) if any(map(wording.known, ends)) else wording.MISSING


def joined(labels: Sequence[str], found: Sequence[str]) -> str:
    """Several answers, each with its label."""
    return "; ".join(f"{label}: {one}" for label, one in zip(labels, found, strict=True)) or wording.MISSING


def noise_beside(results: Record) -> tuple[str, str]:
    """How much dssm and dssm+cas lose here at the paper's noise, on each scale."""
    levels, scales = results["noise"]["levels"], results["noise"]["scales"]
    if not scales or not math.isclose(levels[nearest(levels, published.NOISE_LEVEL)], published.NOISE_LEVEL):
        return wording.MISSING, wording.MISSING
    spot = nearest(levels, published.NOISE_LEVEL)
    both = {scale: one for scale, one in scales.items() if {"dssm", "dssm+cas"} <= set(one)}
    lost = [
        ", ".join(f"{name} {level(one[name]['fall'][spot]['mean'])}" for name in ("dssm", "dssm+cas"))
        for one in both.values()
    ]
    return joined(list(both), lost), "intervals: see the noise section" if both else wording.MISSING
