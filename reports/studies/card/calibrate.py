"""``python -m reports.studies.card.calibrate SCENARIO``: a world's constants, fitted to the world card alone.

The misfit is the sum over the card's targets of ((world - real) / tolerance) squared, mean over seeds that no report
uses. A pattern search moves one dial at a time, up and down by a step that shrinks, until every target is met. No arm
is trained or compared: what the constants do to a lift cannot be seen from here. The result is printed; a person copies
it into the scenario's file, rounded, with the command beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import click
import numpy as np

from reports.studies.card.real_facts import PUBLISHED
from reports.studies.card.study import FACTS, served, world_facts
from simulator.scenario import Scenario, load
from simulator.world import build

SEEDS = (9001, 9002)
"""Worlds of the fit; no report uses them."""


class Dial(NamedTuple):
    """A free constant: where it is, its range, and whether it is whole. It moves by factors."""

    name: str
    least: float
    most: float
    whole: bool = False


DIALS = (
    Dial("logging.pool", 30, 600, whole=True),
    Dial("logging.temperature", 0.25, 4.0),
    Dial("world.bid_sd", 0.4, 1.0),
    Dial("world.quality_sd", 0.4, 1.0),
)
"""What the fit may move: the logging cascade's selectivity and the spreads that a log shows. Drift, noise, cross share,
catalogue and click level are the scenario's identity and stay."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Where a search stands.

    Attributes:
        values: dial -> value.
        misfit: sum of squared distances in tolerances.
        facts: target -> world's value, mean over seeds.
    """

    values: Mapping[str, float]
    misfit: float
    facts: Mapping[str, float]


def targets() -> dict[str, tuple[float, float]]:
    """Target -> (real value as last recomputed, tolerance)."""
    return {n: (PUBLISHED[f.real], f.tolerance) for n, f in FACTS.items() if f.tolerance is not None}


def misfit(facts: Mapping[str, float]) -> float:
    """Sum of squared distances from the real values, in tolerances."""
    return float(sum(((facts[n] - real) / tolerance) ** 2 for n, (real, tolerance) in targets().items()))


def value_of(scenario: Scenario, dial: str) -> float:
    """A dial's value in a scenario."""
    section, _, field = dial.partition(".")
    return float(getattr(getattr(scenario, section), field))


def measured(name: str, values: Mapping[str, float], days: int, seeds: Sequence[int], small: bool) -> Fit:
    """The card's targets of a scenario with these values of the dials. Histories are off: the logger reads none."""
    sets = [f"{dial}={value}" for dial, value in values.items()]
    s = load(name, small=small, sets=[*sets, "world.history_days=0", "world.history_per_day=0"])
    found = []
    for seed in seeds:
        world = build(s.world, seed, max(days + 1, s.all_days))
        log, _ = served(s, world, days)
        found.append(world_facts(log, world))
    facts = {target: float(np.mean([f[target] for f in found])) for target in targets()}
    return Fit(values=dict(values), misfit=misfit(facts), facts=facts)


def search(
    evaluate: Callable[[Mapping[str, float]], Fit], start: Mapping[str, float], dials: Sequence[Dial], rounds: int
) -> Iterator[Fit]:
    """Pattern search by factors: each dial up, else down; a round without a gain halves the step. Yields the best."""
    best = evaluate(start)
    yield best
    step = 1.4
    for _ in range(rounds):
        before = best.misfit
        for dial in dials:
            for factor in (step, 1 / step):
                moved = float(np.clip(best.values[dial.name] * factor, dial.least, dial.most))
                moved = float(round(moved)) if dial.whole else round(moved, 3)
                if moved == best.values[dial.name]:
                    continue
                tried = evaluate({**best.values, dial.name: int(moved) if dial.whole else moved})
                if tried.misfit < best.misfit:
                    best = tried
                    yield best
                    break
        if best.misfit == before:
            step = np.sqrt(step)


def met(fit: Fit) -> bool:
    """Whether every target is within its tolerance: nearer is not better, so a search ends there."""
    return all(abs(fit.facts[n] - real) <= tolerance for n, (real, tolerance) in targets().items())


def lines(fit: Fit) -> list[str]:
    """A fit for a terminal."""
    out = [f"misfit {fit.misfit:.2f}: " + ", ".join(f"{k}={v:g}" for k, v in fit.values.items())]
    for name, (real, tolerance) in targets().items():
        met = "met" if abs(fit.facts[name] - real) <= tolerance else "MISSED"
        out.append(f"  {name:<25}{fit.facts[name]:>9.3f}{real:>9.3f} +- {tolerance:<5g} {met}")
    return out


@click.command()
@click.argument("scenario")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(0), help="Rounds over the dials; 0 measures."
)
@click.option("--days", default=2, show_default=True, type=click.IntRange(1), help="Days of logging to look at.")
@click.option("--dial", "names", multiple=True, help="Dial to move, again for more.  [default: all]")
@click.option("--small", is_flag=True, help="The scenario's small form.")
def main(scenario: str, rounds: int, days: int, names: tuple[str, ...], small: bool) -> None:
    """Fit a scenario's constants to the shape targets of the world card."""
    known = {dial.name: dial for dial in DIALS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.ClickException(f"--dial {unknown[0]}: must be one of {', '.join(known)}")
    dials: list[Any] = [known[name] for name in names] or list(DIALS)
    try:
        base = load(scenario, small=small)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    values = {d.name: value_of(base, d.name) for d in dials}
    start = {d.name: int(values[d.name]) if d.whole else values[d.name] for d in dials}
    for fit in search(lambda v: measured(scenario, v, days, SEEDS, small), start, dials, rounds):
        click.echo("\n".join(lines(fit)))
        if met(fit):
            break


if __name__ == "__main__":
    main()
