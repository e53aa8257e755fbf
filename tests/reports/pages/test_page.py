import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from reports.pages import parts, shell
from reports.pages.ab import budgets, figures, headline, ladder, learning, page
from tests.reports import sample_run

ORDER = [
    "metrics",
    "forest",
    "guardrails",
    "segments",
    "per-day",
    "ladder",
    "funnel",
    "plane",
    "k-sweep",
    "calibration",
    "learning",
    "budgets",
    "mechanisms",
    "latency",
    "cost",
    "references",
    "appendix",
]
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Outline(HTMLParser):
    """Which elements and ids a page has, and whether every element that opens is closed in order."""

    def __init__(self):
        super().__init__()
        self.ids, self.tags, self.open, self.attributes = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)
        self.ids.extend(value for name, value in attrs if name == "id")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)
        self.ids.extend(value for name, value in attrs if name == "id")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline(text):
    found = Outline()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def words(text):
    """What a reader reads: the page without markup, on one line."""
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(style|svg|script).*?</\1>", " ", text, flags=re.DOTALL))
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    path = page.write_page(sample_run.results(), sample_run.timing(), sample_run.manifest(), out)
    return path, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def svgs(run):
    folder = run[0].parent / "figures"
    return {
        name: (folder / f"{name}.svg").read_text()
        for name in figures.drawable(sample_run.results(), sample_run.timing())
    }


def test_verdict_comes_first_and_sections_follow_in_order(run):
    _, text = run
    ids = [found for found in outline(text).ids if found in {"verdict", *ORDER}]
    assert ids == ["verdict", *ORDER]


def test_every_figure_stands_inline_with_a_label_a_caption_and_its_numbers(run):
    _, text = run
    found = outline(text)
    assert found.tags.count("svg") == found.tags.count("figure") == found.tags.count("figcaption") == 12
    labels = [value for name, value in found.attributes if name == "aria-label"]
    assert sum(len(label) > 20 for label in labels) == 12
    assert found.tags.count("details") >= 10


def test_ids_are_unique_and_every_reference_finds_its_id(run):
    _, text = run
    ids = outline(text).ids
    assert len(ids) == len(set(ids))
    aims = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)
    assert {one or other for one, other in aims} <= set(ids)


def test_nothing_is_fetched_and_the_page_is_small(run):
    path, text = run
    assert not re.findall(r"https?:|//[a-z]+\.|@import|url\((?!#)", text)
    assert not [value for name, value in outline(text).attributes if name in ("src", "srcset")]
    assert {"link", "img", "iframe"}.isdisjoint(outline(text).tags)
    assert outline(text).tags.count("script") == 1
    assert path.stat().st_size < 1_000_000


def test_the_policy_names_the_script_of_the_page_and_nothing_else(run):
    _, text = run
    script = re.search(r'<script type="module">(.*?)</script>', text, flags=re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in text
    assert "default-src 'none';" in text


def test_the_headline_is_read_before_anything_else(run):
    _, text = run
    start = words(text)[:1400]
    for piece in (
        "dssm+cs3 against dssm",
        "ship",
        "+2.60%",
        "[+1.47%, +3.73%]",
        "5 worlds",
        "Rule, fixed before",
        "amber",
    ):
        assert piece in start


def test_the_table_of_metrics_has_every_column(run):
    _, text = run
    row = re.search(r"Recall@50, true order \(share\)</th>(.*?)</tr>", text).group(1)
    assert re.findall(r"<td[^>]*>(.*?)</td>", row) == [
        "0.6120", "0.6480", "+0.0360", "[+0.0250, +0.0470]", "&lt; 0.001", "0.003", "5",
    ]  # fmt: skip


def test_a_curve_that_still_rises_is_said_in_words(run):
    _, text = run
    assert "Not at a plateau: recall of dssm+cs3 is still rising (+1.20%" in words(text)
    results = sample_run.results()
    results["learning"]["dssm+cs3"]["plateau"]["recall"]["rising"] = False
    assert "reached its plateau" in learning.section(results).lead


def test_a_plateau_that_was_not_judged_is_not_claimed():
    results = sample_run.results()
    for curve in results["learning"].values():
        curve["plateau"] = None
    assert learning.section(results).lead == ""


def test_figures_take_their_colours_from_the_theme(run):
    _, text = run
    bare = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "var(--ink, #1f2328)" in bare
    assert not re.findall(r"(?<!, )#[0-9a-f]{6}\b", bare)
    style = re.search(r"<style>(.*?)</style>", text, flags=re.DOTALL).group(1)
    assert "prefers-color-scheme: dark" in style
    assert all(style.count(f"--{name}:") == 2 for name in shell.THEMED.values())


def test_the_page_is_the_same_for_the_same_run_read_back_from_json(svgs, run):
    results, timing, manifest = (
        json.loads(json.dumps(part())) for part in (sample_run.results, sample_run.timing, sample_run.manifest)
    )
    assert page.render(results, timing, manifest, svgs) == run[1]


def test_the_run_directory_holds_the_page_and_the_figures_only(run):
    assert sorted(found.name for found in run[0].parent.iterdir()) == ["figures", "index.html"]


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("metrics", "metrics"),
        ("metrics", "forest"),
        ("per_day", "per-day"),
        ("ladder", "ladder"),
        ("funnel", "funnel"),
        ("k_sweep", "k-sweep"),
        ("calibration", "calibration"),
        ("learning", "learning"),
        ("budgets", "budgets"),
        ("mechanisms", "mechanisms"),
        ("cost", "cost"),
        ("references", "references"),
        ("verdict", "verdict"),
    ],
)
@pytest.mark.parametrize("gap", ["absent", "null"])
def test_a_missing_section_is_skipped_and_the_others_stay(svgs, section, key, gap):
    results = sample_run.results()
    if gap == "absent":
        del results[section]
    else:
        results[section] = None
    present = figures.drawable(results, sample_run.timing())
    kept = {name: svg for name, svg in svgs.items() if name in present}
    ids = outline(page.render(results, sample_run.timing(), sample_run.manifest(), kept)).ids
    assert key not in ids
    gone = {"metrics", "forest"} if section == "metrics" else {key}
    assert [found for found in ids if found in ORDER] == [name for name in ORDER if name not in gone]


def test_without_timing_there_is_no_latency_and_no_plane(svgs):
    kept = {name: svg for name, svg in svgs.items() if name != "plane"}
    text = page.render(sample_run.results(), {}, {}, kept)
    assert {"latency", "plane"}.isdisjoint(outline(text).ids)
    assert "Retrieval p50" not in words(text)


def test_an_almost_empty_run_still_gives_a_page(tmp_path):
    text = page.write_page({"schema": 1}, {}, {}, tmp_path).read_text()
    assert "cs3-bench run" in words(text)
    assert outline(text).tags.count("figure") == 0


def _nulled(value):
    if isinstance(value, dict):
        return {key: part if key in ("k", "day", "phase", "kind") else _nulled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_nulled(part) for part in value]
    return None if isinstance(value, float) else value


def test_nulls_read_as_not_available(tmp_path):
    path = page.write_page(_nulled(sample_run.results()), _nulled(sample_run.timing()), sample_run.manifest(), tmp_path)
    text = words(path.read_text())
    assert "n/a" in text
    assert not re.search(r"\b(nan|None|null)\b", text)


def test_nan_reads_as_not_available():
    results = sample_run.results()
    results["metrics"]["revenue"] |= {"rel_effect": float("nan"), "ci": [float("nan"), float("inf")], "p": float("nan")}
    tile = headline.tiles(results, sample_run.timing())[0]
    assert (tile.value, tile.tone) == ("n/a", "")
    assert "95% CI n/a" in tile.detail


def test_what_an_index_misses_is_said_only_where_one_serves(svgs):
    results, timing, manifest = sample_run.results(), sample_run.timing(), sample_run.manifest()
    assert "What the index finds" not in page.render(results, timing, manifest, svgs)
    served = {"dssm+cs3": {"mean": 0.9712, "lo": 0.96, "hi": 0.98, "n_worlds": 5}}
    html = page.render(results | {"index_recall": served}, timing, manifest, svgs)
    assert "the index returns: dssm+cs3 97.1%" in html
    assert "[0.9600, 0.9800]" in html


def test_a_bad_verdict_is_shown_the_same_way(svgs):
    results = sample_run.results()
    results["verdict"] |= {"word": "do not ship"}
    text = page.render(results, sample_run.timing(), sample_run.manifest(), svgs)
    assert '<section id="verdict" class="verdict bad">' in text
    assert "<strong>do not ship</strong>" in text


def test_the_line_below_the_verdict_tells_the_lift_and_how_it_stands_to_the_truth(run):
    said = page.truth(sample_run.results())
    assert said.startswith("Revenue lift +2.60%, 95% CI [+1.47%, +3.73%], 5 worlds. Truth: twin worlds")
    assert said in words(run[1])
    assert page.truth(sample_run.results() | {"treatment": "dssm"}) == ""
    assert page.truth({"metrics": {"revenue": {"label": "Revenue", "kind": "ratio", "rel_effect": None}}}) == ""


def test_budgets_are_told_by_day_and_arm():
    found = budgets.section(sample_run.results())
    assert found.lead.endswith("over-delivery: dssm 4.90% and 0.16%; dssm+cs3 5.50% and 0.16%.")
    cells = [[cell.text for cell in row] for row in found.tables[0].rows]
    assert cells[0] == ["dssm", "1", "25,200", "4.30%", "[3.70%, 4.90%]", "0.04%", "[0.01%, 0.07%]"]
    assert len(cells) == 8


def test_an_aa_run_says_so(svgs):
    results = sample_run.results()
    results["treatment"] = results["control"]
    assert page.title(results) == "A/A run of dssm"
    assert not [tile for tile in headline.tiles(results, sample_run.timing()) if tile.label.startswith("Retrieval")]


def test_the_small_form_warns(svgs):
    results = sample_run.results() | {"small": True}
    assert "too noisy to decide" in words(page.render(results, sample_run.timing(), sample_run.manifest(), svgs))


def test_names_from_outside_are_escaped(svgs):
    results = copy.deepcopy(sample_run.results())
    results["metrics"]["revenue"]["label"] = "<script>alert(1)</script>"
    results["verdict"]["reason"] = 'a "quoted" <b>reason</b>'
    text = page.render(results, sample_run.timing(), sample_run.manifest(), svgs)
    assert text.count("<script") == 1
    assert "alert(1)</script" not in text
    assert "<b>reason" not in text


def test_an_unknown_schema_is_an_error():
    with pytest.raises(ValueError, match="results schema == 2, must be 1"):
        page.render({"schema": 2}, {}, {}, {})


def test_an_svg_without_a_view_box_is_an_error():
    with pytest.raises(ValueError, match="must have a viewBox"):
        shell.inline_svg("forest", "<svg width='1'></svg>", "label")


def test_the_ladder_is_told_rung_by_rung():
    assert ladder.section(sample_run.results()).lead == (
        "Revenue, rung by rung: dssm-bare → dssm: +44.0%; dssm → dssm+cs3: +2.68%."
    )


def test_the_configuration_is_flattened_without_its_gaps():
    nested = {"a": {"b": 1, "c": {"d": [3, 4, 5]}}, "e": None, "f": []}
    assert parts.flat(nested) == [("a.b", "1"), ("a.c.d", "3–5")]
