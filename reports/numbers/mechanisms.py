"""A verdict per mechanism: is the paper's claim for CAS, CTS and CMS supported on this log?

The rule is written before the run. A mechanism is *supported* when adding it to ``dssm`` raises AUC (95 % over users,
Benjamini-Hochberg over all arms) and it beats each of its own controls too: then the gain is its own and not that of
width, of noise or of any old vector. It is *not supported* when its interval rules out a gain of ``WORTH`` AUC or more.
Everything else is *undecided*; so is an interval of exactly [0, 0], for then nothing was tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.records.spelling import added

WORTH = 0.001
"""AUC; a thousandth is the least gain that click-prediction papers and teams commonly call one."""
LEVEL = 0.05
CONTROLS = {
    "cas": ("dssm-wide",),
    "cts": ("dssm+cts+shuffled", "dat"),
    "cms": ("dssm+cms+shuffled", "dssm+cms@dnn-untrained"),
    "cs3": (),
}
"""What a mechanism must beat besides ``dssm``."""
REVENUE = {
    "CAS": "revenue +1.68 % alone (scenario A)",
    "CTS": "revenue +0.44 points on top of CAS and CMS (scenario A)",
    "CMS": "revenue +6.10 points on top of CAS (scenario A)",
}
"""The paper's stepwise claims of an online test (arXiv 2604.19269): +1.677, +7.880, +8.356 %."""
WORTH_REVENUE = 0.005
"""Lift of revenue below which nobody would carry the cost of another mechanism."""


def verdicts(contrasts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts that the comparisons of a study allow, in the order of ``CONTROLS``.

    Args:
        contrasts: with ``control``, ``treatment`` and, over users, ``effect``, ``ci`` and ``q`` or ``p``.

    Returns:
        Per mechanism: ``mechanism``, ``word``, ``reason``.
    """
    known = {(pair["control"], pair["treatment"]): pair["users"] for pair in contrasts}
    found = []
    for mechanism, controls in CONTROLS.items():
        arm = f"dssm+{mechanism}"
        gain = known.get(("dssm", arm))
        if gain is not None:
            against = {control: known[control, arm] for control in controls if (control, arm) in known}
            missing = [control for control in controls if (control, arm) not in known]
            found.append({"mechanism": mechanism, **judged(gain, against, missing)})
    return found


def judged(
    gain: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]], missing: Sequence[str]
) -> dict[str, str]:
    """Word and reason from a gain over ``dssm``, the gains over the controls, and the controls that were not run."""
    over = [f"{spelled(one)} over {name}" for name, one in controls.items()]
    reason = ", ".join([f"AUC {spelled(gain)} over dssm", *over])
    if not _is_known(gain):
        return {
            "word": "undecided",
            "reason": f"{reason}: no AUC on the test rows, or one user only.",
        }
    if gain["ci"][0] == gain["ci"][1]:
        return {
            "word": "undecided",
            "reason": f"{reason}: not tested, the arms are alike on every resample.",
        }
    if gain["ci"][1] < WORTH:
        return {"word": "not supported", "reason": f"{reason}: a gain of {WORTH} or more is ruled out."}
    proven = gain["ci"][0] > 0 and gain.get("q", gain["p"]) <= LEVEL
    if not proven:
        return {"word": "undecided", "reason": f"{reason}: neither a gain nor its absence is shown."}
    unbeaten = [name for name, one in controls.items() if not (_is_known(one) and one["ci"][0] > 0)]
    if unbeaten or missing:
        doubt = ", ".join(
            [*(f"{name} is not beaten" for name in unbeaten), *(f"{name} was not run" for name in missing)]
        )
        return {"word": "undecided", "reason": f"{reason}: a gain, but {doubt}."}
    return {"word": "supported", "reason": f"{reason}: a gain, and its own."}


def spelled(gain: Mapping[str, Any]) -> str:
    """A difference with its interval as a terminal shows it; n/a where there is none."""
    return f"{gain['effect']:+.4f} [{gain['ci'][0]:+.4f}, {gain['ci'][1]:+.4f}]" if _is_known(gain) else "n/a"


def _is_known(gain: Mapping[str, Any]) -> bool:
    numbers = (gain["effect"], *gain["ci"])
    return all(number is not None and np.isfinite(number) for number in numbers)


def market_calls(control: str, treatment: str, revenue: Mapping[str, Any], untested: str = "") -> dict[str, Any]:
    """The paper's claims called by one A/B run of the market.

    An effect belongs to a mechanism only where it is all that the treatment adds. *Supported*: the interval of the true
    revenue effect lies above 0. *Not supported*: it rules out a lift of ``WORTH_REVENUE`` or more. Else *undecided*.

    Args:
        control: spelling of arm 0.
        treatment: spelling of arm 1.
        revenue: ``rel_effect``, ``ci``, ``p`` and ``n_worlds`` of the run.
        untested: why the run tested nothing; "" if it did.

    Returns:
        ``n_worlds``, ``note`` and ``rows`` of ``mechanism``, ``arm``, ``claim``, ``lift``, ``ci``, ``p``, ``word``.
    """
    new = [name.upper() for name in added(control, treatment)]
    alone = len(new) == 1
    word = claim_word(revenue["ci"], untested) if alone else "undecided"
    rows = [
        {
            "mechanism": name,
            "arm": treatment,
            "claim": claim,
            "lift": revenue["rel_effect"] if alone and name in new else None,
            "ci": revenue["ci"] if alone and name in new else None,
            "p": revenue["p"] if alone and name in new else None,
            "word": word if name in new else "undecided",
        }
        for name, claim in REVENUE.items()
    ]
    apart = "cs3bench ab --treatment dssm+cas (or +cts, +cms) runs one alone."
    note = "The other mechanisms are not in this run." if alone else f"This run does not tell them apart: {apart}"
    note = f"Not tested: {untested}." if untested else note
    return {"n_worlds": revenue["n_worlds"], "note": note, "rows": rows if new else []}


def claim_word(ci: Sequence[float | None], untested: str = "") -> str:
    """The claim of a gain in revenue, called by the 95 % interval of the relative effect.

    Undecided without an interval, with one of exactly [0, 0], and where ``untested`` says why nothing was tested.
    """
    lo, hi = ci
    if untested or nothing_differs(ci) or lo is None or hi is None or not (np.isfinite(lo) and np.isfinite(hi)):
        return "undecided"
    return "supported" if lo > 0 else "not supported" if hi < WORTH_REVENUE else "undecided"


def nothing_differs(ci: Sequence[float | None]) -> bool:
    """Whether an interval is exactly [0, 0]: two that did the same, not two that are shown to be alike."""
    return all(end == 0 for end in ci)
