"""What a server answers on bad days: one kind of error, another connection, cold vectors; canned, and of a real one."""

from __future__ import annotations

import contextlib
import socket
import time
import uuid

import pytest
import torch

from cs3 import ServerStores, StoreAwayError, StoreError, StoreMismatchError
from tests.cs3.fake_server import healthy

ROWS, WIDTH = 50, 4
PASSING = [
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "BUSY Redis is busy running a script.",
    "EXECABORT Transaction discarded because of previous errors.",
    "ERR max number of clients reached",
]
LASTING = [
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'hget' command",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "ERR unknown command 'HMGET'",
    "SOMETHING that nobody has heard of yet",
]


def keys(*values):
    return torch.tensor(values, dtype=torch.int64)


ONES = torch.ones(2, WIDTH)


def opened(url, arm="a", **settings):
    stores = ServerStores(url, arm, **{"timeout": 5.0, "retries": 1, **settings})
    return stores.open("t", rows=ROWS, width=WIDTH)


def after_opening(reply):
    """Healthy for the first command, then always this."""
    answered = []

    def says(words, connection):
        answered.append(words)
        return healthy(words) if len(answered) == 1 else reply

    return says


def one_line(caught, url, *parts):
    said = str(caught.value)
    assert isinstance(caught.value, OSError)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "\n" not in said
    for part in (url, "cs3:a:t", *parts):
        assert part in said, said


@pytest.mark.parametrize("reply", PASSING + LASTING)
def test_each_reply_is_one_error_with_server_and_key(fake, reply):
    kind = StoreAwayError if reply in PASSING else StoreError
    text = reply.removeprefix("ERR ")
    error = b"-" + reply.encode() + b"\r\n"
    with pytest.raises(StoreError) as caught:
        opened((server := fake(lambda *_: error)).url)
    assert type(caught.value) is kind
    one_line(caught, server.url, text, "HGET")
    assert server.connections == (2 if kind is StoreAwayError else 1)
    for what, use in {
        "HMGET": lambda store: store.fetch(keys(1, 2)),
        "publication of 2 vectors": lambda store: store.put(keys(1, 2), ONES, 1),
        "publication of 0 vectors": lambda store: store.put(keys(), ONES[:0], 1, replace=True),
        "UNLINK": lambda store: store.clear(),
        "HGET": lambda store: store.version(),
    }.items():
        server = fake(after_opening(error))
        store = opened(server.url)
        with pytest.raises(StoreError) as caught:
            use(store)
        assert type(caught.value) is kind
        one_line(caught, server.url, text, what)


@pytest.mark.parametrize("reply", PASSING + LASTING)
def test_cold_vectors_for_what_passes_and_an_error_for_what_is_set_up_wrong(fake, reply):
    server = fake(after_opening(b"-" + reply.encode() + b"\r\n"))
    store = opened(server.url, when_away="cold")
    if reply in PASSING:
        assert torch.equal(store.fetch(keys(1, 2)), torch.zeros(2, WIDTH))
        assert (store.degraded, store.misses) == (1, 0)
    else:
        with pytest.raises(StoreError, match=reply.split()[0].replace("ERR", "unknown command")):
            store.fetch(keys(1, 2))
        assert store.degraded == 0


def demoted(words, connection):
    """The first connection's server became a replica; a new one reaches the new primary."""
    if connection == 0 and words[0] == b"HSET":
        return b"-READONLY You can't write against a read only replica.\r\n"
    if connection == 0 and words[0] == b"EXEC":
        return b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    return healthy(words)


def test_after_a_failover_the_next_connection_is_asked(fake):
    server = fake(demoted)
    opened(server.url).put(keys(1, 2), ONES, 1)
    assert server.connections == 2


def test_without_retries_the_next_call_has_the_new_connection(fake):
    server = fake(demoted)
    store = opened(server.url, retries=0)
    with pytest.raises(StoreAwayError, match=r"failed 1 times .* last: READONLY You can't write") as caught:
        store.put(keys(1, 2), ONES, 1)
    one_line(caught, server.url, "publication of 2 vectors to cs3:a:t")
    store.put(keys(1, 2), ONES, 1)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error"),
        (b":12\r\n", "as Redis does: got 12"),
        (b"*1\r\n$-1\r\n", "as Redis does"),
        (b"+OK\r\n", "as Redis does"),
        (None, "Connection closed by server"),
    ],
)
def test_what_is_no_answer_to_the_question_is_told_or_cold(fake, reply, says):
    server = fake(after_opening(reply))
    store = opened(server.url)
    with pytest.raises(StoreAwayError, match=says) as caught:
        store.fetch(keys(1, 2))
    one_line(caught, server.url)
    with pytest.raises(StoreError) as caught:
        store.put(keys(1), ONES[:1], 1)
    one_line(caught, server.url)
    store = opened(fake(after_opening(reply)).url, when_away="cold")
    assert not store.fetch(keys(1, 2)).any()
    assert store.degraded == 1


@pytest.mark.parametrize(
    "reply",
    [
        *(b"+OK", b"+QUEUED", b":1", b"$-1", b"*-1", b"*0", b"*1\r\n:1", b"*2\r\n$-1\r\n$1\r\na", b"$5\r\nhello"),
        *(
            b"-",
            b"-MOVED",
            b"-MOVED foo",
            b"-ASK 1 a:b",
            b"-LOADING",
            b"-\xff\xfe",
            b"*1\r\n-ERR in",
            b"$99999999999\r\na",
        ),
        *(b"", b"garbage", b"%1\r\n+a\r\n+b", b"_", b",1.5", b"#t", b"*1\r\n*2\r\n$-1\r\n$-1", b"!5\r\nERR x"),
    ],
)
@pytest.mark.parametrize("from_", [b"", b"WATCH", b"HSET", b"EXEC"])
def test_whatever_is_answered_is_an_error_of_the_stores_own(fake, reply, from_):
    """From some command on; or the answer may even pass for a right one."""

    def falling_sick():
        seen = []

        def says(words, connection):
            seen.append(words[0])
            sick = from_ in seen if from_ else len(seen) > 1
            return reply + b"\r\n" if sick else healthy(words)

        return says

    for use in (
        lambda store: store.fetch(keys(1, 2)),
        lambda store: store.fetch(torch.arange(9000)),
        lambda store: store.put(keys(1), ONES[:1], 1),
        lambda store: store.put(keys(1), ONES[:1], 1, replace=True),
        lambda store: store.clear(),
    ):
        stores = ServerStores(fake(falling_sick()).url, "a", timeout=0.1, retries=0)
        with contextlib.suppress(StoreError):  # on a busy machine a healthy answer may be late too
            use(stores.open("t", rows=9000, width=WIDTH))


def test_a_connection_that_is_lost_while_watching_is_no_other_writer(fake):
    server = fake(lambda words, _: None if words[0] in (b"MULTI", b"HLEN") else healthy(words))
    with pytest.raises(StoreAwayError, match="Connection closed by server"):
        opened(server.url).put(keys(1, 2), ONES, 1)


def test_a_server_that_hangs_is_waited_for_no_longer_than_the_tries(fake):
    store = opened(fake(after_opening(b"")).url, timeout=0.1)
    for use in (lambda: store.fetch(keys(1)), lambda: store.put(keys(1), ONES[:1], 1)):
        began = time.monotonic()
        with pytest.raises(StoreAwayError, match=r"failed 2 times .* last: Timeout"):
            use()
        assert 0.2 <= time.monotonic() - began < 5


def test_failing_publications_do_not_use_up_the_connections(fake):
    sick = []
    says = lambda words, _: b"-NOAUTH Authentication required.\r\n" if sick else healthy(words)  # noqa: E731
    store = opened(fake(says).url, retries=0)
    sick.append(True)
    for _ in range(120):
        with pytest.raises(StoreError, match="NOAUTH"):
            store.put(keys(1, 2), ONES, 1)
    sick.clear()
    store.put(keys(1, 2), ONES, 1)


@pytest.mark.parametrize(
    "url",
    [
        "redis://bob:S3cr%40t@127.0.0.1:{port}/0",
        "redis://127.0.0.1:{port}/0?password=S3cr%40t&username=bob",
        "redis://:S3cr%40t@127.0.0.1:{port}?client_name=x",
    ],
)
def test_no_secret_is_ever_shown(fake, url):
    """Also where the server itself repeats what it was sent."""
    says = lambda *_: b"-ERR unknown command 'AUTH', with args beginning with: 'bob' 'S3cr@t'\r\n"  # noqa: E731
    server = fake(says)
    url = url.format(port=server.url.split(":")[-1].removesuffix("/0"))
    stores = ServerStores(url, "a", timeout=5.0, retries=0)
    with pytest.raises(StoreError) as caught:
        stores.open("t", rows=ROWS, width=WIDTH)
    one_line(caught, "redis://127.0.0.1:", "'***'")
    error = caught.value
    for text in (str(error), repr(error), repr(stores), repr(stores._link), repr(stores._link.client)):
        assert "S3cr" not in text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://bob:S3cret@127.0.0.1:x/0", "host, port or db == not understood"),
        ("redis://bob:S3cret@127.0.0.1:0/0", "host, port or db == not understood"),
        ("redis://bob:S3cret@127.0.0.1:66000/0", "host, port or db == not understood"),
        ("redis://bob:S3cret@127.0.0.1/zero", "host, port or db == not understood"),
        ("redis://bob:S3/cret@127.0.0.1/0", "host, port or db == not understood"),
        ("redis://bob:S3#cret@127.0.0.1/0", "host, port or db == not understood"),
        ("redis://bob:S3?cret@127.0.0.1/0", "host, port or db == not understood"),
        ("redis://:33/cret@127.0.0.1/0", "host, port or db == not understood"),
        (
            "redis://:33?S3cret@127.0.0.1/0",
            "query == a name that is not known for redis://, must be one of client_name",
        ),
        ("redis://bob:S3cret@[::1/0", "host, port or db == not understood"),
        ("redis://bob:S3cret@\u2100/0", "host, port or db == not understood"),
        ("redis://h/0?pasword=S3cret", "query == a name that is not known"),
        ("redis://h/0?ssl_keyfile=S3cret", "query == a name that is not known"),
        ("redis://h/0?socket_timeout=9", "query == a name that is not known"),
        ("redis://h?db=S3cret", "query db == not a number"),
        ("http://bob:S3cret@h/0", "scheme == 'http', must be one of redis, rediss, unix"),
        ("bob:S3cret@h", "scheme == none, must be one of"),
        ("unix://bob:S3cret@h/path", "host, port or db == not understood"),
        ("", "scheme == none, must be one of"),
        (None, "url == NoneType, must be text"),
    ],
)
def test_a_url_that_cannot_be_is_one_line_without_the_secret(url, says):
    pytest.importorskip("redis", reason="the client is not installed: pip install 'cs3-bench[server]'")
    with pytest.raises(ValueError, match=says) as caught:
        ServerStores(url, "a")
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_socket_of_this_machine(own_server):
    ask = opened(own_server.url)._link.client.execute_command
    ask("ACL", "SETUSER", "bob", "on", ">S3cr@t", "~*", "+@all")
    with pytest.raises(StoreAwayError, match="server == 'unix:///nowhere/s', must answer: HGET cs3:a:t"):
        opened("unix://bob:S3cr%40t@/nowhere/s?db=1")
    if not own_server.socket:
        pytest.skip("the path of the test's folder is too long for a socket")
    opened(f"unix://bob:S3cr%40t@{own_server.socket}").put(keys(1), ONES[:1], 1)


def test_urls_that_can_be(server_url):
    host = server_url.rpartition("/")[0]
    for url in (server_url, host, f"{host}/", f"{host}/3", f"{host}?db=3&client_name=x&health_check_interval=3"):
        stores = ServerStores(url, uuid.uuid4().hex, timeout=10.0)
        stores.switch("é")
        assert stores.ranker() == "é"
        stores._link.client.execute_command("DEL", f"cs3:{stores.arm}:ranker")
        stores.close()


def test_a_real_server_that_was_demoted_and_lost_its_primary(own_server):
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        gone = spare.getsockname()[1]
    store = opened(own_server.url, when_away="cold")
    store.put(keys(1, 2), ONES, 1)
    ask = store._link.client.execute_command
    ask("REPLICAOF", "127.0.0.1", gone)
    for replace in (False, True):
        with pytest.raises(StoreAwayError, match="last: READONLY") as caught:
            store.put(keys(1), 2 * ONES[:1], 2, replace=replace)
    one_line(caught, own_server.url, "publication of 1 vectors")
    assert torch.equal(store.fetch(keys(1, 2)), ONES)  # a replica still reads
    ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    assert not store.fetch(keys(1, 2)).any()
    assert store.degraded == 1
    with pytest.raises(StoreAwayError, match="last: MASTERDOWN"):
        opened(own_server.url)
    ask("REPLICAOF", "NO", "ONE")
    store.put(keys(1), 2 * ONES[:1], 2)
    assert store.version() == 2


def test_a_real_server_without_room_takes_nothing_and_keeps_nothing_aside(own_server):
    store = opened(own_server.url)
    store.put(keys(1, 2), ONES, 1)
    ask = store._link.client.execute_command
    ask("CONFIG", "SET", "maxmemory", "1")
    for replace in (False, True):
        with pytest.raises(StoreAwayError, match="last: OOM"):
            store.put(keys(1), 2 * ONES[:1], 2, replace=replace)
    ask("CONFIG", "SET", "maxmemory", "0")
    assert ask("KEYS", "*") == [b"cs3:a:t"]
    assert torch.equal(store.fetch(keys(1, 2)), ONES)


def test_real_accounts_passwords_and_wrong_kinds(own_server):
    store = opened(own_server.url)
    store.put(keys(1, 2), ONES, 1)
    ask = store._link.client.execute_command
    host = own_server.url.removeprefix("redis://")
    ask("ACL", "SETUSER", "reader", "on", ">pw", "~cs3:*", "+hget", "+hmget", "+get", "+select", "+multi", "+exec")
    reader = opened(f"redis://reader:pw@{host}", when_away="cold")
    assert torch.equal(reader.fetch(keys(1, 2)), ONES)
    with pytest.raises(StoreError, match="NOPERM") as caught:
        reader.put(keys(1), ONES[:1], 2)
    assert not isinstance(caught.value, StoreAwayError)
    one_line(caught, own_server.url)
    needed = ["watch", "unwatch", "multi", "exec", "hget", "hmget", "hset", "rename", "unlink", "get", "set", "select"]
    ask("ACL", "SETUSER", "writer", "on", ">pw", "~cs3:*", *(f"+{one}" for one in needed))
    writer = opened(f"redis://writer:pw@{host}")
    writer.put(keys(1), 2 * ONES[:1], 2)
    writer.put(keys(3), 3 * ONES[:1], 3, replace=True)
    assert writer.fetch(keys(1, 2, 3)).sum(1).tolist() == [0, 0, 3 * WIDTH]
    assert ask("TTL", store.name) == -1
    with pytest.raises(StoreError, match="WRONGPASS"):
        opened(f"redis://reader:other@{host}", when_away="cold")
    ask("SET", "cs3:a:text", "x")
    with pytest.raises(StoreError, match="HGET cs3:a:text: WRONGTYPE"):
        ServerStores(own_server.url, "a").open("text", rows=ROWS, width=WIDTH)
    ask("CONFIG", "SET", "requirepass", "pw")
    with pytest.raises(StoreError, match="NOAUTH"):
        opened(own_server.url)


@pytest.mark.parametrize(
    "bad", [{"timeout": float("inf")}, {"retries": 1.5}, {"pause": float("nan")}, {"timeout": "1"}]
)
def test_settings_that_cannot_be(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} == "):
        ServerStores("redis://127.0.0.1:1", "a", **bad)


def test_a_ranker_that_is_no_text(server_url):
    stores = ServerStores(server_url, uuid.uuid4().hex, timeout=10.0)
    stores._link.client.execute_command("SET", f"cs3:{stores.arm}:ranker", b"\xff")
    with pytest.raises(StoreMismatchError, match=r"ranker' of server .* == b'\\xff', must be UTF-8"):
        stores.ranker()
