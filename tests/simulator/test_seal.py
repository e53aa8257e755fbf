"""Damage is seen: every file of a run, whatever befell it, and what is not damaged is not said to be."""

from __future__ import annotations

import os
import re

import pytest

from simulator.experiment import Cell, RunDirectory, write_json
from simulator.files import DamagedError, refuse_links
from simulator.seal import SEAL, check, check_run, listed, read_point, seal_run, whole, write_point

CELL = Cell(world=1, name="dssm")
FILES = ("manifest.json", "results.json", "cells/world-1/dssm/cell.json", "cells/world-1/dssm/log.bin")


@pytest.fixture
def root(tmp_path):
    """A finished run of one cell."""
    with RunDirectory.alone(tmp_path / "run", {"identity": {}}) as run:
        with run.writing(CELL) as out:
            write_json(out / "cell.json", {"x": 1})
            (out / "log.bin").write_bytes(bytes(range(256)))
        write_json(run.root / "results.json", {"lift": 0.25})
        run.finish()
    return tmp_path / "run"


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def test_a_whole_run_is_whole(root):
    check_run(root)
    check(root / "cells/world-1/dssm")
    assert set(listed(root)) == {"manifest.json", "results.json", f"cells/world-1/dssm/{SEAL}"}
    assert set(listed(root / "cells/world-1/dssm")) == {"cell.json", "log.bin"}


@pytest.mark.parametrize("file", [*FILES, f"cells/world-1/dssm/{SEAL}"])
@pytest.mark.parametrize("damage", [flip, cut, os.unlink])
def test_damage_is_one_line_with_the_file(root, file, damage):
    damage(root / file)
    with pytest.raises(DamagedError, match=rf"^{re.escape(str(root / file))}: damaged or incomplete \(.*; .*$"):
        check_run(root)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"files": 3}', '{"files": {"a": 1}}', '{"files": {"../a": "b"}}'])
def test_a_seal_that_is_none(root, text):
    for folder in (root, root / "cells/world-1/dssm"):
        (folder / SEAL).write_text(text)
        with pytest.raises(DamagedError, match=rf"^{re.escape(str(folder / SEAL))}: "):
            check_run(folder) if folder == root else check(folder)
        assert whole(folder), "it was: whoever reads it says what is wrong"


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a\x1b", ""])
def test_a_seal_that_lists_what_no_file_is_called(root, name):
    for folder in (root, root / "cells/world-1/dssm"):
        write_json(folder / SEAL, {"files": {name: "00"}})
        with pytest.raises(DamagedError, match=rf"^{re.escape(str(folder))}.*: damaged or incomplete \(") as caught:
            check_run(folder) if folder == root else check(folder)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", ".nfs0001"])
def test_files_of_a_desktop_are_nobodys(root, tmp_path, name):
    for folder in (root, root / "cells", root / "cells/world-1/dssm"):
        (folder / name).write_bytes(b"x")
    check_run(root)
    with RunDirectory.alone(root, {"identity": {}}) as run, run.writing(Cell(world=2, name="dssm")) as out:
        (out / name).write_bytes(b"x")
        write_json(out / "cell.json", {})
    assert set(listed(root / "cells/world-2/dssm")) == {"cell.json"}
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / name).write_bytes(b"x")
    with RunDirectory.alone(tmp_path / "new", {"identity": {}}):
        pass


def test_files_and_cells_that_were_added(root):
    extra = root / "cells/world-1/dssm/more.bin"
    extra.write_bytes(b"x")
    with pytest.raises(
        DamagedError, match=r"more.bin: damaged or incomplete \(.*does not list it\); remove \S+more.bin$"
    ):
        check_run(root)
    extra.unlink()
    with RunDirectory(root, {"identity": {}}).writing(Cell(world=2, name="dssm")) as out:
        write_json(out / "cell.json", {})
    with pytest.raises(DamagedError, match=r"world-2/dssm/seal.json: .*does not list it"):
        check_run(root)
    seal_run(root)
    check_run(root)


def test_a_cell_that_lost_a_file_is_not_done(root):
    run = RunDirectory(root, {"identity": {}})
    assert run.missing([CELL]) == []
    (root / FILES[3]).unlink()
    assert run.missing([CELL]) == [CELL]


def test_a_damaged_cell_is_refused_on_resume(root):
    flip(root / FILES[3])
    with pytest.raises(DamagedError, match=r"log.bin: .*; remove .*world-1/dssm to compute it again$"):
        RunDirectory(root, {"identity": {}}).missing([CELL])


def test_a_changed_manifest_is_not_sealed_again(root):
    content = (root / "manifest.json").read_text()
    (root / "manifest.json").write_text(content.replace('"schema"', ' "schema"'))
    with pytest.raises(DamagedError, match=r"manifest.json: "), RunDirectory.alone(root, {"identity": {}}):
        raise AssertionError


def test_runs_in_a_run(root):
    inner = root / "levels/1"
    with RunDirectory.alone(inner, {"identity": {"level": 1}}) as run, run.writing(CELL) as out:
        write_json(out / "cell.json", {})
    seal_run(root)
    check_run(root)
    assert f"levels/1/{SEAL}" in listed(root)
    flip(inner / "cells/world-1/dssm/cell.json")
    with pytest.raises(DamagedError, match=r"levels/1/cells/world-1/dssm/cell.json: "):
        check_run(root)


def test_a_point_carries_its_digest(tmp_path):
    path = tmp_path / "0-1.json"
    write_point(path, {"auc": float("nan"), "n": 3})
    assert read_point(path) == {"auc": None, "n": 3}
    write_point(path, {"auc": 0.625})
    assert read_point(path) == {"auc": 0.625}
    path.write_text(path.read_text().replace("0.625", "0.725"))
    with pytest.raises(DamagedError, match=rf"^{re.escape(str(path))}: damaged .*; remove .* to compute it again$"):
        read_point(path)


class TestLinks:
    @pytest.mark.parametrize("place", [".lock", "cells", "work", ".aside.work", "results.json.aside", "index.html"])
    def test_none_in_a_run_directory(self, root, tmp_path, place):
        victim = tmp_path / "victim"
        victim.write_text("precious")
        if (root / place).exists():
            (root / place).rename(root.parent / "moved")
        (root / place).symlink_to(victim)
        with (
            pytest.raises(DamagedError, match=rf"{place}: a link .*remove it$"),
            RunDirectory.alone(root, {"identity": {}}),
        ):
            raise AssertionError
        assert victim.read_text() == "precious"

    def test_no_pipe(self, root):
        os.mkfifo(root / "results.json.aside")
        with pytest.raises(DamagedError, match=r"results.json.aside: a link or no plain file"):
            refuse_links(root)

    def test_a_file_of_ours_replaces_another_name_of_somebody_s(self, tmp_path):
        victim = tmp_path / "victim"
        victim.write_text("precious")
        os.link(victim, tmp_path / "a.json.aside")
        write_json(tmp_path / "a.json", {})
        assert victim.read_text() == "precious"
