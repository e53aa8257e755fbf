"""Command lines drawn from the real commands and their options: values right and wrong, missing, doubled, empty."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from hypothesis import strategies as st

from reports.commands.main import cs3bench
from tests.reports.scenario_files import TINY, toml

LOG = Path(__file__).parents[1] / "data" / "kuairand-tiny"
TAME: dict[str, list[str]] = {
    "ab": ["--scenario", "tiny.toml", "--jobs", "1", "--control", "random", "--treatment", "popularity"],
    "arena": ["--scenario", "tiny.toml", "--jobs", "1", "--arm", "random"],
    "ablation": ["--scenario", "tiny.toml", "--jobs", "1", "--choosing", "1"],
    "lab": ["--scenario", "tiny.toml", "--jobs", "1", "--worlds", "2", "--meter", "interference",
            "--design", "user_split", "--tightness", "1e6", "--shares", "0.5"],
    "power": ["--scenario", "tiny.toml", "--jobs", "1", "--worlds", "2", "--tightness", "1e6"],
    "sensitivity": ["--scenario", "tiny.toml", "--jobs", "1", "--worlds", "2", "--dial", "k", "--values", "4,5",
                    "--control", "random", "--treatment", "popularity"],
    "world": ["tiny.toml"],
    "growth": ["--scenario", "tiny.toml", "--set", "multiples=[1,2]", "--set", "requests=50"],
    "late": ["--scenario", "tiny.toml", "--ads", "50", "--k", "5", "--requests", "4"],
    "latency": ["--small", "--set", "scenario=tiny.toml", "--set", "calls=4", "--set", "arrivals=4", "--set", "rows=20",
                "--ads", "60", "--set", "open_ads=60", "--set", "candidates=5", "--set", "growth_k=[2,4]"],
    "offline": ["--path", "log", "--jobs", "1", "--seeds", "1", "--arm", "dssm-bare", "--set", "panel=0",
                "--set", "noise=[]"],
    "sweep": ["--path", "log", "--jobs", "1", "--seeds", "1", "--dial", "sync", "--values", "7200"],
    "tune": ["--scenario", "tiny.toml", "--jobs", "1", "--budget", "1", "--model", "dssm-bare", "--set", "run.panel=4"],
    "gate": ["--base-python", "nowhere", "--quiet"],
    "check": ["random"],
    "report": ["run"],
    "plot": ["run", "--list"],
    "replay": ["run", "--request", "0"],
}  # fmt: skip
"""What makes each command small; drawn options come after it and win."""
HEAVY = {"ablation", "arena", "growth", "late", "latency", "offline", "sweep", "tune"}
"""Commands whose lines hold at least one odd value: a run of them is seconds even when it is small."""
RIGHT: dict[str, list[str]] = {
    "scenario": ["tiny.toml", "bom.toml"], "scenarios": ["tiny.toml"], "worlds": ["1", "2"], "seed": ["0", "7"],
    "jobs": ["1"], "out": ["new", "new/inner", "é"], "engine": ["local"], "control": ["random", "oracle"],
    "treatment": ["popularity", "popularity[temperature=0.5]", "random"], "choosing": ["0", "1"], "settings": ["own"],
    "arms": ["random", "oracle"], "models": ["dssm-bare"], "meter": ["interference"],
    "designs": ["switchback", "two_sided", "ad_side", "budget_split"], "tightness": ["5", "1e9"],
    "shares": ["0.5", "0.1"],
    "lift": ["0.1", "-0.05"], "wanted": ["0.9"], "share": ["0.5", "0.25"], "dial": ["k", "drift", "budget_tightness"],
    "values": ["4,5", "4,4.5"], "sizes": ["40"], "requests": ["2", "3"], "pairs": ["6", "1"], "candidates": ["2"],
    "ads": ["70"], "batches": ["1", "2"], "days": ["1"], "data": ["kuairand", "log"], "path": ["log"], "seeds": ["1"],
    "budget": ["1"], "rankers": ["dnn"], "name": ["popularity"], "run": ["run"], "paths": ["run"],
    "folder": [".", "empty"],
    "figure": ["forest", "funnel"], "form": ["svg"], "metric": ["revenue"], "request": ["0", "5"], "world": ["1"],
    "sets": ["run.panel=4", "auction.reserve=0", "feedback.fatigue=0", "run.days=2", "auction.pricing=vcg"],
}  # fmt: skip
WRONG = [
    "", " ", "-1", "0", "nan", "inf", "-inf", "1e400", "99999999999999999999999", "-0.5", "☃", "a/b", "../x", "x" * 300,
    "\x1b[31m", "line\nbreak", "[1", "=", "@", "+", ":", "no.such:thing", "1,1", "1,2,nan", "5,4", "missing/x", "file",
    "folder.toml", "binary.toml", "broken.toml", "empty", "dsm", "dssm+cas+cas", "dssm[lr=x]", "dssm[lr=1,lr=2]",
    "\udcff", "quikstart", "run", "--", "-x", "--no-such", "tcp://127.0.0.1:1", "True", "0x10", "1_000",
]  # fmt: skip
WRONG_SETS = [
    "x", "=", "run.days", "run.days=", "run.days=[1", "run.days=2\nevil=1", "run.days=1e9", "name=a/b", "run.seed=-1",
    "world.users=2000000000", "a.b=1", "wrld.users=3", "cascade.tick=0.5", "cascade.tick=7001", "run=1", "calls=0",
    "run.days.x=1", "feedback.label_wait=900000", "world.ads=3", "loads=[0]", "multiples=[2,1]", "requests=-1",
    "seed=-1", "growth_users=[0]", "batches=[]", "arms=[]", "label_wait=-1", "panel=nan", "noise=[nan]",
    "world.base_logit=-40", "auction.reserve=1e9", "scenario=", "scenario=3", "world.new_users=0.9999999",
    "world.ending_ads=1",
]  # fmt: skip


def furnish(folder: Path) -> None:
    """What the lines name: scenarios good and bad, a log, a file, an empty folder. A run is the caller's."""
    (folder / "tiny.toml").write_text(toml(TINY))
    (folder / "bom.toml").write_bytes(b"\xef\xbb\xbf" + toml(TINY).replace("\n", "\r\n").encode())
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    (folder / "broken.toml").write_text("x = " + "[" * 100_000)
    (folder / "file").write_text("mine\n")
    (folder / "folder.toml").mkdir()
    (folder / "empty").mkdir()
    (folder / "log").mkdir()
    for path in LOG.iterdir():
        if path.suffix == ".gz":
            (folder / "log" / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        else:
            shutil.copy(path, folder / "log")


def values(option: click.Parameter, odd: bool) -> st.SearchStrategy[str]:
    """A right value of an option, or an odd one."""
    if odd:
        return st.sampled_from([*WRONG, *WRONG_SETS * 3] if option.name == "sets" else WRONG)
    return st.sampled_from(RIGHT.get(str(option.name), ["x"]))


@st.composite
def lines(draw: Any) -> Sequence[str]:
    """Words after ``cs3bench``."""
    commands: dict[str, click.Command] = dict(sorted(cs3bench.commands.items()))
    name = draw(st.sampled_from([*(one for one in commands if one not in HEAVY for _ in range(3)), *commands]))
    if draw(st.integers(0, 40)) == 0:
        return [draw(st.sampled_from(WRONG))]
    typed = [name, *TAME.get(name, [])]
    options = [one for one in commands[name].params if isinstance(one, click.Option)]
    arguments = [one for one in commands[name].params if isinstance(one, click.Argument)]
    chosen = draw(st.lists(st.sampled_from(options), max_size=4)) if options else []
    odd = draw(st.integers(0, max(len(chosen) - 1, 0))) if name in HEAVY or draw(st.booleans()) else -1
    for i, one in enumerate(chosen):
        typed.append(draw(st.sampled_from(one.opts)))
        if not (one.is_flag or one.count):
            typed.append(draw(values(one, i == odd)))
    if arguments and draw(st.integers(0, 2)) == 0:
        typed[1:2] = [draw(values(arguments[0], draw(st.booleans())))]
    if (name in HEAVY and not chosen) or draw(st.integers(0, 30)) == 0:
        typed.append(draw(st.sampled_from(["--no-such", "--jobs", "--out", "extra", "-"])))
    return typed
