"""The page of an offline study: verdicts first, every number named, gaps as n/a, one file that fetches nothing."""

from __future__ import annotations

import re

import pytest

from reports.numbers import published
from reports.pages.offline import page as offline_page
from reports.pages.offline import verdicts
from reports.pages.offline.cells import level
from reports.pages.offline.sections import build
from tests.reports import sample_offline
from tests.reports.pages.test_figures import hollowed
from tests.reports.pages.test_page import outline, words

ORDER = ["verdicts", "scores", "comparisons", "cold", "noise", "days", "settings", "paper", "log"]


@pytest.fixture(scope="module")
def results() -> dict:
    return sample_offline.results()


@pytest.fixture(scope="module")
def page(results, tmp_path_factory) -> str:
    return offline_page.write_page(results, tmp_path_factory.mktemp("run")).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sections(results) -> dict:
    return {section.key: section for section in build(results)}


def cells(section, title: str) -> list[list[str]]:
    (found,) = [table for table in section.tables if table.title == title]
    return [[cell.text for cell in row] for row in found.rows]


def test_sections_come_in_order_and_ids_are_unique(page):
    found = outline(page)
    assert [one for one in found.ids if one in ORDER] == ORDER
    assert len(set(found.ids)) == len(found.ids)


def test_the_page_fetches_nothing_and_is_small(page):
    names = {name for name, _ in outline(page).attributes}
    assert not names & {"src", "srcset", "data"}
    assert not re.search(r"url\((?!#)|@import|<script[^>]*src|https?://(?!www\.w3\.org)", page)
    assert len(page.encode()) < 1_000_000


def test_every_figure_has_an_alternative_and_a_table(page, sections):
    drawn = [section for section in sections.values() if section.figure]
    assert page.count('role="img"') == len(drawn) == 5
    for section in drawn:
        assert section.alt in page.replace("&#39;", "'")
        assert section.tables
        assert "n/a" not in section.alt


def test_tables_scroll_in_their_own_box(page):
    assert page.count("<table") == len(re.findall(r'<div class="scroll">\s*<table', page))


def test_the_verdicts_stand_first_with_word_reason_and_rule(page, results):
    text = words(page)
    assert text.index("Verdict per mechanism") < text.index("Scores on the test days")
    for found in results["verdicts"]:
        assert f"{found['mechanism'].upper()} :".replace("CS3 :", "CS3 as a whole :") in text
        assert verdicts.typeset(found["reason"]) in text
    assert "rules out a gain of 0.001 AUC or more" in text
    assert "``" not in verdicts.rule()


def test_a_mechanism_that_was_not_run_has_no_word():
    calls = verdicts.lights(sample_offline.least())
    assert [call["name"] for call in calls] == ["CAS", "CTS", "CMS", "CS3 as a whole"]
    assert {call["state"] for call in calls} == {"n/a"}


def test_scores_show_both_modes_and_the_gap(sections):
    replayed, frozen = (cells(sections["scores"], title) for title in ("Replayed", "Frozen before the test"))
    assert next(row for row in replayed if row[0] == "dssm")[:2] == ["dssm", "0.7100 [0.7080, 0.7120]"]
    assert frozen[0] == ["averages: user + video", "n/a", "n/a", "n/a"]
    order = {row[0]: row[1:] for row in cells(sections["scores"], "Calibration, order, gap")}
    assert order["dssm"][-1] == "n/a"
    assert order["dat"][-2:] == ["0.4000 [0.3980, 0.4020]", "25.0% [10.0%, 40.0%]"]


def test_base_comparisons_have_q_and_controls_have_a_question(sections):
    against = cells(sections["comparisons"], "Each arm − dssm")
    assert against[0] == [
        "dssm+cas − dssm", "−0.0030 [−0.0040, −0.0020]", "0.040", "−0.0015 [−0.0025, −0.0005]", "0.040",
    ]  # fmt: skip
    assert [row[0] for row in cells(sections["comparisons"], "Controls")] == ["dssm − dssm-bare", "dssm+cts − dat"]
    asked = dict(cells(sections["comparisons"], "What the controls ask"))
    assert asked["dssm − dssm-bare"] == "what the online counters give"
    assert "Below it: dssm+cas, dssm+cts, dssm+cms" in sections["comparisons"].lead


def test_the_two_kinds_of_interval_are_named(sections):
    assert "over seeds: what another initialisation" in sections["scores"].caption
    assert "over users: what other users" in sections["comparisons"].caption
    assert "over seeds" in sections["noise"].caption


@pytest.mark.parametrize(("value", "shown"), [(-0.00002, "0.0000"), (-0.5, "−0.5000"), (None, "n/a")])
def test_a_score_that_rounds_to_zero_has_no_sign(value, shown):
    assert level(value) == shown


def test_empty_slices_are_named_and_have_no_column(sections):
    assert f"Without a row: {sample_offline.EMPTY}." in sections["cold"].lead
    sizes = cells(sections["cold"], "Sizes")
    assert sizes[-1] == [sample_offline.EMPTY, "0", "0", "0"]
    assert len(cells(sections["cold"], "Differences in AUC, 95 % over users")[0]) == 1 + len(sample_offline.SLICES)


def test_falls_are_read_at_the_papers_noise(sections):
    assert cells(sections["noise"], "AUC lost at noise 0.1, over seeds")[0] == [
        "dssm", "0.0100 [0.0080, 0.0120]", "0.0100 [0.0080, 0.0120]",
    ]  # fmt: skip


def test_the_papers_figures_stand_beside_ours_only_where_they_are_about_the_same(sections):
    found = {row[0]: row[1:] for row in cells(sections["paper"], "Published and measured")}
    assert found["KuaiRand, all rows"] == [
        "0.6646 → 0.7484", "+0.0838, +12.6%", "0.7100 → 0.7180", "0.0000 [−0.0010, +0.0010]",
    ]  # fmt: skip
    assert found["TaobaoAd, all rows"][2:] == ["n/a", "n/a"]
    cold = next(row for what, row in found.items() if what.startswith("cold users"))
    assert cold[2] == "3 impressions: 0.6000 → 0.6000; 3 clicks: 0.6000 → 0.6000"
    assert "dssm 0.0100, dssm+cas 0.0100" in found[published.NOISE][2]
    assert "Public summaries disagree which data set the pairs belong to" in sections["paper"].lead


def test_published_gains_follow_from_the_published_pairs():
    assert all(0.5 < pair.before < pair.after < 1 for pair in published.PAIRS)
    assert published.PAPER == "arXiv 2604.19269"


def test_settings_are_spelled_and_gaps_are_not_guessed(sections):
    assert cells(sections["settings"], "Settings") == [
        ["ranker dnn", "16, 64", "0.001", "n/a"],
        ["dssm", "16", "n/a", "0.03"],
    ]


def test_what_was_read_is_escaped(page):
    assert "not a &lt;whole&gt; number" in page
    assert "<whole>" not in page


def test_the_same_input_gives_the_same_bytes(results, page, tmp_path):
    assert offline_page.write_page(results, tmp_path).read_text(encoding="utf-8") == page


def test_the_least_study_has_a_page(tmp_path):
    page = offline_page.write_page(sample_offline.least(), tmp_path).read_text(encoding="utf-8")
    found = outline(page)
    assert [one for one in found.ids if one in ORDER] == ["verdicts", "scores", "cold", "days", "paper", "log"]
    assert "No row was malformed" in page
    assert "None" not in words(page)


def test_a_study_without_a_number_reads_na_everywhere(results):
    gone = hollowed({key: results[key] for key in ("rows", "contrasts", "noise", "by_day")})
    gone["noise"]["levels"] = results["noise"]["levels"]
    text = words(offline_page.render(results | gone, {}))
    assert "n/a" in text
    assert not re.search(r"\b(None|nan)\b", text)


def test_it_says_when_an_arm_is_no_more_than_averages(results):
    low = results | {
        "rows": [row | {"auc": sample_offline.seeded(0.6)} if row["name"] == "dat" else row for row in results["rows"]]
    }
    assert "so no more than averages: dat." in words(offline_page.render(low, {}))
    assert "Every arm is above the smoothed averages (0.7020)." in words(offline_page.render(results, {}))


def test_another_schema_is_one_line(results, tmp_path):
    with pytest.raises(ValueError, match="schema of the offline results == 1, must be 2") as caught:
        offline_page.write_page(results | {"schema": 1}, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_sweep_has_a_page_with_its_figure_and_tables(tmp_path):
    path = offline_page.write_sweep_page(sample_offline.sweep(), tmp_path)
    page = path.read_text(encoding="utf-8")
    outline(page)
    text = words(page)
    assert text.count("30 min, default") == 2
    assert "dssm+cs3 − dssm" in text
    assert "−0.0012 [−0.0022, −0.0002]" in text
    assert page.count('role="img"') == 1
    assert (tmp_path / "figures" / "sweep.png").stat().st_size > 1000
    assert "Verdict" not in text
