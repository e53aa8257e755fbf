"""Question: why did this ad win? Every stage of one request, in every arm of a run, side by side.

A run keeps what was shown, not the states that led there; but it follows from its manifest alone. So the world is lived
again up to the request's tick, with the same numbers, and that tick is watched: eligibility and budgets, what was
retrieved and explored, what the ranker said, the auction's scores and prices, and the truth beside them. The slates are
held against the run's own log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from reports.runs.kinds.registry import kinds
from reports.runs.load import load_run, manifest_of
from reports.studies.arms import parse
from reports.studies.machine.workers import one_thread
from reports.studies.market.stage import Stage
from simulator.config import validated
from simulator.experiment import Cell
from simulator.files import DamagedError
from simulator.log import read_parquet
from simulator.marketplace import Marketplace
from simulator.plugins import registered_only
from simulator.records import DAY, PAD, Impressions, Ledger, Requests, take
from simulator.scenario import Scenario
from simulator.served import Served
from simulator.world import Demand

SHOWN = 10
"""Candidates that are listed, best by the auction's score first; the winners and the best by truth always are."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One request in the part of a tick that served it.

    Attributes:
        served: the part.
        row: the request's, in it.
        request: it alone.
        truth: float64 [A], P(click | examined) of each ad, as of the tick's start.
    """

    served: Served
    row: int
    request: Requests
    truth: npt.NDArray[np.float64]


def watched(market: Marketplace, day: int, request: int) -> Watched:
    """The request's tick, in a market that has lived up to its day; nothing behind it is lived."""
    served = next(part for tick in market.ticks(day) for part in tick.served if request in part.requests.id)
    row = int(np.flatnonzero(served.requests.id == request)[0])
    one = take(served.requests, slice(row, row + 1))
    truth = expit(market.truth.everything(one)[0].astype(np.float64))
    return Watched(served=served, row=row, request=one, truth=truth)


def why(
    root: Path, request: int, world: int | None = None, arms: Sequence[str] | None = None, *, allow_code: bool = False
) -> dict[str, Any]:
    """Every stage of a request in the arms of a finished run.

    Args:
        root: run directory of ``ab`` or ``arena``.
        request: id; ids run from 0 over the days of a world, the burn-in's included.
        world: its seed; the run's first one if None.
        arms: of an arena, the arms to show; the reference and the first rival if None.
        allow_code: import the modules that the run's arms name; else such an arm is refused.

    Raises:
        ValueError: one line: not such a run, a world or request that it does not have, damage.
    """
    with ExitStack() as held:
        if not allow_code:
            held.enter_context(registered_only(f"{root / 'manifest.json'} names it; --allow-code allows it"))
        scenario, seed, day, chosen, settings = _asked(root, request, world, arms)
        with one_thread():
            stage = Stage.lived(scenario, seed, settings=settings)
            shown = {arm: _of_arm(stage, arm, request, day, root) for arm in chosen}
    one = next(iter(shown.values()))["request"]
    return {"world": seed, "request": one, "arms": {arm: found["stages"] for arm, found in shown.items()}}


def _asked(
    root: Path, request: int, world: int | None, arms: Sequence[str] | None
) -> tuple[Scenario, int, int, list[str], dict[str, dict[str, Any]]]:
    """The scenario, the world's seed, the request's day, the arms and their settings, as far as the run has them."""
    identity = manifest_of(root).get("identity", {})
    replayed = [name for name, kind in kinds().items() if kind.replayed]
    if identity.get("kind") not in replayed:
        raise ValueError(f"{root}: kind == {identity.get('kind')!r}, must be one of {', '.join(replayed)}")
    chosen, settings = _arms(identity, arms, root), identity.get("settings", {})
    if not isinstance(settings, dict) or not all(isinstance(one, dict) for one in settings.values()):
        raise DamagedError(f"{root / 'manifest.json'}: damaged or incomplete (settings must be an object of objects)")
    if not isinstance(identity.get("config", {}), dict):
        raise DamagedError(f"{root / 'manifest.json'}: damaged or incomplete (config must be an object)")
    for arm in chosen:
        parse(arm)
    load_run(root)
    scenario: Scenario = validated(Scenario, dict(identity.get("config", {})), str(root))
    seed = scenario.run.seed if world is None else world
    run = scenario.run
    if not run.seed <= seed < run.seed + run.worlds:
        raise ValueError(f"world == {seed}, must be {run.seed} to {run.seed + run.worlds - 1}")
    day = request // scenario.traffic.requests_per_day
    if not run.burn_in <= day < run.burn_in + run.days:
        first, end = (d * scenario.traffic.requests_per_day for d in (run.burn_in, run.burn_in + run.days))
        raise ValueError(f"request == {request}, must be one of the test's, {first} to {end - 1}")
    return scenario, seed, day, chosen, settings


def _arms(identity: Mapping[str, Any], arms: Sequence[str] | None, root: Path) -> list[str]:
    known = identity.get("arms") or [identity.get("control"), identity.get("treatment")]
    if not isinstance(known, list) or not all(isinstance(arm, str) for arm in known):
        raise DamagedError(f"{root / 'manifest.json'}: damaged or incomplete (it names no arms)")
    wanted = list(dict.fromkeys(arms or known[:2]))
    for arm in wanted:
        if arm not in known:
            raise ValueError(f"arm == '{arm}', must be one of the run's: {', '.join(known)}")
    return wanted


def _of_arm(stage: Stage, arm: str, request: int, day: int, root: Path) -> dict[str, Any]:
    market = stage.alone(arm)
    for earlier in range(stage.scenario.run.burn_in, day):
        market.run_day(earlier)
    seen = watched(market, day, request)
    logged = _logged(stage.scenario, root, stage.world.seed, arm, request)
    return {"request": _request(seen.request), "stages": stages(market.world.demand, seen, logged)}


def _logged(s: Scenario, root: Path, world: int, arm: str, request: int) -> list[dict[str, Any]]:
    """What the run's own log says of the request: slot, ad, price, examined, clicked, paid."""
    cell = root / "cells" / Cell(world=world, name=arm, days=s.run.days).path
    log: Impressions = read_parquet(Impressions, cell / "log.parquet")
    ledger: Ledger = read_parquet(Ledger, cell / "ledger.parquet")
    if len(ledger.click) != len(log):
        raise DamagedError(f"{cell / 'ledger.parquet'}: damaged or incomplete (not as many rows as log.parquet)")
    return [
        {
            "slot": int(log.slot[i]),
            "ad": int(log.ad[i]),
            "price": float(log.price[i]),
            "examined": bool(ledger.examined[i]),
            "click": bool(ledger.click[i]),
            "paid": float(log.paid[i]),
        }
        for i in np.flatnonzero(log.request == request)
    ]


def _request(one: Requests) -> dict[str, Any]:
    second = int(one.time[0])
    return {
        "id": int(one.id[0]),
        "user": int(one.user[0]),
        "day": second // DAY,
        "clock": f"{second % DAY // 3600:02d}:{second % 3600 // 60:02d}:{second % 60:02d}",
        "context": one.context[0].tolist(),
    }


def stages(demand: Demand, seen: Watched, logged: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One arm's cascade for the request, from what was watched."""
    served, r = seen.served, seen.row
    offers, slates = served.offers, served.slates
    ads, pctr = served.found.ad[r], served.ranked.pctr[r]
    retrieved = [(int(ad), float(x)) for ad, x in zip(served.retrieved.ad[r], served.retrieved.logit[r], strict=True)]
    place = {ad: i + 1 for i, (ad, _) in enumerate(retrieved) if ad != PAD}
    logit = {ad: x for ad, x in retrieved if ad != PAD}
    worth = np.where(offers.eligible, seen.truth * offers.bid, -np.inf)
    true_place = np.empty(worth.size, dtype=np.int64)
    true_place[np.argsort(-worth, kind="stable")] = np.arange(1, worth.size + 1)
    slot = {int(ad): (s, float(slates.price[r, s])) for s, ad in enumerate(slates.ad[r]) if ad != PAD}
    log = {row["ad"]: row for row in logged}
    kept = np.flatnonzero(ads != PAD)
    score = offers.bid[ads[kept]] * pctr[kept]
    order = kept[np.argsort(-score, kind="stable")]
    best = int(np.argmax(worth))
    listed = [int(i) for n, i in enumerate(order) if n < SHOWN or int(ads[i]) in slot or int(ads[i]) == best]
    rows = [_candidate(int(ads[i]), float(pctr[i]), seen, demand, place, logit, true_place, slot, log) for i in listed]
    return {
        "eligible": int(offers.eligible.sum()),
        "out_of_budget": int((demand.budget[demand.campaign] - served.spent[demand.campaign] < offers.bid).sum()),
        "retrieved": len(place),
        "explored": int(sum(int(ad) not in place for ad in ads[kept])),
        "ranked": int(kept.size),
        "candidates": rows,
        "best_by_truth": {
            "ad": best,
            "worth": float(worth[best]),
            "lost_at": "" if best in slot else "the auction" if best in ads else "retrieval",
        },
        "same_as_logged": sorted((s, ad, round(price, 9)) for ad, (s, price) in slot.items())
        == sorted((row["slot"], row["ad"], round(row["price"], 9)) for row in logged),
    }


def _candidate(
    ad: int, pctr: float, seen: Watched, demand: Demand, place: Mapping[int, int],
    logit: Mapping[int, float], true_place: Any, slot: Mapping[int, tuple[int, float]],
    log: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    campaign, bid = int(demand.campaign[ad]), float(seen.served.offers.bid[ad])
    won, price = slot.get(ad, (None, None))
    logged = log.get(ad, {})
    return {
        "ad": ad,
        "retriever_place": place.get(ad),
        "retriever_logit": logit.get(ad),
        "bid": bid,
        "pctr": pctr,
        "score": bid * pctr,
        "slot": won,
        "price": price,
        "budget": float(demand.budget[campaign]),
        "spent": float(seen.served.spent[campaign]),
        "true_ctr": float(seen.truth[ad]),
        "true_place": int(true_place[ad]),
        "examined": logged.get("examined"),
        "click": logged.get("click"),
        "paid": logged.get("paid"),
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """The stages as text, an arm after the other."""
    r = found["request"]
    out = [f"request {r['id']} of world {found['world']}: user {r['user']}, day {r['day']}, {r['clock']}"]
    for arm, one in found["arms"].items():
        out += [
            "",
            f"{arm}: {one['eligible']} ads eligible ({one['out_of_budget']} out of budget), {one['retrieved']} "
            f"retrieved, {one['explored']} explored, {one['ranked']} ranked",
            f"{'ad':>7} {'place':>6} {'logit':>8} {'bid':>8} {'pctr':>8} {'score':>9} {'slot':>5} {'price':>8} "
            f"{'spent/budget':>19} {'true ctr':>9} {'true place':>10}  outcome",
        ]
        out += [_line(row) for row in one["candidates"]]
        best = one["best_by_truth"]
        lost = f"lost at {best['lost_at']}" if best["lost_at"] else "shown"
        out.append(f"best by truth: ad {best['ad']}, {lost}")
        out.append(f"same slates and prices as in the run's log: {'yes' if one['same_as_logged'] else 'NO'}")
    return out


def _line(row: Mapping[str, Any]) -> str:
    def spelled(value: Any, form: str) -> str:
        return "-" if value is None else format(value, form)

    outcome = "" if row["slot"] is None else "clicked, paid " + spelled(row["paid"], ".3f") if row["click"] else (
        "examined" if row["examined"] else "not examined"
    )  # fmt: skip
    budget = f"{row['spent']:.1f}/{row['budget']:.1f}"
    return (
        f"{row['ad']:>7} {spelled(row['retriever_place'], 'd'):>6} {spelled(row['retriever_logit'], '.3f'):>8} "
        f"{row['bid']:>8.3f} {row['pctr']:>8.4f} {row['score']:>9.5f} {spelled(row['slot'], 'd'):>5} "
        f"{spelled(row['price'], '.3f'):>8} {budget:>19} {row['true_ctr']:>9.4f} {row['true_place']:>10}  {outcome}"
    ).rstrip()
