import hashlib

import matplotlib as mpl
import numpy as np
import pytest

from reports.drawing import strokes
from reports.pages.ab import arms as run_arms
from reports.pages.ab import calibration, figures, forest, funnel, k_sweep, learning, references
from tests.reports import sample_run

NAMES = [
    "forest",
    "segments",
    "per_day",
    "ladder",
    "funnel",
    "plane",
    "k_sweep",
    "calibration",
    "learning",
    "budgets",
    "mechanisms",
    "references",
]
NEEDS = {
    "forest": "metrics",
    "segments": "segments",
    "per_day": "per_day",
    "ladder": "ladder",
    "funnel": "funnel",
    "k_sweep": "k_sweep",
    "calibration": "calibration",
    "learning": "learning",
    "budgets": "budgets",
    "mechanisms": "mechanisms",
    "references": "references",
}


def texts(figure):
    """Every word that the figure shows."""
    found = figure.findobj(mpl.text.Text)
    return " | ".join(text.get_text() for text in found if text.get_text())


def hollowed(value):
    """The same structure with every number inside gone, as a run too small for any statistic leaves it."""
    if isinstance(value, dict):
        return {key: part if key in ("k", "day", "phase", "kind") else hollowed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [hollowed(part) for part in value]
    return None if isinstance(value, float) else value


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, figures.draw_all(sample_run.results(), sample_run.timing(), out)


def test_every_figure_is_drawn_in_the_pages_order_and_written_in_both_kinds(drawn):
    out, svgs = drawn
    assert list(svgs) == NAMES
    written = sorted(path.name for path in (out / "figures").iterdir())
    assert written == sorted(f"{name}.{kind}" for name in NAMES for kind in ("svg", "png"))
    assert all((out / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in NAMES)
    assert all((out / "figures" / f"{name}.svg").read_text() == svg for name, svg in svgs.items())


def test_the_same_run_gives_the_same_bytes(drawn, tmp_path):
    out, _ = drawn
    figures.draw_all(sample_run.results(), sample_run.timing(), tmp_path)
    for path in (out / "figures").iterdir():
        again = (tmp_path / "figures" / path.name).read_bytes()
        assert hashlib.sha256(again).digest() == hashlib.sha256(path.read_bytes()).digest(), path.name


def test_no_svg_carries_a_date(drawn):
    _, svgs = drawn
    assert not [name for name, svg in svgs.items() if "<dc:date>" in svg]


def test_drawing_leaves_the_global_style_alone():
    before = dict(mpl.rcParams)
    references.figure(sample_run.results())
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(("name", "section"), NEEDS.items())
@pytest.mark.parametrize("gap", ["absent", "null", "empty"])
def test_a_figure_without_its_section_is_skipped(name, section, gap):
    results = sample_run.results()
    if gap == "absent":
        del results[section]
    else:
        results[section] = None if gap == "null" else {}
    assert name not in figures.drawable(results, sample_run.timing())


def test_without_latency_there_is_no_plane_and_the_sweep_shows_revenue_alone():
    assert "plane" not in figures.drawable(sample_run.results(), {})
    assert len(k_sweep.figure(sample_run.results(), {}).axes) == 1
    assert len(k_sweep.figure(sample_run.results(), sample_run.timing()).axes) == 2


@pytest.mark.parametrize("name", NAMES)
def test_nulls_in_place_of_every_number_are_drawn_as_gaps(name):
    results, timing = hollowed(sample_run.results()), sample_run.timing()
    draw = figures.drawable(results, timing).get(name)
    if name in ("plane", "mechanisms"):  # no revenue, no lift: no point to place
        assert draw is None
    else:
        assert strokes.save(draw(), "svg").startswith(b"<?xml")


def test_an_aa_run_is_drawn_with_every_effect_on_the_line_of_zero():
    results = sample_run.results()
    results["treatment"] = results["control"]
    for metric in results["metrics"].values():
        metric |= {"treatment": metric["control"], "rel_effect": 0.0, "effect": 0.0, "ci": [0.0, 0.0], "p": None}
    figure = forest.figure(results)
    assert texts(figure).count("0%  [0%, 0%]") == 6
    lo, hi = figure.axes[0].get_xlim()
    assert lo < 0 < hi
    assert run_arms.arms(results)[0] == "dssm"


def test_forest_has_a_row_for_each_metric_and_ticks_in_per_cent():
    figure = forest.figure(sample_run.results())
    words = texts(figure)
    assert all(metric["label"] in words for metric in sample_run.results()["metrics"].values())
    assert "+2.60%  [+1.47%, +3.73%]" in words
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    ("better", "ci", "side"),
    [
        ("higher", [0.1, 0.2], "better"),
        ("higher", [-0.2, -0.1], "worse"),
        ("lower", [-0.2, -0.1], "better"),
        ("lower", [0.1, 0.2], "worse"),
        ("none", [0.1, 0.2], ""),
        ("higher", [-0.1, 0.2], ""),
        ("higher", [0.0, 0.0], ""),
        ("higher", [None, 0.2], ""),
        ("higher", None, ""),
    ],
)
def test_direction_needs_the_whole_interval_on_one_side(better, ci, side):
    assert strokes.direction({"better": better, "ci": ci}) == side


def test_funnel_bars_are_the_money_and_their_words_the_loss():
    figure = funnel.figure(sample_run.results())
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths == [1712.0, 1531.2, 1342.8, 1265.6, 1712.0, 1577.9, 1381.1, 1298.5]
    assert "1,531  (−10.6%)" in texts(figure)


def test_the_seam_stands_between_the_last_burn_in_day_and_the_first_test_day():
    ax = learning.figure(sample_run.results()).axes[0]
    vertical = [line for line in ax.lines if len(set(np.asarray(line.get_xdata()))) == 1]
    assert [float(np.asarray(line.get_xdata())[0]) for line in vertical] == [10.5]


def test_calibration_is_observed_over_predicted():
    results = sample_run.results()
    bins = results["calibration"]["dssm"]["retriever"]
    line = next(line for line in calibration.figure(results).axes[0].lines if line.get_label() == "dssm")
    np.testing.assert_allclose(line.get_ydata(), np.divide(bins["y"], bins["p"]))


def test_plane_takes_revenue_from_the_metric_then_the_sweep_then_the_funnel():
    results = sample_run.results()
    assert run_arms.revenue_per_1000(results, "dssm+cs3") == 1298.5
    del results["metrics"]
    assert run_arms.revenue_per_1000(results, "dssm+cs3") == 1298.0
    del results["k_sweep"]
    results["funnel"]["dssm+cs3"]["sold"] = 7.0
    assert run_arms.revenue_per_1000(results, "dssm+cs3") == 7.0


def test_arms_keep_one_look_in_every_figure_and_differ_in_more_than_colour():
    results = sample_run.results()
    results["funnel"] = {"third": {"sold": 1.0}, **results["funnel"]}
    looks = run_arms.marks(results)
    assert list(looks) == ["dssm", "dssm+cs3", "third"]
    assert len({look.marker for look in looks.values()}) == len({look.line for look in looks.values()}) == 3


def test_writing_aside_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("old")
    strokes.write_aside(path, b"new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a.svg", "new")]


class TestCut:
    """A row much wider than the others is cut at the edge with an arrow, and squeezes nobody."""

    def drawn(self, *spans):
        figure, (ax,) = strokes.canvas(2.0)
        rows = [strokes.Row(f"row {i}", (lo + hi) / 2, np.array([lo, hi]), f"{lo} to {hi}", "") for i, (lo, hi) in
                enumerate(spans)]  # fmt: skip
        strokes.dot_rows(ax, rows)
        arrows = [(line.get_marker(), line.get_ydata()[0]) for line in ax.lines if line.get_marker() in "<>"]
        return ax, arrows, figure

    def test_a_wide_row_is_cut_where_it_goes_on(self):
        ax, arrows, _ = self.drawn((-1, 1), (-0.5, 0.7), (-0.2, 2), (-0.4, 90))
        assert arrows == [(">", 3)]
        lo, hi = ax.get_xlim()
        assert lo < -1
        assert 2 < hi < 20

    def test_a_dot_without_an_interval_is_told_too_and_zero_stays_in_sight(self):
        nan = float("nan")
        figure, (ax,) = strokes.canvas(2.0)
        values = [(1.0, 0.9, 1.1), (1.2, 1.1, 1.3), (1.1, 1.0, 1.2), (80.0, 70.0, 90.0), (-50.0, nan, nan)]
        rows = [strokes.Row("row", at, np.array(ends), "", "") for at, *ends in values] + [
            strokes.Row("empty", nan, np.array([nan, nan]), "", "")
        ]
        strokes.dot_rows(ax, rows)
        arrows = [(line.get_marker(), line.get_ydata()[0]) for line in ax.lines if line.get_marker() in "<>"]
        assert arrows == [(">", 3), ("<", 4)]
        assert ax.get_xlim()[0] < 0 < ax.get_xlim()[1]
        assert figure is ax.figure

    def test_both_ends(self):
        _, arrows, _ = self.drawn((-1, 1), (-0.5, 0.7), (-0.2, 1), (-60, 90))
        assert sorted(arrows) == [("<", 3), (">", 3)]

    @pytest.mark.parametrize("spans", [[(-1, 1), (-50, 50)], [(-1, 1), (-2, 2), (-3, 5)], [(0, 0), (0, 0), (0, 0)]])
    def test_rows_of_one_size_or_too_few_are_whole(self, spans):
        ax, arrows, _ = self.drawn(*spans)
        assert arrows == []
        assert ax.get_xlim()[0] <= min(lo for lo, _ in spans)
        assert ax.get_xlim()[1] >= max(hi for _, hi in spans)
