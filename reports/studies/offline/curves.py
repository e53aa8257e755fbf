"""AUC along something: the noise on the inputs, the days of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.numbers.discrimination import auc
from reports.studies.offline.measures import over_seeds
from reports.studies.offline.scored import Array, Cells, row_name
from simulator.datasets.log import RealLog


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
        "auc": {row_name(name): daily_auc(x, data, dates) for name, x in logits.items()},
    }


def daily_auc(logits: Sequence[Array], data: RealLog, dates: Array) -> dict[str, list[float | None]]:
    """AUC of each day, mean over seeds with its t interval."""
    days = [data.date == day for day in dates]
    label = data.impressions.label
    found = [over_seeds([auc(logit[day], label[day]) for logit in logits]) for day in days]
    lows, highs = ([None if one["ci"] is None else one["ci"][end] for one in found] for end in (0, 1))
    return {"mean": [one["mean"] for one in found], "lo": lows, "hi": highs}
