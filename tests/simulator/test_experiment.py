"""What is in a run directory is whole; two runs never share one."""

from __future__ import annotations

import errno
import json
import os
import re

import numpy as np
import pytest

from simulator.experiment import SCHEMA, Cell, RunDirectory, digest, plain, read_json, write_json

CELL = Cell(world=3, name="dssm", days=2)
MANIFEST = {"identity": {"arms": ("a", "b"), "seed": 1}, "command": "cs3bench ab"}


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "deep" / "run", MANIFEST)


class TestCell:
    def test_paths_are_apart_and_stay_inside(self):
        cells = [
            CELL,
            Cell(world=4, name="dssm"),
            Cell(world=3, name="dssm", variant="again"),
            Cell(world=3, name="../../x:y"),
        ]
        paths = [str(cell.path) for cell in cells]
        assert len(set(paths)) == 4
        assert paths[2] == "world-3/dssm.again"
        assert paths[3] == "world-3/_._.._x_y~ac8f844b"


class TestWriting:
    def test_a_cell_has_its_name_when_it_is_whole(self, run):
        with run.writing(CELL) as out:
            write_json(out / "cell.json", {"x": 1})
            assert not run.done(CELL)
            assert not run.cell(CELL).exists()
        assert run.done(CELL)
        assert [p.name for p in run.cell(CELL).parent.iterdir()] == ["dssm"]
        assert read_json(run.cell(CELL) / "cell.json") == {"x": 1}

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_what_fails_vanishes_and_the_old_one_stays(self, run, error):
        with run.writing(CELL) as out:
            write_json(out / "cell.json", {"x": 1})

        def fail() -> None:
            with run.writing(CELL) as out:
                write_json(out / "cell.json", {"x": 2})
                raise error

        with pytest.raises(error):
            fail()
        assert read_json(run.cell(CELL) / "cell.json") == {"x": 1}
        assert [p.name for p in run.cell(CELL).parent.iterdir()] == ["dssm"]

    def test_a_cell_is_replaced_as_a_whole(self, run):
        for name in ("old.json", "cell.json"):
            with run.writing(CELL) as out:
                write_json(out / name, {})
        assert sorted(p.name for p in run.cell(CELL).iterdir()) == ["cell.json", "seal.json"]

    def test_leftovers_of_a_killed_worker(self, run):
        leftovers = [run.cell(CELL).with_name(".aside.dssm.7-ab"), run.work(CELL).with_name(".aside.dssm.7-cd")]
        for aside in leftovers:
            aside.mkdir(parents=True)
            (aside / "half.json").write_text("{")
        with run.writing(CELL) as out:
            assert list(out.iterdir()) == []
            write_json(out / "cell.json", {})
        run.tidy()
        assert not any(aside.exists() for aside in leftovers)
        assert run.done(CELL)

    def test_two_workers_on_one_cell_the_first_stays(self, run):
        with run.writing(CELL) as slow, run.writing(CELL) as fast:
            assert slow != fast
            write_json(fast / "cell.json", {"x": "fast"})
            write_json(slow / "cell.json", {"x": "slow"})
        assert read_json(run.cell(CELL) / "cell.json") == {"x": "fast"}
        assert [p.name for p in run.cell(CELL).parent.iterdir()] == ["dssm"]

    def test_work_files_appear_together(self, run):
        with run.keeping(CELL) as out:
            (out / "a").write_text("a")
            assert not run.kept(CELL)
            (out / "b").write_text("b")
        assert sorted(p.name for p in run.work(CELL).iterdir()) == ["a", "b", "seal.json"]
        with run.keeping(CELL) as out:
            (out / "c").write_text("c")
        assert sorted(p.name for p in run.work(CELL).iterdir()) == ["c", "seal.json"]

    def test_work_goes_when_the_run_is_finished(self, run):
        (run.work(CELL) / "x").write_text("x")
        run.finish()
        assert sorted(p.name for p in run.root.iterdir()) == ["manifest.json", "seal.json"]
        run.finish()

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, None])
    def test_a_write_that_fails_is_one_line_with_the_cell_s_own_path(self, run, number):
        """numpy has no error number for a short write: then it depends on the room that is left."""

        def fail() -> None:
            with run.writing(CELL) as out:
                (out / "half.bin").write_bytes(b"x")
                raise OSError(number, os.strerror(number), str(out / "log.parquet")) if number else OSError("3 of 9")

        full = number in (errno.ENOSPC, errno.EDQUOT)
        what = os.strerror(number) if number else "3 of 9"
        mend = "make room and give the same command again, it resumes" if full else "choose another --out"
        where = run.cell(CELL) / "log.parquet" if number else run.cell(CELL)
        with pytest.raises(ValueError, match=re.escape(f"{where}: {what}, {mend}") + "$"):
            fail()
        assert not run.cell(CELL).exists()
        assert list(run.cell(CELL).parent.iterdir()) == []


class TestOneRunOneDirectory:
    def test_the_same_run_resumes(self, run):
        before = (run.root / "manifest.json").read_bytes()
        RunDirectory(run.root, MANIFEST | {"command": "typed otherwise"})
        assert (run.root / "manifest.json").read_bytes() == before
        assert read_json(run.root / "manifest.json")["schema"] == SCHEMA

    def test_another_run_is_refused(self, run):
        with pytest.raises(ValueError, match=r"holds another run \(cs3bench ab\), choose another --out$"):
            RunDirectory(run.root, {"identity": {"arms": ["a", "b"], "seed": 2}})

    def test_another_layout_is_refused(self, run):
        write_json(run.root / "manifest.json", MANIFEST | {"schema": SCHEMA + 1})
        with pytest.raises(ValueError, match=rf"schema {SCHEMA + 1}, this version reads {SCHEMA}"):
            RunDirectory(run.root, MANIFEST)

    def test_someone_s_files_are_refused(self, tmp_path):
        (tmp_path / "notes").write_text("mine")
        with pytest.raises(ValueError, match="not empty and not a run of ours"):
            RunDirectory(tmp_path, MANIFEST)

    def test_a_run_that_was_killed_at_once_begins_again(self, tmp_path):
        (tmp_path / "manifest.json.aside").write_text("{")
        (tmp_path / ".lock").write_text("process 1")
        assert RunDirectory(tmp_path, MANIFEST).root == tmp_path

    def test_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        for root in (tmp_path / "file", tmp_path / "file" / "run"):
            with pytest.raises(ValueError, match=r"choose another --out$"):
                RunDirectory(root, MANIFEST)

    def test_digest(self):
        assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        assert digest({"a": 1}) != digest({"a": 2})
        assert len(digest({})) == 8


class TestJson:
    def test_plain(self):
        value = {
            1: np.float64(2.5),
            "nan": float("nan"),
            "inf": [np.inf, -np.inf, 1],
            "array": np.arange(4, dtype=np.int32).reshape(2, 2),
            "odd": np.array([1.0, np.nan]),
            "tuple": (True, None, "x", np.bool_(False)),
        }
        assert plain(value) == {
            "1": 2.5,
            "nan": None,
            "inf": [None, None, 1],
            "array": [[0, 1], [2, 3]],
            "odd": [1.0, None],
            "tuple": [True, None, "x", False],
        }

    def test_there_and_back_exactly(self, tmp_path):
        value = {"x": [0.1, 1e-300, 1 / 3], "é": None}
        write_json(tmp_path / "a.json", value)
        assert read_json(tmp_path / "a.json") == value
        assert [p.name for p in tmp_path.iterdir()] == ["a.json"]

    def test_a_value_that_is_no_json_leaves_the_old_file(self, tmp_path):
        write_json(tmp_path / "a.json", {"x": 1})
        with pytest.raises(TypeError):
            write_json(tmp_path / "a.json", {"x": object()})
        assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}

    @pytest.mark.parametrize(
        "text", [None, "", "{", "[1]", "3", b"\xff", '{"a":' * 100_000, '{"a": NaN}', f'{{"a": {"9" * 5000}}}']
    )
    def test_damage_is_named_in_one_line(self, tmp_path, text):
        path = tmp_path / "a.json"
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: ") as caught:
            read_json(path)
        assert "\n" not in str(caught.value)
