"""`cs3bench plot`: any figure of a run as a file that is fit to print, the same bytes each time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from reports import load_run
from reports.drawing.paper import DPI, FORMATS, published, write_figure
from tests.reports.commands.test_cli import said


@pytest.fixture
def forest(made_up):
    return load_run(made_up).figures.forest


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_bytes_each_time(forest, form):
    assert published(forest(), form) == published(forest(), form)


def test_svg_has_no_letters_left_to_the_reader(forest):
    text = published(forest(), "svg").decode()
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    assert "<text" not in text
    assert text.count("<use") > 100, "letters as curves"
    assert not re.search(r"<dc:date>|Matplotlib v", text)


def test_pdf_embeds_truetype(forest):
    content = published(forest(), "pdf")
    assert content.startswith(b"%PDF-")
    assert b"/CIDFontType2" in content or b"/TrueType" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_png_is_printable_and_tight(forest, tmp_path):
    path = write_figure(forest(), tmp_path / "new" / "forest.png")
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
        assert image.size[0] > 1500
        assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        ink = image.convert("L").point(lambda v: 255 * (v < 250)).getbbox()
    edge = [ink[0], ink[1], image.size[0] - ink[2], image.size[1] - ink[3]]
    assert max(edge) < 0.12 * DPI, "cut to what is drawn"


def test_another_format_is_refused(forest, tmp_path):
    with pytest.raises(ValueError, match="format == 'gif', must be one of png, svg, pdf"):
        write_figure(forest(), tmp_path / "forest.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="choose another --out"):
        write_figure(forest(), tmp_path / "file" / "forest.svg")


class TestCommand:
    def test_every_figure_of_the_page_is_listed_and_drawn(self, cs3bench, finished, tmp_path):
        code, out, _ = cs3bench("plot", str(finished), "--list")
        names = out.split()
        assert code == 0
        assert set(names) == {path.stem for path in (finished / "figures").glob("*.svg")}
        for name in names:
            path = tmp_path / f"{name}.svg"
            assert cs3bench("plot", str(finished), "--figure", name, "--out", str(path))[0] == 0
            assert path.stat().st_size > 1000

    def test_default_name(self, cs3bench, made_up, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        code, out, _ = cs3bench("plot", str(made_up), "--figure", "per_day", "--format", "pdf")
        assert (code, out) == (0, "figure: run-per_day.pdf\n")
        assert cs3bench("plot", str(made_up), "--figure", "per_day", "--format", "png", "--out", "a.b")[0] == 2
        assert cs3bench("plot", str(made_up), "--figure", "per_day", "--out", "plain")[1] == "figure: plain.svg\n"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.svg", "run-per_day.pdf"]

    @pytest.mark.parametrize(
        ("typed", "line"),
        [
            (["--figure", "forrest"], "no figure 'forrest'; did you mean 'forest'"),
            ([], "--figure is missing"),
            (["--figure", "forest", "--format", "pdf", "--out", "x.svg"], "--format pdf: must agree with --out x.svg"),
            (["--figure", "forest", "--out", "x.gif"], "must end in one of .png, .svg, .pdf"),
        ],
    )
    def test_one_line_that_helps(self, cs3bench, made_up, tmp_path, monkeypatch, typed, line):
        monkeypatch.chdir(tmp_path)
        code, _, err = cs3bench("plot", str(made_up), *typed)
        assert code == 2
        assert line in said(err)
        assert not list(tmp_path.iterdir())
