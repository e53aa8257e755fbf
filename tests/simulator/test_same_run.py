"""Another question is another run; the same question made of other code or data is a stale one, told by its names."""

from __future__ import annotations

import pytest

from simulator.experiment import Cell, RunDirectory, read_json, write_json
from simulator.same_run import allowed, changed, files_changed, resuming, same_question

CELL = Cell(world=1, name="dssm", days=1)


def manifest(*, seed=1, torch="2.13.0", settings=1, **made):
    identity = {"kind": "ab", "seed": seed, "version": "0.1.0", "libraries": {"torch": torch}, "settings": settings}
    files = {"python": "3.11", "code": {"simulator/auction.py": "a"}, "plugins": {"my_model.py": "b"}}
    return {"identity": identity, "command": "cs3bench ab", "made_of": files | made}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (manifest(plugins={"my_model.py": "c"}), "my_model.py changed since it was made"),
        (manifest(plugins={}), "my_model.py changed since it was made"),
        (
            manifest(code={"simulator/auction.py": "c"}, plugins={"my_model.py": "c"}),
            "my_model.py, simulator/auction.py changed since it was made",
        ),
        (
            manifest(code={f"simulator/{i}.py": "c" for i in range(4)}),
            "simulator/0.py, simulator/1.py, simulator/2.py and 2 more changed since it was made",
        ),
        (manifest(python="3.12"), "Python 3.11 is now 3.12, which changed since it was made"),
        (manifest(torch="2.14.0"), "torch 2.13.0 is now 2.14.0"),
        (manifest(), None),
    ],
)
def test_what_changed_is_named(now, said):
    assert changed(manifest(), now) == said
    assert same_question(manifest(), now)


def test_data_is_what_was_read_of_it_and_its_files_are_its_names():
    def log(read, **files):
        return manifest(data={"folder": "kr", "read": read, "files": files})

    assert changed(log("x", a="1"), log("y", a="2")) == "kr/a changed since it was made"
    assert changed(log("x", a="1"), log("y", a="1")) == "what is read from kr changed since it was made"
    assert changed(log("x", a="1"), log("x", a="2")) is None  # other line ends, say


def test_other_settings_are_another_question_unless_our_table_of_them_changed():
    other = manifest(settings=2)
    assert not same_question(manifest(), other)
    table = {"reports/studies/tuned/kuairand.toml": "t"}
    assert same_question(manifest(), manifest(settings=2, code={"simulator/auction.py": "a"} | table))


def test_a_run_that_does_not_say_what_made_it_is_not_trusted():
    there = manifest()
    del there["made_of"]
    assert files_changed(None, manifest()["made_of"])
    assert "not known" in changed(there, manifest())
    assert changed(there, there) is None


@pytest.mark.parametrize("odd", [[], "x", 1, {"code": []}, {"plugins": 3, "data": "kr", "python": None}])
def test_a_manifest_of_somebodys_own_is_no_stack(odd):
    assert changed(manifest() | {"made_of": odd}, manifest())


def test_a_stale_run_is_refused_and_made_anew_when_asked(tmp_path):
    root, edited = tmp_path / "run", manifest(plugins={"my_model.py": "c"})
    with RunDirectory.alone(root, manifest()) as run, run.writing(CELL) as out:
        write_json(out / "cell.json", {"revenue": 1})
    (root / "notes.txt").write_text("mine", encoding="utf-8")
    write_json(root / "results.json", {})
    said = r"run: my_model.py changed since it was made: choose another --out, or make its cells anew with --fresh$"
    with pytest.raises(ValueError, match=said), RunDirectory.alone(root, edited):
        pass
    with resuming(fresh=True), RunDirectory.alone(root, edited) as run:
        assert not run.done(CELL)
        assert sorted(path.name for path in root.iterdir()) == [".lock", "manifest.json", "notes.txt", "seal.json"]
    assert read_json(root / "manifest.json")["made_of"] == edited["made_of"]
    with RunDirectory.alone(root, edited):
        pass


COMPUTED = ("tuning.json", "tuned.toml", "power.json", "index.html", "tables.md", "toy.json", "figures/forest.svg")


def test_one_that_is_made_anew_and_stopped_is_not_finished(tmp_path):
    with RunDirectory.alone(tmp_path, manifest()) as run, run.writing(CELL) as out:
        write_json(out / "cell.json", {})
    (tmp_path / "figures").mkdir()
    for name in COMPUTED:
        (tmp_path / name).write_text("{}", encoding="utf-8")
    with (
        pytest.raises(KeyboardInterrupt),
        resuming(fresh=True),
        RunDirectory.alone(tmp_path, manifest()),
    ):
        raise KeyboardInterrupt
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "seal.json"]


def test_anew_is_no_leave_to_remove_another_run(tmp_path):
    with RunDirectory.alone(tmp_path, manifest()) as run, run.writing(CELL) as out:
        write_json(out / "cell.json", {})
    another = RunDirectory.alone(tmp_path, manifest(seed=2))
    with resuming(fresh=True), pytest.raises(ValueError, match="holds another run"), another:
        pass
    assert run.done(CELL)


def test_a_block_allows_and_the_next_does_not():
    with resuming(other_kernels=True):
        assert allowed().other_kernels
        assert not allowed().fresh
    assert not allowed().other_kernels
