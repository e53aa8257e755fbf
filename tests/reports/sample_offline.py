"""A small made-up offline study and a sweep, in the shapes of their results: no number here is a measurement."""

from __future__ import annotations

from typing import Any

from reports.numbers.mechanisms import verdicts

SEEDS = [11, 12, 13]
MEASURES = ("auc", "gauc", "logloss", "pcoc")
AVERAGES = ("averages: user + video", "averages: user + video + tab")
RANKERS = ("ranker dnn", "ranker dnn-untrained")
ARMS = ("dssm-bare", "dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cs3", "dssm-wide", "dat")
SLICES = ("users with at most 3 impressions", "users with at most 3 clicks", "videos with at most 3 clicks")
EMPTY = "videos never seen"
LEVELS = [0.0, 0.1, 0.5]
PAIRS = (
    *(("dssm", name) for name in ARMS if name not in ("dssm-bare", "dssm")),
    ("dssm-bare", "dssm"),
    ("dat", "dssm+cts"),
)


def seeded(mean: float, half: float | None = 0.002) -> dict[str, Any]:
    """A mean over seeds; without an interval where there is one seed."""
    ends = [None, None] if half is None else [mean - half, mean + half]
    return {"mean": mean, "ci": ends, "per_seed": [mean]}


def measures(auc: float, half: float | None = 0.002) -> dict[str, Any]:
    return {key: seeded(auc + 0.1 * place, half) for place, key in enumerate(MEASURES)}


def effect(value: float, half: float = 0.001, **more: float) -> dict[str, Any]:
    return {"effect": value, "ci": [value - half, value + half], "p": 0.04, **more}


def row(place: int, name: str) -> dict[str, Any]:
    kind = "averages" if name in AVERAGES else "ranker" if name in RANKERS else "arm"
    found = {"name": name, "kind": kind, **measures(0.7 + place / 500, None if kind == "averages" else 0.002)}
    arm = kind == "arm"
    return found | {
        "frozen": None if kind == "averages" else measures(0.69 + place / 500),
        "tau": seeded(0.4) if arm else None,
        "gap": {"share": 0.25, "ci": [0.1, 0.4]} if arm and name != "dssm" else None,
        "cold": None if kind == "averages" else {name: seeded(0.6) for name in SLICES},
    }


def contrast(place: int, pair: tuple[str, str]) -> dict[str, Any]:
    control, treatment = pair
    value = (place - 3) / 1000
    found: dict[str, Any] = {"control": control, "treatment": treatment, "n_seeds": len(SEEDS)}
    found |= {mode + key: effect(value) for mode in ("", "frozen_") for key in MEASURES}
    found["users"] = effect(value, **({"q": 0.04} if control == "dssm" else {}))
    found["frozen"] = effect(value / 2)
    found["slices"] = {name: effect(value * 3) for name in SLICES}
    return found


def results() -> dict[str, Any]:
    """A whole study."""
    names = (*AVERAGES, *RANKERS, *ARMS)
    contrasts = [contrast(place, pair) for place, pair in enumerate(PAIRS)]
    arms = ("dssm", "dssm+cas", "dat")
    curve = {"auc": [seeded(0.75 - level / 10) for level in LEVELS], "fall": [seeded(level / 10) for level in LEVELS]}
    days = [20220430, 20220501, 20220502]
    return {
        "schema": 2,
        "kind": "offline",
        "data": log(),
        "seeds": SEEDS,
        "label_wait": 1800,
        "sync": 21_600,
        "base": "dssm",
        "settings": {"@dnn": {"hidden": [16, 64], "lr": 0.001}, "dssm": {"table_lr": 0.03, "hidden": [16]}},
        "rows": [row(place, name) for place, name in enumerate(names)],
        "contrasts": contrasts,
        "slices": {name: {"rows": 300, "clicks": 90, "users": 70} for name in SLICES}
        | {EMPTY: {"rows": 0, "clicks": 0, "users": 0}},
        "noise": {
            "levels": LEVELS,
            "scales": {scale: dict.fromkeys(arms, curve) for scale in ("absolute", "relative")},
        },
        "verdicts": verdicts(contrasts),
        "by_day": {
            "date": days,
            "test": [False, False, True],
            "rows": [100, 200, 300],
            "auc": {
                name: {"mean": [0.6, 0.7, 0.71], "lo": [0.59, 0.69, 0.7], "hi": [0.61, 0.71, 0.72]} for name in names
            },
        },
    }


def log() -> dict[str, Any]:
    return {
        "name": "kuairand",
        "users": 500,
        "videos": 80,
        "rows": 1000,
        "duplicates": 6,
        "earlier": 2,
        "kept": 990,
        "train_rows": 690,
        "test_rows": 300,
        "test_clicks": 120,
        "test_users": 77,
        "click_rate": 0.4,
        "gauc_covered": 0.8,
        "history": "history.csv",
        "malformed": [{"file": "log.csv", "kind": "not a <whole> number", "count": 2, "lines": [23, 27]}],
    }


def least() -> dict[str, Any]:
    """One seed, one arm, no slice with a row, no noise, nothing to compare."""
    whole = results()
    return whole | {
        "seeds": [11],
        "base": "dat",
        "settings": {},
        "rows": [
            {"name": "dat", "kind": "arm", **measures(0.7, None), "frozen": None, "tau": None, "gap": None, "cold": {}}
        ],
        "contrasts": [],
        "slices": {EMPTY: {"rows": 0, "clicks": 0, "users": 0}},
        "noise": {"levels": [], "scales": {}},
        "verdicts": [],
        "by_day": {
            "date": [20220502],
            "test": [True],
            "rows": [300],
            "auc": {"dat": {"mean": [0.7], "lo": [None], "hi": [None]}},
        },
        "data": log() | {"malformed": []},
    }


def sweep(dial: str = "label_wait", unit: str = "seconds") -> dict[str, Any]:
    """A sweep with a ranker that no dial touches, a base, and an arm that has no answer at the last value."""
    values = [0, 900, 1800, 21_600] if unit == "seconds" else [0.0, 0.5, 0.8, 0.95]
    return {
        "kind": "sweep",
        "schema": 1,
        "dial": dial,
        "unit": unit,
        "data": log(),
        "seeds": SEEDS,
        "values": values,
        "base": "dssm",
        "default": values[2],
        "arms": {
            "ranker dnn": {"auc": [seeded(0.75)] * 4, "users": [None] * 4},
            "dssm": {"auc": [seeded(0.74)] * 4, "users": [None] * 4},
            "dssm+cs3": {
                "auc": [*([seeded(0.739)] * 3), {"mean": None, "ci": None, "per_seed": [None]}],
                "users": [effect(-0.0012), effect(0.0021), effect(0.0003), None],
            },
        },
    }
