"""Question: which part of CS3 earns money, in which market?

``cs3bench ablation`` runs all eight on/off cells of CAS, CTS and CMS in every scenario. The best cell is chosen on
worlds that are not reported, and reported on fresh ones: the winner of many is partly lucky (docs/formulas.md 14).

For each scenario: 1 burn-in, 2 all cells in the choosing and in the fresh worlds, 3 lifts over the base with paired
intervals, the paper's steps, main effects of the factorial design, the best cell, 4 what a request costs.

Every cell has the same settings by default, the base's own: what differs between two cells is then the mechanism alone.
``cs3bench arena`` asks the other question, what each arm earns at its own best settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reports.numbers.claims import correct
from reports.numbers.factorial import BASE, FULL, STEPS, cells, effects
from reports.numbers.mechanisms import claim_word
from reports.numbers.paired import lift_if_any, paired_lift
from reports.numbers.untested import untested, why
from reports.numbers.verdict import Light
from reports.records.spelling import added
from reports.studies.arena.study import shipped
from reports.studies.machine.engines import Dask
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.workers import one_thread
from reports.studies.market.cells import A_A, BURN_IN, Task
from reports.studies.market.evaluation import sample
from reports.studies.market.learning import learning
from reports.studies.market.lights import lights
from reports.studies.market.slates import Differing, compared, not_compared
from reports.studies.market.summary import Facts, compare
from reports.studies.market.twins import compute_missing, facts_of, trained
from reports.studies.serving.load import change_of_qps, interleaved, quantiles
from simulator import feasible
from simulator.experiment import Cell, RunDirectory, digest, read_json, write_json
from simulator.feasible import worlds_of
from simulator.names import component
from simulator.records import take
from simulator.scenario import Scenario
from simulator.world import build

SCENARIOS = (
    "quickstart", "scenario_a", "scenario_b", "scenario_c", "tight_budgets", "ranker_redesign",
    "null_no_signal", "null_dot",
)  # fmt: skip
NULLS = ("null_no_signal", "null_dot")
BARE = "dssm-bare"
"""The base without online counters: what they alone gain stands beside what CS3 gains. It is no cell of the design."""
NULL_LIMIT = 0.01
"""A null world passes when the upper end of the interval of full CS3 is below this lift."""
CHOOSING_SEED = 801
"""First of the worlds that choose the best cell."""
SEARCHED = "quickstart"
"""Scenario whose search gives the settings where a scenario has none of its own."""
MONEY = "expected_revenue"
"""Chooses the best cell: the same slates as revenue, without the luck of clicks."""
MEASURES = (
    "revenue", "expected_revenue", "clicks", "ctr", "active_advertisers", "surplus", "welfare", "cold_users", "recall",
    "captured", "tau", "retriever_auc", "conversions", "new_ad_survival", "exposure_gini",
)  # fmt: skip
CORRECTED = ("revenue", "expected_revenue", "recall", "tau")
REQUESTS = 300
"""Single requests that are timed, each by all cells."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An ablation.

    Attributes:
        scenarios: resolved configurations, each with its own seeds of fresh worlds.
        choosing: worlds that choose the best cell, from ``choosing_seed`` on.
        settings: ``shared`` (all cells have the base's) or ``own`` (those that the search found for the cell; a pair
            of mechanisms, which no search had, has the full CS3's).
        small: whether the scenarios' small form was asked for.
        command: what was typed, for the record.
    """

    scenarios: tuple[Scenario, ...]
    choosing: int = 2
    choosing_seed: int = CHOOSING_SEED
    settings: Literal["shared", "own"] = "shared"
    small: bool = False
    command: str = "cs3bench ablation"

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "kind": "ablation",
            "cells": list(cells()),
            "choosing": list(self.chosen_on()),
            "settings": {s.name: settings_of(s.name, self.settings) for s in self.scenarios},
            "config": {s.name: s.model_dump(mode="json") for s in self.scenarios},
            **made_by(),
        }

    def chosen_on(self) -> range:
        """Seeds of the choosing worlds."""
        return range(self.choosing_seed, self.choosing_seed + self.choosing)

    def default_out(self) -> Path:
        """``runs/ablation-DIGEST``: the same command resumes the same directory."""
        return Path("runs") / f"ablation{'-small' if self.small else ''}-{digest(self.identity())}"


def settings_of(scenario: str, how: str) -> dict[str, dict[str, Any]]:
    """Hyper-parameters of each cell's towers.

    Args:
        scenario: name; one without a search of its own has those of ``SEARCHED``.
        how: ``shared`` or ``own``.
    """
    known = shipped(scenario) or shipped(SEARCHED)
    if how == "shared":
        return {arm: known.get(BASE, {}) for arm in (*cells(), BARE)}
    return {arm: known.get(arm, known.get(FULL, {})) for arm in cells()} | {BARE: known.get(BARE, {})}


def check(plan: Plan) -> None:
    """One line about what cannot run, before anything does.

    Raises:
        ValueError: no scenario or one twice; choosing worlds among the fresh ones.
    """
    names = [s.name for s in plan.scenarios]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"scenarios == {names}, must name one or more, each once")
    for s in plan.scenarios:
        both = set(plan.chosen_on()) & set(worlds_of(s))
        if both:
            raise ValueError(f"choosing seeds hold {min(both)}, a fresh world of {s.name}: must be others")
        feasible.check(s)
        feasible.check_worlds(s, [*plan.chosen_on(), *worlds_of(s)])


def run_ablation(
    plan: Plan, out: Path | None, jobs: int, *, quiet: bool = False, engine: Dask | None = None
) -> tuple[Path, dict[str, Any]]:
    """Run or resume an ablation; the run directory and the content of its ``results.json``.

    Args:
        plan: what to run.
        out: run directory, :meth:`Plan.default_out` if None.
        jobs: worker processes.
        quiet: no progress bar.
        engine: compute the cells there instead of on this machine.

    Raises:
        ValueError: one line, for anything the caller can mend.
    """
    check(plan)
    root = out or plan.default_out()
    more: dict[str, Any] = {"cells": sum(planned(plan, s) for s in plan.scenarios), "small": plan.small}
    seeds = worlds_of(plan.scenarios[0])

    def answer(_: RunDirectory) -> Answer:
        found, timed = {}, {}
        for scenario in plan.scenarios:
            found[scenario.name], timed[scenario.name] = _scenario(plan, scenario, root.absolute(), jobs, quiet, engine)

        def clock() -> dict[str, Any]:
            from reports.studies.serving.latency import machine

            return {"jobs": jobs, "serving": timed, "machine": machine()}

        return Answer(summary(plan, found), clock)

    return root, run_or_resume(root, manifest(plan.identity(), command=plan.command, seeds=seeds, **more), answer)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Facts of one scenario by cell, a row per world; ``a_a``: the base twice; ``bare``: it without counters, fresh.

    ``differ``: shares of requests with other slates, in the fresh worlds.
    """

    choosing: Mapping[str, Sequence[Facts]]
    fresh: Mapping[str, Sequence[Facts]]
    a_a: Facts
    bare: Sequence[Facts] = ()
    differ: Differing = not_compared

    def untested(self, control: str, treatment: str) -> list[Light]:
        """The red lights of two cells of the fresh worlds that tested nothing; none where they did."""
        pair = {"control": self.fresh[control], "treatment": self.fresh[treatment]}
        return untested(control, treatment, pair, self.differ(control, treatment))


def planned(plan: Plan, s: Scenario) -> int:
    """A burn-in and all cells of every world, the base without counters in the fresh ones, one A/A."""
    fresh = len(worlds_of(s))
    return (1 + len(cells())) * (plan.choosing + fresh) + fresh + 1


def _scenario(
    plan: Plan, s: Scenario, root: Path, jobs: int, quiet: bool, engine: Dask | None
) -> tuple[Found, dict[str, Any]]:
    """All cells of one scenario in both sets of worlds, and what a request costs in each."""
    home = root / "scenarios" / component(s.name)
    home.parent.mkdir(parents=True, exist_ok=True)
    given = settings_of(s.name, plan.settings)
    identity = {"kind": "ablation of one scenario", "settings": given, "config": s.model_dump(mode="json")} | made_by()
    run = RunDirectory(home, manifest(identity, command=plan.command, seeds=worlds_of(s), cells=planned(plan, s)))
    tasks: dict[Cell, Task] = {}
    sides: dict[str, dict[str, list[Cell]]] = {"choosing": {}, "fresh": {}}
    a_a = Cell(world=s.run.seed, name=A_A, days=1, variant=BASE)

    def add(cell: Cell, **more: Any) -> Cell:
        tasks[cell] = Task(
            cell=cell, scenario=s, root=str(home), identity=identity, index=len(tasks),
            settings=given.get(cell.name, {}), **more,
        )  # fmt: skip
        return cell

    for side, worlds in (("choosing", plan.chosen_on()), ("fresh", worlds_of(s))):
        for w in worlds:
            add(Cell(world=w, name=BURN_IN))
            for arm in cells():
                keep = side == "fresh" and w == s.run.seed
                cell = add(Cell(world=w, name=arm, days=s.run.days), full=side == "fresh", keep_state=keep)
                sides[side].setdefault(arm, []).append(cell)
    bare = [add(Cell(world=w, name=BARE, days=s.run.days), full=False) for w in worlds_of(s)]
    add(a_a)
    compute_missing(run, s, tasks, jobs=jobs, quiet=quiet, engine=engine)
    facts = {side: {arm: facts_of(run, mine) for arm, mine in arms.items()} for side, arms in sides.items()}
    path = home / "timing.json"
    if not path.exists():
        write_json(path, _serving(run, s, [mine[0] for mine in sides["fresh"].values()], given))
    run.finish()
    differ = compared(run, sides["fresh"])
    return Found(**facts, a_a=facts_of(run, [a_a])[0], bare=facts_of(run, bare), differ=differ), read_json(path)


def _serving(run: RunDirectory, s: Scenario, timed: Sequence[Cell], given: Mapping[str, Any]) -> dict[str, Any]:
    """Single requests on the serving path with trained weights and warm state, cells in turn, one thread.

    Returns:
        By cell: quantiles in ms and the paired change of QPS against the base.
    """
    from baselines.serving import freeze

    world = build(s.world, s.run.seed, s.all_days)
    asked = sample(world, s.all_days - 1, REQUESTS, "latency")
    with one_thread():
        servers = {}
        for arm, (retriever, _) in trained(run, world, timed, given).items():
            servers[arm] = freeze(retriever)  # type: ignore[arg-type]
            servers[arm].offer(asked.offers)

        def serve(arm: str, i: int) -> None:
            one = take(asked.requests, slice(i, i + 1))
            servers[arm].serve(one.user, one.time, one.context, s.cascade.candidates)

        seconds = interleaved(list(servers), REQUESTS, serve)
    base = seconds[BASE]
    return {arm: {**quantiles(mine), "qps_change": change_of_qps(base, mine)} for arm, mine in seconds.items()}


# --- after the cells -----------------------------------------------------------------------------------------------


@one_thread()
def summary(plan: Plan, found: Mapping[str, Found]) -> dict[str, Any]:
    """The whole of ``results.json``; nothing in it knows a clock.

    Raises:
        ValueError: one line, if a cell sold nothing in a world: there is no lift over nothing.
    """
    scenarios = {s.name: one_scenario(s, found[s.name]) for s in plan.scenarios}
    real = [one for name, one in scenarios.items() if name not in NULLS]
    correct([row for one in real for arm, row in one["cells"].items() if arm != BASE], CORRECTED)
    correct([step for one in real for step in one["steps"]], CORRECTED)
    return {
        "schema": 1,
        "kind": "ablation",
        "small": plan.small,
        "base": BASE,
        "cells": list(cells()),
        "settings": {"how": plan.settings, "of": {s.name: settings_of(s.name, plan.settings) for s in plan.scenarios}},
        "choosing": list(plan.chosen_on()),
        "scenarios": scenarios,
    }


def one_scenario(s: Scenario, found: Found) -> dict[str, Any]:
    """Cells, steps, effects, the best cell and lights of one scenario."""
    base = found.fresh[BASE]
    for arm, mine in found.fresh.items():
        for one in mine:
            if sum(day["revenue"] for day in one["days"]) <= 0:
                raise ValueError(f"revenue == 0 of {arm} in world {one['world']} of {s.name}, must be positive")
    rows = {}
    for arm, mine in found.fresh.items():
        metrics = compare(s, base, mine)
        kept = {key: metrics[key] for key in MEASURES if key in metrics}
        word = claim_word(kept["revenue"]["ci"], why(found.untested(BASE, arm)))
        rows[arm] = {"metrics": kept, "word": word, "cost": mine[0]["cost"]}
    steps = []
    for before, after in STEPS:
        metrics = compare(s, found.fresh[before], found.fresh[after])
        word = claim_word(metrics["revenue"]["ci"], why(found.untested(before, after)))
        steps.append(
            {"over": before, "arm": after, "adds": "+".join(added(before, after)), "word": word}
            | {"metrics": {key: metrics[key] for key in CORRECTED}}
        )
    learned = {arm: learning(s, mine) for arm, mine in found.fresh.items()}
    shown: dict[str, Any] = {}
    for arm in found.fresh:
        pair = {"control": base, "treatment": found.fresh[arm]}
        for light in lights(BASE, arm, learned, pair, found.a_a, found.untested(BASE, arm)):
            shown.setdefault(light.name, light._asdict())
    worlds = [one["world"] for one in base]
    return {
        "worlds": worlds,
        "days": {"burn_in": s.run.burn_in, "test": s.run.days},
        "requests_per_day": s.traffic.requests_per_day,
        "k": s.cascade.candidates,
        "slots": s.auction.slots,
        "ads": s.world.ads,
        "cells": rows,
        "steps": steps,
        "effects": {key: effects({a: _money(mine, key) for a, mine in found.fresh.items()}) for key in CORRECTED[:2]},
        "best": best(found),
        "counters": counters(found),
        "null": null_check(rows[FULL]["metrics"], why(found.untested(BASE, FULL))) if s.name in NULLS else None,
        "lights": list(shown.values()),
        "learned": {arm: [f["learned"] for f in mine] for arm, mine in found.fresh.items() if "learned" in mine[0]},
        "slates_differ": {arm: found.differ(BASE, arm) for arm in found.fresh if arm != BASE},
    }


def _money(facts: Sequence[Facts], key: str = MONEY) -> Any:
    return np.array([sum(day[key] for day in one["days"]) for one in facts], dtype=np.float64)


def best(found: Found) -> dict[str, Any]:
    """The cell with the highest lift of expected revenue on the choosing worlds, and what it earns on fresh ones.

    Returns:
        ``arm``, its lift where it was ``chosen`` and ``fresh``, and ``all``: the lift of each cell where it was chosen;
        ``arm`` is None without choosing worlds, or where a cell sold nothing in one.
    """
    if not found.choosing or not all((_money(mine) > 0).all() for mine in found.choosing.values()):
        return {"arm": None}
    base = _money(found.choosing[BASE])
    lift = {arm: paired_lift(base, _money(mine)) for arm, mine in found.choosing.items() if arm != BASE}
    arm = max(lift, key=lambda name: lift[name].rel_effect)
    fresh = lift_if_any(_money(found.fresh[BASE]), _money(found.fresh[arm]))
    return {
        "arm": arm,
        "measure": MONEY,
        "chosen": _told(lift[arm]),
        "fresh": _told(fresh),
        "all": {name: one.rel_effect for name, one in lift.items()},
    }


def _told(lift: Any) -> dict[str, Any]:
    return {"rel_effect": lift.rel_effect, "ci": [lift.lo, lift.hi], "p": lift.p, "n_worlds": lift.n_worlds}


def counters(found: Found) -> dict[str, Any]:
    """What online counters alone gain, the base over itself without them, on fresh worlds: both kinds of revenue."""
    if not found.bare:
        return {}
    return {key: _told(lift_if_any(_money(found.bare, key), _money(found.fresh[BASE], key))) for key in CORRECTED[:2]}


def null_check(metrics: Mapping[str, Any], untested: str = "") -> dict[str, Any]:
    """Whether full CS3 earns nothing where there is nothing to earn.

    ``passed``: the upper end of the interval of expected revenue is below ``NULL_LIMIT``. ``failed``: the lower end is
    above 0. ``not tested``: ``untested`` says why. Else ``too noisy``.
    """
    lo, hi = metrics[MONEY]["ci"]
    if untested:
        word = "not tested"
    elif lo is None or not np.isfinite([lo, hi]).all():
        word = "too noisy"
    else:
        word = "failed" if lo > 0 else "passed" if hi < NULL_LIMIT else "too noisy"
    return {"word": word, "limit": NULL_LIMIT, "ci": [lo, hi], "measure": MONEY}
