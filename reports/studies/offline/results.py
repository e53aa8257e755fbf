"""The numbers of an offline replay, from the scores that its cells left: no model is seen here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reports.numbers.discrimination import gauc
from reports.numbers.mechanisms import verdicts
from reports.studies.offline.averages import smoothed_averages
from reports.studies.offline.comparisons import adjust, base_of, compared, contrast, gap_closed
from reports.studies.offline.curves import by_day, noise_described
from reports.studies.offline.measures import measured_on, measures_over_seeds, tau_over_seeds
from reports.studies.offline.resampled import Resampled
from reports.studies.offline.scored import Cells, row_name
from reports.studies.offline.slices import at_rows, cold_slices, slice_described
from simulator.datasets.log import RealLog
from simulator.experiment import plain

AVERAGES = {"averages: user + video": None, "averages: user + video + tab": "tab"}
"""Row of the results -> context field that is averaged too; left out for a log that has no such field."""
Record = Mapping[str, Any]


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
    by_slice = {
        name: Resampled(log[test][rows], at_rows(everything, rows)) for name, rows in cold.items() if rows.any()
    }
    contrasts = [
        contrast(control, treatment, measured, frozen, resampled, by_slice)
        for control, treatment in compared(study["arms"])
    ]
    adjust([pair for pair in contrasts if pair["control"] == base_of(study["arms"])])
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
                    "name": row_name(name),
                    "kind": kinds[name],
                    **measures_over_seeds(values),
                    "frozen": measures_over_seeds(frozen[name]) if name in frozen else None,
                    "tau": tau_over_seeds(scored.get(name, ())),
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
