"""A scenario of seconds, plug-ins to run through it, and the command line in and out of this process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import reports
from simulator.records import PAD, Candidates, Catalog, Impressions, Offers, Ranked, Requests
from simulator.retrieval import PopularityRetriever
from simulator.scenario import Scenario, load

HERE = "tests.reports.studies.tiny"
SETS = (
    "world.users=100",
    "world.ads=40",
    "world.advertisers=6",
    "world.base_logit=-2.0",
    "traffic.requests_per_day=300",
    "cascade.candidates=8",
    "cascade.tick=7200",
    "cascade.sync=7200",
    "logging.pool=20",
    "run.burn_in=1",
    "run.days=1",
    "run.worlds=2",
    "run.panel=20",
    "run.evaluation=30",
    "run.tau=10",
    "run.ladder_worlds=1",
    "run.latency=5",
)


def tiny(*sets: str) -> Scenario:
    return load("quickstart", small=True, sets=[*SETS, *sets])


def arguments(out: Path, *more: str) -> list[str]:
    """What is typed behind ``cs3bench``."""
    sets = [word for item in SETS for word in ("--set", item)]
    return ["ab", "--small", "--quiet", "--out", str(out), *sets, *more]


def command(out: Path, *more: str) -> list[str]:
    """A whole process."""
    return [sys.executable, "-W", "error::UserWarning", "-m", "reports", *arguments(out, *more)]


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    """The process, leader of a group of its own, as a shell starts it."""
    home = Path(reports.__file__).parents[1]
    return subprocess.Popen(
        command(out, *more),
        cwd=home,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )


def hear_ctrl_c() -> None:
    """A test run that was itself put in the background ignores SIGINT, and would hand that down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def comparable(root: Path) -> dict[str, bytes]:
    """Every file of a run whose bytes must follow from the manifest alone."""
    files = [root / "results.json", *(p for p in root.glob("cells/**/*") if p.is_file())]
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


class PlainRanker:
    """The protocol's three verbs and nothing more: no state to save, a hidden vector of another width."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self.rate = catalog.base_ctr
        self.calls: list[tuple[str, Any]] = []

    def rank(self, requests: Requests, ads: Any) -> Ranked:
        self.calls.append(("rank", requests.id))
        pctr = np.where(ads == PAD, 0, self.rate).astype(np.float32)
        return Ranked(pctr=pctr, hidden=np.repeat(ads[..., None], 3, axis=2).astype(np.float32))

    def update(self, impressions: Impressions) -> None:
        self.calls.append(("update", impressions))

    def sync(self, now: int) -> None:
        self.calls.append(("sync", now))


class Spy(PopularityRetriever):
    """Popularity that keeps whatever it is handed."""

    handed: list[Any] = []  # noqa: RUF012

    def __init__(self, catalog: Catalog, seed: int) -> None:
        super().__init__(catalog, seed)
        self.handed.append(catalog)

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        self.handed.extend([requests, offers])
        return super().retrieve(requests, offers, k)

    def update(self, impressions: Impressions) -> None:
        self.handed.append(impressions)
        super().update(impressions)


not_callable = 3
