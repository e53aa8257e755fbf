"""An A/B test in a terminal: the verdict and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import tables


def _percent(x: float | None, digits: int = 2) -> str:
    return "n/a" if x is None else f"{100 * x:+.{digits}f} %"


def table(results: Mapping[str, Any]) -> str:
    """The verdict and the metrics, for a terminal."""
    control, treatment = results["control"], results["treatment"]
    head = f"{results['scenario']}: {treatment} against {control}, {len(results['worlds'])} twin worlds"
    rows: list[tuple[str, ...]] = []
    for m in results["metrics"].values():
        relative = m["kind"] == "ratio"
        effect = m["rel_effect"] if relative else m["effect"]
        spell = _percent if relative else (lambda x: "n/a" if x is None else f"{x:+.4f}")
        lo, hi = m["ci"]
        rows.append(
            (
                m["label"],
                _number(m["control"]),
                _number(m["treatment"]),
                spell(effect),
                f"{spell(lo)} to {spell(hi)}",
                "n/a" if m["p"] is None else f"{m['p']:.3f}",
                "" if m["p_holm"] is None else f"{m['p_holm']:.3f}",
            )
        )
    columns = ("", control, treatment, "effect", "95 % CI", "p", "Holm")
    aligned = tables.table("", columns, [*rows, *_segments(results)]).text("lr")
    found = results["verdict"]
    lamps = [f"  [{light['state']}] {light['text']}" for light in found["lights"]]
    served = [
        f"index of {arm}: finds {one['mean']:.2%} of what exact search finds (mean over {one['n_worlds']} worlds)"
        for arm, one in results.get("index_recall", {}).items()
    ]
    verdict = f"verdict: {found['word'].upper()}. {found['reason']}"
    return "\n".join([head, "", *aligned, "", *served, *([""] if served else []), verdict, *lamps])


def _segments(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Lift of expected revenue by segment, under the metrics' columns; the page has the other measures."""
    found = [one for one in results.get("segments") or () if one["measure"] == "expected_revenue"]
    rows: list[tuple[str, ...]] = [("",) * 7, ("Expected revenue from", "", "", "", "", "", "q")]
    for one in found:
        sides = (_number(one["control"]), _number(one["treatment"]))
        lo, hi = one["ci"]
        tests = ("n/a" if one[key] is None else f"{one[key]:.3f}" for key in ("p", "q"))
        rows.append((one["label"], *sides, _percent(one["rel_effect"]), f"{_percent(lo)} to {_percent(hi)}", *tests))
    return rows if found else []


def _number(x: float | None) -> str:
    if x is None:
        return "n/a"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}"
