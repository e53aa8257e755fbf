"""The numbers of an offline replay, from the scores that its cells left: no model is seen here.

Letters: n rows of the log, T test rows, B resamples of the users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from reports.drawing.tables import table
from reports.numbers.calibration import logloss, pcoc
from reports.numbers.corrections import benjamini_hochberg
from reports.numbers.discrimination import auc, auc_by_weight, gauc
from reports.numbers.mechanisms import verdicts
from reports.numbers.paired import paired_difference
from reports.numbers.resampling import PairedBootstrap, from_draws, multiplicities
from reports.studies.offline.averages import smoothed_averages
from simulator.datasets.log import RealLog
from simulator.experiment import plain
from simulator.records import Flags, Impressions

AVERAGES = {"averages: user + video": None, "averages: user + video + tab": "tab"}
"""Row of the results -> context field that is averaged too; left out for a log that has no such field."""
MEASURES = ("auc", "gauc", "logloss", "pcoc")
REPLICATES = 500
"""Resamples of the bootstrap over users."""
COLD = 3
"""Interactions up to which a user or an ad is cold; the paper's."""
BASE = "dssm"
"""The arm that every other one is compared with; the first arm of a study that has it not."""
APART = ("dssm-bare", "dssm-bare+cs3")
"""Arms without counters: they are compared with each other, and ``dssm`` with the first."""
PAIRS = (
    ("dssm-bare", "dssm"),
    ("dssm-bare", "dssm-bare+cs3"),
    ("dssm-wide", "dssm+cas"),
    ("dat", "dssm+cts"),
    ("dssm+cts+shuffled", "dssm+cts"),
    ("dssm+cms+shuffled", "dssm+cms"),
    ("dssm+cms@dnn-untrained", "dssm+cms"),
)
"""(control, treatment): what else is compared where both are there."""
UPPER = "@dnn"
"""The ranker that the share of the gap is measured to."""

Array = npt.NDArray[Any]
Record = Mapping[str, Any]


class Scored(NamedTuple):
    """What one model left in one seed.

    Attributes:
        prequential: float32 [n], logit of each row of the log by what had been published when it was shown.
        frozen: float32 [T], logit of each test row by what was published before the first of them.
        tau: against its ranker's order of the panel; None for a ranker.
        noise: AUC of the frozen scores by scale and level; empty where it was not asked for.
    """

    prequential: Array
    frozen: Array
    tau: float | None
    noise: dict[str, list[float]]


Cells = Mapping[str, Sequence[Scored]]
"""Model -> what it left, by seed."""


def assemble(study: Record, data: RealLog, scored: Cells) -> dict[str, Any]:
    """The dict of ``results.json`` from the scores of every seed.

    Args:
        study: ``data``, ``arms``, ``seeds``, ``label_wait``, ``sync``, ``noise`` and ``settings`` of the run.
        data: the log.
        scored: rankers, spelled ``@name``, and arms.

    Returns:
        Plain numbers, lists and strings; None where a number does not exist.
    """
    log, test = data.impressions, data.test
    columns = list(data.catalog.context)
    floor = {
        name: smoothed_averages(log, data.catalog.base_ctr, context=None if field is None else columns.index(field))
        for name, field in AVERAGES.items()
        if field is None or field in columns
    }
    prequential = {name: [logit] for name, logit in floor.items()} | {
        model: [one.prequential for one in cells] for model, cells in scored.items()
    }
    measured = {name: [measured_on(x[test], log[test]) for x in logits] for name, logits in prequential.items()}
    frozen = {model: [measured_on(one.frozen, log[test]) for one in cells] for model, cells in scored.items()}
    everything = {name: [x[test] for x in logits] for name, logits in prequential.items() if name not in floor}
    stopped = {model: [one.frozen for one in cells] for model, cells in scored.items()}
    resampled = {
        "users": Resampled(log[test], everything),
        "frozen": Resampled(log[test], stopped),
    }
    cold = cold_slices(data, int(study["sync"]))
    by_slice = {name: Resampled(log[test][rows], _of(everything, rows)) for name, rows in cold.items() if rows.any()}
    contrasts = [
        contrast(control, treatment, measured, frozen, resampled, by_slice)
        for control, treatment in compared(study["arms"])
    ]
    _adjust([pair for pair in contrasts if pair["control"] == base_of(study["arms"])])
    kinds = dict.fromkeys(floor, "averages") | {m: "ranker" if m.startswith("@") else "arm" for m in scored}
    found: dict[str, Any] = plain(
        {
            "schema": 2,
            "kind": "offline",
            "data": {"name": study["data"], **described(data)},
            "seeds": study["seeds"],
            "label_wait": study["label_wait"],
            "sync": study["sync"],
            "base": base_of(study["arms"]),
            "settings": study["settings"],
            "rows": [
                {
                    "name": shown(name),
                    "kind": kinds[name],
                    **_over_seeds(values),
                    "frozen": _over_seeds(frozen[name]) if name in frozen else None,
                    "tau": _tau(scored.get(name, ())),
                    "gap": gap_closed(name, study["arms"], resampled["users"]) if kinds[name] == "arm" else None,
                    "cold": {part: by_slice[part].over_seeds(name) for part in by_slice} if name in scored else None,
                }
                for name, values in measured.items()
            ],
            "contrasts": contrasts,
            "slices": {name: slice_described(rows, log[test]) for name, rows in cold.items()},
            "noise": noise_described(study["noise"], scored),
            "verdicts": verdicts(contrasts),
            "by_day": by_day(prequential, data),
        }
    )
    return found


# --- measures ---


def measured_on(logit: Array, rows: Impressions) -> dict[str, float]:
    """AUC, GAUC by user, log loss and PCOC of rows [T]."""
    p = expit(logit.astype(np.float64))
    return {
        "auc": auc(logit, rows.label),
        "gauc": gauc(logit, rows.label, rows.user).value,
        "logloss": logloss(p, rows.label),
        "pcoc": pcoc(p, rows.label),
    }


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean with its t interval over seeds; no interval with one value."""
    known = np.asarray(values, dtype=np.float64)
    if not np.isfinite(known).all():
        return {"mean": None, "ci": None, "per_seed": list(values)}
    around = paired_difference(np.zeros_like(known), known)
    return {"mean": around.effect, "ci": [around.lo, around.hi], "per_seed": list(values)}


def _over_seeds(values: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {key: over_seeds([one[key] for one in values]) for key in MEASURES}


def _tau(cells: Sequence[Scored]) -> dict[str, Any] | None:
    known = [one.tau for one in cells if one.tau is not None]
    return over_seeds(known) if known else None


class Resampled:
    """AUC of every model on the same resamples of the users: any difference between two models is paired.

    Args:
        rows: the test rows, or a slice of them.
        logits: model -> [seeds] of float [rows].
    """

    def __init__(self, rows: Impressions, logits: Mapping[str, Sequence[Array]]) -> None:
        users, self._code = np.unique(rows.user, return_inverse=True)
        self._weights = multiplicities(users.size, REPLICATES, np.random.default_rng(0))
        self._label = rows.label
        self._logits = logits
        self._known: dict[str, tuple[Array, Array]] = {}

    def auc(self, model: str) -> tuple[Array, Array]:
        """AUC of a model by seed [seeds], and on each resample [seeds, B]."""
        if model not in self._known:
            by_weight = [auc_by_weight(logit, self._label) for logit in self._logits[model]]
            whole = np.array([auc(np.ones(self._code.size)) for auc in by_weight])
            draws = np.array([[auc(w[self._code].astype(np.float64)) for w in self._weights] for auc in by_weight])
            self._known[model] = whole, draws
        return self._known[model]

    def difference(self, control: str, treatment: str) -> PairedBootstrap:
        """Treatment minus control, mean over seeds, with its interval over users."""
        (before, before_draws), (after, after_draws) = self.auc(control), self.auc(treatment)
        if self._weights.shape[1] < 2:  # one user again and again tells nothing of others
            return from_draws(float((after - before).mean()), np.zeros(0))
        return from_draws(float((after - before).mean()), (after_draws - before_draws).mean(axis=0))

    def over_seeds(self, model: str) -> dict[str, Any]:
        """Mean AUC of a model with its interval over seeds."""
        return over_seeds(self.auc(model)[0].tolist())


# --- comparisons ---


def base_of(names: Sequence[str]) -> str:
    """The arm that the others are compared with."""
    return BASE if BASE in names else names[0]


def compared(names: Sequence[str]) -> list[tuple[str, str]]:
    """(control, treatment) of every comparison: all against the base, then the controls."""
    base = base_of(names)
    against = [(base, name) for name in names if name != base and name not in APART]
    return against + [pair for pair in PAIRS if set(pair) <= set(names) and pair not in against]


def contrast(
    control: str,
    treatment: str,
    measured: Mapping[str, Sequence[Mapping[str, float]]],
    frozen: Mapping[str, Sequence[Mapping[str, float]]],
    resampled: Mapping[str, Resampled],
    by_slice: Mapping[str, Resampled],
) -> dict[str, Any]:
    """Treatment minus control: paired over seeds, and (AUC) over users, who are the larger source of chance.

    Seeds tell what another initialisation would have given on the same test rows. Users tell what other users would
    have given these models: the difference is the mean over seeds, and whole users are resampled.
    """
    found: dict[str, Any] = {"control": control, "treatment": treatment, "n_seeds": len(measured[control])}
    for mode, values in (("", measured), ("frozen_", frozen)):
        for key in MEASURES:
            before, after = ([one[key] for one in values[name]] for name in (control, treatment))
            found[mode + key] = None
            if np.isfinite([before, after]).all():
                paired = paired_difference(before, after)
                found[mode + key] = {"effect": paired.effect, "ci": [paired.lo, paired.hi], "p": paired.p}
    for name, one in resampled.items():
        found[name] = _interval(one.difference(control, treatment))
    found["slices"] = {name: _interval(one.difference(control, treatment)) for name, one in by_slice.items()}
    return found


def _interval(found: PairedBootstrap) -> dict[str, Any]:
    return {"effect": found.diff, "ci": [found.lo, found.hi], "p": found.p}


def _adjust(contrasts: Sequence[dict[str, Any]]) -> None:
    """Benjamini-Hochberg over the comparisons with the base, in place."""
    if not contrasts:
        return
    adjusted = benjamini_hochberg([pair["users"]["p"] for pair in contrasts])
    for pair, q in zip(contrasts, adjusted, strict=True):
        pair["users"]["q"] = float(q)


def gap_closed(model: str, names: Sequence[str], resampled: Resampled) -> dict[str, Any] | None:
    """Share of the AUC gap between base and ranker that an arm closes; None where the gap's interval includes 0."""
    base, rankers = base_of(names), [name for name in resampled._logits if name.startswith("@")]
    upper = UPPER if UPPER in rankers else next(iter(rankers), None)
    if upper is None or model == base:
        return None
    gap = resampled.difference(base, upper)
    if not gap.lo > 0:
        return None
    (_, low), (_, high), (_, mine) = (resampled.auc(name) for name in (base, upper, model))
    draws = (mine - low).mean(axis=0) / (high - low).mean(axis=0)
    share = from_draws(resampled.difference(base, model).diff / gap.diff, draws)
    return {"share": share.diff, "ci": [share.lo, share.hi]}


# --- slices ---


def visible(log: Impressions, key: Array, sync: int, *, clicks: bool = False) -> npt.NDArray[np.int64]:
    """How many rows of each row's key had their labels published when it was scored.

    Args:
        log: [n], in event order.
        key: integers [n].
        sync: seconds between two publications.
        clicks: count the clicked ones only.

    Returns:
        int64 [n].
    """
    _, code = np.unique(key, return_inverse=True)
    order = np.argsort(code, kind="stable")
    start = int(min(log.time[0] // sync * sync, log.ready_at[0]))
    span = int(max(log.time[-1], log.ready_at[-1])) - start + 1
    axis = (code * span + (log.ready_at - start))[order]
    counted = np.concatenate([[0], np.cumsum(log.label[order] if clicks else np.ones(len(log), dtype=np.int64))])
    first = np.searchsorted(axis, code * span, side="left")
    seen = np.searchsorted(axis, code * span + (log.time // sync * sync - start), side="right")
    return np.asarray(counted[np.maximum(seen, first)] - counted[first], dtype=np.int64)


def cold_slices(data: RealLog, sync: int) -> dict[str, Flags]:
    """Test rows whose user or video is cold by what was visible at scoring time: name -> bool [T].

    Which interactions the paper counts is not said: impressions and clicks are counted apart.
    """
    log, test = data.impressions, data.test
    found = {}
    for side, key in (("users", log.user), ("videos", log.ad)):
        shows, clicks = (visible(log, key, sync, clicks=which)[test] for which in (False, True))
        found[f"{side} with at most {COLD} impressions"] = shows <= COLD
        found[f"{side} with at most {COLD} clicks"] = clicks <= COLD
        found[f"{side} never seen"] = shows == 0
    return found


def slice_described(rows: Flags, test: Impressions) -> dict[str, Any]:
    """Size and click rate of a slice of the test rows."""
    n = int(rows.sum())
    return {"rows": n, "clicks": int(test.label[rows].sum()), "users": int(np.unique(test.user[rows]).size)}


def _of(logits: Mapping[str, Sequence[Array]], rows: Flags) -> dict[str, list[Array]]:
    return {model: [x[rows] for x in all_seeds] for model, all_seeds in logits.items()}


# --- robustness, days, the log itself ---


def noise_described(levels: Sequence[float], scored: Cells) -> dict[str, Any]:
    """AUC under noise on the inputs, by scale and arm, and its fall from the first level, with intervals over seeds."""
    arms = {model: [one.noise for one in cells] for model, cells in scored.items() if cells[0].noise}
    scales = list(next(iter(arms.values()))[0]) if arms else []
    return {
        "levels": list(levels),
        "scales": {
            scale: {
                model: {
                    "auc": [over_seeds([one[scale][i] for one in seeds]) for i in range(len(levels))],
                    "fall": [over_seeds([one[scale][0] - one[scale][i] for one in seeds]) for i in range(len(levels))],
                }
                for model, seeds in arms.items()
            }
            for scale in scales
        },
    }


def by_day(logits: Mapping[str, Sequence[Array]], data: RealLog) -> dict[str, Any]:
    """AUC of each day of the log, with intervals over seeds."""
    dates = np.unique(data.date)
    first = data.date[data.test].min() if data.test.any() else dates.max() + 1
    return {
        "date": dates.tolist(),
        "test": [bool(day >= first) for day in dates],
        "rows": [int((data.date == day).sum()) for day in dates],
        "auc": {shown(name): daily_auc(x, data, dates) for name, x in logits.items()},
    }


def daily_auc(logits: Sequence[Array], data: RealLog, dates: Array) -> dict[str, list[float | None]]:
    """AUC of each day, mean over seeds with its t interval."""
    days = [data.date == day for day in dates]
    label = data.impressions.label
    found = [over_seeds([auc(logit[day], label[day]) for logit in logits]) for day in days]
    lows, highs = ([None if one["ci"] is None else one["ci"][end] for one in found] for end in (0, 1))
    return {"mean": [one["mean"] for one in found], "lo": lows, "hi": highs}


def described(data: RealLog) -> dict[str, Any]:
    """The log in numbers: sizes, what was dropped and why."""
    report, test = data.report, data.test
    return {
        "users": data.catalog.users.rows,
        "videos": data.catalog.ads.rows,
        "rows": report.rows,
        "duplicates": report.duplicates,
        "earlier": report.earlier,
        "kept": report.kept,
        "train_rows": int((~test).sum()),
        "test_rows": int(test.sum()),
        "test_clicks": int(data.impressions.label[test].sum()),
        "test_users": int(np.unique(data.impressions.user[test]).size),
        "click_rate": report.click_rate,
        "gauc_covered": _covered(data),
        "history": report.history_source,
        "malformed": [
            {"file": m.file, "kind": m.kind, "count": m.count, "lines": list(m.lines)} for m in report.malformed
        ],
    }


def _covered(data: RealLog) -> float:
    """Share of the test rows whose user has both a click and none among them: what GAUC is about."""
    label, user = data.impressions.label[data.test], data.impressions.user[data.test]
    return gauc(np.zeros(label.size), label, user).covered


def shown(model: str) -> str:
    """A model's name in the tables: rankers are spelled out."""
    return f"ranker {model[1:]}" if model.startswith("@") else model


def lines(results: Record) -> list[str]:
    """The results as the lines of a table for a terminal: means with 95 % intervals over seeds, then the contrasts."""

    def spelled(value: Record) -> str:
        if value["mean"] is None:
            return "n/a"
        ends = [end for end in value["ci"] or () if end is not None]
        return f"{value['mean']:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")

    data = results["data"]
    titles = ("", "AUC", "GAUC", "log loss", "AUC frozen", "tau")
    text = [
        f"{data['name']}: {data['test_rows']:,} test rows after {data['train_rows']:,}; "
        f"{data['duplicates']:,} duplicates dropped, {sum(m['count'] for m in data['malformed']):,} malformed",
    ]
    rows = []
    for row in results["rows"]:
        values = [row[key] for key in ("auc", "gauc", "logloss")]
        values += [row["frozen"]["auc"] if row["frozen"] else None, row["tau"]]
        rows.append([row["name"], *("" if value is None else spelled(value) for value in values)])
    text += table("", titles, rows).text(least=(0, 24, 24, 24, 24, 24))
    for pair in results["contrasts"]:
        users = pair["users"]
        known = users["ci"][0] is not None
        gain = (
            f"{users['effect']:+.4f}, 95 % over users [{users['ci'][0]:+.4f}, {users['ci'][1]:+.4f}]"
            if known
            else "n/a"
        )
        text.append(f"{pair['treatment']} - {pair['control']}: AUC {gain}")
    text += [f"{found['mechanism'].upper()}: {found['word']}. {found['reason']}" for found in results["verdicts"]]
    return text
