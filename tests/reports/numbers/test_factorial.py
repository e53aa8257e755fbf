"""Contrasts of the eight cells, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from reports.numbers.factorial import BASE, FULL, STEPS, cells, contrasts, effects


def money(cas: float = 0.0, cts: float = 0.0, cms: float = 0.0, both: float = 0.0) -> dict[str, np.ndarray]:
    """Three worlds of levels 100, 50, 80 with multiplicative effects, ``both``: of CAS and CMS beyond their product."""
    level = np.array([100.0, 50.0, 80.0])
    found = {}
    for arm in cells():
        on = {"cas", "cts", "cms"} if arm == FULL else set(arm.split("+")[1:])
        gain = cas * ("cas" in on) + cts * ("cts" in on) + cms * ("cms" in on) + both * ({"cas", "cms"} <= on)
        found[arm] = level * np.exp(gain)
    return found


def test_the_cells_are_all_eight_and_spelled_as_arms() -> None:
    assert cells() == (
        "dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cas+cts", "dssm+cas+cms", "dssm+cts+cms", "dssm+cs3",
    )  # fmt: skip
    assert STEPS[0][0] == BASE
    assert STEPS[-1][1] == FULL
    assert {arm for step in STEPS for arm in step} <= set(cells())
    assert cells("dat")[-1] == "dat+cs3"


def test_contrasts_are_balanced_and_orthogonal() -> None:
    signs = np.array([[found[arm] for arm in cells()] for found in contrasts().values()])
    assert signs.shape == (7, 8)
    assert (signs.sum(axis=1) == 0).all()
    assert (signs @ signs.T == 8 * np.eye(7)).all()


def test_effects_are_those_that_were_put_in() -> None:
    found = effects(money(cas=0.03, cts=-0.02))
    assert found["cas"]["rel_effect"] == pytest.approx(np.expm1(0.03))
    assert found["cts"]["rel_effect"] == pytest.approx(np.expm1(-0.02))
    for name in ("cms", "cas x cts", "cas x cms", "cts x cms", "cas x cts x cms"):
        assert found[name]["rel_effect"] == pytest.approx(0, abs=1e-12)


def test_a_gain_of_two_together_is_shared_by_their_effects_and_their_interaction() -> None:
    found = effects(money(both=0.04))
    # Half of the settings of CMS have it on: CAS gains 0.04 in those, nothing in the others.
    assert found["cas"]["rel_effect"] == pytest.approx(np.expm1(0.02))
    assert found["cms"]["rel_effect"] == pytest.approx(np.expm1(0.02))
    assert found["cas x cms"]["rel_effect"] == pytest.approx(np.expm1(0.02))
    assert found["cts"]["rel_effect"] == pytest.approx(0, abs=1e-12)


def test_an_interval_comes_from_the_worlds() -> None:
    data = money(cas=0.03)
    rng = np.random.default_rng(1)
    noisy = {arm: values * np.exp(rng.normal(0, 0.01, 3)) for arm, values in data.items()}
    ups, downs = (
        np.mean([np.log(noisy[arm]) for arm in cells() if ("cas" in arm or arm == FULL) is side], axis=0)
        for side in (True, False)
    )
    d = ups - downs
    found = effects(noisy)["cas"]
    half = 4.302653 * d.std(ddof=1) / np.sqrt(3)
    assert found["rel_effect"] == pytest.approx(np.expm1(d.mean()))
    assert found["ci"] == pytest.approx([np.expm1(d.mean() - half), np.expm1(d.mean() + half)], rel=1e-5)
    assert found["n_worlds"] == 3


def test_a_gap_in_the_design_is_refused() -> None:
    data = money()
    del data["dssm+cts"]
    with pytest.raises(ValueError, match=r"must hold dssm\+cts too"):
        effects(data)
