"""One self-contained HTML page from an offline replay; it opens offline, like the page of an A/B run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from reports import offline_figures, wording
from reports.figures import write_aside
from reports.page import inline_svg

Record = Mapping[str, Any]


class Part(NamedTuple):
    """One section of the page: its heading, sentence, figure (inline SVG or "") and table."""

    title: str
    lead: str
    figure: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_page(results: Record, out: Path) -> Path:
    """Draw the figures and write ``index.html`` in the run directory; its path.

    Args:
        results: the dict of results.json.
        out: the run directory.
    """
    svgs = offline_figures.draw_all(results, out)
    path = out / "index.html"
    write_aside(path, render(results, svgs).encode())
    return path


def render(results: Record, svgs: Mapping[str, str]) -> str:
    """The page's HTML, the same text for the same input."""
    import jinja2

    folder = resources.files("reports.templates")
    files = {name: (folder / name).read_text(encoding="utf-8") for name in ("offline.html", "page.css")}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(files),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("offline.html").render(
        title=f"Offline replay of {results['data']['name']}", facts=facts(results), parts=parts(results, svgs)
    )


def facts(results: Record) -> list[str]:
    """The run in a few words."""
    data, seeds = results["data"], len(results["seeds"])
    return [
        f"{wording.number(data['kept'])} impressions",
        f"{wording.number(data['train_rows'])} before the test, {wording.number(data['test_rows'])} in it",
        f"{wording.number(seeds)} seed{'' if seeds == 1 else 's'}",
        f"label wait {wording.number(results['label_wait'] / 60)} min",
        f"published every {wording.number(results['sync'] / 60)} min",
    ]


def parts(results: Record, svgs: Mapping[str, str]) -> list[Part]:
    """The sections: scores, what each arm adds, days, the log itself."""
    data = results["data"]
    built = [
        Part(
            "Scores on the test days",
            f"{verdict(results)} Intervals are 95 % over seeds: they tell how much the initialisation matters, not how "
            f"much the users do. GAUC is the AUC within users who have both a click and none, "
            f"{wording.percent(data['gauc_covered'], sign=False)} of the rows.",
            figure("scores", svgs, "AUC, GAUC and log loss of every model"),
            ("model", "AUC", "", "GAUC", "", "log loss", ""),
            tuple(
                (row["name"], *(cell for key in ("auc", "gauc", "logloss") for cell in spelled(row[key])))
                for row in results["rows"]
            ),
        )
    ]
    if results["contrasts"]:
        built.append(
            Part(
                "What each arm adds",
                "Each arm against the one before it. Over users: logits averaged over seeds, whole users resampled. "
                "Over seeds: paired by seed, on the same users.",
                figure("contrasts", svgs, "Difference in AUC between neighbouring arms"),
                ("arms", "AUC, over users", "p", "AUC, over seeds", "GAUC, over seeds", "log loss, over seeds"),
                tuple(
                    (
                        f"{pair['treatment']} − {pair['control']}",
                        difference(pair["users"]),
                        wording.p_value(pair["users"]["p"]),
                        *(difference(pair[key]) for key in ("auc", "gauc", "logloss")),
                    )
                    for pair in results["contrasts"]
                ),
            )
        )
    days = results["by_day"]
    built.append(
        Part(
            "Day by day",
            "Every day is scored before it is learned from, the days before the test too. A curve that still rises on "
            "the last days has not learned all that the log could teach it.",
            figure("by_day", svgs, "AUC of every model on every day of the log"),
            ("day", "rows", *days["auc"]),
            tuple(
                (str(date), wording.number(rows), *(wording.number(curve["mean"][i]) for curve in days["auc"].values()))
                for i, (date, rows) in enumerate(zip(days["date"], days["rows"], strict=True))
            ),
        )
    )
    built.append(
        Part(
            "The log",
            f"{wording.number(data['rows'])} rows were read; {wording.number(data['duplicates'])} equal an earlier one "
            f"and were dropped; {wording.number(data['earlier'])} lie before the period and make the history only. "
            f"{wording.number(data['users'])} users, {wording.number(data['videos'])} videos, click rate "
            f"{wording.percent(data['click_rate'], sign=False)}. "
            + ("Malformed rows were left out:" if data["malformed"] else "No row was malformed."),
            "",
            ("file", "what was wrong", "rows", "first lines") if data["malformed"] else (),
            tuple(
                (m["file"], m["kind"], wording.number(m["count"]), ", ".join(map(str, m["lines"])))
                for m in data["malformed"]
            ),
        )
    )
    return built


def verdict(results: Record) -> str:
    """Which models are above the best of the averages, in AUC."""
    rows = results["rows"]
    floor = max((row["auc"]["mean"] or 0.0 for row in rows if row["kind"] == "averages"), default=0.0)
    arms = [row for row in rows if row["kind"] == "arm"]
    above = [row["name"] for row in arms if (row["auc"]["mean"] or 0.0) > floor]
    if len(above) == len(arms):
        return f"Every arm is above the smoothed averages ({wording.number(floor)})."
    below = [row["name"] for row in arms if row["name"] not in above]
    return f"Not above the smoothed averages ({wording.number(floor)}), so no more than averages: {', '.join(below)}."


def figure(name: str, svgs: Mapping[str, str], label: str) -> str:
    """The inline SVG of a figure, "" if it was not drawn."""
    return inline_svg(name, svgs[name], label) if name in svgs else ""


def spelled(value: Record) -> tuple[str, str]:
    """A mean and its interval as two cells; averages have no seeds and so no interval."""
    return wording.number(value["mean"]), "" if value["ci"] is None else wording.span(value["ci"])


def difference(value: Record | None) -> str:
    """An effect with its interval as one cell."""
    if value is None:
        return wording.MISSING
    return f"{wording.signed(value['effect'])}  {wording.span(value['ci'], wording.signed)}"
