"""A made-up run, plausible in size and shape, for the tests of figures and page."""

from __future__ import annotations

from typing import Any

import numpy as np


def _metric(label, unit, kind, better, headline, control, treatment, half, p, holm, worlds=5) -> dict[str, Any]:
    change = treatment / control - 1 if kind == "ratio" else treatment - control
    return {
        "label": label,
        "unit": unit,
        "kind": kind,
        "better": better,
        "headline": headline,
        "control": control,
        "treatment": treatment,
        "rel_effect": change if kind == "ratio" else None,
        "effect": change if kind == "difference" else None,
        "ci": [change - half, change + half],
        "p": p,
        "p_holm": holm,
        "n_worlds": worlds,
        "per_world": [change + half * z for z in (-0.8, -0.2, 0.1, 0.3, 0.6)],
    }


def _curve(mean, half) -> dict[str, list[float]]:
    mean = np.asarray(mean, dtype=float)
    return {"mean": mean.tolist(), "lo": (mean - half).tolist(), "hi": (mean + half).tolist()}


def _learning(top: float, low: float, rising: bool) -> dict[str, Any]:
    day = np.arange(1, 15)
    gained = 1 - np.exp(-day / (5.0 if rising else 2.2))
    return {
        "day": day.tolist(),
        "phase": ["burn-in"] * 10 + ["test"] * 4,
        "recall": _curve(0.2 + (top - 0.2) * gained, 0.012),
        "logloss": _curve(0.34 - (0.34 - low) * gained, 0.003),
        "tau": _curve(0.5 * top * gained, 0.01),
        "plateau": {
            "recall": {
                "change": 0.012 if rising else 0.001,
                "lo": 0.002 if rising else -0.002,
                "hi": 0.016,
                "rising": rising,
            },
            "logloss": {"change": -0.0004, "lo": -0.002, "hi": 0.001, "rising": False},
        },
    }


def _budget(bound: float) -> dict[str, Any]:
    day = np.arange(1, 5)
    return {
        "day": day.tolist(),
        "spend": _curve(25_000 + 200 * day, 310),
        "bound": _curve(bound + 0.002 * day, 0.006),
        "unpaid": _curve(0.0004 * day, 0.0003),
    }


def _bins(tilt: float) -> dict[str, Any]:
    p = np.geomspace(0.012, 0.31, 10)
    y = p**tilt * 1.02
    half = 0.06 * y
    return {
        "p": p.tolist(),
        "y": y.tolist(),
        "lo": (y - half).tolist(),
        "hi": (y + half).tolist(),
        "n": [12_400] * 10,
        "true": (0.5 * p + 0.5 * y).tolist(),
        "pcoc": float(p.sum() / y.sum()),
    }


def _segment(segment, label, who, measure, name, better, control, treatment, half, p, q) -> dict[str, Any]:
    row = _metric(label, "currency", "ratio", better, False, control, treatment, half, p, None)
    head = {"segment": segment, "who": who, "measure": measure, "measure_label": name}
    return head | row | {"q": q, "members": 812.4, "rows": [41_250.0, 41_803.6]}


def _guardrail(metric, label, kind, better, control, treatment, half, margin, state) -> dict[str, Any]:
    row = _metric(label, "", kind, better, False, control, treatment, half, None, None)
    kept = ("label", "unit", "kind", "better", "control", "treatment", "rel_effect", "effect", "ci", "n_worlds")
    head = {"metric": metric, "decides": margin is not None, "margin": margin, "state": state}
    return head | {key: row[key] for key in kept}


def results() -> dict[str, Any]:
    """results.json of a made-up `dssm` against `dssm+cs3`."""
    return {
        "schema": 1,
        "kind": "ab",
        "scenario": "quickstart",
        "small": False,
        "control": "dssm",
        "treatment": "dssm+cs3",
        "ranker": "dnn",
        "worlds": [11, 12, 13, 14, 15],
        "days": {"burn_in": 10, "test": 4},
        "requests_per_world": {"burn_in": 200_000, "test": 80_000},
        "k": 50,
        "slots": 4,
        "verdict": {
            "word": "ship",
            "reason": "Revenue rose in all five worlds, its interval lies above 0, and no guardrail broke.",
            "rule": "Ship when the 95% interval of the true effect on revenue, paired over worlds, lies above 0, no "
            "guardrail is broken and every light is green; do not ship when it lies below 0 or a guardrail is "
            "broken; else undecided.",
            "lights": [
                {"name": "A/A", "state": "green", "text": "control against itself differs by exactly 0"},
                {
                    "name": "Plateau",
                    "state": "amber",
                    "text": "recall of dssm+cs3 still rose by 0.012 over the last days",
                },
                {"name": "Guardrails", "state": "green", "text": "advertiser surplus and cold users hold"},
            ],
        },
        "metrics": {
            "revenue": _metric(
                "Revenue", "currency", "ratio", "higher", True, 101_250.4, 103_882.9, 0.0113, 0.0031, 0.0093
            ),
            "revenue_per_1000": _metric(
                "Revenue per 1,000", "currency", "ratio", "higher", True, 1265.6, 1298.5, 0.0113, 0.0031, 0.0093
            ),
            "recall": _metric(
                "Recall@50, true order", "share", "difference", "higher", True, 0.612, 0.648, 0.011, 0.0008, 0.003
            ),
            "clicks": _metric("Clicks", "count", "ratio", "higher", False, 24_871, 25_120, 0.0142, 0.12, None),
            "impressions": _metric("Impressions", "count", "ratio", "none", False, 320_000, 320_000, 0.0, None, None),
            "ctr": _metric("CTR", "share", "ratio", "higher", False, 0.0777, 0.0785, 0.0138, 0.11, None),
            "surplus": _metric(
                "Advertiser surplus", "currency", "ratio", "higher", False, 55_012.0, 54_820.0, 0.021, 0.64, None
            ),
            "auc": _metric("Retriever AUC", "", "difference", "higher", False, 0.7312, 0.7388, 0.0021, 0.0004, None),
            "tau": _metric(
                "Kendall tau-b against the ranker", "", "difference", "higher", False, 0.411, 0.452, 0.014, 0.0011, None
            ),
            "logloss": _metric(
                "Retriever logloss", "nats", "difference", "lower", False, 0.2514, 0.2489, 0.0009, 0.0009, None
            ),
        },
        "guardrails": [
            _guardrail("surplus", "Advertiser surplus", "ratio", "higher", 55_012.0, 54_820.0, 0.021, 0.02, "holds"),
            _guardrail(
                "cold_users", "Revenue from cold users", "ratio", "higher", 9_800.0, 9_310.0, 0.01, 0.02, "broken"
            ),
            _guardrail("exposure_gini", "Gini of impressions", "difference", "lower", 0.61, 0.66, 0.02, None, "harmed"),
        ],
        "segments": [
            _segment("cold_users", "Cold users", "fewer than 10 impressions", *measure)
            for measure in (
                ("expected_revenue", "Revenue, expected", "higher", 9_800.0, 9_310.0, 0.01, 0.0002, 0.0008),
                ("expected_clicks", "Clicks, expected", "higher", 2_410.0, 2_440.0, 0.03, 0.31, 0.41),
            )
        ]
        + [
            _segment("new_ads", "New ads", "start after the burn-in", *measure)
            for measure in (
                ("expected_revenue", "Revenue, expected", "higher", 1_204.0, 1_290.0, 0.09, 0.09, 0.18),
                ("impressions", "Impressions", "none", 8_120.0, 8_090.0, 0.02, 0.62, 0.62),
            )
        ],
        "per_day": {
            "day": [1, 2, 3, 4],
            "lift": [0.013, 0.027, 0.031, 0.029],
            "lo": [-0.006, 0.009, 0.014, 0.008],
            "hi": [0.032, 0.045, 0.048, 0.050],
            "cumulative": {
                "lift": [0.013, 0.020, 0.0237, 0.026],
                "lo": [-0.006, 0.006, 0.012, 0.0147],
                "hi": [0.032, 0.034, 0.0354, 0.0373],
                "band_lo": [-0.019, -0.003, 0.004, 0.0072],
                "band_hi": [0.045, 0.043, 0.0434, 0.0448],
            },
        },
        "learning": {"dssm": _learning(0.612, 0.2514, False), "dssm+cs3": _learning(0.668, 0.2489, True)},
        "budgets": {"dssm": _budget(0.041), "dssm+cs3": _budget(0.047)},
        "funnel": {
            "dssm": {"oracle": 1712.0, "retrieved": 1531.2, "ranked": 1342.8, "sold": 1265.6},
            "dssm+cs3": {"oracle": 1712.0, "retrieved": 1577.9, "ranked": 1381.1, "sold": 1298.5},
        },
        "calibration": {
            "dssm": {"retriever": _bins(1.08), "ranker": _bins(1.01)},
            "dssm+cs3": {"retriever": _bins(1.04), "ranker": _bins(0.99)},
        },
        "k_sweep": {
            "dssm": {
                "k": [10, 25, 50, 100],
                "revenue": _curve([1102, 1214, 1266, 1301], 14),
                "lift": _curve([-0.130, -0.041, 0.0, 0.028], 0.006),
            },
            "dssm+cs3": {
                "k": [10, 25, 50, 100],
                "revenue": _curve([1168, 1260, 1298, 1318], 15),
                "lift": _curve([-0.077, -0.005, 0.025, 0.041], 0.007),
            },
        },
        "k_saved": {
            "k": 50,
            "equal_revenue_k": 28.4,
            "lo": 22.0,
            "hi": 37.5,
            "text": "dssm+cs3 earns with K = 28 what dssm earns with K = 50.",
        },
        "ladder": {
            "n_worlds": 3,
            "note": "A smaller run than the A/B above; compare rungs with each other, not with the headline.",
            "rows": [
                {"arm": "dssm-bare", "revenue_per_1000": 880.2, "lift_vs_bare": 0.0, "ci": [0.0, 0.0], "recall": 0.402},
                {
                    "arm": "dssm",
                    "revenue_per_1000": 1267.1,
                    "lift_vs_bare": 0.4396,
                    "ci": [0.41, 0.47],
                    "recall": 0.611,
                },
                {
                    "arm": "dssm+cs3",
                    "revenue_per_1000": 1301.0,
                    "lift_vs_bare": 0.4781,
                    "ci": [0.45, 0.506],
                    "recall": 0.646,
                },
            ],
        },
        "mechanisms": {
            "n_worlds": 3,
            "note": "Each mechanism alone on the control.",
            "rows": [
                {
                    "mechanism": "CAS",
                    "arm": "dssm+cas",
                    "lift": 0.004,
                    "ci": [-0.006, 0.014],
                    "p": 0.31,
                    "p_holm": 0.31,
                    "word": "undecided",
                    "claim": "cycle-adaptive structure lifts revenue",
                },
                {
                    "mechanism": "CTS",
                    "arm": "dssm+cts",
                    "lift": 0.012,
                    "ci": [0.003, 0.021],
                    "p": 0.02,
                    "p_holm": 0.06,
                    "word": "supported",
                    "claim": "cross-tower vectors lift revenue",
                },
                {
                    "mechanism": "CMS",
                    "arm": "dssm+cms",
                    "lift": -0.009,
                    "ci": [-0.016, -0.002],
                    "p": 0.03,
                    "p_holm": 0.06,
                    "word": "not supported",
                    "claim": "cascade vectors lift revenue",
                },
            ],
        },
        "references": {
            "n_worlds": 5,
            "rows": [
                {"retriever": "random", "revenue_per_1000": 412.0, "ci": [401.0, 423.0]},
                {"retriever": "popularity", "revenue_per_1000": 803.3, "ci": [788.0, 818.0]},
                {"retriever": "dssm", "revenue_per_1000": 1265.6, "ci": [1249.0, 1282.0]},
                {"retriever": "oracle", "revenue_per_1000": 1489.9, "ci": [1470.0, 1510.0]},
            ],
        },
        "cost": {
            "dssm": {"item_bytes": 256, "user_flops": 142_000, "scan_flops": 640_000},
            "dssm+cs3": {"item_bytes": 512, "user_flops": 171_000, "scan_flops": 640_000},
        },
    }


def _quantiles(p50: float, n: int) -> dict[str, Any]:
    return {
        f"p{q}_ms": {"value": p50 * by, "lo": p50 * by * 0.97, "hi": p50 * by * 1.05}
        for q, by in ((50, 1.0), (95, 1.4), (99, 2.1))
    } | {"n": n}


def _latency(retrieval: float, cascade: float) -> dict[str, Any]:
    return {
        "retrieval": _quantiles(retrieval, 2000),
        "cascade": _quantiles(cascade, 2000),
        "qps_batch": {"batch": 256, "qps": 256 / retrieval * 190},
        "k": {"k": [10, 25, 50, 100], "cascade_p50_ms": [cascade * by for by in (0.62, 0.75, 1.0, 1.52)]},
    }


def timing() -> dict[str, Any]:
    """timing.json of the same run."""
    return {
        "machine": {"cpu": "2 x made-up CPU", "memory_gib": 8, "threads": 1},
        "wall_seconds": {"total": 522.4, "cells": {"world 11, dssm": 48.1, "world 11, dssm+cs3": 55.0}},
        "latency": {"dssm": _latency(0.412, 1.31), "dssm+cs3": _latency(0.455, 1.37)},
    }


def manifest() -> dict[str, Any]:
    """manifest.json of the same run."""
    return {
        "command": "cs3bench ab --control dssm --treatment dssm+cs3",
        "config": {
            "traffic": {"requests_per_day": 20_000},
            "retrieval": {"k": 50},
            "auction": {"pricing": "gsp", "slots": 4},
        },
        "versions": {"python": "3.11.9", "torch": "2.13.0", "numpy": "2.4.0"},
        "seeds": [11, 12, 13, 14, 15],
        "commit": "0123456789abcdef",
        "created": "2026-01-01T00:00:00Z",
    }
