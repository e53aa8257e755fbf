"""Published vectors in a Valkey or Redis server: many serving processes read what one trainer publishes.

One hash a table and ranker: field KEY holds the vector, packed little-endian float32; field ``meta`` says schema,
width, dtype, ranker and version. Each read asks for ``meta`` too, so that a reader never takes vectors of another kind.

    cs3:ARM:TABLE               cross vectors
    cs3:ARM:TABLE@RANKER        cascade vectors, which mean something only in the space of one ranker
    cs3:ARM:ranker              the ranker whose cascade vectors are served

Reads are HMGET, the form of MGET for hashes; a publication is HSETs in one transaction. One that replaces all is
written beside the hash and renamed over it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import torch
from torch import Tensor

from cs3.stores import VectorStore, checked_keys, checked_publication, checked_size, checked_version
from cs3.versions import EVER

T = TypeVar("T")
SCHEMA = 1
DTYPE = "<f4"
FLOAT = 4
CHUNK = 4096
"""Keys a command; the commands of one read or write go out together."""
WHEN_AWAY = ("error", "cold")


class Link:
    """The way to a server: time-outs, bounded retries, one error.

    Attributes:
        url: of the server, without its password.
        client: a ``redis.Redis`` (its types are partial); a lost connection is made anew by its pool.
    """

    def __init__(self, url: str, *, timeout: float, retries: int, pause: float) -> None:
        """Makes the client; connects at the first command. See ``ServerStores``."""
        if not timeout > 0:
            raise ValueError(f"timeout == {timeout}, must be above 0")
        for name, value in (("retries", retries), ("pause", pause)):
            if value < 0:
                raise ValueError(f"{name} == {value}, must be at least 0")
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ImportError("redis is not installed, run: pip install 'cs3-bench[server]'") from error
        parts = urlsplit(url)
        self.url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self.client: Any = redis.Redis.from_url(
            url,
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
            socket_read_size=1 << 18,
            # Tried again here, not by the client, which does not do so for a transaction.
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
            protocol=2,
        )
        self._lost = (redis.ConnectionError, redis.TimeoutError)
        self._timeout, self._retries, self._pause = timeout, retries, pause
        self._asleep_until = -1.0

    def call(self, what: str, operation: Callable[[], T]) -> T:
        """What an operation gives, which may be tried several times and so must do no harm when repeated.

        Raises:
            ConnectionError: when the server did not answer any of the tries.
        """
        began, wait = time.monotonic(), 0.02
        for attempt in range(1 + self._retries):
            if attempt:
                time.sleep(wait)
                wait = min(2 * wait, 1.0)
            try:
                return operation()
            except self._lost as error:
                last = error
        self._asleep_until = time.monotonic() + self._pause
        raise ConnectionError(
            f"server == '{self.url}', must answer: {what} failed {1 + self._retries} times in "
            f"{time.monotonic() - began:.1f} s (time-out {self._timeout:g} s), last: {last}"
        )

    @property
    def asleep(self) -> bool:
        """Whether the server was away so lately that a reader who can do without should not wait for it again."""
        return time.monotonic() < self._asleep_until


class ServerStore:
    """One table in the server. One writer, any number of readers.

    Attributes:
        name: the hash.
        rows: keys are in [0, rows).
        width: columns of a vector.
        misses: keys fetched that were cold.
        degraded: fetches answered with cold vectors since the server was away; their keys are not counted as misses.
    """

    def __init__(
        self, link: Link, name: str, rows: int, width: int, *, ranker: str = "", when_away: str = "error"
    ) -> None:
        """Checks what is there; writes nothing. ``ServerStores.open`` makes the name.

        Args:
            link: to the server.
            name: of the hash.
            rows: number of keys.
            width: columns of a vector.
            ranker: tag of the ranker in whose space the vectors are.
            when_away: what a fetch does then: "error", or "cold", it gives cold vectors. All else needs the server.

        Raises:
            ValueError: when the hash is of another version, width or ranker.
            ConnectionError: when the server is away.
        """
        checked_size(rows, width)
        _checked_when_away(when_away)
        self.name, self.rows, self.width = name, rows, width
        self.misses = self.degraded = 0
        self._link, self._degrade = link, when_away == "cold"
        self._kind = {"schema": SCHEMA, "width": width, "dtype": DTYPE, "ranker": ranker}
        self._meta: tuple[bytes | None, int] = (None, EVER)
        self.version()

    def version(self) -> int:
        """Time of the last publication."""
        return self._version(self._link.call(f"HGET {self.name}", lambda: self._hget(self._link.client)))

    def fetch(self, keys: Tensor) -> Tensor:
        """Vectors of keys [n] -> float32 [n, width].

        Raises:
            ValueError: for bad keys, or when the hash is by now of another version or width.
            ConnectionError: when the server is away, unless ``when_away`` is "cold".
        """
        keys = checked_keys(keys, self.rows)
        if self._degrade and self._link.asleep:
            return self._cold(keys.numel())
        fields: list[int] = keys.tolist()
        try:
            values = self._link.call(f"HMGET {self.name}", lambda: self._hmget(fields))
        except ConnectionError:
            if not self._degrade:
                raise
            return self._cold(keys.numel())
        return self._unpacked(values)

    def put(self, keys: Tensor, vectors: Tensor, version: int, *, replace: bool = False) -> None:
        """Publishes vectors [n, width] of distinct keys [n] in one transaction.

        Raises:
            ValueError: for bad keys, vectors or version, or a hash of another kind; nothing is written then.
            ConnectionError: when the server is away; whether it was published is then open, and doing it again is safe.
        """
        keys, vectors = checked_publication(keys, vectors, rows=self.rows, width=self.width)
        fields, values = keys.tolist(), _packed(vectors)
        meta = json.dumps({**self._kind, "version": version}).encode()

        def publish() -> None:
            aside = f"{self.name}:aside"
            if replace:
                self._write_aside(aside, fields, values, meta)
            with self._link.client.pipeline(transaction=True) as pipe:
                pipe.watch(self.name)
                checked_version(version, self._version(self._hget(pipe)), replace=replace)
                pipe.multi()
                if replace:
                    pipe.rename(aside, self.name)
                else:
                    _hset(pipe, self.name, fields, values, meta)
                self._execute(pipe)

        self._link.call(f"publication of {keys.numel()} vectors to {self.name}", publish)

    def clear(self) -> None:
        """Back to no publication: the hash is gone."""
        self._link.call(f"UNLINK {self.name}", lambda: self._link.client.unlink(self.name))

    def close(self) -> None:
        """Nothing to let go of: the connection is the ``ServerStores``'s."""

    def _hget(self, client: Any) -> bytes | None:
        found: bytes | None = client.execute_command("HGET", self.name, b"meta")
        return found

    def _hmget(self, fields: list[int]) -> list[bytes | None]:
        """Vectors by field; all of one publication."""
        if len(fields) <= CHUNK:
            answers = [self._link.client.execute_command("HMGET", self.name, b"meta", *fields)]
        else:
            with self._link.client.pipeline(transaction=True) as pipe:
                for first in range(0, len(fields), CHUNK):
                    pipe.execute_command("HMGET", self.name, b"meta", *fields[first : first + CHUNK])
                answers = pipe.execute()
        self._version(answers[0][0])
        if len(answers) == 1:
            found: list[bytes | None] = answers[0]
            del found[0]
            return found
        return [value for answer in answers for value in answer[1:]]

    def _version(self, meta: bytes | None) -> int:
        """Checks ``meta`` as it was found; the same as last time is not read again.

        Raises:
            ValueError: when the hash is of another version, width, dtype or ranker.
        """
        known, version = self._meta
        if meta == known:
            return version
        version = EVER
        if meta is not None:
            found: dict[str, Any] = json.loads(meta)
            for name, wanted in self._kind.items():
                if found.get(name) != wanted:
                    raise ValueError(f"store '{self.name}' {name} == {found.get(name)!r}, must be {wanted!r}")
            version = int(found["version"])
        self._meta = meta, version
        return version

    def _unpacked(self, values: list[bytes | None]) -> Tensor:
        cold = values.count(None)
        if cold:
            self.misses += cold
            zeros = bytes(FLOAT * self.width)
            values = [zeros if value is None else value for value in values]
        # A bytearray, since a tensor may be written to.
        packed = bytearray().join(values)  # type: ignore[arg-type]
        wanted = FLOAT * self.width * len(values)
        if len(packed) != wanted:
            raise ValueError(f"store '{self.name}' bytes of {len(values)} vectors == {len(packed)}, must be {wanted}")
        return torch.frombuffer(packed, dtype=torch.float32).view(-1, self.width) if values else self._zeros(0)

    def _cold(self, rows: int) -> Tensor:
        self.degraded += 1
        return self._zeros(rows)

    def _zeros(self, rows: int) -> Tensor:
        return torch.zeros(rows, self.width)

    def _write_aside(self, aside: str, fields: list[int], values: list[bytes], meta: bytes) -> None:
        with self._link.client.pipeline(transaction=False) as pipe:
            pipe.unlink(aside)
            _hset(pipe, aside, fields, values, meta)
            pipe.execute()

    def _execute(self, pipe: Any) -> None:
        from redis import WatchError

        try:
            pipe.execute()
        except WatchError as error:
            raise ValueError(f"store '{self.name}' == changed meanwhile, must have one writer") from error


class ServerStores:
    """One arm's stores in a server: the arm's name is in every key, so that arms never meet.

    Attributes:
        arm: e.g. "dssm+cs3".
    """

    def __init__(
        self,
        url: str,
        arm: str,
        *,
        timeout: float = 0.5,
        retries: int = 2,
        pause: float = 1.0,
        when_away: str = "error",
    ) -> None:
        """Connects at the first command.

        Args:
            url: "redis://[[user]:password@]host:port/db", "rediss://" with TLS, or "unix://path".
            arm: name of the arm.
            timeout: seconds to wait for a connection, and for an answer.
            retries: tries after the first, each after a new connection and a growing wait.
            pause: seconds after a failure in which a fetch that may be cold is so at once.
            when_away: see ``ServerStore``.

        Raises:
            ImportError: without the client.
        """
        if not arm:
            raise ValueError("arm == '', must be a name")
        _checked_when_away(when_away)
        self.arm = arm
        self._prefix = f"cs3:{quote(arm, safe='+@')}"
        self._when_away = when_away
        self._link = Link(url, timeout=timeout, retries=retries, pause=pause)

    def ranker(self) -> str:
        """Tag of the ranker whose cascade vectors are served; "" before the first ``switch``."""
        name = f"{self._prefix}:ranker"
        found = self._link.call(f"GET {name}", lambda: self._link.client.execute_command("GET", name))
        return "" if found is None else found.decode()

    def switch(self, ranker: str) -> None:
        """Serves this ranker's cascade vectors from now on."""
        name = f"{self._prefix}:ranker"
        self._link.call(f"SET {name}", lambda: self._link.client.execute_command("SET", name, ranker.encode()))

    def open(self, table: str, *, rows: int, width: int, ranker: str = "") -> VectorStore:
        """The store of a table of a ranker's space."""
        name = f"{self._prefix}:{quote(table, safe='')}" + (f"@{quote(ranker, safe='')}" if ranker else "")
        return ServerStore(self._link, name, rows, width, ranker=ranker, when_away=self._when_away)

    def close(self) -> None:
        """Closes the connections."""
        self._link.client.close()


def _checked_when_away(when_away: str) -> None:
    if when_away not in WHEN_AWAY:
        raise ValueError(f"when_away == '{when_away}', must be one of {', '.join(WHEN_AWAY)}")


def _packed(vectors: Tensor) -> list[bytes]:
    """Rows of float32 [n, width] as bytes."""
    room = bytearray(FLOAT * vectors.numel())
    if room:
        torch.frombuffer(room, dtype=torch.float32).view(vectors.shape).copy_(vectors)
    step = FLOAT * vectors.shape[1]
    return [bytes(room[first : first + step]) for first in range(0, len(room), step)]


def _hset(pipe: Any, name: str, fields: list[int], values: list[bytes], meta: bytes) -> None:
    """Queues the vectors, a chunk a command, and ``meta``."""
    for first in range(0, len(fields), CHUNK):
        chunk = slice(first, first + CHUNK)
        pairs = [part for pair in zip(fields[chunk], values[chunk], strict=True) for part in pair]
        pipe.execute_command("HSET", name, *pairs)
    pipe.execute_command("HSET", name, b"meta", meta)
