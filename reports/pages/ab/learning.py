"""What the nights read while models learn: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import MUTED, band, canvas, floats, legend, styled, whole_days
from reports.drawing.tables import table
from reports.pages.ab.arms import by_arm, marks
from reports.pages.parts import Section, columns_of, worlds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNED = {"recall": ("Recall@K", 0, 1), "logloss": ("Logloss", 0, np.inf), "tau": ("Tau to the ranker", -1, 1)}
"""What a night reads: its name, and the least and the greatest value that it can have."""
Record = Mapping[str, Any]
TAU = (
    " Tau: Kendall's tau-b with the order of the evaluation ranker, which taught no arm and is frozen at the seam, "
    "every night about the same requests and ads, those of the final evaluation."
)
WAYS = {"recall": ("rising", "sinking"), "logloss": ("falling", "climbing")}
"""A measure that improves, and one that worsens, in a word."""


@styled
def figure(results: Record) -> Figure:
    """Recall, logloss and tau of every arm over simulated days, with the seam where the arms part."""
    looks, curves = marks(results), by_arm(results, "learning")
    shown = [key for key in LEARNED if any(curve.get(key) for curve in curves.values())]
    figure, axes = canvas(3.0, columns=max(1, len(shown)))
    for ax, key in zip(axes, shown, strict=True):
        label, least, greatest = LEARNED[key]
        for arm, curve in curves.items():
            if curve.get(key):
                day = floats(curve["day"])
                band(ax, day, curve[key], looks[arm]._replace(marker=""), arm)
                whole_days(ax, day)
        ax.set_ylim(*np.clip(ax.get_ylim(), least, greatest))
        ax.set_title(label)
        ax.set_xlabel("Simulated day")
        ax.grid(axis="y")
        _seam(ax, next(iter(curves.values())))
    legend(figure, axes[0])
    return figure


def _seam(ax: Axes, curve: Record) -> None:
    """A line between the last burn-in day and the first test day, named on either side."""
    day, phase = floats(curve["day"]), np.array(curve.get("phase") or ())
    if phase.size != day.size or len(set(phase.tolist())) < 2:
        return
    spot = (day[phase != "test"].max() + day[phase == "test"].min()) / 2
    ax.axvline(spot, color=MUTED, lw=0.9, ls=(0, (4, 3)))
    for words, shift, side in (("burn-in", -4, "right"), ("test", 4, "left")):
        ax.annotate(
            words, (spot, 1.0), (shift, -1), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha=side, va="top", fontsize=8, color=MUTED,
        )  # fmt: skip


def section(results: Record) -> Section:
    """Recall, logloss and tau over simulated days, and whether an arm still learns."""
    found = by_arm(results, "learning")
    moving = [text for arm, curve in found.items() for text in _still_moving(arm, curve)]
    judged = any((curve.get("plateau") or {}).get("recall") for curve in found.values())
    fallen = [text for arm, curve in found.items() for text in _fallen(arm, curve)]
    lead = ""
    if moving:
        lead = f"Not at a plateau: {'; '.join(moving)}. The lift above is partly a lift between unfinished learners."
    elif judged:
        lead = "Every arm has reached its plateau: no curve still improves or worsens within its phase."
    if fallen:
        lead = f"{lead} {' '.join(fallen)}".strip()
    rows = []
    shown = {key: label for key, (label, *_) in LEARNED.items() if any(curve.get(key) for curve in found.values())}
    for arm, curve in found.items():
        read = [columns_of(curve.get(key) or {}, "mean", "lo", "hi") for key in shown]
        for place, (day, phase) in enumerate(columns_of(curve, "day", "phase")):
            cells = [(values[place] if place < len(values) else (None,) * 3) for values in read]
            spelled = [text for mean, *ends in cells for text in (wording.number(mean), wording.span(ends))]
            rows.append([arm, wording.number(day), str(phase or ""), *spelled])
    columns = ["Arm", "Day", "Phase", *(text for label in shown.values() for text in (label, "95% CI"))]
    return Section(
        key="learning",
        title="Trained, not just started",
        lead=lead,
        figure="learning",
        alt=f"{', '.join(shown.values())} of each arm over simulated days, with the seam between burn-in "
        f"and test. {lead}",
        caption="Recall@K against the true eCPM order (share) and logloss (nats) by simulated day; bands: 95% t "
        f"intervals over {worlds(len(results.get('worlds') or ()) or None)}. Dashed line: the seam, where the arms "
        "part and serve their own traffic." + (TAU if "tau" in shown else ""),
        tables=(table("Learning curves", tuple(columns), rows),),
    )


def _still_moving(arm: str, curve: Record) -> list[str]:
    """The words for each measure of `arm` that is not flat within its phase."""
    said = []
    for key, words in WAYS.items():
        plateau = (curve.get("plateau") or {}).get(key) or {}
        word = words[0] if plateau.get("rising") else words[1] if plateau.get("worsening") else ""
        if word:
            said.append(f"{key} of {arm} is still {word} ({_change(plateau)})")
    return said


def _fallen(arm: str, curve: Record) -> list[str]:
    """The sentence for each measure of an arm that is worse since the seam: by its light, or by its whole interval."""
    steps = {key: (curve.get("seam") or {}).get(key) or {} for key in WAYS}
    sure = (steps["recall"].get("hi") or 0) < 0
    said = {"recall": "lower", "logloss": "higher"}
    return [
        f"Since the seam {key} of {arm} is {said[key]} ({_change(step)})."
        for key, step in steps.items()
        if step.get("worsening") or (key == "recall" and sure)
    ]


def _change(step: Record) -> str:
    ends = wording.span((step.get("lo"), step.get("hi")), wording.percent)
    return f"{wording.percent(step.get('change'))}, 95% CI {ends}"
