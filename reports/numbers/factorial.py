"""What each mechanism gives, from all eight cells of a two-by-two-by-two design, world by world.

With CAS, CTS and CMS on or off in every combination, the effect of one of them is its mean over all settings of the
others: every world then says four times what a mechanism does, and the interval is shorter than that of one cell over
the base. What is left when the others are on is in the interactions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from reports.numbers.paired import paired_lift
from reports.numbers.rounding import Floats
from reports.records.spelling import CS3, MECHANISMS

FACTORS = MECHANISMS
BASE, FULL = "dssm", "dssm+cs3"
STEPS = (("dssm", "dssm+cas"), ("dssm+cas", "dssm+cas+cms"), ("dssm+cas+cms", "dssm+cs3"))
"""The paper's order: CAS, then CMS, then CTS."""


def cell(factors: Sequence[str], base: str = BASE) -> str:
    """Spelling of the cell with these mechanisms on."""
    if set(factors) == set(FACTORS):
        return f"{base}+{CS3}"
    return "+".join([base, *(name for name in FACTORS if name in factors)])


def cells(base: str = BASE) -> tuple[str, ...]:
    """All eight cells, the base first, then one, two and three mechanisms."""
    return tuple(cell(chosen, base) for n in range(len(FACTORS) + 1) for chosen in combinations(FACTORS, n))


def contrasts(base: str = BASE) -> dict[str, dict[str, int]]:
    """Signs of the cells in each main effect and interaction, ``{"cas": {"dssm": -1, ...}, "cas x cts": ...}``."""
    every = [set(chosen) for n in range(len(FACTORS) + 1) for chosen in combinations(FACTORS, n)]
    found = {}
    for n in range(1, len(FACTORS) + 1):
        for of in combinations(FACTORS, n):
            signs = {cell(tuple(on), base): int(np.prod([1 if name in on else -1 for name in of])) for on in every}
            found[" x ".join(of)] = signs
    return found


def effects(money: Mapping[str, Floats], base: str = BASE) -> dict[str, dict[str, Any]]:
    """Main effects and interactions on the log scale, back-transformed, with t intervals over worlds.

    A main effect is the mean log ratio with against without, over the four settings of the others. An interaction of
    two is half the difference between the effect of one with the other on and off; of three alike.

    Args:
        money: float64 [W] > 0 by cell, all eight.
        base: backbone.

    Returns:
        ``rel_effect``, ``ci``, ``p``, ``n_worlds``, ``per_world`` by effect, main effects first.

    Raises:
        ValueError: one line, if a cell is missing or a figure is not positive.
    """
    missing = [name for name in cells(base) if name not in money]
    if missing:
        raise ValueError(f"cells == {sorted(money)}, must hold {missing[0]} too: a design of eight has no gap")
    found = {}
    for name, signs in contrasts(base).items():
        ups, downs = (
            np.exp(np.mean([np.log(money[one]) for one, s in signs.items() if s == side], axis=0)) for side in (1, -1)
        )
        lift = paired_lift(downs, ups)
        found[name] = {
            "rel_effect": lift.rel_effect,
            "ci": [lift.lo, lift.hi],
            "p": lift.p,
            "n_worlds": lift.n_worlds,
            "per_world": lift.per_world.tolist(),
        }
    return found
