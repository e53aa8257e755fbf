"""``--engine`` and ``--address``, the same for every study: where its cells are computed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click


def with_engine(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command both options; it is called with ``engine``, None for this machine."""

    @click.option(
        "--engine",
        type=click.Choice(["local", "dask"]),
        default="local",
        show_default=True,
        help="Where cells are computed: on this machine, or on a running dask cluster.",
    )
    @click.option("--address", help="Of the dask scheduler, e.g. tcp://10.0.0.1:8786.")
    @functools.wraps(command)
    def asked(*, engine: str, address: str | None, **options: Any) -> None:
        if (engine == "dask") != (address is not None):
            raise ValueError(f"--engine {engine}, --address {address}: dask needs an address, local has none")
        found = None
        if address is not None:
            from reports.studies.machine.engines import Dask

            found = Dask(address=address)
            found.ready()
        command(engine=found, **options)

    return asked
