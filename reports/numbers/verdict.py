"""Ship, do not ship or undecided: one rule, written before the run and printed with its outcome.

A light says whether the run can be believed (A/A exactly zero, models at their plateau); a guardrail says what the
treatment must not harm (advertiser surplus, cold users).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from reports.numbers.paired import PairedLift

Word = Literal["ship", "do not ship", "undecided"]
State = Literal["green", "amber", "red"]
GuardrailState = Literal["holds", "broken", "not shown", "not measured", "dropped"]


class Light(NamedTuple):
    """A check of the run itself.

    Attributes:
        name: e.g. ``"A/A"``.
        state: green passes; amber is a remark; red keeps the verdict from being "ship".
        text: one sentence for the page.
    """

    name: str
    state: State
    text: str


class Guardrail(NamedTuple):
    """A measure that the treatment must not harm.

    Attributes:
        name: e.g. ``"advertiser surplus"``.
        lo: lower end of the interval of its effect (relative or absolute); NaN where it could not be measured.
        hi: upper end.
        margin: harm that is still tolerated, >= 0, in the unit of the interval (0.01 is one per cent of a lift).
        higher_is_better: False for a measure that should fall.
        absent: why there is no such measure in this market, if there is none: it is dropped, and that is said.
    """

    name: str
    lo: float
    hi: float
    margin: float
    higher_is_better: bool = True
    absent: str = ""

    @property
    def state(self) -> GuardrailState:
        """What is known of the harm, by the interval."""
        worst, best = (self.lo, self.hi) if self.higher_is_better else (-self.hi, -self.lo)
        if self.absent:
            return "dropped"
        if math.isnan(worst) or math.isnan(best):
            return "not measured"
        return "broken" if best < -self.margin else "holds" if worst >= -self.margin else "not shown"


class Verdict(NamedTuple):
    """The outcome.

    Attributes:
        word: "ship", "do not ship" or "undecided".
        reason: why, with the numbers.
        rule: the rule that was applied, in words.
        lights: as given.
    """

    word: Word
    reason: str
    rule: str
    lights: tuple[Light, ...]


def rule(alpha: float = 0.05) -> str:
    """The rule in words, for the page and for the record before the run.

    Args:
        alpha: accepted rate of false claims; the interval has level 1 - alpha.

    Returns:
        A short paragraph.
    """
    return (
        f"Fixed before the run. Ship: the {_percent(1 - alpha)} confidence interval of the true revenue effect, paired "
        "over worlds, lies above 0, every guardrail was measured and none is broken, and no light is red. Do not ship: "
        "the interval lies wholly below 0, or a guardrail is broken. Undecided: everything else. A guardrail is broken "
        "when its interval lies wholly beyond its margin, and holds when it rules such harm out; when it does neither "
        "it is not shown, which is said and forbids nothing. One that is 0 in both arms does not exist: it is dropped. "
        "A run in which an arm learned nothing, or both did the same, tested nothing: undecided."
    )


def verdict(
    headline: PairedLift,
    guardrails: Sequence[Guardrail],
    lights: Sequence[Light],
    *,
    alpha: float = 0.05,
    untested: str = "",
) -> Verdict:
    """Applies the rule.

    Args:
        headline: true effect on revenue, its interval at level 1 - alpha.
        guardrails: measures that must not be harmed, intervals at the same level.
        lights: checks of the run.
        alpha: accepted rate of false claims.
        untested: why the run tested nothing, which makes it undecided whatever it measured; "" if it did.

    Returns:
        Word, reason, rule and lights. Without an interval (one world) the word is "undecided", unless a guardrail is
        broken.

    Raises:
        ValueError: if the headline's level is not 1 - alpha, a margin is negative or a light has an unknown state.
    """
    _check(headline, guardrails, lights, alpha)
    broken = [_told(g) for g in guardrails if g.state == "broken"]
    doubts = [_told(g) for g in guardrails if g.state == "not measured"]
    doubts += [f"light {light.name} is red: {light.text.rstrip('.')}" for light in lights if light.state == "red"]
    remarks = [_told(g) for g in guardrails if g.state in ("not shown", "dropped")]
    word: Word
    if untested:
        word = "undecided"
    elif headline.hi < 0 or broken:
        word = "do not ship"
    elif headline.lo > 0 and not doubts:
        word = "ship"
    else:
        word = "undecided"
    reason = "; ".join([_effect(headline), *broken, *doubts, *remarks])
    return Verdict(word, f"{reason}.", rule(alpha), tuple(lights))


def _check(headline: PairedLift, guardrails: Sequence[Guardrail], lights: Sequence[Light], alpha: float) -> None:
    if not math.isclose(headline.level, 1 - alpha, abs_tol=1e-9):
        raise ValueError(f"headline.level == {headline.level}, must be 1 - alpha == {1 - alpha}")
    for g in guardrails:
        if not g.margin >= 0:
            raise ValueError(f"guardrail {g.name}: margin == {g.margin}, must be at least 0")
    for light in lights:
        if light.state not in ("green", "amber", "red"):
            raise ValueError(f"light {light.name}: state == {light.state!r}, must be green, amber or red")


def _effect(headline: PairedLift) -> str:
    effect = f"true revenue effect {_signed(headline.rel_effect)}"
    if math.isnan(headline.lo) or math.isnan(headline.hi):
        return f"{effect} in {headline.n_worlds} world(s), no interval: {headline.why_no_interval}"
    side = "above 0" if headline.lo > 0 else "below 0" if headline.hi < 0 else "includes 0"
    interval = f"{_percent(headline.level)} CI {_signed(headline.lo)} to {_signed(headline.hi)}"
    return f"{effect}, {interval} over {headline.n_worlds} worlds, {side}"


def _told(g: Guardrail) -> str:
    """A guardrail that does not simply hold, in words with its numbers."""
    if g.state == "dropped":
        return f"guardrail {g.name} is dropped: {g.absent}"
    if g.state == "not measured":
        return f"guardrail {g.name} has no interval"
    limit = f"{-g.margin:+.3g}" if g.higher_is_better else f"{g.margin:+.3g}"
    return f"guardrail {g.name} is {g.state}: interval {g.lo:+.3g} to {g.hi:+.3g}, limit {limit}"


def _signed(share: float) -> str:
    return "n/a" if math.isnan(share) else f"{100 * share:+.2f} %"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
