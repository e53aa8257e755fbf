"""Which models are compared, and what comes of it: differences over seeds and over users, the share of the gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.numbers.corrections import benjamini_hochberg
from reports.numbers.paired import paired_difference
from reports.numbers.resampling import PairedBootstrap, from_draws
from reports.studies.offline.measures import MEASURES
from reports.studies.offline.resampled import Resampled

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


def adjust(contrasts: Sequence[dict[str, Any]]) -> None:
    """Benjamini-Hochberg over the comparisons with the base, in place."""
    if not contrasts:
        return
    adjusted = benjamini_hochberg([pair["users"]["p"] for pair in contrasts])
    for pair, q in zip(contrasts, adjusted, strict=True):
        pair["users"]["q"] = float(q)


def gap_closed(model: str, names: Sequence[str], resampled: Resampled) -> dict[str, Any] | None:
    """Share of the AUC gap between base and ranker that an arm closes; None where the gap's interval includes 0."""
    base, rankers = base_of(names), [name for name in resampled.models if name.startswith("@")]
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
