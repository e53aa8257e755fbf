"""Question: what does a request cost, for each retriever and each cell of the ablation, and what does load do to it?

``cs3bench latency`` trains every arm a little on a day of a world (weights do not matter for time, filled state does),
freezes it (``baselines.serving``), and asks it without the simulator around: features -> state fetch (what was
published lies in the process's own arrays) -> user tower -> exact search of catalogues of any size -> top K.

    1 state   2 closed loop by size and batch   3 stages of a request   4 the cascade   5 threads   6 open loop
    7 growth with ads, K and users (``exponents``)

One thread, but in step 5. A catalogue larger than the world's holds the trained item vectors with noise, at unit
length: an exact scan takes its time by their number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports.studies.machine.workers import one_thread
from reports.studies.serving.bench import bench_of, costs_by_shape
from reports.studies.serving.exponents import growth
from reports.studies.serving.latency import machine
from reports.studies.serving.one_by_one import cascade, closed, stages, threads
from reports.studies.serving.settings import ServingConfig, check
from reports.studies.serving.under_load import under_load
from simulator.experiment import write_json
from simulator.files import refuse_links
from simulator.seal import seal_run

PAPER_QPS = (-0.589, -0.388, -0.456)
"""Change of QPS in percent by the full CS3 in the paper's three scenarios."""


def run(config: ServingConfig, out: Path, *, quiet: bool = False, command: str = "") -> dict[str, Any]:
    """Measure; writes ``results.json``, ``latency.md`` and figures into ``out``.

    Args:
        config: what to measure.
        out: the directory.
        quiet: no progress bar.
        command: what was typed, for the record.

    Raises:
        ValueError: one line, for batches without 1, or an arm that this path cannot serve.
    """
    refuse_links(out)
    check(config)
    from tqdm import tqdm

    steps = len(config.arms) + len(config.ads) + 5
    with one_thread(), tqdm(total=steps, desc="latency", disable=quiet or None) as bar:
        bench = bench_of(config, bar.update)
        results: dict[str, Any] = {
            "kind": "latency",
            "command": command,
            "config": config.model_dump(mode="json"),
            "machine": machine(),
            "paper_qps_percent": list(PAPER_QPS),
            "arms": {name: costs_by_shape(warm, max(config.ads)) for name, warm in bench.arms.items()},
            "closed": [],
        }
        for ads in config.ads:
            results["closed"] += closed(bench, ads)
            bar.update()
        results["stages"] = stages(bench)
        bar.update()
        results["cascade"] = cascade(bench)
        bar.update()
        results["threads"] = threads(bench)
        bar.update()
        results["open"] = under_load(bench)
        bar.update()
        results["growth"] = growth(bench)
        bar.update()
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", results)
    seal_run(out)
    from reports.pages.serving.page import write_latency

    write_latency(results, out)
    return results
