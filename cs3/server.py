"""Published vectors in a Valkey or Redis server: many serving processes read what one trainer publishes.

One hash a table and ranker: field KEY holds the vector, packed little-endian float32; field ``meta`` says schema,
width, dtype, ranker and version, and by which publication. Each read asks for ``meta`` too, so that a reader never
takes vectors of another kind.

    cs3:ARM:TABLE               cross vectors
    cs3:ARM:TABLE@RANKER        cascade vectors, which mean something only in the space of one ranker
    cs3:ARM:ranker              the ranker whose cascade vectors are served
    HASH:aside:TOKEN            where a publication that replaces all is written, before it is renamed over the hash

Reads are HMGET, the form of MGET for hashes. A publication watches the hash, looks who wrote it, and is one
transaction, which a change of the hash in between undoes. ``cs3.link`` is the way to the server.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from cs3.link import Link
from cs3.packed import FLOAT, Packed
from cs3.stores import (
    AnotherWriterError,
    StoreAwayError,
    StoreError,
    StoreMismatchError,
    VectorStore,
    checked_keys,
    checked_name,
    checked_publication,
    checked_size,
    checked_version,
)
from cs3.versions import EVER

CHUNK = 4096
"""Keys a command."""
ASIDE = 3600
"""Seconds after which the server drops what a writer that died left aside."""
WHEN_AWAY = ("error", "cold")


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
            StoreMismatchError: when the hash is of another version, width or ranker.
            StoreAwayError: when the server is away.
            StoreError: when it refuses.
        """
        self.rows, self.width = rows, width = checked_size(rows, width)
        _checked_when_away(when_away)
        self.name = name
        self.misses = self.degraded = 0
        self._link, self._degrade = link, when_away == "cold"
        self._where = f"store '{name}' of server '{link.url}'"
        self._packed = Packed(self._where, width, ranker)
        self._kind = self._packed.kind
        found = self._link.call(f"HGET {name}", lambda: self._hget(link.client))
        self._version(found)
        self._mine = {found}  # what this store may add to: what it was opened on, put, or may have put

    def __repr__(self) -> str:
        return f"ServerStore({self._where})"

    def version(self) -> int:
        """Time of the last publication."""
        return self._version(self._link.call(f"HGET {self.name}", lambda: self._hget(self._link.client)))

    def fetch(self, keys: Tensor) -> Tensor:
        """Vectors of keys [n] -> float32 [n, width].

        Raises:
            ValueError: for bad keys.
            StoreMismatchError: when the hash is by now of another version or width, or what is in it is damaged.
            StoreAwayError: when the server is away, unless ``when_away`` is "cold".
            StoreError: when the server refuses.
        """
        keys = checked_keys(keys, self.rows)
        if self._degrade and self._link.asleep:
            return self._cold(keys.numel())
        fields: list[int] = keys.tolist()
        try:
            values = self._link.call(f"HMGET {self.name}", lambda: self._hmget(fields))
        except StoreAwayError:
            if not self._degrade:
                raise
            self._link.rest()
            return self._cold(keys.numel())
        return self._unpacked(fields, values)

    def put(self, keys: Tensor, vectors: Tensor, version: int, *, replace: bool = False) -> None:
        """Publishes vectors [n, width] of distinct keys [n] in one transaction.

        Raises:
            ValueError: for bad keys, vectors or version; nothing is written then.
            StoreMismatchError: for a hash of another kind; nothing is written then.
            AnotherWriterError: when another one published meanwhile, or did and this one would add to it; nothing is
                written then.
            StoreAwayError: when the server is away; whether it was published is then open, and doing it again is safe.
            StoreError: when it refuses; nothing is written then.
        """
        keys, vectors = checked_publication(keys, vectors, rows=self.rows, width=self.width)
        version = checked_version(version, EVER, replace=replace)
        fields, values, meta = keys.tolist(), self._packed.pack(vectors), self._packed.meta(version)
        first: list[bytes | None] = []

        def publish() -> int:
            """The version that is there afterwards: this one, or a newer one that this one may not follow."""
            with self._link.transaction() as pipe:
                pipe.watch(self.name)
                found = self._hget(pipe)
                if first and found == meta:
                    return version  # a former try arrived, only its answer was lost
                if first and found != first[0]:
                    raise self._another()
                first.append(found)
                last = self._version(found)
                if last > version and not replace:
                    return last
                self._mine.add(meta)  # should the answer get lost
                if replace:
                    self._replace(pipe, fields, values, meta)
                else:
                    self._check_base(pipe, found)
                    pipe.multi()
                    _hset(pipe, self.name, fields, values)
                    pipe.execute_command("HSET", self.name, b"meta", meta)
                    self._execute(pipe)
                return version

        last = self._link.call(f"publication of {keys.numel()} vectors to {self.name}", publish)
        checked_version(version, last, replace=replace)
        self._mine = {meta}

    def clear(self) -> None:
        """Back to no publication: the hash is gone."""
        self._link.call(f"UNLINK {self.name}", lambda: self._link.client.execute_command("UNLINK", self.name))
        self._mine = {None}

    def close(self) -> None:
        """Nothing to let go of: the connection is the ``ServerStores``'s."""

    def _hget(self, client: Any) -> bytes | None:
        return self._checked(client.execute_command("HGET", self.name, b"meta"))

    def _checked(self, found: Any) -> bytes | None:
        if found is not None and not isinstance(found, bytes):
            raise self._link.odd(f"HGET {self.name}", found)
        return found

    def _hmget(self, fields: list[int]) -> list[bytes | None]:
        """Vectors by field; all of one publication."""
        if len(fields) <= CHUNK:
            answers = [self._link.client.execute_command("HMGET", self.name, b"meta", *fields)]
        else:
            with self._link.transaction() as pipe:
                for first in range(0, len(fields), CHUNK):
                    pipe.execute_command("HMGET", self.name, b"meta", *fields[first : first + CHUNK])
                answers = self._execute(pipe)
        values: list[bytes | None] = []
        for answer in answers:
            if not isinstance(answer, list) or not answer:
                raise self._link.odd(f"HMGET {self.name}", answer)
            values += answer[1:]
        if len(values) != len(fields):
            raise self._link.odd(f"HMGET {self.name}", f"{len(values)} values for {len(fields)} keys")
        meta = self._checked(answers[0][0])
        self._version(meta)
        if meta is None and values.count(None) < len(values):
            raise self._packed.mismatch("meta == missing, must be there with the vectors")
        return values

    def _version(self, meta: bytes | None) -> int:
        return self._packed.version(meta)

    def _unpacked(self, fields: list[int], values: list[bytes | None]) -> Tensor:
        cold = values.count(None)
        self.misses += cold
        zeros = bytes(FLOAT * self.width)
        return self._packed.unpack(fields, [zeros if value is None else value for value in values])

    def _cold(self, rows: int) -> Tensor:
        self.degraded += 1
        return torch.zeros(rows, self.width)

    def _check_base(self, pipe: Any, found: bytes | None) -> None:
        """Says whether a publication may add to what is there: nothing, or what this store opened or put itself."""
        if found is None:
            left = self._asked(pipe, "HLEN", self.name)
            if left and self._hget(pipe) is None:
                raise self._packed.mismatch(f"meta == missing, must be there with {left} vectors: replace all or clear")
        elif found not in self._mine:
            raise self._another()

    def _replace(self, pipe: Any, fields: list[int], values: list[bytes], meta: bytes) -> None:
        """Writes all under a name of its own, which no other writer knows, and renames it over the hash."""
        aside = f"{self.name}:aside:{secrets.token_hex(8)}"
        try:
            fleeting = self._write_aside(aside, fields, values, meta)
            pipe.watch(aside)
            # Written first: if it is there, nothing that followed was evicted either.
            if pipe.execute_command("HGET", aside, b"meta") != meta:
                raise StoreError(
                    f"server == '{self._link.url}', must keep {aside} until it is published: it was dropped"
                )
            pipe.multi()
            if fleeting:
                pipe.execute_command("PERSIST", aside)
            pipe.execute_command("RENAME", aside, self.name)
            self._execute(pipe)
        except Exception as error:
            if not self._link.lost(error):
                with suppress(Exception):
                    self._link.client.execute_command("UNLINK", aside)
            raise

    def _write_aside(self, aside: str, fields: list[int], values: list[bytes], meta: bytes) -> bool:
        """Writes vectors and ``meta``; whether the server will drop them by itself."""
        client = self._link.client
        client.execute_command("HSET", aside, b"meta", meta)
        fleeting = self._asked(client, "EXPIRE", aside, ASIDE) == 1
        _hset(client, aside, fields, values)  # a chunk at a time, each of which has the time-out for itself
        return fleeting

    def _asked(self, client: Any, *command: str | int) -> int:
        """The number that a server gives, 0 where it does not let this user ask."""
        from redis import ResponseError

        try:
            found = client.execute_command(*command)
        except ResponseError:
            return 0
        return found if isinstance(found, int) else 0

    def _execute(self, pipe: Any) -> list[Any]:
        from redis import WatchError

        try:
            answers: list[Any] = pipe.execute()
        except WatchError as error:
            if self._link.lost(error):
                raise
        except (TypeError, AttributeError):  # as the client takes for granted that it is a list
            raise self._link.odd(f"EXEC for {self.name}", "no list") from None
        else:
            return answers
        raise self._another()

    def _another(self) -> AnotherWriterError:
        return AnotherWriterError(f"{self._where} == changed meanwhile, must have one writer")


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
            url: "redis://[[user]:password@]host:port/db", "rediss://" with TLS, or "unix://path"; user and password
                percent-encoded. No error and no ``repr`` shows them.
            arm: name of the arm.
            timeout: seconds to wait for a connection, and for an answer.
            retries: tries after the first, each after a new connection and a growing wait.
            pause: seconds after a failure in which a fetch that may be cold is so at once.
            when_away: see ``ServerStore``.

        Raises:
            ValueError: for a URL, a name or a setting that cannot be.
            ImportError: without the client.
        """
        _checked_when_away(when_away)
        self.arm = checked_name("arm", arm)
        self._prefix = f"cs3:{quote(arm, safe='+@')}"
        self._when_away = when_away
        self._link = Link(url, timeout=timeout, retries=retries, pause=pause)

    def __repr__(self) -> str:
        return f"ServerStores('{self._link.url}', arm='{self.arm}')"

    def ranker(self) -> str:
        """Tag of the ranker whose cascade vectors are served; "" before the first ``switch``.

        Raises:
            StoreMismatchError: when it is no text.
            StoreError: when the server is away or refuses.
        """
        name = f"{self._prefix}:ranker"
        found = self._link.call(f"GET {name}", lambda: self._link.client.execute_command("GET", name))
        if found is None:
            return ""
        if not isinstance(found, bytes):
            raise self._link.odd(f"GET {name}", found)
        with suppress(UnicodeDecodeError):
            return found.decode()
        raise StoreMismatchError(f"ranker '{name}' of server '{self._link.url}' == {found!r:.80}, must be UTF-8")

    def switch(self, ranker: str) -> None:
        """Serves this ranker's cascade vectors from now on.

        Raises:
            ValueError: for a tag that is no text.
            StoreError: when the server is away or refuses.
        """
        name, tag = f"{self._prefix}:ranker", checked_name("ranker", ranker, empty=True).encode()
        self._link.call(f"SET {name}", lambda: self._link.client.execute_command("SET", name, tag))

    def open(self, table: str, *, rows: int, width: int, ranker: str = "") -> VectorStore:
        """The store of a table of a ranker's space."""
        if table == "ranker":
            raise ValueError("table == 'ranker', must be another name: this one says which ranker is served")
        name = f"{self._prefix}:{quote(checked_name('table', table), safe='')}"
        if checked_name("ranker", ranker, empty=True):
            name += f"@{quote(ranker, safe='')}"
        return ServerStore(self._link, name, rows, width, ranker=ranker, when_away=self._when_away)

    def close(self) -> None:
        """Closes the connections; who asks again makes new ones."""
        self._link.client.close()


def _checked_when_away(when_away: str) -> None:
    if when_away not in WHEN_AWAY:
        raise ValueError(f"when_away == '{when_away}', must be one of {', '.join(WHEN_AWAY)}")


def _hset(client: Any, name: str, fields: list[int], values: list[bytes]) -> None:
    """Writes the vectors, or queues them in a pipeline, a chunk a command."""
    for first in range(0, len(fields), CHUNK):
        chunk = slice(first, first + CHUNK)
        pairs = [part for pair in zip(fields[chunk], values[chunk], strict=True) for part in pair]
        client.execute_command("HSET", name, *pairs)
