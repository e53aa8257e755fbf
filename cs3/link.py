"""The way to a Valkey or Redis server: its address without secrets, bounded retries, and errors of one kind.

    lost connections, time-outs, answers that are no RESP      tried again, then ``StoreAwayError``
    LOADING, MASTERDOWN, READONLY and other states to pass     the same: the next connection may reach a server that can
    all else: NOAUTH, NOPERM, WRONGTYPE, MOVED, ...            ``StoreError`` at once, as it would not help

Each try after the first is made on a new connection.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from cs3.stores import StoreAwayError, StoreError

T = TypeVar("T")
FORM = "redis[s]://[[user]:password@]host:port/db or unix://[[user]:password@]/path, user and password percent-encoded"
SCHEMES = ("redis", "rediss", "unix")
QUERY = ("client_name", "db", "health_check_interval", "max_connections", "password", "socket_keepalive", "username")
TLS = ("ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
PASSING = {
    *("BUSY", "CLUSTERDOWN", "EXECABORT", "LOADING", "MASTERDOWN", "MISCONF"),
    *("NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "UNKILLABLE"),
}
"""Codes of states that pass, or that another server, which a new connection may reach, is not in."""
CODES = {
    "AskError": "ASK",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "ExecAbortError": "EXECABORT",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
"""Codes by the client's classes, which older clients leave out of the error."""
HINTS = dict.fromkeys(("MOVED", "ASK", "CROSSSLOT"), "; must be one server, not a node of a cluster")


class Address(NamedTuple):
    """A URL in parts.

    Attributes:
        shown: all but user, password and query.
        query: from "?" on, without user and password; "" for none.
        user: decoded.
        password: decoded.
    """

    shown: str
    query: str
    user: str
    password: str

    def secrets(self) -> list[str]:
        """What must not be shown: the password, as it is and as URLs have it."""
        return [form for form in (self.password, quote(self.password, safe="")) if form]


class Link:
    """The way to a server.

    Attributes:
        url: of the server, without user, password and query.
        client: a ``redis.Redis`` (its types are partial); a lost connection is made anew by its pool.
    """

    def __init__(self, url: str, *, timeout: float, retries: int, pause: float) -> None:
        """Makes the client; connects at the first command. See ``ServerStores``."""
        if not (isinstance(timeout, int | float) and 0 < timeout < math.inf):
            raise ValueError(f"timeout == {timeout}, must be above 0 and finite")
        if not isinstance(retries, int) or retries < 0:
            raise ValueError(f"retries == {retries}, must be at least 0 and whole")
        if not (isinstance(pause, int | float) and 0 <= pause < math.inf):
            raise ValueError(f"pause == {pause}, must be at least 0 and finite")
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.credentials import UsernamePasswordCredentialProvider
            from redis.retry import Retry
        except ImportError as error:
            raise ImportError("redis is not installed, run: pip install 'cs3-bench[server]'") from error
        address = _address(url)
        self.url, self._secrets = address.shown, address.secrets()
        self.client: Any = redis.Redis.from_url(
            address.shown + address.query,
            # By a provider, as the ``repr`` of some clients shows the password that they were given.
            credential_provider=UsernamePasswordCredentialProvider(address.user, address.password)
            if address.user or address.password
            else None,
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
            socket_read_size=1 << 18,
            # Tried again here, not by the client, which does not do so for a transaction.
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
            protocol=2,
        )
        # A ValueError is the client's, too, for a reply or a host that it cannot read.
        self._errors = (redis.RedisError, OSError, ValueError)
        self._lost = (redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse, OSError, ValueError)
        self._auth = (redis.AuthenticationError, redis.exceptions.AuthorizationError)
        self._timeout, self._retries, self._pause = timeout, retries, pause
        self._asleep_until = -1.0

    def __repr__(self) -> str:
        return f"Link('{self.url}')"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"server == '{self.url}', must be opened in each process: a connection cannot be pickled")

    def call(self, what: str, operation: Callable[[], T]) -> T:
        """What an operation gives, which may be tried several times and so must do no harm when repeated.

        Raises:
            StoreAwayError: when the server did not answer any of the tries, or said that it cannot now.
            StoreError: when it refuses; at once.
        """
        began, wait = time.monotonic(), 0.02
        for attempt in range(1 + self._retries):
            if attempt:
                time.sleep(wait)
                wait = min(2 * wait, 1.0)
            try:
                return operation()
            except StoreError:
                raise
            except self._errors as error:
                passing, said = self._passing(error), self._said(error)
            self.client.connection_pool.disconnect(inuse_connections=False)
            if not passing:
                raise StoreError(f"server == '{self.url}', must carry out {what}: {said}")
        raise StoreAwayError(
            f"server == '{self.url}', must answer: {what} failed {1 + self._retries} times in "
            f"{time.monotonic() - began:.1f} s (time-out {self._timeout:g} s), last: {said}"
        )

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A pipeline to watch, look and write with. After an error its connection is closed, and its watch with it."""
        pipe = self.client.pipeline(transaction=True)
        try:
            yield pipe
        except BaseException:
            # To ask a server that just failed to forget the watch would fail again, and lose the connection for good.
            pipe.watching = False
            if pipe.connection is not None:
                pipe.connection.disconnect()
            raise
        finally:
            pipe.reset()

    def lost(self, error: BaseException) -> bool:
        """Whether the answer did not come, so that what was asked may or may not have happened."""
        error = self._cause(error)
        return isinstance(error, self._lost) and not isinstance(error, (*self._auth, StoreError)) and not _code(error)

    def odd(self, what: str, found: object) -> StoreAwayError:
        """The error for an answer of another type than the command has."""
        return StoreAwayError(f"server == '{self.url}', must answer {what} as Redis does: got {found!r:.80}")

    def rest(self) -> None:
        """From now on a reader who can do without does not ask, for a while."""
        self._asleep_until = time.monotonic() + self._pause

    @property
    def asleep(self) -> bool:
        """Whether the server was away so lately that a reader who can do without should not wait for it again."""
        return time.monotonic() < self._asleep_until

    def _passing(self, error: Exception) -> bool:
        return self.lost(error) or _code(self._cause(error)) in PASSING

    def _cause(self, error: BaseException) -> BaseException:
        """The client calls a connection that it loses while watching a change of what is watched."""
        context = error.__context__
        watching = type(error).__name__ == "WatchError" and not isinstance(context, StoreError)
        return context if watching and isinstance(context, self._lost) else error

    def _said(self, error: Exception) -> str:
        """What the server said, on one line, without the command, which the client shows, and without secrets."""
        cause = self._cause(error)
        code = _code(cause)
        text = _text(cause)
        if not text.startswith(code):
            text = f"{code} {text}"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return f"{text:.200}{HINTS.get(code, '')}"


def _text(error: BaseException) -> str:
    """Its text on one line, all of it printable."""
    text = str(error).rpartition("of pipeline caused error: ")[2] or type(error).__name__
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))


def _code(error: BaseException) -> str:
    """The word in capitals that a reply of the server begins with; "" for "ERR" and for what is no reply."""
    code = getattr(error, "status_code", None) or CODES.get(type(error).__name__)
    if code is None and type(error).__name__ == "ResponseError":
        found = re.match(r"[A-Z]+(?= )", _text(error))
        code = found[0] if found else None
    return "" if code in (None, "ERR") else str(code)


def _address(url: str) -> Address:
    """The URL in parts.

    Raises:
        ValueError: for one that the client would not understand; it shows nothing that may be a part of a password.
    """
    if not isinstance(url, str):
        raise ValueError(f"url == {type(url).__name__}, must be text: {FORM}")
    scheme, found, _ = url.partition("://")
    if not found or scheme not in SCHEMES:
        shown = f"'{scheme}'" if found and scheme.isalpha() else "none"
        raise ValueError(f"url scheme == {shown}, must be one of {', '.join(SCHEMES)}: {FORM}")
    parts = _split(url)
    if parts is None:
        raise ValueError(f"url host, port or db == not understood, must be {FORM}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = QUERY + (TLS if scheme == "rediss" else ())
    for name in query:
        if name not in known:
            raise ValueError(
                f"url query == a name that is not known for {scheme}://, must be one of {', '.join(known)}"
            )
    for name in ("db", "health_check_interval", "max_connections"):
        if name in query and not query[name].isdecimal():
            raise ValueError(f"url query {name} == not a number, must be one")
    user, password = query.pop("username", ""), query.pop("password", "")
    shown = f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    rest = f"?{urlencode(query)}" if query else ""
    return Address(shown, rest, unquote(parts.username or "") or user, unquote(parts.password or "") or password)


def _split(url: str) -> SplitResult | None:
    """Its parts, or None where they are not what they must be, as when a password is not percent-encoded."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return None
    if parts.fragment or port == 0:
        return None
    if parts.scheme == "unix":
        return parts if parts.path.strip("/") and host is None else None
    return parts if re.fullmatch(r"/?|/[0-9]+/?", parts.path) else None
