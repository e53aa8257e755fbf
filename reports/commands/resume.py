"""``--fresh`` and ``--other-kernels``, the same for every study: what may be done with a run that is there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click


def resumable(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command both options; it runs under what they allow."""

    @click.option("--fresh", is_flag=True, help="Make the cells of a run that is there anew.")
    @click.option("--other-kernels", is_flag=True, help="Go on with a run that another processor's kernels began.")
    @functools.wraps(command)
    def asked(*, fresh: bool, other_kernels: bool, **options: Any) -> None:
        from simulator.same_run import resuming

        with resuming(fresh=fresh, other_kernels=other_kernels):
            command(**options)

    return asked
