"""Claims among many: false-discovery rates of a family of comparisons, and what is left of their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.numbers.corrections import benjamini_hochberg

Q = 0.05
"""False-discovery rate of the claims: one that would be supported alone, but not among so many, is undecided."""


def give_q(rows: Sequence[dict[str, Any]]) -> None:
    """Give every row that was tested its Benjamini-Hochberg q among all of them; a row without a p gets none."""
    tested = [row for row in rows if row["p"] is not None and row["p"] == row["p"]]  # NaN: not tested
    for row, q in zip(tested, benjamini_hochberg([row["p"] for row in tested]) if tested else [], strict=True):
        row["q"] = float(q)


def correct(family: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
    """Give the metrics of many comparisons their q, each metric by itself, and take back claims whose q is too high.

    Args:
        family: comparisons with ``metrics`` by key and a ``word``, called by the interval of ``revenue``.
        keys: metrics to correct, ``revenue`` among them.
    """
    for key in keys:
        give_q([one["metrics"][key] for one in family])
    for one in family:
        if one["word"] == "supported" and one["metrics"]["revenue"].get("q", 1.0) > Q:
            one["word"] = "undecided"
