"""Claims among many: q by hand, and a claim that its q takes back."""

from __future__ import annotations

from typing import Any

import pytest

from reports.numbers.claims import correct, give_q


def one(p: float) -> dict[str, Any]:
    return {"word": "supported" if p < 0.05 else "undecided", "metrics": {"revenue": {"p": p}, "tau": {"p": None}}}


def test_a_claim_among_many_needs_its_q() -> None:
    family = [one(p) for p in (0.001, 0.03, 0.5, 0.6, 0.9)]
    correct(family, ("revenue", "tau"))
    assert [row["metrics"]["revenue"]["q"] for row in family] == pytest.approx([0.005, 0.075, 0.75, 0.75, 0.9])
    assert [row["word"] for row in family] == ["supported", *["undecided"] * 4]
    assert "q" not in family[0]["metrics"]["tau"]


def test_what_was_not_tested_has_no_q_and_costs_the_others_nothing() -> None:
    rows: list[dict[str, Any]] = [{"p": 0.02}, {"p": None}, {"p": float("nan")}]
    give_q(rows)
    assert rows[0]["q"] == pytest.approx(0.02)
    assert all("q" not in row for row in rows[1:])
    give_q([])
