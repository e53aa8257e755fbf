"""A run of somebody else: damaged, cut, made up or malicious, it is one line; none of it runs, and none leads out."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from pathlib import Path

import pytest

from reports import load_run
from reports.drawing.terminal import on_one_line, shown
from reports.runs.inventory import inventory
from reports.runs.kinds.registry import kinds
from reports.studies.replay.study import why
from simulator.plugins import RETRIEVERS, make, registered_only
from simulator.retrieval import popularity_retriever
from simulator.seal import SEAL, check_run, seal_run
from tests.reports.commands.test_cli import said
from tests.reports.schema_doc import keys_of

TRAP = "from pathlib import Path\nPath('EXECUTED').touch()\nf = dict\n"


@pytest.fixture
def received(finished, tmp_path, monkeypatch) -> Path:
    """A copy of a finished run, in the folder that commands are given in."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(finished, tmp_path / "run"))


def edit(file: Path, change) -> None:
    """Change a JSON file of a run, and seal the run again, as whoever made it up would."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    seal_run(file.parent)


class TestDamage:
    def test_any_flipped_bit_of_any_file_is_seen(self, received):
        """Whatever is no page: manifest, results, clock, seals, cells with their logs."""
        draws = random.Random(1)
        files = [p for p in received.rglob("*") if p.is_file() and p.suffix in (".json", ".parquet")]
        assert len(files) > 20
        for file in files:
            whole = file.read_bytes()
            for place in (0, len(whole) - 1, draws.randrange(len(whole))):
                content = bytearray(whole)
                content[place] ^= 1 << draws.randrange(8)
                file.write_bytes(content)
                with pytest.raises(ValueError, match=r"^\S+: .*; ") as caught:
                    check_run(received)
                assert "\n" not in str(caught.value)
            file.write_bytes(whole)
        check_run(received)

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("results.json", b""),
            ("results.json", b'{"kind": "ab"}'),
            ("manifest.json", b"[" * 100_000),
            ("timing.json", b"\x00"),
            (SEAL, b"{}"),
            (SEAL, b'{"files": []}'),
            (SEAL, None),
            ("timing.json", None),
            ("cells/world-1/dssm/log.parquet", None),
            ("cells/world-1/dssm/cell.json", b"{}"),
            (f"cells/world-1/dssm/{SEAL}", None),
        ],
    )
    def test_every_command_names_the_file_and_the_list_goes_on(self, received, made_up, cs3bench, file, content):
        shutil.copytree(made_up, "fine")
        (received / file).unlink() if content is None else (received / file).write_bytes(content)
        for command in (["report"], ["compare"], ["plot", "--list"], ["replay", "--request", "400"]):
            code, out, err = cs3bench(command[0], "run", *command[1:])
            assert (code, out) == (2, ""), command
            assert Path(file).name in said(err), command
        by_name = {one.name: one for one in inventory(Path())}
        assert by_name["run"].state == "damaged"
        assert by_name["fine"].state == "complete"

    def test_results_of_another_shape_are_one_line(self, received, cs3bench):
        """The digests agree, as of a run that was made up: every part in turn is gone, null, or of another kind."""
        file = received / "results.json"
        whole = json.loads(file.read_text())
        refused = []
        for key in sorted(set(whole) - {"kind", "schema"}):
            for value in (None, 3, "x", [1], {"a": 1}):
                content = dict(whole)
                content[key] = value
                file.write_text(json.dumps(content))
                (received / SEAL).unlink()
                seal_run(received)
                run = load_run(received)
                for ask in (lambda run: run.verdict, lambda run: run.tables, lambda run: run.table("metrics")):
                    try:
                        ask(run)
                    except ValueError as error:
                        refused.append(str(error))
        assert len(refused) > 5
        assert [one for one in refused if "results.json" not in one and "no table" not in one] == []
        edit(file, lambda r: (r.update(whole), r.update(metrics=3)))
        code, _, err = cs3bench("report", "run")
        assert code == 2
        assert said(err).startswith("cs3bench: error: run/results.json: damaged or incomplete (")
        assert not list(received.glob(".aside*"))

    @pytest.mark.parametrize("identity", [None, [], "x", {"kind": "ab"}, {"kind": "ab", "config": 3, "control": 1}])
    def test_a_manifest_of_another_shape_is_one_line(self, received, cs3bench, identity):
        edit(received / "manifest.json", lambda m: m.update(identity=identity))
        code, _, err = cs3bench("replay", "run", "--request", "400")
        assert code == 2
        assert "manifest.json" in said(err) or "kind == None" in said(err)
        (received / "results.json").unlink()
        (one,) = inventory(received)
        assert one.state in ("incomplete", "damaged")

    @pytest.mark.parametrize("config", [[1], 3, None])
    def test_a_configuration_of_another_shape_is_one_line(self, received, cs3bench, config):
        edit(received / "manifest.json", lambda m: m["identity"].update(config=config))
        code, _, err = cs3bench("replay", "run", "--request", "400")
        assert code == 2
        assert "run/manifest.json: damaged or incomplete (config must be an object)" in said(err)

    @pytest.mark.parametrize("kind", sorted(kinds()))
    def test_what_a_kind_needs_is_what_the_documentation_says_it_has(self, kind):
        told = keys_of("tune" if kind == "market-tune" else kind, "results.json")
        always = {key[0].removesuffix("[]") for key, of in told.items() if not of.endswith("?")}
        assert kinds()[kind].needs
        assert set(kinds()[kind].needs) <= always


class TestNames:
    @pytest.mark.parametrize("size", ["x/../../../../EVIL", "..", "a\nb", "\x1b]0;owned\x07", ""])
    def test_a_figure_is_written_nowhere_else(self, tmp_path, monkeypatch, cs3bench, size):
        monkeypatch.chdir(tmp_path)
        root = Path("late")
        root.mkdir()
        (root / "timing.json").write_text(json.dumps({"sizes": {size: []}}))
        (root / "results.json").write_text(json.dumps({"schema": 1, "kind": "late", "k": 5, "sizes": {size: []}}))
        names = [["plot", "late", "--list"], ["plot", "late", "--figure", f"late-{size}"], ["report", "late"]]
        for command in names[: 2 if size in ("", "..") else 3]:
            code, out, err = cs3bench(*command)
            if size not in ("", ".."):
                assert (code, out) == (2, "")
                assert "late/results.json: damaged or incomplete (ValueError: figure 'late-" in said(err)
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["late", "results.json", "timing.json"]

    def test_a_page_that_cannot_be_written_names_no_option_that_report_has_not(self, received, cs3bench, monkeypatch):
        def refuse(path, content):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(Path, "write_bytes", refuse)
        code, _, err = cs3bench("report", "run")
        assert code == 2
        assert said(err).endswith("Permission denied, it must be writable")


class TestNoCode:
    def test_replay_names_the_module_and_imports_it_only_when_told(self, received, cs3bench):
        Path("trap_model.py").write_text(TRAP)
        edit(received / "manifest.json", lambda m: m["identity"].update(control="trap_model:f"))
        code, _, err = cs3bench("replay", "run", "--request", "400")
        assert code == 2
        assert "module 'trap_model' is not imported: run/manifest.json names it; --allow-code allows it" in said(err)
        assert not Path("EXECUTED").exists()
        code, _, _ = cs3bench("replay", "run", "--request", "400", "--allow-code")
        assert code == 2
        assert Path("EXECUTED").exists()

    def test_a_list_of_runs_imports_nothing(self, received):
        Path("trap_list.py").write_text(TRAP)
        edit(received / "manifest.json", lambda m: m["identity"].update(kind="arena", arms=["trap_list:f"]))
        (received / "results.json").unlink()
        (one,) = inventory(received)
        assert (one.kind, one.state) == ("arena", "incomplete")
        assert not Path("EXECUTED").exists()

    def test_only_what_is_registered_is_made(self):
        with registered_only("--allow-code allows it"):
            assert make("popularity", RETRIEVERS)
            with pytest.raises(ValueError, match=r"module 'json' is not imported: --allow-code allows it$"):
                make("json:loads", RETRIEVERS)
        assert make("simulator.retrieval:popularity_retriever", RETRIEVERS) is popularity_retriever

    def test_the_folder_of_a_run_is_not_searched_for_modules(self, received, cs3bench, monkeypatch):
        monkeypatch.chdir(received)
        path = [one for one in __import__("sys").path if one not in ("", str(received))]
        monkeypatch.setattr("sys.path", path)
        for typed in (["plot", ".", "--list"], ["ab", "--treatment", "trap:f", "--out", "."]):
            cs3bench(*typed)
            assert str(received) not in path, typed


class TestLinks:
    @pytest.mark.parametrize("place", ["results.json", "index.html", "figures", "cells", ".aside.x", "cells/world-1/x"])
    def test_none_is_followed(self, received, cs3bench, place):
        victim = Path("victim")
        victim.write_text("precious")
        old = received / place
        shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
        old.symlink_to(victim.absolute())
        for command in (["report", "run"], ["compare", "run"], ["replay", "run", "--request", "400"]):
            code, _, err = cs3bench(*command)
            assert code == 2
            assert f"run/{place}: a link or no plain file" in said(err)
        assert victim.read_text() == "precious"
        (one,) = inventory(received)
        assert one.state == "damaged"


class TestTerminal:
    ODD = "\x1b[31mred\x07\x9b2J\u202e\u2066\u200b\r\ud800"

    def test_what_is_not_seen_is_spelled(self):
        assert shown("plain ☃ −1.5 …\n\t|") == "plain ☃ −1.5 …\n\t|"
        told = shown(self.ODD)
        assert told == r"\x1b[31mred\x07\x9b2J\u202e\u2066\u200b\r\ud800"
        assert on_one_line("a\n b\tc\x1b") == r"a b c\x1b"

    def test_none_of_a_run_reaches_it(self, received, cs3bench):
        def spoil(m):
            m["command"] = m["created"] = self.ODD + "\nno run of ours"
            m["identity"]["kind"] = self.ODD

        edit(received / "manifest.json", spoil)
        edit(received / "results.json", lambda r: r.update(scenario=self.ODD, treatment=self.ODD))
        edit(received / "results.json", lambda r: r["verdict"].update(word=self.ODD, reason=self.ODD))
        listed = cs3bench("runs", ".")
        assert len(listed[1].splitlines()) == 2, "a line is a line"
        for found in (
            listed,
            cs3bench("compare", "run"),
            cs3bench("report", "run"),
            cs3bench("replay", "run", "--request", "1"),
        ):
            text = found[1] + found[2]
            assert text
            assert all(one.isprintable() or one in "\n\t" for one in text), found


class TestFullDisk:
    @pytest.mark.parametrize("file", ["index.html", "figures/forest.png"])
    @pytest.mark.parametrize("command", [["report", "run"], ["compare", "run", "--out", "compared"]])
    def test_it_names_the_file_and_leaves_nothing(self, received, cs3bench, monkeypatch, command, file):
        shutil.rmtree(received / "figures")
        (received / "index.html").unlink()
        before = sorted(Path().rglob("*"))
        real = Path.write_bytes

        def fill_up(path, content):
            if path.name == f".{Path(file).name}.part":
                real(path, b"half")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return real(path, content)

        monkeypatch.setattr(Path, "write_bytes", fill_up)
        code, out, err = cs3bench(*command)
        assert code == 2
        assert said(err).startswith(f"cs3bench: error: {command[-1]}/{file}: No space left on device, make room")
        assert "page:" not in out
        assert sorted(Path().rglob("*")) == before


def test_a_run_of_the_layout_before_is_read_and_not_resumed(made_up, tmp_path):
    run = load_run(made_up)
    assert run.manifest["schema"] == 1
    assert not (made_up / SEAL).exists()
    with pytest.raises(ValueError, match="kind == None"):
        why(made_up, 1)
