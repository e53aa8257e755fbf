"""Question: what do the ways to candidates of late interaction find, and how fast, as the catalogue grows?

``cs3bench late`` trains ``maxsim`` and ``dssm`` on the burn-in of a world, draws catalogues of any size whose ads are
like the trained ones (``late_items``), and asks every way (``late_ways``) for the K best by ``gain * score + log bid``
among the ads that may compete: recall against the exact scan, time of a single request on one thread, bytes an ad, time
to build. Beside the facets: single vectors served exactly, from HNSW and from IVF in the order of money.

Results go to ``results.json``, what a clock says to ``timing.json``; a size that is done is not measured again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from reports.studies.arms import WIDTH
from reports.studies.late.items import LATE, SINGLE, Side, eligible_bids, of_size, structure, trained
from reports.studies.late.ways import FACET_WAYS, VECTOR_WAYS, Way, measured
from reports.studies.machine.kernels import agree, kernels
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import TIMING, Answer, run_or_resume
from reports.studies.machine.workers import one_thread
from simulator import feasible
from simulator.config import MOST_SEED, Section
from simulator.experiment import Cell, RunDirectory, digest, read_json, write_json
from simulator.footprint import fits
from simulator.scenario import Scenario, load

KINDS: Mapping[str, tuple[Way, ...]] = {LATE: FACET_WAYS, SINGLE: VECTOR_WAYS}
TRAINED = "trained"
FEW = 30


class LateConfig(Section):
    """What is measured.

    Attributes:
        ads: sizes of the catalogue, besides that of the trained world itself.
        scenario: the world whose towers are trained; small: its small form.
        seed: of the world and of all that is drawn.
        requests: that are asked at most, each alone; 299 is the least for an upper end of the p99's interval.
        pairs: requests times ads at most, where that leaves ``FEW`` requests.
        candidates: K.
        eligible: share of the ads that may compete.
    """

    ads: tuple[int, ...] = Field(default=(10_000, 100_000, 1_000_000), min_length=1)
    scenario: str = "quickstart"
    small: bool = False
    seed: int = Field(default=1, ge=0, le=MOST_SEED)
    requests: int = Field(default=300, ge=2)
    pairs: int = Field(default=30_000_000, ge=1)
    candidates: int = Field(default=100, ge=1)
    eligible: float = Field(default=0.9, gt=0, le=1)

    def asked(self, ads: int) -> int:
        """Requests at one size."""
        return min(self.requests, max(self.pairs // ads, FEW))

    @property
    def world(self) -> Scenario:
        """The scenario, asked as many requests in its evaluation as this study asks."""
        s = load(self.scenario, small=self.small)
        return s.model_copy(update={"run": s.run.model_copy(update={"evaluation": self.requests})})

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run. Sizes are cells of it: a further one may be added to a finished run."""
        scenario = load(self.scenario, small=self.small).model_dump(mode="json")
        config = self.model_dump(mode="json", exclude={"ads"})
        return {"kind": "late", "config": config, "scenario": scenario, **made_by()}

    def default_out(self) -> Path:
        """``runs/late-DIGEST``: the same command resumes the same directory."""
        return Path("runs") / f"late-{digest(self.identity())}"


def run(config: LateConfig, out: Path, *, quiet: bool = False, command: str = "") -> dict[str, Any]:
    """Run the study, or what is left of it; writes ``results.json``, ``timing.json``, ``late.md`` and a figure.

    Args:
        config: what to measure.
        out: the run directory.
        quiet: no progress bar.
        command: what was typed, for the record.

    Returns:
        The dict of ``results.json``.

    Raises:
        ValueError: one line, for a size below K or a directory that holds another run.
    """
    if min(config.ads) < config.candidates:
        raise ValueError(f"ads == {min(config.ads)}, must be at least candidates == {config.candidates}")
    fits(4 * load(config.scenario, small=config.small).world.ads * config.requests, f"requests == {config.requests}")
    feasible.check(config.world)
    feasible.check_worlds(config.world, [config.seed])
    fits(4 * WIDTH * max(config.ads), f"ads == {max(config.ads)}")

    def answer(directory: RunDirectory) -> Answer:
        directory.tidy()
        sizes_asked = [_cell(config, kind, ads) for kind in KINDS for ads in config.ads]
        if not all(directory.done(cell) for cell in sizes_asked):
            agree(out, [kernels()])
        with one_thread():
            sides = _trained(config, directory)
            sizes = sorted({len(sides[LATE].items), *config.ads})
            for kind in KINDS:
                for ads in sizes:
                    _measure(config, directory, sides[kind], kind, ads, quiet)

        def clock() -> dict[str, Any]:
            from reports.studies.serving.latency import machine

            cells = {kind: [directory.cell(_cell(config, kind, ads)) for ads in sizes] for kind in KINDS}
            measured = {kind: [read_json(home / "clock.json") for home in homes] for kind, homes in cells.items()}
            return {"sizes": measured, "machine": machine()}

        return Answer(assemble(config, directory, sides, sizes), clock)

    def page(results: dict[str, Any]) -> None:
        from reports.pages.late.page import write_late

        write_late(results, read_json(out / TIMING), out)

    written = manifest(config.identity(), command=command, seeds=[config.seed])
    return run_or_resume(out, written, answer, timed_again=True, after=page)


def _cell(config: LateConfig, kind: str, ads: int) -> Cell:
    return Cell(world=config.seed, name=kind, variant=f"{ads}-ads")


def _trained(config: LateConfig, directory: RunDirectory) -> dict[str, Side]:
    """Facets and vectors of the trained towers, trained if they are not there yet."""
    cell = Cell(world=config.seed, name=TRAINED)
    if directory.missing([cell]):
        sides = trained(load(config.scenario, small=config.small), config.seed, config.requests)
        with directory.writing(cell) as aside:
            for kind, side in sides.items():
                side.save(aside / f"{kind}.npz")
            write_json(aside / "cell.json", {"arms": sorted(sides)})
    return {kind: Side.load(directory.cell(cell) / f"{kind}.npz") for kind in KINDS}


def _measure(config: LateConfig, directory: RunDirectory, side: Side, kind: str, ads: int, quiet: bool) -> None:
    """One size of one kind, unless it is there."""
    cell = _cell(config, kind, ads)
    if not directory.missing([cell]):
        return
    from tqdm import tqdm

    drawn = of_size(side, ads, config.seed)
    drawn = drawn._replace(users=drawn.users[: config.asked(ads)])
    log_bid = eligible_bids(drawn.log_bid, config.eligible, config.seed)
    indexes = sum(way.least <= ads <= way.most for way in KINDS[kind])
    with tqdm(total=indexes + len(drawn.users), desc=f"{kind}, {ads:,} ads", disable=quiet or None, unit="step") as bar:
        rows, clock = measured(KINDS[kind], drawn, log_bid, config.candidates, config.seed, lambda: bar.update(1))
    facts = {
        "ads": ads,
        "real": ads <= len(side.items),
        "structure": structure(drawn.items, drawn.log_bid),
        "rows": rows,
    }
    with directory.writing(cell) as aside:
        write_json(aside / "clock.json", {"ads": ads, "rows": clock})
        write_json(aside / "cell.json", facts)


def assemble(
    config: LateConfig, directory: RunDirectory, sides: Mapping[str, Side], sizes: list[int]
) -> dict[str, Any]:
    """The dict of ``results.json`` from the cells."""
    facets = sides[LATE].users.shape[1], *sides[LATE].items.shape[1:]
    return {
        "schema": 1,
        "kind": "late",
        "scenario": config.scenario,
        "small": config.small,
        "seed": config.seed,
        "k": config.candidates,
        "requests": config.requests,
        "pairs": config.pairs,
        "eligible": config.eligible,
        "trained_ads": len(sides[LATE].items),
        "facets": dict(zip(("user", "item", "width"), facets, strict=True)),
        "vector": sides[SINGLE].items.shape[1],
        "gain": {kind: side.gain for kind, side in sides.items()},
        "sizes": {
            kind: [read_json(directory.cell(_cell(config, kind, ads)) / "cell.json") for ads in sizes] for kind in KINDS
        },
    }
