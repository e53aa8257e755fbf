"""The top of the page: lights, the main metric, and the tiles of a reader in a hurry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction, effect
from reports.pages.parts import (
    ARROW,
    LIGHTS,
    TONES,
    Tile,
    speller,
    worlds,
)

Record = Mapping[str, Any]


def lights(results: Record) -> list[dict[str, str]]:
    """The verdict's lights with their tone and shape; a state we do not know is grey."""
    found = (results.get("verdict") or {}).get("lights") or ()
    spelled = []
    for light in found:
        tone, shape = LIGHTS.get(str(light.get("state")).lower(), ("", "\N{WHITE CIRCLE}"))
        state, text = str(light.get("state") or "unknown"), str(light.get("text") or "")
        spelled.append({"name": str(light.get("name", "")), "state": state, "text": text, "tone": tone, "shape": shape})
    return spelled


def main_metric(results: Record) -> Record | None:
    """The metric that the verdict is about: revenue, else the first headline metric, else the first."""
    metrics = results.get("metrics") or {}
    for key in ("revenue", "revenue_per_1000"):
        if metrics.get(key):
            return dict(metrics[key])
    headline = [metric for metric in metrics.values() if metric.get("headline")]
    return next(iter([*headline, *metrics.values()]), None)


def tiles(results: Record, timing: Record) -> list[Tile]:
    """The numbers that a reader in a hurry takes away."""
    return [*_metric_tiles(results), *_latency_tile(results, timing), *_saved_tile(results)]


def _metric_tiles(results: Record) -> list[Tile]:
    main = main_metric(results)
    recall = next((m for key, m in (results.get("metrics") or {}).items() if key.startswith("recall")), None)
    built = []
    for metric in (main, recall):
        if metric:
            spell = speller(metric)
            word = "lift" if metric.get("kind") == "ratio" else "change"
            ends = wording.span(metric.get("ci"), spell)
            detail = f"95% CI {ends}, {_equals(metric.get('p'))}, {worlds(metric.get('n_worlds'))}"
            tone = TONES.get(direction(metric), "")
            built.append(
                Tile(label=f"{metric.get('label')} {word}", value=spell(effect(metric)), detail=detail, tone=tone)
            )
    return built


def _equals(p: Any) -> str:
    """A p value as p = 0.003 or p < 0.001, held on one line by no-break spaces."""
    spelled = wording.p_value(p)
    return f"p {spelled if spelled.startswith('<') else f'= {spelled}'}".replace(" ", "\N{NO-BREAK SPACE}")


def p50s(results: Record, timing: Record) -> list[Any]:
    """Median retrieval latency of control and treatment in ms; None where it was not timed."""
    found = timing.get("latency") or {}
    pair = (str(results.get("control")), str(results.get("treatment")))
    return [((((found.get(arm) or {}).get("retrieval") or {}).get("p50_ms")) or {}).get("value") for arm in pair]


def _latency_tile(results: Record, timing: Record) -> list[Tile]:
    before, after = p50s(results, timing)
    if not (wording.known(before) and wording.known(after)) or results.get("control") == results.get("treatment"):
        return []
    value = f"{wording.milliseconds(before)} {ARROW} {wording.milliseconds(after)}"
    change = wording.percent(after / before - 1) if before > 0 else wording.MISSING
    return [Tile(label="Retrieval p50, ms", value=value, detail=f"{change}, one request at a time, one thread")]


def _saved_tile(results: Record) -> list[Tile]:
    saved = results.get("k_saved") or {}
    if not wording.known(saved.get("equal_revenue_k")):
        return []
    value = f"{wording.number(saved.get('k'))} {ARROW} {saved['equal_revenue_k']:.0f}"
    return [Tile(label="K at equal revenue", value=value, detail=f"95% CI {k_span(saved)}")]


def k_span(saved: Record) -> str:
    """The interval of the K that earns what the control earns, in words."""
    return wording.span((saved.get("lo"), saved.get("hi")), lambda end: f"{end:.0f}")
