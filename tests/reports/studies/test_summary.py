"""Cells in, results out: worked examples of every piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from reports.studies.market import learning, lights, summary
from tests.reports.studies.tiny import tiny

S = tiny("run.burn_in=2", "run.days=2", "run.ladder_days=1", "cascade.candidates=20")
RELIABLE = {"p": [0.1], "y": [0.1], "lo": [0.05], "hi": [0.2], "n": [100], "true": [0.1]}
SEGMENTS = {
    "cold_users": 10.0,
    "returning_users": 5.0,
    "heavy_users": 2.0,
    "new_ads": 1.0,
    "head_ads": 9.0,
    "tail_ads": 6.0,
}


def segment(money: float) -> dict[str, float]:
    """One segment's sums, its money given."""
    return {
        "members": 12.0,
        "impressions": 200.0,
        "clicks": 20.0,
        "revenue": money,
        "expected_clicks": 21.0,
        "expected_revenue": money,
        "surplus": 3.0,
    }


def facts(world: int, factor: float = 1.0, **over: Any) -> dict[str, Any]:
    """One arm's cell in one world, its money times a factor."""
    day = {
        "requests": 100,
        "impressions": 400,
        "clicks": 40,
        "revenue": 50.0 * factor,
        "expected_revenue": 48.0 * factor,
        "welfare": 60.0 * factor,
        "surplus": 12.0 * factor,
        "bound_spend": 1.0,
        "unpaid": 0.1,
        "active_advertisers": 8,
    }
    prediction = {"auc": 0.7, "logloss": 0.3, "pcoc": 1.0, "n": 100, "reliability": RELIABLE}
    return {
        "world": world,
        "arm": "arm",
        "days": [day, day | {"revenue": 100.0 * factor}],
        "panel": {"recall": [0.5, 0.5, 0.5, 0.5], "logloss": [0.4, 0.4, 0.4, 0.4]},
        "segments": {"cold_users": 10.0 * factor, "returning_users": 5.0, "head_ads": 9.0, "tail_ads": 6.0},
        "by_segment": {name: segment(money * factor) for name, money in SEGMENTS.items()},
        "exposure": {"gini": 0.6 + 0.01 * world, "new_ad_survival": 0.5 + 0.01 * world},
        "retriever": prediction,
        "ranker": prediction,
        "cost": {"item_bytes": 256},
        "funnel": {"oracle": 900.0, "retrieved": 800.0, "ranked": 700.0, "sold": 600.0 * factor},
        "k_sweep": {"k": [5, 10, 20, 40], "revenue": [100 * factor, 200 * factor, 300 * factor, 400 * factor]},
        "recall": 0.5,
        "captured": 0.8,
        "agreement": 0.6,
        "tau": 0.3 * factor,
        **over,
    }


A = [facts(1), facts(2, 1.1), facts(3, 0.9)]
B = [facts(1, 1.2), facts(2, 1.1 * 1.21), facts(3, 0.9 * 1.19)]
BURN_IN = [{"world": w, "days": A[0]["days"]} for w in (1, 2, 3)]


def test_a_ladder_of_more_days_than_the_run_has_compares_all_of_them():
    longer = S.model_copy(update={"run": S.run.model_copy(update={"ladder_days": S.run.days + 5})})
    rungs = {"dssm-bare": A, "dssm": A, "dssm+cs3": B}
    found = summary.summarise(longer, "dssm", "dssm+cs3", {"control": A, "treatment": B}, BURN_IN, rungs, None)
    assert found["ladder"]["note"].startswith(f"First {S.run.days} test days of")
    assert found["ladder"]["rows"] == summary.ladder(rungs, S.run.days)["rows"]


def summarise(a=A, b=B, rungs=None, a_a=None) -> dict[str, Any]:
    return summary.summarise(S, "dssm", "dssm+cs3", {"control": a, "treatment": b}, BURN_IN, rungs, a_a)


class TestIndex:
    def test_an_arm_that_scans_all_ads_has_no_index(self):
        assert "index_recall" not in summarise()

    def test_recall_of_an_index_is_a_mean_over_worlds_with_its_interval(self):
        served = [f | {"index_recall": share} for f, share in zip(B, (0.9, 0.95, 1.0), strict=True)]
        found = summarise(b=served)["index_recall"]
        assert list(found) == ["dssm+cs3"]
        one = found["dssm+cs3"]
        assert (one["mean"], one["n_worlds"]) == (pytest.approx(0.95), 3)
        assert (one["lo"], one["hi"]) == pytest.approx((0.95 - 0.124, 0.95 + 0.124), abs=1e-3)  # t 4.303, sd 0.05


class TestMetrics:
    def test_lift_is_paired_and_geometric(self):
        row = summarise()["metrics"]["revenue"]
        assert row["control"] == pytest.approx(150)
        assert row["rel_effect"] == pytest.approx((1.2 * 1.21 * 1.19) ** (1 / 3) - 1)
        assert row["per_world"] == pytest.approx([0.2, 0.21, 0.19])
        assert 0.17 < row["ci"][0] < row["rel_effect"] < row["ci"][1] < 0.23
        assert row["p"] < 0.001
        assert row["n_worlds"] == 3

    def test_difference(self):
        row = summarise()["metrics"]["tau"]
        assert row["effect"] == pytest.approx(np.mean([0.06, 0.0693, 0.0513]))
        assert row["rel_effect"] is None

    def test_steady_is_the_later_half(self):
        rows = summarise()["metrics"]
        assert rows["revenue_steady"]["control"] == pytest.approx(100)
        assert rows["revenue_per_1000"]["control"] == pytest.approx(750)
        assert rows["ctr"]["control"] == pytest.approx(0.1)

    def test_holm_over_the_headline_rows_only(self):
        rows = summarise()["metrics"]
        corrected = {key for key, row in rows.items() if row["p_holm"] is not None}
        assert (
            corrected == {key for key, row in rows.items() if row["headline"]} == {"revenue", "clicks", "recall", "tau"}
        )
        assert rows["revenue"]["p_holm"] == pytest.approx(4 * rows["revenue"]["p"])

    def test_what_a_world_lacks_is_not_compared(self):
        row = summarise(b=[*B[:2], facts(3, retriever=None)])["metrics"]["retriever_auc"]
        assert row["effect"] is None
        assert row["p"] is None

    def test_a_row_without_an_interval_says_why(self):
        assert "reason" not in summarise()["metrics"]["revenue"]
        rows = summarise(b=[*B[:2], facts(3, retriever=None, tau=0.1)])["metrics"]
        assert rows["retriever_auc"]["reason"] == "not measured in every world"
        poor = [facts(w, segments={**A[0]["segments"], "cold_users": 0.0}) for w in (1, 2, 3)]
        assert summarise(a=poor)["metrics"]["cold_users"]["reason"].startswith("not above 0 in every world")
        assert summarise(A[:1], B[:1])["metrics"]["revenue"]["reason"] == "one world has no spread"
        same = [f | {"recall": 0.6} for f in A]
        assert summarise(b=same)["metrics"]["recall"]["reason"] == "all 3 worlds show the same effect, without spread"

    def test_no_impression_no_click_rate(self):
        nothing = [f | {"days": [day | {"impressions": 0} for day in f["days"]]} for f in A]
        row = summarise(b=nothing)["metrics"]["ctr"]
        assert (row["rel_effect"], row["reason"]) == (None, "not measured in every world")

    def test_equal_arms_differ_by_nothing(self):
        for row in summarise(b=A)["metrics"].values():
            assert row["per_world"] == [0, 0, 0]
            assert row["p"] == 1

    def test_no_lift_over_nothing(self):
        empty = facts(2)
        empty["days"] = [day | {"revenue": 0.0} for day in empty["days"]]
        found = summarise(b=[B[0], empty, B[2]])
        assert found["verdict"]["word"] == "undecided"
        assert "it sold nothing in world 2" in found["verdict"]["reason"]
        assert found["metrics"]["revenue"]["ci"] == [None, None]


class TestSegments:
    def test_a_row_per_segment_and_measure_paired_over_worlds(self):
        rows = summarise()["segments"]
        assert list(dict.fromkeys(row["segment"] for row in rows)) == list(SEGMENTS)
        user, ad = ([row["measure"] for row in rows if row["segment"] == one] for one in ("cold_users", "new_ads"))
        assert user == ["expected_revenue", "expected_clicks"]
        assert ad == [*user, "impressions"]
        cold = rows[0]
        assert (cold["control"], cold["n_worlds"], cold["members"], cold["rows"]) == (10, 3, 12, [200, 200])
        lifts = [1.2, 1.21, 1.19]
        np.testing.assert_allclose(cold["per_world"], np.array(lifts) - 1)
        assert cold["rel_effect"] == pytest.approx(np.prod(lifts) ** (1 / 3) - 1)
        assert cold["ci"][0] < 0.2 < cold["ci"][1]

    def test_q_is_benjamini_and_hochberg_s_over_all_tests(self):
        # Every segment's money has the same p, the nine other tests find nothing: p x 15 / 6.
        rows = summarise()["segments"]
        assert len(rows) == 15
        money = [row for row in rows if row["measure"] == "expected_revenue"]
        for row in money:
            assert row["q"] == pytest.approx(row["p"] * 15 / 6)
        assert {row["q"] for row in rows if row not in money} == {1.0}

    def test_conversions_are_rows_where_they_are_on(self):
        def buys(f: dict[str, Any], often: float) -> dict[str, Any]:
            by = {k: v | {"conversions": 2.0, "expected_conversions": often} for k, v in f["by_segment"].items()}
            return f | {"by_segment": by}

        rows = summarise([buys(f, 1.0) for f in A], [buys(f, 1.1) for f in B])["segments"]
        found = {(row["segment"], row["measure"]): row["rel_effect"] for row in rows}
        assert found["returning_users", "expected_conversions"] == pytest.approx(0.1)
        assert found["returning_users", "conversions"] == 0

    def test_there_is_no_lift_over_nothing(self):
        none = [f | {"by_segment": f["by_segment"] | {"new_ads": segment(0.0)}} for f in A]
        rows = summarise(a=none)["segments"]
        (row,) = [row for row in rows if (row["segment"], row["measure"]) == ("new_ads", "expected_revenue")]
        assert (row["rel_effect"], row["p"], row["q"], row["control"]) == (None, None, None, 0)
        assert sum(row["q"] is not None for row in rows) == 14

    def test_one_world_has_a_lift_but_no_interval(self):
        row = summarise(A[:1], B[:1])["segments"][0]
        assert row["rel_effect"] == pytest.approx(0.2)
        assert (row["ci"], row["p"], row["q"]) == ([None, None], None, None)

    def test_cells_of_an_older_version_have_no_segments(self):
        old = [{key: value for key, value in f.items() if key not in ("by_segment", "exposure")} for f in A]
        found = summarise(a=old)
        assert found["segments"] == []
        assert found["metrics"]["exposure_gini"]["effect"] is None
        assert found["verdict"]["word"] == summarise()["verdict"]["word"]


class TestGuardrails:
    def states(self, **over: Any) -> dict[str, str]:
        rows = summarise(b=[f | over for f in B])["guardrails"]
        assert [row["decides"] for row in rows] == [True, True, False, False]
        return {row["metric"]: row["state"] for row in rows}

    def test_nothing_is_harmed(self):
        assert set(self.states().values()) == {"holds"}

    def test_harm_to_what_is_watched_is_said_and_decides_nothing(self):
        harm = {"gini": 0.7, "new_ad_survival": 0.4}
        assert self.states(exposure=harm) == {
            "surplus": "holds",
            "cold_users": "holds",
            "exposure_gini": "harmed",
            "new_ad_survival": "harmed",
        }
        assert summarise(b=[f | {"exposure": harm} for f in B])["verdict"] == summarise()["verdict"]

    def test_less_concentration_and_more_survivors_are_no_harm(self):
        assert self.states(exposure={"gini": 0.5, "new_ad_survival": 0.6})["exposure_gini"] == "holds"

    def test_a_share_of_no_ads_is_not_measured(self):
        assert self.states(exposure={"gini": 0.6, "new_ad_survival": None})["new_ad_survival"] == "not measured"

    def test_a_broken_guardrail(self):
        rich = [f | {"segments": f["segments"] | {"cold_users": 10.0 + f["world"]}} for f in A]
        rows = summarise(a=rich, b=[f | {"segments": A[0]["segments"] | {"cold_users": 5.0}} for f in B])["guardrails"]
        assert rows[1]["state"] == "broken"

    def test_an_interval_that_allows_harm_and_none_does_not_hold(self):
        wide = [0.873, 1.0, 1.15]
        b = [f | {"segments": f["segments"] | {"cold_users": 10 * x}} for f, x in zip(A, wide, strict=True)]
        found = summarise(a=[facts(w) for w in (1, 2, 3)], b=b)
        assert found["guardrails"][1]["state"] == "not shown"
        assert "guardrail Expected revenue from cold users is not shown: interval -0." in found["verdict"]["reason"]
        assert "it is not shown, which is said and forbids nothing" in found["verdict"]["rule"]

    def test_a_measure_that_is_0_in_both_arms_is_dropped_and_a_run_can_ship(self):
        def first_price(arm: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [f | {"days": [day | {"surplus": 1e-15} for day in f["days"]]} for f in arm]

        found = summarise(first_price(A), first_price(B), a_a={"equal": True, "revenue": [1, 1]})
        assert found["verdict"]["word"] == "ship"
        assert (
            "guardrail Advertiser surplus is dropped: it is 0 in both arms, as under first"
            in found["verdict"]["reason"]
        )
        assert (found["guardrails"][0]["state"], found["guardrails"][0]["why"][:7]) == ("dropped", "it is 0")


class TestVerdict:
    def test_ship(self):
        found = summarise(a_a={"equal": True, "revenue": [1, 1]})["verdict"]
        assert found["word"] == "ship"
        assert {light["state"] for light in found["lights"]} == {"green"}

    def test_an_a_a_that_differs_stops_everything(self):
        found = summarise(a_a={"equal": False, "revenue": [1, 2]})["verdict"]
        assert found["word"] == "undecided"
        assert "light A/A is red" in found["reason"]

    def test_a_guardrail_that_could_not_be_measured_is_not_passed(self):
        poor = [facts(w, segments={**A[0]["segments"], "cold_users": 0.0}) for w in (1, 2, 3)]
        found = summarise(a=poor)["verdict"]
        assert found["word"] == "undecided"
        assert "cold users has no interval" in found["reason"]

    def test_harm_to_advertisers(self):
        def poorer(f: dict[str, Any]) -> dict[str, Any]:
            return f | {"days": [day | {"surplus": 0.6 * day["surplus"]} for day in f["days"]]}

        found = summarise(b=[poorer(f) for f in B])["verdict"]
        assert found["word"] == "do not ship"
        assert "Advertiser surplus" in found["reason"]

    @pytest.mark.parametrize(("side", "state"), [("a", "red"), ("b", "amber")])
    def test_a_rising_arm(self, side, state):
        rising = {"recall": [0.1, 0.2, 0.3, 0.4], "logloss": [0.4, 0.4, 0.4, 0.4]}
        arms = {"a": A, "b": B}
        arms[side] = [f | {"panel": rising} for f in arms[side]]
        lights = {light["name"]: light for light in summarise(**arms)["verdict"]["lights"]}
        light = lights["Plateau, dssm" if side == "a" else "Plateau, dssm+cs3"]
        assert light["state"] == state
        assert "recall still improving (+100.0% in a quarter of its phase)" in light["text"]

    @pytest.mark.parametrize(("side", "state"), [("a", "red"), ("b", "amber")])
    @pytest.mark.parametrize(
        ("panel", "said"),
        [
            (
                {"logloss": [0.5, 0.5, 0.7, 0.83]},
                "log loss worsening (+18.6% in a quarter of its phase), log loss worse",
            ),
            ({"logloss": [0.5, 0.5, 0.83, 0.83]}, "log loss worse since the seam (+66.0%)"),
            ({"recall": [0.5, 0.5, 0.4, 0.4]}, "recall worse since the seam (-20.0%)"),
            ({"recall": [0.5, 0.5, 0.5, 0.48]}, "recall worsening (-4.0% in a quarter of its phase)"),
        ],
    )
    def test_a_curve_that_worsens_is_not_flat(self, side, state, panel, said):
        arms = {"a": A, "b": B}
        arms[side] = [f | {"panel": f["panel"] | panel} for f in arms[side]]
        lights = {light["name"]: light for light in summarise(**arms)["verdict"]["lights"]}
        light = lights["Plateau, dssm" if side == "a" else "Plateau, dssm+cs3"]
        assert light["state"] == state
        assert said in light["text"]

    def test_a_worsening_within_the_tolerance_or_not_sure_over_worlds_is_flat(self):
        near = [f | {"panel": f["panel"] | {"logloss": [0.5, 0.5, 0.52, 0.524]}} for f in A]
        unsure = [
            f | {"panel": f["panel"] | {"logloss": [0.5, 0.5, x, x]}} for f, x in zip(A, (0.8, 0.4, 0.5), strict=True)
        ]
        for arm in (near, unsure):
            lights = {light["name"]: light for light in summarise(a=arm)["verdict"]["lights"]}
            assert lights["Plateau, dssm"] == {
                "name": "Plateau, dssm", "state": "green", "text": "dssm: recall and log loss have flattened."
            }  # fmt: skip

    def test_an_arm_without_log_loss_is_not_said_to_have_one_that_flattened(self):
        mute = [f | {"panel": {"recall": [0.5] * 4, "logloss": [None] * 4}} for f in A]
        lights = {light["name"]: light["text"] for light in summarise(a=mute)["verdict"]["lights"]}
        assert lights["Plateau, dssm"] == "dssm: recall has flattened."

    def test_a_curve_that_nobody_could_judge_is_not_flat(self):
        curves = {"plateau": {}, "seam": {}}
        assert lights.flat("dssm", curves, True).state == "red"
        assert lights.flat("dat", curves, False) == (
            "Plateau, dat",
            "amber",
            "dat: no curve of two days or more to judge.",
        )

    def test_a_fall_after_the_seam_is_remarked_upon(self):
        falling = {"recall": [0.5, 0.5, 0.4, 0.4], "logloss": [0.4, 0.4, 0.4, 0.4]}
        lights = {
            light["name"]: light for light in summarise(a=[f | {"panel": falling} for f in A])["verdict"]["lights"]
        }
        assert lights["Seam, dssm"]["state"] == "amber"
        assert "falls by 20.0%" in lights["Seam, dssm"]["text"]
        assert "Seam, dssm+cs3" not in lights

    def test_budgets(self):
        tight = [f | {"days": [day | {"bound_spend": 30.0} for day in f["days"]]} for f in A]
        lights = {light["name"]: light["state"] for light in summarise(a=tight, b=tight)["verdict"]["lights"]}
        assert lights["Budgets"] == "amber"


class TestPieces:
    def test_days(self):
        found = summarise()["per_day"]
        assert found["day"] == [1, 2]
        np.testing.assert_allclose(found["lift"], [0.2, 0.2], atol=1e-3)
        np.testing.assert_allclose(found["cumulative"]["lift"], [0.2, 0.2], atol=1e-3)

    def test_the_band_of_all_days_together_is_wider_by_bonferroni(self):
        worlds = [facts(w, 1 + 0.05 * w) for w in (1, 2, 3)]
        found = summary.daily(S, A, worlds)["cumulative"]
        log, ends = np.log1p(found["lift"]), {key: np.log1p(found[key]) for key in ("lo", "hi", "band_lo", "band_hi")}
        ratio = stats.t.ppf(1 - 0.05 / 2 / 2, 2) / stats.t.ppf(1 - 0.05 / 2, 2)
        np.testing.assert_allclose(ends["band_hi"] - log, ratio * (ends["hi"] - log), rtol=1e-9)
        np.testing.assert_allclose(log - ends["band_lo"], ratio * (log - ends["lo"]), rtol=1e-9)

    def test_curve(self):
        found = learning.curve([[1.0, 5.0], [3.0, 5.0]])
        np.testing.assert_allclose(found["mean"], [2, 5])
        np.testing.assert_allclose(found["hi"] - found["mean"], [12.7062, 0], rtol=1e-4)
        assert np.isnan(learning.curve([[1.0]])["lo"]).all()

    def test_learning(self):
        found = summarise()["learning"]["dssm"]
        assert found["day"] == [1, 2, 3, 4]
        assert found["phase"] == ["burn-in", "burn-in", "test", "test"]
        assert not found["plateau"]["recall"]["rising"]
        assert found["seam"]["recall"]["change"] == 0

    def test_tau_is_told_if_every_world_read_it(self):
        assert "tau" not in summarise()["learning"]["dssm"]
        read = [f | {"panel": f["panel"] | {"tau": [0.1, 0.2, 0.3, 0.2 * w]}} for w, f in enumerate(A)]
        np.testing.assert_allclose(learning.learning(S, read)["tau"]["mean"], [0.1, 0.2, 0.3, 0.2])
        assert "tau" not in learning.learning(S, [*read[1:], A[0] | {"panel": A[0]["panel"] | {"tau": []}}])

    def test_a_burn_in_that_still_rises_is_said_whatever_the_test_does(self):
        arm = [facts(w) for w in (1, 2, 3)]
        for one in arm:
            one["panel"] = {"recall": [0.2, 0.5, 0.5, 0.5], "logloss": [0.4, 0.4, 0.4, 0.4]}
        assert learning.learning(S, arm)["plateau"]["recall"]["rising"]

    def test_a_curve_of_zeros_has_no_relative_change(self):
        lost = [f | {"panel": f["panel"] | {"recall": [0.0, 0.0, 0.0, 0.1]}} for f in A]
        found = learning.learning(S, lost)
        assert (set(found["plateau"]), set(found["seam"])) == ({"logloss"}, {"logloss"})

    def test_no_log_loss_no_plateau_of_it(self):
        mute = [f | {"panel": {"recall": [0.2, 0.5, 0.5, 0.5], "logloss": [None] * 4}} for f in A]
        assert set(learning.learning(S, mute)["plateau"]) == {"recall"}

    def test_the_sweep_over_k_is_paired_with_the_control_at_the_run_s_k(self):
        """A world with twice the money says nothing: each world is held against its own control."""
        base = [facts(1), facts(2, 2.0), facts(3)]
        found = summary.sweep([facts(1, 1.1), facts(2, 2.2), facts(3, 1.1)], base, 20)
        assert found["k"] == [5, 10, 20, 40]
        np.testing.assert_allclose(found["lift"]["mean"], np.array([1, 2, 3, 4]) / 3 * 1.1 - 1)
        np.testing.assert_allclose(found["lift"]["hi"], found["lift"]["lo"])
        assert (found["revenue"]["hi"] - found["revenue"]["lo"] > 1).all()

    def test_k_saved_in_one_world_has_no_interval(self):
        found = summary.k_saved(S, A[:1], [facts(1, 1.5)])
        assert found["text"].endswith("candidates (one world, no interval).")

    def test_k_saved(self):
        found = summary.k_saved(S, A, [facts(w, 1.5) for w in (1, 2, 3)])
        each = [10 + 10 * (300 / 1.5 / 100 - 2) / 1, 10 + 10 * (330 / 1.5 / 100 - 2), 5 + 5 * (270 / 1.5 / 100 - 1)]
        assert found["equal_revenue_k"] == pytest.approx(np.mean(each))
        assert found["lo"] < np.mean(each) < found["hi"]
        assert "K = 20" in found["text"]

    def test_k_never_saved(self):
        found = summary.k_saved(S, A, [facts(1, 0.1), *B[1:]])
        assert found["equal_revenue_k"] is None
        assert found["text"].startswith("In 1 of 3 worlds")

    def test_one_world_has_no_interval_of_k(self):
        text = summary.k_saved(S, A[:1], [facts(1, 1.5)])["text"]
        assert text.endswith("candidates (one world, no interval).")

    def test_a_rung_that_sold_nothing_has_no_lift(self):
        idle = [f | {"days": [f["days"][0] | {"revenue": 0.0}, *f["days"][1:]]} for f in A]
        rows = summarise(rungs={"dssm-bare": idle, "dssm": A, "dssm+cs3": B})["ladder"]["rows"]
        assert all(np.isnan([row["lift_vs_bare"], *row["ci"]]).all() for row in rows)

    def test_ladder(self):
        found = summarise(rungs={"dssm-bare": A, "dssm": A, "dssm+cs3": B})["ladder"]
        arms = [row["arm"] for row in found["rows"]]
        assert arms == ["dssm-bare", "dssm", "dssm+cs3"]
        bare, counters, full = found["rows"]
        assert bare["lift_vs_bare"] == counters["lift_vs_bare"] == 0
        assert bare["revenue_per_1000"] == pytest.approx(1000 * 50 * 3 / 300)
        assert full["lift_vs_bare"] == pytest.approx(0.2, abs=1e-3)

    def test_funnel_and_burn_in(self):
        found = summarise()
        assert found["funnel"]["dssm"]["oracle"] == 900
        assert found["burn_in"]["revenue_per_1000"] == pytest.approx(750)
        assert found["requests_per_world"] == {"burn_in": 600, "test": 600}
        assert found["ladder"] is None

    def test_references_in_order(self):
        rows = {n: {"revenue_per_1000": r, "recall": 0.1} for n, r in (("oracle", 9.0), ("dssm", 5.0), ("random", 1.0))}
        found = summary.reference_rows([facts(w, references=rows) for w in (1, 2)])
        assert [(row["retriever"], row["revenue_per_1000"]) for row in found["rows"]] == [
            ("random", 1.0),
            ("dssm", 5.0),
            ("oracle", 9.0),
        ]
