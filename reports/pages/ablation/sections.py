"""What an ablation's page says, from the dicts of its run. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction
from reports.drawing.tables import Cell, table
from reports.numbers.mechanisms import WORTH_REVENUE
from reports.numbers.published import ONLINE, PAPER
from reports.pages.parts import Section, appendix, effect_cell, worlds

Record = Mapping[str, Any]
MONEY = "expected_revenue"


def build(results: Record, timing: Record, manifest: Record, drawn: Mapping[str, str]) -> list[Section]:
    """The page's sections, in order."""
    every = [
        cells(results, timing, drawn),
        counters(results),
        steps(results),
        paper(results, timing),
        effects(results, drawn),
        best(results, drawn),
        harm(results),
        nulls(results),
        lights(results),
        appendix(results, timing, manifest),
    ]
    return [section for section in every if section is not None]


def headline(results: Record) -> str:
    """One sentence: in how many scenarios some cell surely earns more than the base on fresh worlds, corrected."""
    base = results["base"]
    real = {name: one for name, one in results["scenarios"].items() if not one["null"]}
    sure = [
        f"{arm} in {name}"
        for name, one in real.items()
        for arm, row in one["cells"].items()
        if arm != base and _sure(row["metrics"]["revenue"])
    ]
    count = len(real) * (len(results["cells"]) - 1)
    said = f"surely more than {base}: {', '.join(sure)}" if sure else f"no cell earns surely more than {base}"
    return f"Of {count} cells in {len(real)} scenario{'s' * (len(real) != 1)}, {said} (revenue, q at most 0.05)."


def _sure(metric: Record) -> bool:
    return direction(metric) == "better" and wording.known(metric.get("q")) and metric["q"] <= 0.05


def cells(results: Record, timing: Record, drawn: Mapping[str, str]) -> Section:
    """All eight cells of every scenario."""
    columns = (
        "Cell", "The claim of a gain", "Revenue", "q", "Expected revenue", "q", "Active advertisers", "Recall@K", "Tau",
        "QPS of retrieval",
    )  # fmt: skip
    tables = []
    for name, one in results["scenarios"].items():
        timed = (timing.get("serving") or {}).get(name) or {}
        rows: list[list[str | Cell]] = []
        for arm, row in one["cells"].items():
            found = row["metrics"]
            if arm == results["base"]:
                own = [wording.number(found.get(key, {}).get("control")) for key in ("recall", "tau")]
                rows.append([arm, "the base", "", "", "", "", "", *own, ""])
                continue
            shown = [found.get(key, {}) for key in ("active_advertisers", "recall", "tau")]
            rows.append(
                [arm, row["word"], effect_cell(found["revenue"]), wording.p_value(found["revenue"].get("q")),
                 effect_cell(found[MONEY]), wording.p_value(found[MONEY].get("q")),
                 *(effect_cell(metric) for metric in shown), _qps(timed.get(arm))]
            )  # fmt: skip
        said = f"{name}: {worlds(len(one['worlds']))}, {one['days']['burn_in']} + {one['days']['test']} days, "
        said += f"K = {one['k']} of {wording.number(one['ads'])} ads"
        tables.append(table(said, columns, rows, shown=True))
    return Section(
        key="cells",
        title="All eight cells",
        lead=headline(results),
        figure="cells" if "cells" in drawn else "",
        alt="Dot plot: lift of expected revenue of every cell over the base with 95% intervals, by scenario.",
        caption="Fresh worlds; effects over the base with 95% t intervals, paired over worlds; q: Benjamini-Hochberg "
        "over all cells of all scenarios but the null worlds. Active advertisers: those with a click on a day, mean "
        "over days. A claim is supported if the interval of revenue lies above 0 and q is at most 0.05, not supported "
        f"if the interval rules out {wording.percent(WORTH_REVENUE)}. QPS: single requests on the serving path, one "
        "thread, median over paired requests with its order-statistic interval. " + _settings(results),
        tables=tuple(tables),
    )


def _settings(results: Record) -> str:
    if results["settings"]["how"] == "shared":
        return f"Every cell has the settings of {results['base']}: cells differ by mechanisms alone."
    return "Every cell has its own search's settings."


def _qps(timed: Record | None) -> str:
    if not timed:
        return wording.MISSING
    change = timed["qps_change"]
    return f"{wording.percent(change['value'])} {wording.span((change['lo'], change['hi']), wording.percent)}"


def counters(results: Record) -> Section | None:
    """What counters alone gain, beside what full CS3 adds to them."""
    rows: list[list[str | Cell]] = []
    for name, one in results["scenarios"].items():
        if one.get("counters"):
            full = one["cells"]["dssm+cs3"]["metrics"]
            gained = [effect_cell(one["counters"][key]) for key in ("revenue", MONEY)]
            rows.append([name, *gained, effect_cell(full["revenue"]), effect_cell(full[MONEY])])
    if not rows:
        return None
    columns = (
        "Scenario", "Counters: revenue", "Counters: expected revenue", "CS3: revenue", "CS3: expected revenue",
    )  # fmt: skip
    return Section(
        key="counters",
        title="What online counters alone gain",
        caption="Counters: the base over itself without them (dssm-bare), with the same settings where cells share "
        "them; CS3: full CS3 over the base. Fresh worlds, 95% t intervals, not corrected.",
        tables=(table("", columns, rows, shown=True),),
    )


def steps(results: Record) -> Section:
    """The paper's order: CAS, then CMS, then CTS, each over the cell before."""
    rows: list[list[str | Cell]] = []
    for name, one in results["scenarios"].items():
        for step in one["steps"]:
            found = step["metrics"]
            rows.append(
                [name, step["arm"], step["adds"].upper(), step["word"], effect_cell(found["revenue"]),
                 wording.p_value(found["revenue"].get("q")), effect_cell(found[MONEY]),
                 wording.p_value(found[MONEY].get("q")), effect_cell(found["recall"]), effect_cell(found["tau"])]
            )  # fmt: skip
    columns = (
        "Scenario", "Cell", "Adds", "The claim of a gain", "Revenue", "q", "Expected revenue", "q", "Recall@K", "Tau",
    )  # fmt: skip
    return Section(
        key="steps",
        title="Step by step",
        caption="Each cell over the one before it, in the paper's order, fresh worlds, 95% t intervals; q: "
        "Benjamini-Hochberg over all steps of all scenarios but the null worlds. Claims as above.",
        tables=(table("", columns, rows, shown=True),),
    )


def paper(results: Record, timing: Record) -> Section | None:
    """Ours beside the paper's online figures."""
    names = [name for name, one in results["scenarios"].items() if not one["null"]]
    if not names:
        return None
    rows: list[list[str | Cell]] = []
    for line in ONLINE:
        theirs = ["not published" if value is None else f"{value:+.3g}%" for value in line.percent]
        own: list[str | Cell] = []
        for name in names:
            if line.key == "qps":
                own.append(_qps(((timing.get("serving") or {}).get(name) or {}).get(line.arm)))
            else:
                own.append(effect_cell(results["scenarios"][name]["cells"][line.arm]["metrics"].get(line.key, {})))
        rows.append([line.what, *theirs, *own])
    return Section(
        key="paper",
        title="Beside the paper",
        caption=f"The paper's online A/B tests ({PAPER}), per cent over its base, in its three scenarios; ours are the "
        "simulator's, over dssm. Its systems, traffic and base are not public, so signs and orders compare, sizes do "
        "not. Its QPS is of a whole service, ours of retrieval alone among this scenario's few ads, where the tower "
        "is most of the work. Its tau gains have no published unit; ours are differences of tau.",
        tables=(table("", ("Figure", "Paper, first", "second", "third", *names), rows, shown=True),),
    )


def effects(results: Record, drawn: Mapping[str, str]) -> Section:
    """Main effects and interactions of the factorial design."""
    rows: list[list[str | Cell]] = []
    for name, one in results["scenarios"].items():
        for key, effect in one["effects"][MONEY].items():
            revenue = one["effects"]["revenue"][key]
            label = key.upper().replace(" X ", " × ")
            rows.append([name, label, effect_cell(revenue), effect_cell(effect), wording.p_value(effect["p"])])
    return Section(
        key="effects",
        title="What each mechanism gives",
        figure="effects" if "effects" in drawn else "",
        alt="Dot plot: main effect of CAS, CTS and CMS on expected revenue by scenario, 95% intervals.",
        caption="Main effect: mean over the four settings of the other two mechanisms, so every world counts four "
        "times. Interaction (×): what is gained by having both beyond the sum. 95% t intervals over worlds, not "
        "corrected.",
        tables=(table("", ("Scenario", "Effect", "Revenue", "Expected revenue", "p"), rows, shown=True),),
    )


def best(results: Record, drawn: Mapping[str, str]) -> Section | None:
    """The best cell, chosen on some worlds, reported on others."""
    rows: list[list[str | Cell]] = []
    for name, one in results["scenarios"].items():
        found = one["best"]
        if found["arm"]:
            rows.append([name, found["arm"], effect_cell(found["chosen"]), effect_cell(found["fresh"])])
    if not rows:
        return None
    columns = ("Scenario", "Best cell", "Where it was chosen", "On fresh worlds")
    return Section(
        key="best",
        title="The best cell, on fresh worlds",
        figure="winners" if "winners" in drawn else "",
        alt="Lift of the best cell of every scenario, on the worlds that chose it and on fresh ones.",
        caption=f"Chosen by expected revenue on worlds {wording.numbers(results['choosing'])}; 95% t intervals. The "
        "winner of seven is partly lucky: what it earns on fresh worlds counts.",
        tables=(table("", columns, rows, shown=True),),
    )


def harm(results: Record) -> Section:
    """What full CS3 does to those who are not the site."""
    shown = ("surplus", "welfare", "cold_users", "conversions", "exposure_gini", "new_ad_survival")
    every = {name: one["cells"]["dssm+cs3"]["metrics"] for name, one in results["scenarios"].items()}
    labels = {key: found[key]["label"] for key in shown for found in every.values() if key in found}
    rows: list[list[str | Cell]] = [
        [name, *(effect_cell(found.get(key, {})) for key in labels)] for name, found in every.items()
    ]
    return Section(
        key="harm",
        title="Who else gains or loses",
        caption="Full CS3 over the base, fresh worlds, 95% t intervals, paired, not corrected; n/a where a scenario "
        "has none of it or the test was too short for it.",
        tables=(table("", ("Scenario", *labels.values()), rows, shown=True),),
    )


def nulls(results: Record) -> Section | None:
    """Worlds in which nobody can earn more."""
    rows = [
        [name, Cell(text=one["null"]["word"], tone={"passed": "good", "failed": "bad"}.get(one["null"]["word"], "")),
         effect_cell(one["cells"]["dssm+cs3"]["metrics"][MONEY])]
        for name, one in results["scenarios"].items() if one["null"]
    ]  # fmt: skip
    if not rows:
        return None
    limit = next(one["null"]["limit"] for one in results["scenarios"].values() if one["null"])
    return Section(
        key="nulls",
        title="Where there is nothing to earn",
        caption="Expected revenue of full CS3 over the base. Passed: the upper end of the 95% interval is below "
        f"{wording.percent(limit)}; failed: the lower end is above 0; else too noisy to say.",
        tables=(table("", ("World", "Check", "Lift"), rows, shown=True),),
    )


def lights(results: Record) -> Section:
    """Lights that are not green; the first cell speaks for those with the same."""
    rows: list[list[str | Cell]] = []
    for name, one in results["scenarios"].items():
        green = sum(light["state"] == "green" for light in one["lights"])
        rows.append([name, f"{green} green", ""])
        alike: dict[tuple[str, str], list[str]] = {}
        for light in one["lights"]:
            if light["state"] != "green":
                alike.setdefault((light["state"], light["name"].partition(",")[0]), []).append(light["text"])
        for (state, _), said in alike.items():
            others = f" The same of {len(said) - 1} other cells." if said[1:] else ""
            rows.append([name, Cell(text=state, tone="bad" if state == "red" else "warn"), said[0] + others])
    return Section(
        key="lights",
        title="Can it be trusted?",
        caption="A/A: the base twice gives equal figures. Plateau: recall and log loss have flattened; a lift over a "
        "control that still learns means little.",
        tables=(table("", ("Scenario", "Light", "What it says"), rows, shown=True, prose=True),),
    )
