"""What the page of an offline study says: each section's sentence, caption and tables, from the dict of its results.

A number that the study has not reads n/a; a section that it has nothing for is not built. The two kinds of interval are
told apart wherever they stand: over seeds, or over users.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import interval
from reports.drawing.tables import Cell, Table, table
from reports.numbers import mechanisms, published
from reports.pages.offline.figures import (
    MINUS,
    against_base,
    compared_arms,
    controls,
    dial_name,
    drawn_daily,
    known_slices,
    spelled_dial,
    taught,
)
from reports.pages.parts import ARROW, LIGHTS, Section

Record = Mapping[str, Any]
MEASURES = {"auc": "AUC", "gauc": "GAUC", "logloss": "log loss", "pcoc": "PCOC"}
TONES = {"supported": "green", "not supported": "red"}
QUESTIONS = {
    ("dssm-bare", "dssm"): "what the online counters give",
    ("dssm-bare", "dssm-bare+cs3"): "does CS3 replace the counters?",
    ("dssm-wide", "dssm+cas"): "more than as many FLOPs in wider layers?",
    ("dat", "dssm+cts"): "more than DAT, a learned stand-in of the other tower?",
    ("dssm+cts+shuffled", "dssm+cts"): "more than anyone's cross vector?",
    ("dssm+cms+shuffled", "dssm+cms"): "more than anyone's cascade vector?",
    ("dssm+cms@dnn-untrained", "dssm+cms"): "more than an untrained ranker's vectors?",
}
"""(control, treatment) -> what the comparison asks."""
SEEDS = "over seeds: what another initialisation would give on the same test rows"
USERS = (
    "over users: what other users would give these models; whole users are resampled, the effect is the mean of seeds"
)


def build(results: Record) -> list[Section]:
    """The sections in the page's order."""
    every = (
        scores(results),
        comparisons(results),
        cold(results),
        noise(results),
        by_day(results),
        settings(results),
        paper(results),
        log(results["data"]),
    )
    return [section for section in every if section is not None]


# --- verdicts ---


def lights(results: Record) -> list[dict[str, str]]:
    """Name, word, tone, shape and reason of each mechanism's verdict; n/a where its arms were not run."""
    known = {found["mechanism"]: found for found in results["verdicts"]}
    calls = []
    for mechanism in mechanisms.CONTROLS:
        found = known.get(mechanism)
        tone, shape = LIGHTS[TONES.get(found["word"], "amber")] if found else ("", "\N{WHITE CIRCLE}")
        calls.append(
            {
                "name": "CS3 as a whole" if mechanism == "cs3" else mechanism.upper(),
                "state": found["word"] if found else wording.MISSING,
                "text": typeset(found["reason"]) if found else f"dssm and dssm+{mechanism} were not both run.",
                "tone": tone,
                "shape": shape,
            }
        )
    return calls


def typeset(text: str) -> str:
    """Minus signs before digits, as in the tables."""
    return text.replace("-0.", f"{MINUS}0.")


def rule() -> str:
    """The rule of the verdicts, in the words of the module that applies it."""
    text = " ".join((mechanisms.__doc__ or "").partition("\n\n")[2].split())
    return text.replace("``WORTH``", f"{mechanisms.WORTH}").replace("``", "").replace("*", "")


# --- cells ---


def mean(value: Record | None) -> str:
    """A mean with its interval as one cell; averages and single seeds have none."""
    if not value:
        return wording.MISSING
    ends = wording.span(value.get("ci"), level)
    return level(value.get("mean")) + ("" if ends == wording.MISSING else f" {ends}")


def delta(value: float) -> str:
    """A difference with its sign and four decimals, so that the numbers of a column stand under each other."""
    text = f"{value:+.4f}"
    return level(0.0) if float(text) == 0 else text.replace("-", MINUS)


def level(value: Any) -> str:
    """A score with four decimals."""
    return f"{value:z.4f}".replace("-", MINUS) if wording.known(value) else wording.MISSING


def difference(value: Record | None) -> Cell:
    """An effect with its interval as one cell."""
    if not value or not wording.known(value.get("effect")):
        return Cell(text=wording.MISSING)
    ends = wording.span(value.get("ci"), delta)
    return Cell(text=delta(value["effect"]) + ("" if ends == wording.MISSING else f" {ends}"))


def toned(value: Record | None) -> Cell:
    """A difference in AUC, green or red where its interval leaves 0."""
    cell = difference(value)
    lo, hi = interval((value or {}).get("ci"))
    return Cell(text=cell.text, tone="good" if lo > 0 else "bad" if hi < 0 else "")


def share(value: Record | None) -> str:
    """A share with its interval, in per cent."""
    if not value or not wording.known(value.get("share")):
        return wording.MISSING

    def spell(part: Any) -> str:
        return wording.percent(part, sign=False)

    return f"{spell(value['share'])} {wording.span(value.get('ci'), spell)}"


def chance(value: Record | None, key: str) -> str:
    """A p or q value."""
    return wording.p_value((value or {}).get(key))


def several(count: int, word: str) -> str:
    """A number with its noun: 1 seed, 5 seeds."""
    return f"{wording.number(count)} {word}{'' if count == 1 else 's'}"


# --- sections ---


def scores(results: Record) -> Section:
    """Every measure of every row, replayed and frozen."""
    rows, data = results["rows"], results["data"]
    ranked = ("auc", "gauc", "logloss")
    columns = ("model", *(MEASURES[key] for key in ranked))
    replayed = [(row["name"], *(mean(row[key]) for key in ranked)) for row in rows]
    frozen = [(row["name"], *(mean((row["frozen"] or {}).get(key)) for key in ranked)) for row in rows]
    others = [
        (row["name"], mean(row["pcoc"]), mean((row["frozen"] or {}).get("pcoc")), mean(row["tau"]), share(row["gap"]))
        for row in rows
    ]
    left_out = [row["name"] for row in rows if row not in taught(results)]
    caption = (
        f"{wording.number(data['test_rows'])} test rows of {wording.number(data['test_users'])} users, "
        f"{several(len(results['seeds']), 'seed')}. Brackets and lines: 95 % t intervals {SEEDS}; averages have none. "
        f"GAUC: AUC within users who have both a click and none, {wording.percent(data['gauc_covered'], sign=False)} "
        "of the rows. PCOC: predicted over observed clicks. Tau: Kendall's, to the order of the arm's own ranker. Gap "
        f"closed: share of the AUC between {results['base']} and the ranker, with its 95 % interval over users; n/a "
        "where the interval of the gap itself includes 0."
    )
    if left_out:
        caption += f" Not drawn, because nothing beside it could be read: {', '.join(left_out)}."
    return Section(
        key="scores",
        title="Scores on the test days",
        lead=f"{above_averages(rows)} Replayed: each row is scored by what was published last before it, then learned "
        "from. Frozen: scored by what was published before the first test row.",
        figure="scores",
        alt="Six panels of dots with intervals, a line per model: AUC, GAUC, log loss, PCOC, tau to the ranker, share "
        "of the gap closed; replayed and frozen. The numbers are in the tables below.",
        caption=caption,
        tables=(
            table("Replayed", columns, replayed, shown=True),
            table("Frozen before the test", columns, frozen, shown=True),
            table(
                "Calibration, order, gap",
                ("model", "PCOC", "PCOC, frozen", "tau, over seeds", "gap closed, over users"),
                others,
                shown=True,
            ),
        ),
    )


def above_averages(rows: Sequence[Record]) -> str:
    """Which arms are above the best of the averages, in AUC."""
    floor = max((row["auc"]["mean"] or 0.0 for row in rows if row["kind"] == "averages"), default=0.0)
    arms = [row for row in rows if row["kind"] == "arm"]
    below = [row["name"] for row in arms if not (row["auc"]["mean"] or 0.0) > floor]
    if not below:
        return f"Every arm is above the smoothed averages ({level(floor)})."
    return f"Not above the smoothed averages ({level(floor)}), so no more than averages: {', '.join(below)}."


def comparisons(results: Record) -> Section | None:
    """Every comparison: with the base, and of the controls."""
    if not results["contrasts"]:
        return None
    base, seeds = results["base"], len(results["seeds"])
    tables: list[Table] = []
    for letter, pairs in (("q", against_base(results)), ("p", controls(results))):
        if pairs:
            found: list[tuple[str | Cell, ...]] = [
                (
                    named(pair),
                    toned(pair["users"]),
                    chance(pair["users"], letter),
                    toned(pair["frozen"]),
                    chance(pair["frozen"], "p"),
                )
                for pair in pairs
            ]
            name = f"Each arm {MINUS} {base}" if letter == "q" else "Controls"
            titles = ("arms", "AUC, over users", letter, "frozen AUC, over users", "p")
            tables.append(table(name, titles, found, shown=True))
    asked = [(named(pair), QUESTIONS[of(pair)]) for pair in controls(results) if of(pair) in QUESTIONS]
    if asked:
        tables.append(table("What the controls ask", ("arms", "question"), asked, shown=True, prose=True))
    on_seeds: list[tuple[str | Cell, ...]] = [
        (named(pair), *(difference(pair.get(key)) for key in MEASURES)) for pair in results["contrasts"]
    ]
    tables.append(table("Every measure, over seeds", ("arms", *MEASURES.values()), on_seeds))
    frozen: list[tuple[str | Cell, ...]] = [
        (named(pair), *(difference(pair.get(f"frozen_{key}")) for key in MEASURES)) for pair in results["contrasts"]
    ]
    tables.append(table("Every measure, frozen, over seeds", ("arms", *MEASURES.values()), frozen))
    return Section(
        key="comparisons",
        title="Comparisons",
        lead=gains(results),
        figure="contrasts",
        alt=f"Differences in AUC with intervals over users: each arm against {base} above, the controls below; "
        "replayed on the left, frozen on the right. The numbers are in the tables below.",
        caption=f"95 % intervals {USERS}. Filled: the interval leaves 0. q: p adjusted over all arms against {base} by "
        f"Benjamini and Hochberg; the controls and the frozen scores are not adjusted. Over {several(seeds, 'seed')}: "
        "paired t, on the same users.",
        tables=tuple(tables),
    )


def named(pair: Record) -> str:
    """A comparison's arms."""
    return f"{pair['treatment']} {MINUS} {pair['control']}"


def of(pair: Record) -> tuple[str, str]:
    """A comparison's control and treatment."""
    return pair["control"], pair["treatment"]


def gains(results: Record) -> str:
    """Which arms gain and which lose against the base, after adjustment."""
    base, pairs = results["base"], against_base(results)
    if not pairs:
        return "No arm is compared with the base."
    sure = [
        pair
        for pair in pairs
        if wording.known(pair["users"].get("q", pair["users"]["p"]))
        and pair["users"].get("q", pair["users"]["p"]) <= mechanisms.LEVEL
    ]
    up = [pair["treatment"] for pair in sure if (pair["users"]["effect"] or 0) > 0]
    down = [pair["treatment"] for pair in sure if (pair["users"]["effect"] or 0) < 0]
    return (
        f"Above {base} at q ≤ {mechanisms.LEVEL}: {', '.join(up) or 'none'}. Below it: {', '.join(down) or 'none'}. "
        f"Of {several(len(pairs), 'arm')}."
    )


def cold(results: Record) -> Section | None:
    """Users and videos of which little was visible when they were scored."""
    slices = results["slices"]
    if not slices:
        return None
    sizes = [(name, *(wording.number(of[key]) for key in ("rows", "clicks", "users"))) for name, of in slices.items()]
    tables = [table("Sizes", ("slice of the test rows", "rows", "clicks", "users"), sizes, shown=True)]
    names = known_slices(results)
    if names:
        found: list[tuple[str | Cell, ...]] = [
            (named(pair), *(toned(pair["slices"].get(name)) for name in names)) for pair in results["contrasts"]
        ]
        tables.append(table("Differences in AUC, 95 % over users", ("arms", *names), found, shown=True))
    measured = [
        name for name in slices if any(((row["cold"] or {}).get(name) or {}).get("mean") for row in results["rows"])
    ]
    if measured:
        found_auc = [
            (row["name"], *(mean(row["cold"].get(name)) for name in measured)) for row in results["rows"] if row["cold"]
        ]
        tables.append(table("AUC, 95 % over seeds", ("model", *measured), found_auc))
    empty = [name for name, of in slices.items() if not of["rows"]]
    return Section(
        key="cold",
        title="Cold users, cold videos",
        lead="Cold by what was visible when the row was scored. Which interactions the paper counts is not said, so "
        "impressions and clicks are counted apart." + (f" Without a row: {', '.join(empty)}." if empty else ""),
        figure="cold",
        alt=f"Differences in AUC to {results['base']} with intervals over users, a panel per slice of cold users or "
        "videos. The numbers are in the tables below.",
        caption="Intervals over users of the slice, not adjusted: read them together, not one by one. n/a: the slice "
        "has no click, or nothing but clicks.",
        tables=tuple(tables),
    )


def noise(results: Record) -> Section | None:
    """AUC under noise on the inputs."""
    found = results["noise"]
    levels, scales = found["levels"], found["scales"]
    if not scales:
        return None
    spot = nearest(levels, published.NOISE_LEVEL)
    arms = list(dict.fromkeys(name for one in scales.values() for name in one))
    falls = [
        (name, *(mean(one[name]["fall"][spot]) if name in one else wording.MISSING for one in scales.values()))
        for name in arms
    ]
    curves = [
        (f"{name}, {scale}", *(mean(value) for value in one[name]["auc"]))
        for scale, one in scales.items()
        for name in one
    ]
    return Section(
        key="noise",
        title="Noise on the inputs",
        lead="Gaussian noise on the inputs of the frozen towers. Absolute: one standard deviation for every input. "
        "Inputs only: not on the vectors that a mechanism adds. Relative: a multiple of each input's own.",
        figure="noise",
        alt="AUC of the frozen scores against the standard deviation of the noise, a panel per scale, a line per arm. "
        "The numbers are in the tables below.",
        caption=f"Bands and brackets: 95 % {SEEDS}, {several(len(results['seeds']), 'seed')}.",
        tables=(
            table(f"AUC lost at noise {levels[spot]:g}, over seeds", ("arm", *scales), falls, shown=True),
            table("AUC by noise, over seeds", ("arm, scale", *(f"{level:g}" for level in levels)), curves),
        ),
    )


def nearest(levels: Sequence[float], wanted: float) -> int:
    """Position of the level that is nearest to the wanted one."""
    return min(range(len(levels)), key=lambda i: abs(levels[i] - wanted))


def by_day(results: Record) -> Section | None:
    """AUC of every day."""
    days = results["by_day"]
    if not days["date"]:
        return None
    rows: list[tuple[str, ...]] = [("rows of the log", *(wording.number(n) for n in days["rows"]))]
    rows += [(name, *(level(value) for value in curve["mean"])) for name, curve in days["auc"].items()]
    dates = (
        f"{date // 100 % 100}/{date % 100}{' test' if test else ''}"
        for date, test in zip(days["date"], days["test"], strict=True)
    )
    return Section(
        key="days",
        title="Day by day",
        lead="Every day is scored before it is learned from, the days before the test too. A curve that still rises on "
        "the last days has not learned all that the log could teach it.",
        figure="by_day",
        alt=f"AUC on every day of the log: {', '.join(drawn_daily(results))}. The numbers are in the table below.",
        caption=f"Bands: 95 % over {several(len(results['seeds']), 'seed')}. Shaded: the test. All models: below.",
        tables=(table("AUC by day", ("model", *dates), rows),),
    )


def settings(results: Record) -> Section | None:
    """Hyper-parameters of every model."""
    found = results["settings"]
    keys = list(dict.fromkeys(key for one in found.values() for key in one))
    if not keys:
        return None
    rows = [
        (f"ranker {model[1:]}" if model.startswith("@") else model, *(spelled(one.get(key)) for key in keys))
        for model, one in found.items()
    ]
    return Section(
        key="settings",
        title="Settings of each model",
        lead="As they were built; n/a: the model's own default, or no such setting.",
        tables=(table("Settings", ("model", *keys), rows, shown=True),),
    )


def spelled(value: Any) -> str:
    """A hyper-parameter as text."""
    if value is None:
        return wording.MISSING
    if isinstance(value, (list, tuple)):
        return ", ".join(spelled(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def paper(results: Record) -> Section:
    """What the paper publishes, beside what this log says."""
    rows = [
        (
            pair.what,
            f"{pair.before:.4f} {ARROW} {pair.after:.4f}",
            f"{wording.signed(round(pair.after - pair.before, 4))}, {wording.percent(pair.after / pair.before - 1)}",
            *beside(results, pair),
        )
        for pair in published.PAIRS
    ]
    rows.append((published.NOISE, "n/a", published.NOISE_CLAIM, *noise_beside(results)))
    return Section(
        key="paper",
        title="The paper's figures beside ours",
        lead=f"DSSM {ARROW} DSSM+CS3 in the paper ({published.PAPER}), dssm {ARROW} dssm+cs3 here. {published.CAUTION}",
        tables=(
            table(
                "Published and measured",
                ("what", "paper, AUC", "paper, gain", "here, AUC", "here, gain [95 % over users]"),
                rows,
                shown=True,
                prose=True,
            ),
        ),
    )


def beside(results: Record, pair: published.Pair) -> tuple[str, str]:
    """Our AUCs and our gain where they are about the same thing as a published pair."""
    names = {row["name"]: row for row in results["rows"]}
    before, after = names.get("dssm"), names.get("dssm+cs3")
    same = pair.cold or pair.reader == results["data"]["name"]
    if before is None or after is None or not same:
        return wording.MISSING, wording.MISSING
    users = next((one for one in results["contrasts"] if of(one) == ("dssm", "dssm+cs3")), None)
    if not pair.cold:
        return aucs(before["auc"], after["auc"]), difference(users and users["users"]).text
    slices = [name for name in results["slices"] if name.startswith(pair.cold)]
    labels = [name.removeprefix(pair.cold).strip() for name in slices]
    found = [aucs((before["cold"] or {}).get(name), (after["cold"] or {}).get(name)) for name in slices]
    gained = [difference(users and users["slices"].get(name)).text for name in slices]
    return joined(labels, found), joined(labels, gained)


def aucs(before: Record | None, after: Record | None) -> str:
    """Two means with an arrow."""
    ends = [(one or {}).get("mean") for one in (before, after)]
    return f" {ARROW} ".join(level(end) for end in ends) if any(map(wording.known, ends)) else wording.MISSING


def joined(labels: Sequence[str], found: Sequence[str]) -> str:
    """Several answers, each with its label."""
    return "; ".join(f"{label}: {one}" for label, one in zip(labels, found, strict=True)) or wording.MISSING


def noise_beside(results: Record) -> tuple[str, str]:
    """How much dssm and dssm+cas lose here at the paper's noise, on each scale."""
    levels, scales = results["noise"]["levels"], results["noise"]["scales"]
    if not scales or not math.isclose(levels[nearest(levels, published.NOISE_LEVEL)], published.NOISE_LEVEL):
        return wording.MISSING, wording.MISSING
    spot = nearest(levels, published.NOISE_LEVEL)
    both = {scale: one for scale, one in scales.items() if {"dssm", "dssm+cas"} <= set(one)}
    lost = [
        ", ".join(f"{name} {level(one[name]['fall'][spot]['mean'])}" for name in ("dssm", "dssm+cas"))
        for one in both.values()
    ]
    return joined(list(both), lost), "intervals: see the noise section" if both else wording.MISSING


def log(data: Record) -> Section:
    """What was read."""
    malformed = [
        (m["file"], m["kind"], wording.number(m["count"]), ", ".join(map(str, m["lines"]))) for m in data["malformed"]
    ]
    return Section(
        key="log",
        title="The log",
        lead=f"{wording.number(data['rows'])} rows were read; {wording.number(data['duplicates'])} equal an earlier "
        f"one and were dropped; {wording.number(data['earlier'])} lie before the period and make the history only. "
        f"{wording.number(data['users'])} users, {wording.number(data['videos'])} videos, click rate "
        f"{wording.percent(data['click_rate'], sign=False)}; {wording.number(data['test_clicks'])} clicks on the test "
        f"days. " + ("Malformed rows were left out:" if malformed else "No row was malformed."),
        tables=(table("Malformed", ("file", "what was wrong", "rows", "first lines"), malformed, shown=True),)
        if malformed
        else (),
    )


def sweep(results: Record) -> Section:
    """What a dial changes."""
    arms, base, against = results["arms"], results["base"], compared_arms(results)
    values = [
        spelled_dial(results, value) + (", default" if value == results["default"] else "")
        for value in results["values"]
    ]
    dial = str(results["dial"]).replace("_", " ")
    scored = [(value, *(mean(one["auc"][i]) for one in arms.values())) for i, value in enumerate(values)]
    tables = [table("AUC, over seeds", (dial, *arms), scored, shown=True)]
    if against:
        added: list[tuple[str | Cell, ...]] = [
            (value, *(cell for name in against for cell in _tested(arms[name]["users"][i])))
            for i, value in enumerate(values)
        ]
        columns = (column for name in against for column in (f"{name} {MINUS} {base}", "p"))
        tables.append(table("Difference in AUC, over users", (dial, *columns), added, shown=True))
    default = spelled_dial(results, results["default"])
    return Section(
        key="sweep",
        title=f"AUC by {dial_name(results)}",
        lead=f"Settings are those found at the default, {default}: this shows how far the answer depends on the dial, "
        "it does not choose a value. The axis is not to scale.",
        figure="sweep",
        alt=f"AUC at each value of {dial_name(results)} on the left, the difference to {base} on the right. The "
        "numbers are in the table below.",
        caption=f"{wording.number(results['data']['test_rows'])} test rows, {several(len(results['seeds']), 'seed')}. "
        f"Left, 95 % {SEEDS}. Right, 95 % {USERS}; not adjusted.",
        tables=tuple(tables),
    )


def _tested(value: Record | None) -> tuple[Cell, str]:
    """A difference and its p value."""
    return toned(value), chance(value, "p")
