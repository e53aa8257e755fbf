"""Learning curves over simulated days: their means, whether they are flat, and what the seam did to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.plateau import Plateau, moved, plateau
from reports.studies.market.lights import SEAM_LIMIT
from simulator.scenario import Scenario

Facts = Mapping[str, Any]


def curve(series: npt.ArrayLike) -> dict[str, Any]:
    """Mean over worlds [W, T] with pointwise t intervals."""
    x = np.asarray(series, dtype=np.float64)
    mean = x.mean(axis=0)
    half = np.full(mean.shape, np.nan)
    if len(x) > 1:
        half = stats.t.ppf(0.975, len(x) - 1) * x.std(axis=0, ddof=1) / np.sqrt(len(x))
    return {"mean": mean, "lo": mean - half, "hi": mean + half}


def learning(scenario: Scenario, arm: Sequence[Facts]) -> dict[str, Any]:
    """The panel over simulated days; whether it is flat, in burn-in and test; what the seam did to it.

    Tau is shown, not judged, and absent where a cell did not read it.
    """
    burn, days = scenario.run.burn_in, scenario.run.days
    out: dict[str, Any] = {
        "day": list(range(1, burn + days + 1)),
        "phase": ["burn-in"] * burn + ["test"] * days,
        "plateau": {},
        "seam": {},
    }
    for key, higher in (("recall", True), ("logloss", False)):
        series = _nightly(arm, key)
        out[key] = curve(series)
        if np.isfinite(series).all():
            judged = list(_phases(series, burn, higher))
            if judged:
                out["plateau"][key] = next((p for p in judged if p.rising or p.worsening), judged[0])._asdict()
            step = _step(series, burn, higher)
            out["seam"] |= {} if step is None else {key: step._asdict()}
    if all(f["panel"].get("tau") for f in arm):
        out["tau"] = curve(_nightly(arm, "tau"))
    return out


def _nightly(arm: Sequence[Facts], key: str) -> npt.NDArray[np.float64]:
    """A measure of the panel -> float64 [W, T]."""
    return np.array([[np.nan if v is None else v for v in f["panel"][key]] for f in arm])


def _phases(series: npt.NDArray[np.float64], burn: int, higher_is_better: bool) -> Iterator[Plateau]:
    """Burn-in and test apart: the seam changes what is logged, so a curve may step there without being unfinished.

    A phase of one day, or one that was 0 a quarter ago, has no relative change.
    """
    for part in (series[:, :burn], series[:, burn:]):
        quarter = max(1, part.shape[1] // 4)
        if part.shape[1] > 1 and part[:, -2 * quarter : -quarter].any(axis=1).all():
            yield plateau(part, higher_is_better)


def _step(series: npt.NDArray[np.float64], burn: int, higher_is_better: bool) -> Plateau | None:
    """Relative change from the burn-in's last quarter to the test's second half, mean over worlds with a t interval.

    None where a world's burn-in ended at 0.
    """
    before = series[:, burn - max(1, burn // 4) : burn].mean(axis=1)
    after = series[:, burn + (series.shape[1] - burn) // 2 :].mean(axis=1)
    if not before.all():
        return None
    c = curve(((after - before) / np.abs(before))[:, None])
    change, lo, hi = (float(c[key][0]) for key in ("mean", "lo", "hi"))
    return Plateau(change, lo, hi, *moved(change, lo, hi, higher_is_better, SEAM_LIMIT))
