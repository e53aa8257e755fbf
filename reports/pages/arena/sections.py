"""What an arena's page says, from the dicts of its run; `markdown` writes the same tables for a terminal or a document.

Nothing here computes a statistic. A section without numbers is not built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction
from reports.drawing.tables import Cell, Table, table
from reports.numbers.mechanisms import WORTH_REVENUE
from reports.pages.ab.costs import latency
from reports.pages.arena.figures import HIT, MONEY, in_plane, ranked
from reports.pages.parts import Section, appendix, effect_cell, worlds
from reports.records.spelling import capitals

Record = Mapping[str, Any]


def build(results: Record, timing: Record, manifest: Record, drawn: Mapping[str, str]) -> list[Section]:
    """The page's sections, in order."""
    timed = bool(timing.get("latency"))
    every = [
        standings(results, drawn),
        mechanisms(results, drawn) if results.get("mechanisms") else None,
        plane(results, timing, drawn) if timed else None,
        equal_latency(results, timing, drawn) if timing.get("equal_latency") else None,
        hard_online(results, timing),
        learned(results),
        latency({**results, "metrics": {}}, timing) if timed else None,
        settings(results),
        appendix(results, timing, manifest),
    ]
    return [section for section in every if section is not None]


def headline(results: Record) -> str:
    """One sentence: who earns surely more than the reference, and who surely less."""
    told = {arm: row for arm, row in results["arms"].items() if row["role"] != "reference"}
    better, worse = (
        [arm for arm in ranked(results, bounds=False) if direction(told[arm]["metrics"]["revenue"]) == side]
        for side in ("better", "worse")
    )
    base = results["reference"]
    parts = [
        f"{', '.join(better)} earn{'s' if len(better) == 1 else ''} more than {base}" if better else
        f"no rival earns surely more than {base}",
        f"{', '.join(worse)} earn{'s' if len(worse) == 1 else ''} less" if worse else "none earns surely less",
    ]  # fmt: skip
    said = "; ".join(parts)
    over = worlds(len(results["worlds"]))
    return f"{said[0].upper()}{said[1:]} (95% intervals of revenue over {over}, not corrected; q below is)."


def standings(results: Record, drawn: Mapping[str, str]) -> Section:
    """Every arm beside the reference."""
    base, k = results["reference"], wording.number(results["k"])
    rows = []
    for arm in ranked(results):
        row = results["arms"][arm]
        found = row["metrics"]
        if arm == base:
            lift: list[str | Cell] = ["the base", "", "the base", ""]
        else:
            lift = [
                effect_cell(found["revenue"]), wording.p_value(found["revenue"].get("q")),
                effect_cell(found[MONEY]), wording.p_value(found[MONEY].get("q")),
            ]  # fmt: skip
        own = [wording.number(found[key].get("treatment")) for key in (HIT, "captured", "tau", "retriever_auc")]
        rows.append([arm, row["role"], *lift, *own])
    columns = ("Arm", "Role", "Revenue", "q", "Expected revenue", "q", f"Recall@{k}", "Value captured", "Tau", "AUC")
    return Section(
        key="standings",
        title="Who earns most",
        lead=headline(results),
        figure="lifts" if "lifts" in drawn else "",
        alt=f"Dot plot: lift of expected revenue of every arm over {base} with 95% intervals.",
        caption=f"Lifts over {base}, 95% t intervals over {worlds(len(results['worlds']))}, paired; q: "
        "Benjamini-Hochberg over all rivals and controls. Revenue: money paid, common luck. Expected: the same slates "
        "with clicks replaced by their true chance. Recall and captured value: against the true eCPM order; tau: with "
        "a ranker that taught no arm.",
        tables=(table("", columns, rows, shown=True),),
    )


def mechanisms(results: Record, drawn: Mapping[str, str]) -> Section:
    """CS3 and its parts on every backbone, over the same backbone without."""
    rows = []
    for one in results["mechanisms"].values():
        found = one["metrics"]
        rows.append(
            [one["over"], capitals(one["adds"]), one["word"], effect_cell(found["revenue"]),
             wording.p_value(found["revenue"].get("q")), effect_cell(found[MONEY]),
             wording.p_value(found[MONEY].get("q")), effect_cell(found[HIT]), effect_cell(found["tau"])]
        )  # fmt: skip
    columns = (
        "Arm", "Adds", "The claim of a gain", "Revenue", "q", "Expected revenue", "q", f"Recall@{results['k']}", "Tau"
    )  # fmt: skip
    return Section(
        key="mechanisms",
        title="What CS3 and its parts add",
        figure="mechanisms" if "mechanisms" in drawn else "",
        alt="Dot plot: lift of expected revenue by CS3 or a part of it over each arm without it, 95% intervals.",
        caption=f"Each arm with the mechanism against itself without, 95% t intervals over "
        f"{worlds(len(results['worlds']))}, paired; q: Benjamini-Hochberg over the rows. A claim is supported if q "
        "is at most 0.05 and the interval of revenue lies above 0, not supported if it rules out "
        f"{wording.percent(WORTH_REVENUE)}.",
        tables=(table("", columns, rows, shown=True),),
    )


def plane(results: Record, timing: Record, drawn: Mapping[str, str]) -> Section:
    """Money, recall and time, and who is dominated."""
    placed = timing["pareto"]
    rows = []
    for place, arm in enumerate(in_plane(results, timing), 1):
        one, found, p50 = placed[arm], results["arms"][arm]["metrics"], timing["latency"][arm]["retrieval"]["p50_ms"]
        by = one["dominated_by"]
        sure = "" if by is None else "yes" if one["surely"] else "within the noise of money"
        time = f"{wording.milliseconds(p50['value'])} {wording.span((p50['lo'], p50['hi']), wording.milliseconds)}"
        money = "the base" if arm == results["reference"] else effect_cell(found[MONEY])
        rows.append([str(place), arm, time, money, wording.number(found[HIT]["treatment"]), by or "", sure])
    front = [arm for arm in in_plane(results, timing) if placed[arm]["dominated_by"] is None]
    columns = ("", "Arm", "Retrieval p50, ms", "Expected revenue", "Recall", "Dominated by", "Surely")
    return Section(
        key="plane",
        title="Money, recall and time",
        lead=f"Not dominated: {', '.join(front)}.",
        figure="pareto" if "pareto" in drawn else "",
        alt="Two panels over retrieval latency: lift of expected revenue, and recall; dominated arms are hollow.",
        caption="An arm is dominated if another retrieves as fast or faster, finds no less, earns no less, and is "
        "better in one of the three. Bars: 95% t intervals over worlds (recall: of the difference from the reference), "
        f"order-statistic intervals over requests (n = {_requests(timing)}).",
        tables=(table("", columns, rows, shown=True),),
    )


def _requests(timing: Record) -> str:
    counts = {one["retrieval"]["n"] for one in timing["latency"].values()}
    return " to ".join(wording.number(n) for n in sorted({min(counts), max(counts)}))


def equal_latency(results: Record, timing: Record, drawn: Mapping[str, str]) -> Section:
    """What is left at equal latency."""
    found = timing["equal_latency"]
    rows = []
    for arm in ranked(results, bounds=False):
        if arm not in found:
            continue
        one = found[arm]
        if one["k"] is None:
            rows.append([arm, wording.MISSING, one["reason"]])
            continue
        lift = f"{wording.percent(one['rel_effect'])} {wording.span(one['ci'], wording.percent)}"
        more = " (the most that was measured)" if one.get("at_the_end") else ""
        rows.append([arm, f"{one['k']:.1f}{more}", "the base" if arm == results["reference"] else lift])
    budget = next(iter(found.values()))["budget_ms"]
    return Section(
        key="equal",
        title="At equal latency",
        lead=f"Every cascade may take {wording.milliseconds(budget)} ms at p50, what {results['reference']} takes at "
        f"K = {results['k']}: a slower retriever pays with candidates, a faster one gets more.",
        figure="equal_latency" if "equal_latency" in drawn else "",
        alt="Dot plot: lift of expected revenue of every arm at the number of candidates that it can afford.",
        caption="Expected revenue of the final evaluation (frozen state, first exposures) at the K whose cascade p50 "
        f"meets the budget, linear between measured K; 95% t intervals over {worlds(len(results['worlds']))}, paired.",
        tables=(table("", ("Arm", "K that it affords", "Expected revenue"), rows, shown=True),),
    )


def hard_online(results: Record, timing: Record) -> Section:
    """Costs of keeping an arm alive."""
    kept = timing.get("upkeep") or {}
    rows = []
    for arm in ranked(results, bounds=False):
        row = results["arms"][arm]
        cost, own, old = row.get("cost") or {}, kept.get(arm) or {}, row["staleness"]
        rate, sync = own.get("train_rows_per_second") or {}, own.get("sync_ms") or {}
        qps = ((timing.get("latency") or {}).get(arm) or {}).get("qps_batch") or {}
        rows.append(
            [
                arm, *(wording.number(cost.get(key)) for key in ("item_bytes", "user_flops", "scan_flops")),
                wording.number(round(rate["value"], -1)) if rate else wording.MISSING,
                wording.milliseconds(sync.get("value")), wording.number(row["ranker_calls"]),
                wording.number(round(old["published_seconds"])), wording.number(round(old["newest_event_seconds"])),
                wording.number(round(qps["qps"])) if qps else wording.MISSING,
            ]
        )  # fmt: skip
    columns = (
        "Arm", "Bytes an ad", "FLOPs, user", "FLOPs, scan", "Training rows/s", "Sync, ms", "Extra ranker calls",
        "Age of what is served, s", "Age of newest event, s", "QPS in batches",
    )  # fmt: skip
    return Section(
        key="online",
        title="What makes it hard online",
        caption="One thread. Training: median rows a second in updates of 2,048 rows. Sync: from its begin to the "
        f"first answer out of what it published, {wording.number(results['ads'])} ads, all encoded anew. Teachers' "
        "figures are on the log's rows, so no arm calls the ranker more often. Ages: means over impressions, by the "
        "simulated clock.",
        tables=(table("", columns, rows, shown=True),),
    )


def learned(results: Record) -> Section:
    """Whether each arm has flattened."""
    rows: list[list[str | Cell]] = []
    for arm, one in results["learning"].items():
        cells: list[str | Cell] = [arm]
        for key in ("recall", "logloss"):
            plateau = (one.get("plateau") or {}).get(key)
            cells.append(_moving(plateau))
        rows.append([*cells, _since(one.get("seam") or {})])
    return Section(
        key="learned",
        title="Have they finished learning?",
        caption="Change of the nightly panel's recall and log loss from the quarter before the last to the last, of "
        "burn-in or of test; the seam: change of recall from the burn-in's end to the test, when an arm begins to "
        "learn from its own log; that of log loss beside it where it is a worsening.",
        tables=(table("", ("Arm", "Recall", "Log loss", "Seam"), rows, shown=True),),
    )


def _moving(change: Record | None) -> Cell:
    """A relative change within a phase, and what it is unless the curve is flat; n/a where there is none."""
    if change is None:
        return Cell(text=wording.MISSING)
    word = "still improving" if change["rising"] else "worsening" if change.get("worsening") else ""
    return Cell(text=wording.percent(change["change"]) + (f", {word}" if word else ""), tone="warn" if word else "")


def _since(seam: Record) -> Cell:
    """Change of recall at the seam, and that of log loss if it worsened."""
    recall, loss = seam.get("recall") or {}, seam.get("logloss") or {}
    text = wording.percent(recall.get("change"))
    worse = [f"log loss {wording.percent(loss['change'])}"] if loss.get("worsening") else []
    return Cell(text="; ".join([text, *worse]), tone="warn" if worse or recall.get("worsening") else "")


def settings(results: Record) -> Section:
    """The settings of every arm, by the same search."""
    keys = list(dict.fromkeys(key for one in results["settings"].values() for key in one))
    rows = [[arm, *(str(one.get(key, "default")) for key in keys)] for arm, one in results["settings"].items() if one]
    said = "The same space and budget for every rival, in a world that no report uses." if results["tuned"] else (
        "This scenario has no search of its own: every arm has the defaults."
    )  # fmt: skip
    tables: tuple[Table, ...] = (table("", ("Arm", *keys), rows),) if rows else ()
    return Section(key="settings", title="Settings", caption=said, tables=tables)
