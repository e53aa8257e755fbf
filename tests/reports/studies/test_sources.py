"""Every file that decides a number has a digest, and a comment changes none."""

from __future__ import annotations

import importlib
import sys
import zipfile

import pytest

from reports.studies.machine import sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("def make(seed):\n    return seed + 1\n", True),
        ("# a comment\ndef make(seed):\n    '''Says what it does.'''\n    return (seed  +  1)\n", True),
        ("'''A module.'''\n\ndef make(seed): return seed + 1", True),
        ("def make(seed):\n    return seed + 2\n", False),
        ("def make(seed, days=1):\n    return seed + 1\n", False),
        ("def make(seed):\n    'used'.upper()\n    return seed + 1\n", False),
        ("def make(seed:\n", False),
    ],
)
def test_it_is_the_syntax_that_counts(tmp_path, text, same):
    write(tmp_path / "one.py", "def make(seed):\n    return seed + 1\n")
    write(tmp_path / "other.py", text)
    assert (sources.digest(tmp_path / "one.py") == sources.digest(tmp_path / "other.py")) is same


def test_a_file_that_a_plugin_names_is_part_of_it(folder):
    write(folder / "pkg/__init__.py")
    write(
        folder / "pkg/towers.py",
        "import alone\nA = open('weights.json'), 'deep/more.bin', '', '.', 'deep', '/dev/null'",
    )
    write(folder / "pkg/weights.json", "1")
    write(folder / "pkg/deep/more.bin", "1")
    write(folder / "pkg/other.json", "1")
    write(folder / "alone.py", f"X = 'weights.csv', '../up.txt', 'a\\0b', {'x' * 300!r}\n")
    write(folder / "weights.csv", "1")
    write(folder.parent / "up.txt", "1")
    found = sources.plugins(["pkg.towers"])
    names = ["alone.py", "pkg/__init__.py", "pkg/deep/more.bin", "pkg/towers.py", "pkg/weights.json", "weights.csv"]
    assert list(found) == names
    write(folder / "pkg/weights.json", "2")
    assert [name for name, one in sources.plugins(["pkg.towers"]).items() if found[name] != one] == ["pkg/weights.json"]


def test_a_plugin_is_its_file_and_all_that_it_imports_beside_it(folder):
    write(folder / "pkg/__init__.py")
    write(folder / "pkg/towers.py", "import numpy, simulator.log\nfrom . import layers\nfrom .deep.more import x\n")
    write(folder / "pkg/layers.py", "def f():\n    import late\n")
    write(folder / "pkg/deep/more.py", "from importlib import import_module\nx = import_module('named')\n")
    write(folder / "pkg/unused.py")
    write(folder / "late.py", "import json, pkg.towers\n")
    write(folder / "named.py", "raise RuntimeError('is not run')\n")
    found = sources.plugins(["pkg.towers"])
    names = ["late.py", "named.py", "pkg/__init__.py", "pkg/deep/more.py", "pkg/layers.py", "pkg/towers.py"]
    assert list(found) == names
    write(folder / "late.py", "import json\n")
    assert [name for name, one in sources.plugins(["pkg.towers"]).items() if found[name] != one] == ["late.py"]


def test_what_is_no_source_is_its_bytes(folder):
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        archive.writestr("packed.py", "def make(): ...\n")
    sys.path.insert(0, str(folder / "packed.zip"))
    suffix = ".so" if sys.platform != "win32" else ".pyd"
    write(folder / f"compiled{suffix}", "not really")
    try:
        found = sources.plugins(["packed", "compiled"])
        assert list(found) == [f"compiled{suffix}", "packed.zip"]
        write(folder / f"compiled{suffix}", "another")
        assert sources.plugins(["compiled"])[f"compiled{suffix}"] != found[f"compiled{suffix}"]
    finally:
        sys.path.remove(str(folder / "packed.zip"))


def test_what_is_installed_is_not_beside_but_a_plugin_that_is_installed_counts(folder, monkeypatch):
    write(folder / "installed/theirs/__init__.py", "import other\n")
    write(folder / "installed/other.py")
    monkeypatch.syspath_prepend(str(folder / "installed"))
    monkeypatch.setattr(sources, "_folders", lambda: (folder / "installed",))
    write(folder / "mine.py", "import theirs\n")
    assert list(sources.plugins(["mine"])) == ["mine.py"]
    assert list(sources.plugins(["theirs"])) == ["theirs/__init__.py"]


def test_a_module_that_was_edited_after_its_import_is_refused(folder):
    write(folder / "edited.py", "x = 1\n")
    import edited

    before = sources.plugins(["edited"])
    write(folder / "edited.py", "x = 22\n")
    with pytest.raises(ValueError, match=r"^edited.py: changed since this process imported it, start a new one$"):
        sources.plugins(["edited"])
    assert importlib.reload(edited).x == 22
    assert sources.plugins(["edited"]) != before


def test_a_module_that_is_nowhere_has_no_file():
    assert sources.plugins(["no_such_module_at_all", "json", "simulator.retrieval"]) == {}


def test_of_ours_what_decides_numbers_and_no_page():
    found = sources.code()
    for name in (
        "simulator/auction.py",
        "baselines/training/trainer.py",
        "cs3/cas.py",
        "reports/numbers/paired.py",
    ):
        assert name in found
    assert "reports/studies/tuned/kuairand.toml" in found
    assert not [name for name in found if "page" in name or "figures" in name or "/testing/" in name]


def test_a_module_of_reports_counts_unless_it_is_named_as_one_that_decides_nothing(tmp_path, monkeypatch):
    write(tmp_path / "reports/numbers/of_tomorrow.py")
    write(tmp_path / "reports/pages/tomorrow.py")
    monkeypatch.setattr(sources, "HOME", tmp_path)
    sources._deciding.cache_clear()
    found = sources.code()
    sources._deciding.cache_clear()
    assert list(found) == ["reports/numbers/of_tomorrow.py"]


def test_a_file_of_any_size_is_read_in_pieces(tmp_path):
    (tmp_path / "log.csv").write_bytes(bytes(3_000_000))
    one = sources.of_bytes(tmp_path / "log.csv")
    (tmp_path / "log.csv").write_bytes(bytes(2_999_999) + b"1")
    assert len(one) == 16
    assert sources.of_bytes(tmp_path / "log.csv") != one
