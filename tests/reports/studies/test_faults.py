"""A plug-in that misbehaves in mid-run is named, with the time and what was wrong, in one line."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path

import pytest

from reports.commands.main import main
from reports.studies.market.cells import BURN_IN, Task, compute
from simulator.blame import ContractError
from simulator.experiment import Cell, RunDirectory
from tests.reports.studies import faulty
from tests.reports.studies.tiny import arguments, tiny

HERE = faulty.__name__
S = tiny("run.worlds=1")
IDENTITY = {"kind": "faults"}


def at(code):
    """The end of an error that was raised by this line of the faulty plug-ins."""
    lines = Path(faulty.__file__).read_text(encoding="utf-8").splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if code in line]
    return rf" \(faulty\.py:{number}\)$"


def task(root, cell):
    return Task(cell=cell, scenario=S, root=str(root), identity=IDENTITY, index=0, keep_state=True)


@pytest.fixture(scope="module")
def burnt(tmp_path_factory):
    """A run directory in which the burn-in is done."""
    root = tmp_path_factory.mktemp("faults") / "run"
    RunDirectory(root, {"identity": IDENTITY})
    compute(task(root, Cell(world=1, name=BURN_IN)), 1)
    return root


@pytest.mark.parametrize(
    ("arm", "line"),
    [
        (
            "NaNLogits",
            r"retriever at time 1\d{5}: candidates\.logit has \d+ of \d+ values not finite, must be all finite",
        ),
        ("UnknownAds", r"retriever at time 1\d{5}: candidates\.ad == 1\d{3}\.\.1\d{3}, must be -1\.\.39$"),
        ("RepeatedAds", r"retriever at time 1\d{5}: candidates\.ad == \d+ twice in request \d+, must be once$"),
        ("TooWide", r"retriever at time 1\d{5}: candidates have ad \[\d+, 16\], .*, must be \[\d+, <= 8\] all three$"),
        ("Flat", r"retriever at time 1\d{5}: candidates\.ad is int32 \[8\], must be int32 \[\d+, any\]$"),
        ("Crashes", r"retriever at time 1\d{5}: retrieve raised KeyError: 'no such table'" + at("return {}[table]")),
        ("CrashesInNumpy", r"retrieve raised ValueError: all the input arrays .*" + at("np.concatenate([found")),
        ("CrashesLearning", r"retriever at time 1\d{5}: update raised RuntimeError: out of" + at("raise RuntimeError")),
        (
            "CrashesPublishing",
            r"retriever at time 129600: sync raised AssertionError: no place left" + at("assert now < NOON"),
        ),
        ("InfiniteScores", r"retriever at time \d+: score has \d+ of \d+ values not finite"),
        ("NeverMade", r" at time 0: its factory raised OSError: no weights" + at("raise OSError")),
        ("Unsaved", r" at time 172800: saving its snapshot raised TypeError: .* is a function, must be numbers"),
        ("@NaNRates", r"ranker at time 1\d{5}: ranked\.pctr == nan, must be in \[0, 1\]$"),
        ("@WrongShape", r"ranker at time 1\d{5}: ranked\.pctr is float32 \[\d+, 1\], must be float32 \[\d+, 8\]$"),
        ("@HugeHidden", r"ranker at time 1\d{5}: ranked\.hidden == \S+, must be finite in half precision$"),
        ("@RankerCrashes", r"ranker at time 1\d{5}: rank raised KeyError: 'h_uv' \(faulty\.py:\d+\)$"),
    ],
)
def test_the_arm_the_time_and_what_was_wrong(burnt, arm, line):
    name = f"popularity@{HERE}:{arm[1:]}" if arm.startswith("@") else f"{HERE}:{arm}"
    with pytest.raises(ContractError, match=line) as caught:
        compute(task(burnt, Cell(world=1, name=name, days=1)), 1)
    said = str(caught.value)
    assert said.startswith(f"arm '{name}'")
    assert "\n" not in said
    assert caught.value.__cause__ is None


def test_a_sound_arm_leaves_the_same_bytes_with_and_without_its_guard(burnt, monkeypatch):
    found = []
    for variant in ("guarded", "bare"):
        if variant == "bare":
            for guard in ("GuardedRetriever", "GuardedRanker"):
                monkeypatch.setattr(f"reports.studies.market.stage.{guard}", lambda name, inner: inner)
        cell = Cell(world=1, name="popularity", days=1, variant=variant)
        compute(task(burnt, cell), 1)
        folder = RunDirectory(burnt, {"identity": IDENTITY}).cell(cell)
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert set(found[0]) == {"cell.json", "ledger.parquet", "log.parquet", "seal.json"}
    assert found[0] == found[1]


def test_the_command_says_it_in_one_line(tmp_path, monkeypatch, capsys):
    typed = ["--control", "popularity", "--treatment", f"{HERE}:Crashes", "--worlds", "1", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["cs3bench", *arguments(tmp_path, *typed)])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    line = rf"arm '{HERE}:Crashes', retriever at time 1\d{{5}}: retrieve raised KeyError: .*" + at("return {}[table]")
    assert re.fullmatch(f"cs3bench: error: {line[:-1]}\n", err), err
    assert not (tmp_path / "results.json").exists()


def test_a_worker_hands_the_line_on():
    error = pickle.loads(pickle.dumps(ContractError("arm 'a', retriever at time 3: score is a list")))
    assert isinstance(error, ContractError)
    assert str(error) == "arm 'a', retriever at time 3: score is a list"
