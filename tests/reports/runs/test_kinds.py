"""A kind of run is one object: whoever adds it has its page, its listing, its figure, its tables and a comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from matplotlib.figure import Figure

from reports import load_run
from reports.runs.kinds import registry
from reports.runs.kinds.kind import Compared, Kind, Parts, Said, effect_of
from reports.runs.kinds.registry import GROUP, OURS, kinds, register
from reports.runs.tables import of_list
from tests.reports.commands.test_cli import said


def curve(results: dict) -> Figure:
    """Height by day."""
    figure = Figure()
    figure.subplots().plot([row["height"] for row in results["days"]])
    return figure


def page(run: Parts, out: Path) -> Path:
    (out / "index.html").write_text(f"<p>{run.results['tree']}</p>")
    (out / "tables.md").write_text("| day | height |\n")
    return out / "index.html"


def compared(run: Parts):
    grown = effect_of("Height", "m", "ratio", "higher", run.results["gain"], [0.1, 0.3])
    yield Compared("garden", run.results["tree"], "grass", {"height": grown | {"n_worlds": 5}})


TOY = Kind(
    name="toy",
    command="cs3bench-toy grow",
    title="A toy",
    file="toy.json",
    needs=("tree", "days", "gain"),
    page=page,
    markdown="tables.md",
    figures=lambda run: {"curve": lambda: curve(run.results)},
    said=lambda results: Said("", f"The {results['tree']} grew."),
    tables=lambda run: {"days": lambda: of_list(run.results["days"])},
    compared=compared,
)
RESULTS = MappingProxyType(
    {
        "schema": 1,
        "kind": "toy",
        "tree": "oak",
        "gain": 0.2,
        "days": [{"day": 1, "height": 0.5}, {"day": 2, "height": 0.6}],
    }
)


@pytest.fixture
def known(monkeypatch) -> Callable[[Kind], None]:
    """Registers a kind, for one test."""
    monkeypatch.setattr(registry, "_added", {})
    return register


@pytest.fixture
def toy(tmp_path, known) -> Path:
    known(TOY)
    root = tmp_path / "runs" / "toy-oak"
    root.mkdir(parents=True)
    (root / "toy.json").write_text(json.dumps(dict(RESULTS)))
    return root


class TestToy:
    def test_page(self, toy, cs3bench):
        assert cs3bench("report", str(toy)) == (0, f"| day | height |\n\npage: {toy / 'index.html'}\n", "")
        assert (toy / "index.html").read_text() == "<p>oak</p>"

    def test_what_a_terminal_is_told(self, toy, cs3bench, monkeypatch):
        monkeypatch.setitem(registry._added, "toy", replace(TOY, text=lambda run: f"a {run.results['tree']}"))
        assert cs3bench("report", str(toy))[1].startswith("a oak\npage: ")

    def test_listing(self, toy, cs3bench):
        (one,) = json.loads(cs3bench("runs", str(toy.parent), "--json")[1])
        assert (one["name"], one["kind"], one["state"], one["text"]) == ("toy-oak", "toy", "complete", "The oak grew.")

    def test_figure(self, toy, cs3bench, tmp_path):
        assert cs3bench("plot", str(toy), "--list")[1] == "curve\n"
        code, _, err = cs3bench("plot", str(toy), "--figure", "curve", "--out", str(tmp_path / "curve.svg"))
        assert (code, err) == (0, "")
        assert (tmp_path / "curve.svg").read_text().count("<svg") == 1
        assert load_run(toy).figures.curve().axes[0].lines[0].get_ydata().tolist() == [0.5, 0.6]

    def test_tables(self, toy):
        run = load_run(toy)
        assert (run.kind, run.tables) == ("toy", ("days",))
        assert run.table("days").to_pydict() == {"day": [1, 2], "height": [0.5, 0.6]}

    def test_comparison(self, toy, tmp_path, cs3bench):
        pine = tmp_path / "runs" / "toy-pine"
        pine.mkdir()
        (pine / "toy.json").write_text(json.dumps({**RESULTS, "tree": "pine", "gain": 0.1}))
        found = json.loads(cs3bench("compare", str(toy), str(pine), "--json")[1])
        effects = [(one["arm"], one["control"], one["metrics"]["height"]["rel_effect"]) for one in found["entries"]]
        assert effects == [("oak", "grass", 0.2), ("pine", "grass", 0.1)]

    def test_what_is_wrong_with_it_is_one_line(self, toy, cs3bench):
        (toy / "toy.json").write_text(json.dumps({"schema": 1, "kind": "toy", "tree": "oak"}))
        assert "toy.json: damaged or incomplete (no 'days')" in said(cs3bench("report", str(toy))[2])
        (toy / "toy.json").write_text(json.dumps({**RESULTS, "schema": 0}))
        assert "run it again with another --out (cs3bench-toy grow)" in said(cs3bench("report", str(toy))[2])

    def test_a_kind_that_says_nothing_else_has_nothing_else(self, toy, cs3bench, monkeypatch):
        monkeypatch.setitem(registry._added, "toy", Kind(name="toy", command="", file="toy.json", needs=("tree",)))
        run = load_run(toy)
        assert (run.tables, run.figures.names, run.text, run.verdict) == ((), (), "", ("", ""))
        assert cs3bench("plot", str(toy), "--list") == (0, "", f"{toy}: no figures\n")
        assert "kind == 'toy', this kind has no page" in said(cs3bench("report", str(toy))[2])
        assert "no metric in common" in said(cs3bench("compare", str(toy))[2])


class TestRegistry:
    def test_each_file_of_the_room_holds_the_kind_of_its_name(self):
        assert [name.replace("-", "_") for name in kinds()] == list(OURS)
        assert all(kind.name == name for name, kind in kinds().items())
        assert all(kind.command.startswith("cs3bench ") for kind in kinds().values())
        assert all(kind.page or kind.pageless != Kind.pageless for kind in kinds().values())

    def test_a_name_is_taken_once(self, known):
        known(TOY)
        with pytest.raises(ValueError, match="name == 'toy', must be one that no kind of run has: toy, ab, "):
            register(TOY)

    @pytest.mark.parametrize(
        ("point", "line"),
        [
            (f"toy = {__name__}:TOY", ""),
            (f"other = {__name__}:TOY", "cs3bench.kinds: 'other', must be a Kind of that name, got Kind(name='toy'"),
            ("toy = toys_gone:TOY", "cs3bench.kinds: 'toy', must be importable (ModuleNotFoundError: "),
        ],
    )
    def test_of_another_package(self, tmp_path, monkeypatch, cs3bench, point, line):
        info = tmp_path / "toys-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{point}\n")
        monkeypatch.syspath_prepend(tmp_path)
        code, _, err = cs3bench("runs", str(tmp_path))
        if line:
            assert code == 2
            assert line in said(err)
        else:
            assert (code, kinds()["toy"]) == (0, TOY)
