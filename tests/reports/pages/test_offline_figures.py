"""The pictures of an offline study show the numbers of its results, named, told apart, and never raise for a gap."""

from __future__ import annotations

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest

from reports.drawing.strokes import save, style
from reports.pages.offline import cold, comparisons, days, figures, looks, noise, scores, sweep
from tests.reports import sample_offline
from tests.reports.pages.test_figures import hollowed


def texts(figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text())


def clashes(figure) -> list[tuple[str, str]]:
    """Pairs of words that lie over each other, and words that leave the picture."""
    with mpl.rc_context(style()):
        figure.draw_without_rendering()
    gone = set()  # ticks outside the view are kept by matplotlib and not drawn
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        lo, hi = sorted(axis.get_view_interval())
        gone |= {tick.label1 for tick in axis.get_major_ticks() if not lo <= tick.get_loc() <= hi}
    shown = [text for text in figure.findobj(mpl.text.Text) if text.get_text().strip() and text.get_visible()]
    shown = [text for text in shown if text not in gone]
    boxes = [(text.get_text(), text.get_window_extent().padded(-0.5)) for text in shown]
    width, height = figure.bbox.width, figure.bbox.height
    found = [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]
    return found + [
        (word, "edge") for word, box in boxes if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]


@pytest.fixture(scope="module")
def results() -> dict:
    return sample_offline.results()


def test_every_figure_is_written_in_both_kinds_with_the_same_bytes(results, tmp_path):
    svgs = figures.draw_all(results, tmp_path)
    assert list(svgs) == ["scores", "contrasts", "cold", "noise", "by_day"]
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == sorted(f"{name}.{kind}" for name in svgs for kind in ("svg", "png"))
    again = save(noise.figure(results), "svg")
    assert again == (tmp_path / "figures" / "noise.svg").read_bytes()


@pytest.mark.parametrize("name", ["scores", "contrasts", "cold", "noise", "by_day"])
def test_words_neither_overlap_nor_leave_the_picture(results, name):
    assert clashes(figures.drawable(results)[name](results)) == []


@pytest.mark.parametrize(("dial", "unit"), [("label_wait", "seconds"), ("alpha", "decay of the cross vectors")])
def test_words_of_a_sweep_neither_overlap_nor_leave_the_picture(dial, unit):
    assert clashes(sweep.figure(sample_offline.sweep(dial, unit))) == []


def test_no_two_lines_look_alike():
    names = [*sample_offline.AVERAGES, *sample_offline.RANKERS, *(f"arm-{i}" for i in range(20))]
    marks = list(looks.looks(names, "arm-3").values())
    assert len(set(marks)) == len(names)
    drawn = list(
        looks.looks([*sample_offline.AVERAGES, *sample_offline.RANKERS, *sample_offline.ARMS], "dssm").values()
    )
    assert len({(mark.marker, str(mark.line)) for mark in drawn}) >= 8  # told apart without colour too


def test_an_arm_looks_the_same_whatever_stands_beside_it():
    few = looks.looks(["dssm", "dssm+cs3", "dat"], "dssm")
    many = looks.looks([*sample_offline.RANKERS, *sample_offline.ARMS], "dssm")
    assert few["dssm"] == many["dssm"]
    assert few["dssm+cs3"] == many["dssm+cs3"]


def test_scores_name_both_kinds_of_interval_and_leave_the_untrained_ranker_out(results):
    shown = texts(scores.figure(results))
    assert "95 % over 3 seeds" in shown
    assert "95 % over 77 users" in shown
    assert "ranker dnn" in shown
    assert "dnn-untrained" not in shown


def test_filled_dots_are_replayed_and_hollow_ones_frozen(results):
    ax = scores.figure(results).axes[0]
    dots = [line for line in ax.lines if line.get_marker() not in ("None", "")]
    rows = [one for one in results["rows"] if one["name"] != "ranker dnn-untrained"]
    filled = [line.get_xdata()[0] for line in dots if line.get_markerfacecolor() == line.get_color()]
    hollow = [line.get_xdata()[0] for line in dots if line.get_markerfacecolor() != line.get_color()]
    assert filled == [one["auc"]["mean"] for one in rows]
    assert hollow == [one["frozen"]["auc"]["mean"] for one in rows if one["frozen"]]


def test_base_and_control_comparisons_stand_apart_with_their_chance(results):
    figure = comparisons.figure(results)
    above, frozen, below, _ = figure.axes
    assert [tick.get_text() for tick in above.get_yticklabels()] == [
        treatment for control, treatment in sample_offline.PAIRS if control == "dssm"
    ]
    assert [tick.get_text() for tick in below.get_yticklabels()] == ["dssm\n− dssm-bare", "dssm+cts\n− dat"]
    assert {text.get_text() for text in above.texts} == {"q 0.040"}
    assert {text.get_text() for text in [*below.texts, *frozen.texts]} == {"p 0.040"}
    assert above.get_xlim() == frozen.get_xlim()


def test_only_slices_with_a_number_get_a_panel(results):
    panels = [ax.get_title(loc="left") for ax in cold.figure(results).axes if ax.axison]
    assert [title.split("\n")[0] for title in panels] == [
        name.replace("at most", "≤") for name in sample_offline.SLICES
    ]
    assert panels[0].endswith("300 rows, 70 users")


def test_users_stand_left_of_videos_where_both_have_as_many():
    assert cold.side_by_side(["users a", "users b", "videos a", "videos b"]) == [
        "users a", "videos a", "users b", "videos b",
    ]  # fmt: skip


def test_noise_has_a_panel_per_scale_and_a_line_per_arm(results):
    axes = noise.figure(results).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["Absolute", "Relative"]
    assert [len(ax.lines) for ax in axes] == [3, 3]
    assert axes[0].lines[0].get_ydata() == pytest.approx([0.75, 0.74, 0.7])


def test_few_lines_by_day(results):
    drawn = days.drawn_daily(results)
    assert drawn == [*sample_offline.AVERAGES, "ranker dnn", "dssm-bare", "dssm", "dssm+cs3", "dat"]
    strange = results | {"base": "a", "rows": [{"name": name, "kind": "arm"} for name in "abcdefgh"]}
    assert days.drawn_daily(strange) == list("abcdef")


def test_a_sweep_marks_its_default_and_spells_periods():
    figure = sweep.figure(sample_offline.sweep())
    left, right = figure.axes
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["0 s", "15 min", "30 min", "6 h"]
    (word,) = [text for text in right.texts if text.get_text() == "default"]
    assert word.xy[0] == 2
    assert len(left.lines) == 3
    (dots,) = [line for line in right.lines if line.get_marker() == "s"]
    assert dots.get_ydata() == pytest.approx([-0.0012, 0.0021, 0.0003, np.nan], nan_ok=True)


def test_a_sweep_of_one_arm_and_no_default_has_one_panel():
    results = sample_offline.sweep()
    results["arms"] = {"dssm": results["arms"]["dssm"]}
    figure = sweep.figure(results | {"default": 77})
    assert len(figure.axes) == 1
    assert "default" not in texts(figure)


def test_the_least_study_still_has_its_two_figures(tmp_path):
    assert list(figures.draw_all(sample_offline.least(), tmp_path)) == ["scores", "by_day"]
    assert "n/a, 1 seed" in texts(scores.figure(sample_offline.least()))


@pytest.mark.parametrize("name", ["scores", "contrasts", "noise", "by_day"])
def test_figures_without_a_number_are_drawn_empty(results, name):
    gone = hollowed({key: results[key] for key in ("rows", "contrasts", "noise", "by_day")})
    gone["noise"]["levels"] = results["noise"]["levels"]
    assert save(figures.drawable(results)[name](results | gone), "svg").startswith(b"<?xml")


def test_long_names_are_cut_in_their_middle():
    name = "tests.reports.studies.fakes:retriever@tests.reports.studies.fakes:ranker"
    assert len(looks.short(name)) <= looks.LONGEST
    assert looks.short(name).startswith("tests.")
    assert looks.short("dssm+cs3") == "dssm+cs3"
