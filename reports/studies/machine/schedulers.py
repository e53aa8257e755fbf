"""Is there a dask scheduler at an address? Asked before anything runs, and answered within a second or two.

``distributed.Client`` waits three times its timeout for a scheduler that is not there, for ever for a server of another
kind, and leaves threads that complain when Python ends. So a client is made only for an address that has answered; it
is asked in a thread that nobody waits for, because a look-up of a host name cannot be cut short.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

SCHEMES = ("tcp", "tls", "ws", "wss", "ucx")
DEADLINE = 2.0
"""Seconds in which a scheduler must have said who it is."""
OTHER = "a server is there, but of another kind, or too busy to answer"
DOES_NOT_ANSWER = "--address {}: no dask scheduler answers ({})"


def answering(address: str) -> None:
    """Ask who answers.

    Raises:
        ValueError: one line: dask is not installed, the address is none, nobody answers, or something else does.
    """
    if find_spec("distributed") is None:
        raise ValueError("--engine dask: it is not installed, run: pip install 'cs3-bench[dask]'")
    try:
        place = _host_and_port(address)
        _in_time(lambda: socket.create_connection(place, DEADLINE).close(), f"nothing within {DEADLINE:g} s")
        # Not on the clock: the import takes a second of its own.
        dask = distributed()
        kind = _in_time(lambda: asyncio.run(_kind(dask, address)), OTHER)
    except Exception as error:
        raise ValueError(DOES_NOT_ANSWER.format(address, _said(error))) from None
    if kind != "Scheduler":
        raise ValueError(DOES_NOT_ANSWER.format(address, f"it is a dask {kind}, must be the scheduler"))


def distributed() -> Any:
    """The library, without its own words on stderr: what matters of them is said in one line."""
    import distributed as library

    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return library


def _host_and_port(address: str) -> tuple[str, int]:
    """Where to knock.

    Raises:
        ValueError: the address is none.
    """
    scheme, marked, place = address.rpartition("://")
    if marked and scheme not in SCHEMES:
        close = get_close_matches(scheme, SCHEMES, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"scheme == '{scheme}', must be one of {', '.join(SCHEMES)}{hint}")
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise ValueError("must be like tcp://HOST:PORT, with a port from 1 to 65535")
    return host, port


async def _kind(dask: Any, address: str) -> str:
    """What answers calls itself: Scheduler, Worker, Nanny."""
    secured = dask.Security().get_connection_args("client")
    comm = await asyncio.wait_for(dask.comm.connect(address, timeout=DEADLINE, **secured), DEADLINE)
    try:
        await comm.write({"op": "identity", "reply": True})
        said = await asyncio.wait_for(comm.read(), DEADLINE)
        return str(said["type"])
    finally:
        comm.abort()


def _in_time(ask: Callable[[], Any], late: str) -> Any:
    """What ``ask`` returns or raises; a thread that takes longer is left to itself.

    Raises:
        ValueError: ``late``, for no answer in time.
    """
    answers: list[Any] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            errors.append(error)

    beside = threading.Thread(target=work, daemon=True)
    beside.start()
    beside.join(DEADLINE)
    if errors and not isinstance(errors[0], TimeoutError):
        raise errors[0]
    if not answers:
        raise ValueError(late)
    return answers[0]


def _said(error: Exception) -> str:
    """An exception in one line; what does not speak dask's language sends it into other errors than its own."""
    if not isinstance(error, OSError | ValueError | TypeError | ImportError):
        return OTHER
    return getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
