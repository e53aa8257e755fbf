"""Runs in which nothing was tested: an arm that learned nothing, or two arms that did the same.

Whatever such a run measures is no evidence, for or against: its light is red, and no claim is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.numbers.verdict import Light

Facts = Mapping[str, Any]


def untested(
    control: str, treatment: str, arms: Mapping[str, Sequence[Facts]], differ: Sequence[float] | None
) -> list[Light]:
    """The red lights of a comparison that tested nothing; none where it did.

    Args:
        control: spelling of arm 0.
        treatment: spelling of arm 1.
        arms: facts of ``control`` and ``treatment``, a row per world.
        differ: share of requests with other slates, by world; None if unknown.
    """
    sides = {control: arms["control"], treatment: arms["treatment"]}
    lights = [light for arm, facts in sides.items() for light in idle(arm, [one.get("learned") for one in facts])]
    lights += [light for arm, facts in sides.items() for light in unsold(arm, facts)]
    if control != treatment:
        money = [[sum(day["revenue"] for day in one["days"]) for one in arms[s]] for s in ("control", "treatment")]
        lights += alike(control, treatment, money[0] == money[1], differ)
    return lights


IDLE = (
    (("rows_burn_in", "rows_test"), "it never learned, for no label was ready before the end"),
    (("publications_served",), "it served nothing that it had learned: labels were ready too late"),
    (("publications_test",), "it published nothing new since the seam"),
)
"""What an arm must have some of in every world, and what is said of one that has none; the first counts."""
HINT = "are the label wait and the time between syncs, in seconds, longer than the run?"


def idle(arm: str, learned: Sequence[Mapping[str, int] | None]) -> Iterator[Light]:
    """Red if the arm learned nothing in some world, served nothing that it had learned, or published nothing new."""
    known = [one for one in learned if one is not None]
    for keys, text in IDLE:
        worlds = sum(not any(one[key] for key in keys) for one in known)
        if worlds:
            yield Light(f"Training, {arm}", "red", f"{arm}: in {worlds} of {len(known)} worlds {text}; {HINT}")
            return


def unsold(arm: str, facts: Sequence[Facts]) -> Iterator[Light]:
    """Red if the arm sold nothing in some world: there is no lift over nothing."""
    worlds = [str(one["world"]) for one in facts if sum(day["revenue"] for day in one["days"]) <= 0]
    if worlds:
        text = f"{arm}: it sold nothing in world {', '.join(worlds)}; longer runs, more clicks or a lower reserve?"
        yield Light(f"Sales, {arm}", "red", text)


def alike(control: str, treatment: str, same_money: bool, differ: Sequence[float] | None) -> Iterator[Light]:
    """Red if the arms showed the same ads to all requests, or earned the same in every world."""
    both = f"{control} and {treatment}"
    if differ is not None and not any(differ):
        but = "" if same_money else ": only prices differ, by ads that were not shown"
        text = f"{both} showed the same slates to every request of every world{but}."
        yield Light(f"Slates, {treatment}", "red", text)
    elif same_money:
        text = f"{both} earned exactly the same in every world: an interval of [0, 0] compares nothing."
        yield Light(f"Slates, {treatment}", "red", text)


def why(lights: Sequence[Light]) -> str:
    """One sentence, without its full stop; "" where something was tested."""
    return "; ".join(light.text.rstrip(".") for light in lights)
