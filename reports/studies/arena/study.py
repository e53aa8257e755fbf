"""Question: which rival earns most in the same worlds, at what cost, and what is left of it at equal latency?

``cs3bench arena`` gives every arm the same worlds, requests, eligible ads, K, ranker and tuning budget
(``market_tune``).

1 burn-in of every world, 2 every arm in every world, 3 lifts over the reference, paired over worlds, 4 latency and
upkeep of all arms, interleaved, 5 who is dominated, and what each arm earns in the reference's time.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from reports.numbers.claims import correct, give_q
from reports.numbers.mechanisms import claim_word
from reports.numbers.untested import untested, why
from reports.records.spelling import CS3, MECHANISMS, Spelling
from reports.studies.arena.costs import equal_latency, pareto, upkeep
from reports.studies.arms import ORACLE, parse
from reports.studies.machine.engines import Dask
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.workers import one_thread
from reports.studies.market.cells import A_A, BURN_IN, Task
from reports.studies.market.evaluation import k_grid
from reports.studies.market.learning import curve, learning
from reports.studies.market.lights import lights
from reports.studies.market.slates import Differing, compared, not_compared
from reports.studies.market.summary import Facts, compare
from reports.studies.market.twins import compute_missing, facts_of, trained
from simulator.experiment import Cell, RunDirectory, digest
from simulator.feasible import check, check_worlds, worlds_of
from simulator.names import readable
from simulator.scenario import Scenario
from simulator.world import build

REFERENCE = "dssm"
REFERENCES = ("random", "popularity", ORACLE)
"""Bounds, not rivals: they take no part in the correction for many claims nor in the comparison of costs."""
CONTROLS = ("dssm-bare", "dssm-wide", "dssm+cs3+shuffled")
RIVALS = (
    "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cs3", "dat", "dat+cs3", "inttower", "inttower+cs3", "hit", "hit+cs3",
    "seqtower", "seqtower+cs3", "maxsim", "maxsim+cs3", "dssm+kd", "dssm+listkl", "dssm+cit", "dssm+kd+cs3",
)  # fmt: skip
ARMS = (*REFERENCES, REFERENCE, *CONTROLS, *RIVALS)
SHUFFLED, WIDE = "shuffled", "dssm-wide"
CORRECTED = ("revenue", "expected_revenue", "recall", "tau")
"""Measures whose p values are corrected for the number of arms."""
LATENCY_WORLD = 0
"""Index of the world whose trained arms are timed."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An arena.

    Attributes:
        scenario: the resolved configuration.
        arms: spellings, the reference among them.
        small: whether the scenario's small form was asked for.
        command: what was typed, for the record.
    """

    scenario: Scenario
    arms: tuple[str, ...]
    small: bool
    command: str

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "kind": "arena",
            "arms": list(self.arms),
            "settings": settings(self.arms, self.scenario.name),
            "config": self.scenario.model_dump(mode="json"),
            **made_by(),
        }

    def default_out(self) -> Path:
        """``runs/arena-SCENARIO-DIGEST``: the same command resumes the same directory."""
        return (
            Path("runs")
            / f"arena-{readable(self.scenario.name)}{'-small' if self.small else ''}-{digest(self.identity())}"
        )


@cache
def shipped(scenario: str) -> dict[str, dict[str, Any]]:
    """The settings that the search found in a scenario's tuning world, by arm; empty if there was no search."""
    path = Path(__file__).parents[1] / "tuned" / f"{scenario}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def settings(arms: Sequence[str], scenario: str) -> dict[str, dict[str, Any]]:
    """Hyper-parameters of each arm's towers: its own search's, a control's those of what it controls, or the defaults.

    Args:
        arms: spellings.
        scenario: name.
    """
    known = shipped(scenario)
    found = {}
    for arm in arms:
        towers = parse(arm).without(SHUFFLED).towers
        found[arm] = known.get(REFERENCE if towers == WIDE else towers, {})
    return found


def role(arm: str) -> str:
    """``reference`` (a bound), ``control`` or ``rival``."""
    parts = Spelling.of(arm)
    if parts.towers in REFERENCES:
        return "reference"
    return "control" if parts.towers in CONTROLS or SHUFFLED in parts.modifiers else "rival"


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The cells of an arena: burn-ins, every arm in every world, the A/A light of the reference."""

    burn_in: list[Cell]
    arms: dict[str, list[Cell]]
    a_a: Cell

    def all(self) -> list[Cell]:
        """Burn-ins first, then world by world."""
        by_world = [list(cells) for cells in zip(*self.arms.values(), strict=True)]
        return [*self.burn_in, *(cell for cells in by_world for cell in cells), self.a_a]


def cells_of(plan: Plan) -> Cells:
    """The cells that a plan needs."""
    run = plan.scenario.run
    seeds = worlds_of(plan.scenario)
    return Cells(
        burn_in=[Cell(world=w, name=BURN_IN) for w in seeds],
        arms={arm: [Cell(world=w, name=arm, days=run.days) for w in seeds] for arm in plan.arms},
        a_a=Cell(world=run.seed, name=A_A, days=1, variant=REFERENCE),
    )


def run_arena(
    plan: Plan, out: Path | None, jobs: int, *, quiet: bool = False, engine: Dask | None = None
) -> tuple[Path, dict[str, Any]]:
    """Run or resume an arena.

    Args:
        plan: what to run.
        out: run directory, :meth:`Plan.default_out` if None.
        jobs: worker processes.
        quiet: no progress bar.
        engine: compute the cells there instead of on this machine.

    Returns:
        The run directory and the content of its ``results.json``.

    Raises:
        ValueError: one line, for anything the caller can mend.
    """
    _check(plan.arms)
    seeds = worlds_of(plan.scenario)
    check(plan.scenario)
    check_worlds(plan.scenario, seeds)
    root = out or plan.default_out()
    cells = cells_of(plan)
    more: dict[str, Any] = {"cells": len(cells.all()), "arms": plan.arms, "small": plan.small}

    def answer(run: RunDirectory) -> Answer:
        begin = time.perf_counter()
        compute_missing(run, plan.scenario, _tasks(plan, run, cells), jobs=jobs, quiet=quiet, engine=engine)
        facts = {arm: facts_of(run, mine) for arm, mine in cells.arms.items()}

        def clock() -> dict[str, Any]:
            timing = _timing(plan, run, cells, facts)
            return timing | {"wall_seconds": {"total": time.perf_counter() - begin}, "jobs": jobs}

        return Answer(summary(plan, facts, facts_of(run, [cells.a_a])[0], compared(run, cells.arms)), clock)

    return root, run_or_resume(root, manifest(plan.identity(), command=plan.command, seeds=seeds, **more), answer)


def _check(arms: Sequence[str]) -> None:
    for arm in arms:
        parse(arm)
    if REFERENCE not in arms:
        raise ValueError(f"arms == {list(arms)}, must hold '{REFERENCE}', which the others are compared with")
    if len(set(arms)) < len(arms):
        raise ValueError(f"arms == {list(arms)}, must name each arm once")
    if len({parse(arm).ranker for arm in arms}) > 1:
        raise ValueError(f"arms == {list(arms)}, must have one ranker: it is the same for all rivals")


def _tasks(plan: Plan, run: RunDirectory, cells: Cells) -> dict[Cell, Task]:
    timed = plan.scenario.run.seed + LATENCY_WORLD
    given = settings(plan.arms, plan.scenario.name)
    return {
        cell: Task(
            cell=cell,
            scenario=plan.scenario,
            root=str(run.root.absolute()),
            identity=plan.identity(),
            index=i,
            keep_state=cell.world == timed,
            settings=given.get(cell.name, {}),
        )
        for i, cell in enumerate(cells.all())
    }


# --- after the cells -----------------------------------------------------------------------------------------------


@one_thread()
def summary(
    plan: Plan, facts: Mapping[str, Sequence[Facts]], a_a: Facts, differ: Differing = not_compared
) -> dict[str, Any]:
    """The whole of ``results.json``; nothing in it knows a clock. ``differ``: shares of requests with other slates.

    Raises:
        ValueError: one line, if an arm sold nothing in a world: there is no lift over nothing.
    """
    s, base = plan.scenario, facts[REFERENCE]
    for arm, mine in facts.items():
        for one in mine:
            if sum(day["revenue"] for day in one["days"]) <= 0:
                raise ValueError(f"revenue == 0 of {arm} in world {one['world']}, must be positive: longer runs")
    rows = {arm: _row(s, arm, base, mine) for arm, mine in facts.items()}
    others = [row for arm, row in rows.items() if row["role"] != "reference" and arm != REFERENCE]
    for key in CORRECTED:
        give_q([row["metrics"][key] for row in others])
    learned = {arm: learning(s, mine) for arm, mine in facts.items() if role(arm) != "reference"}
    apart = {arm: differ(REFERENCE, arm) for arm in facts if arm != REFERENCE}
    return {
        "schema": 1,
        "kind": "arena",
        "scenario": s.name,
        "small": plan.small,
        "reference": REFERENCE,
        "ranker": parse(REFERENCE).ranker,
        "worlds": [one["world"] for one in base],
        "days": {"burn_in": s.run.burn_in, "test": s.run.days},
        "k": s.cascade.candidates,
        "slots": s.auction.slots,
        "ads": s.world.ads,
        "tuned": bool(shipped(s.name)),
        "settings": settings(plan.arms, s.name),
        "arms": rows,
        "mechanisms": added(s, facts, differ),
        "learning": learned,
        "lights": [one._asdict() for one in _lights(learned, facts, a_a, apart)],
        "learned": {arm: [one["learned"] for one in mine] for arm, mine in facts.items() if "learned" in mine[0]},
        "slates_differ": apart,
    }


def _row(s: Scenario, arm: str, base: Sequence[Facts], mine: Sequence[Facts]) -> dict[str, Any]:
    """One arm: its measures beside the reference's, its costs, its K sweep."""
    rows = compare(s, base, mine)
    return {
        "role": role(arm),
        "metrics": rows,
        "k_sweep": {"k": mine[0]["k_sweep"]["k"], "revenue": curve([one["k_sweep"]["revenue"] for one in mine])},
        "cost": mine[0]["cost"],
        "ranker_calls": mine[0]["ranker_calls"],
        "staleness": {key: float(np.mean([one["staleness"][key] for one in mine])) for key in mine[0]["staleness"]},
    }


def added(
    s: Scenario, facts: Mapping[str, Sequence[Facts]], differ: Differing = not_compared
) -> dict[str, dict[str, Any]]:
    """What CS3 or a part of it adds to each arm that is there with and without it: the paper's claim, arm by arm."""
    found: dict[str, dict[str, Any]] = {}
    arms = {Spelling.of(arm).plain: arm for arm in facts}
    for arm, mine in facts.items():
        parts = Spelling.of(arm)
        plain = arms.get(parts.without(*MECHANISMS, CS3).plain)
        if not parts.mechanisms or SHUFFLED in parts.modifiers or plain is None:
            continue
        rows = compare(s, facts[plain], mine)
        nothing = untested(plain, arm, {"control": facts[plain], "treatment": mine}, differ(plain, arm))
        found[arm] = {
            "over": plain,
            "adds": "+".join(part.text for part in parts.only(*MECHANISMS, CS3)),
            "metrics": {key: rows[key] for key in CORRECTED},
            "word": claim_word(rows["revenue"]["ci"], why(nothing)),
        }
    correct(list(found.values()), CORRECTED)
    return found


def _lights(
    learned: Mapping[str, Any],
    facts: Mapping[str, Sequence[Facts]],
    a_a: Facts,
    differ: Mapping[str, Sequence[float] | None],
) -> list[Any]:
    """A/A, plateau and seam of every arm that learns, budgets of the reference."""
    found: dict[str, Any] = {}
    for arm in learned:
        pair = {"control": facts[REFERENCE], "treatment": facts[arm]}
        nothing = untested(REFERENCE, arm, pair, differ.get(arm))
        for light in lights(REFERENCE, arm, learned, pair, a_a, nothing):
            found.setdefault(light.name, light)
    return list(found.values())


def _timing(plan: Plan, run: RunDirectory, cells: Cells, facts: Mapping[str, Sequence[Facts]]) -> dict[str, Any]:
    """What a clock measured: latency with trained, warm state, upkeep, and what depends on them."""
    from reports.studies.serving.latency import machine, measure

    s = plan.scenario
    seed = s.run.seed + LATENCY_WORLD
    world = build(s.world, seed, s.all_days)
    given = settings(plan.arms, s.name)
    timed = [mine[LATENCY_WORLD] for mine in cells.arms.values()]
    arms = trained(run, world, timed, given)
    latency = measure(s, world, arms, k_grid(s.cascade.candidates, s.world.ads)) if arms else {}
    return {
        "latency": latency,
        "upkeep": upkeep(run, s, world, {arm: given[arm] for arm in arms}),
        "pareto": pareto(facts, latency),
        "equal_latency": equal_latency(s, facts, latency, REFERENCE),
        "machine": machine(),
    }
