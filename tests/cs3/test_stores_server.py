"""The server: time-outs, reconnects, reads that degrade, and what it refuses; each against a real server."""

from __future__ import annotations

import importlib.util
import pickle
import socket
import struct
import sys
import threading
import time
import uuid

import pytest
import torch

from cs3 import StoreMismatchError, server
from cs3.server import CHUNK, ServerStore, ServerStores

ROWS, WIDTH = 50, 4


def keys(*values):
    return torch.tensor(values, dtype=torch.int64)


def opened(url, arm=None, **settings):
    stores = ServerStores(url, arm or uuid.uuid4().hex, **{"timeout": 10.0, **settings})
    store = stores.open("cross-users", rows=ROWS, width=WIDTH)
    assert isinstance(store, ServerStore)
    return store


@pytest.fixture
def closed_port():
    """A port at which nobody listens."""
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        return spare.getsockname()[1]


def test_misses_are_counted(server_url):
    store = opened(server_url)
    store.put(keys(1, 2), torch.ones(2, WIDTH), 1)
    store.fetch(keys(1, 2))
    assert store.misses == 0
    store.fetch(keys(1, 3, 4))
    store.fetch(keys(0))
    assert store.misses == 3
    assert store.degraded == 0


def test_a_server_that_is_away_is_one_clear_error(closed_port):
    url = f"redis://someone:secret@127.0.0.1:{closed_port}/0"
    with pytest.raises(ConnectionError, match="HGET cs3:a:cross-users failed 3 times") as caught:
        ServerStores(url, "a", retries=2).open("cross-users", rows=ROWS, width=WIDTH)
    said = str(caught.value)
    assert f"server == 'redis://127.0.0.1:{closed_port}/0', must answer" in said
    assert "secret" not in said
    assert "\n" not in said


def test_a_server_that_does_not_answer_is_given_up_after_the_time_out():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        stores = ServerStores(f"redis://127.0.0.1:{deaf.getsockname()[1]}", "a", timeout=0.1, retries=1)
        began = time.monotonic()
        with pytest.raises(ConnectionError, match=r"failed 2 times in .* s \(time-out 0.1 s\), last: Timeout"):
            stores.ranker()
        assert 0.2 <= time.monotonic() - began < 10


def test_a_lost_connection_is_made_anew(own_server):
    store = opened(own_server.url)
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    for _ in range(3):
        store._link.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
        assert store.fetch(keys(1)).all()
        store._link.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
        store.put(keys(2), torch.ones(1, WIDTH), 2)
    assert store.fetch(keys(2)).all()


def test_a_server_that_comes_back_within_the_retries_is_waited_for(own_server):
    store = opened(own_server.url, retries=12)
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    own_server.kill()
    starter = threading.Timer(0.3, own_server.start)
    starter.start()
    found = store.fetch(keys(1))
    starter.join()
    assert not found.any()  # this server keeps nothing on disk
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    assert store.fetch(keys(1)).all()


def test_reads_degrade_to_cold_vectors_and_are_counted(own_server):
    store = opened(own_server.url, timeout=5.0, retries=1, pause=60.0, when_away="cold")
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    own_server.kill()
    for reads in range(1, 4):
        assert torch.equal(store.fetch(keys(1, 2)), torch.zeros(2, WIDTH))
        assert store.degraded == reads
    assert store.misses == 0
    with pytest.raises(ValueError, match=r"keys == 99\.\.99"):
        store.fetch(keys(99))
    with pytest.raises(ConnectionError, match=r"publication of 1 vectors to cs3:.*:cross-users failed 2 times"):
        store.put(keys(1), torch.ones(1, WIDTH), 2)
    with pytest.raises(ConnectionError):
        opened(own_server.url, timeout=5.0, retries=0, when_away="cold")


def test_a_degraded_reader_does_not_wait_for_each_read_and_looks_again_after_the_pause(own_server):
    store = opened(own_server.url, retries=0, pause=0.3, when_away="cold")
    tried = []
    call = store._link.call
    store._link.call = lambda *args: tried.append(args[0]) or call(*args)
    own_server.kill()
    store.fetch(keys(1))
    store.fetch(keys(1))
    assert len(tried) == 1
    own_server.start()
    deadline = time.monotonic() + 20
    while len(tried) == 1:
        store.fetch(keys(1))
        assert time.monotonic() < deadline
    degraded = store.degraded
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    assert store.fetch(keys(1)).all()
    assert store.degraded == degraded


def test_without_degrading_each_read_says_that_the_server_is_away(own_server):
    store = opened(own_server.url, timeout=5.0, retries=0)
    own_server.kill()
    with pytest.raises(ConnectionError, match="HMGET"):
        store.fetch(keys(1))
    assert store.degraded == 0


KIND = b'{"schema": 1, "width": 4, "dtype": "<f4", "ranker": "", "version": %s}'


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        (b'{"schema": 2, "width": 4, "dtype": "<f4", "ranker": "", "version": 1}', "schema == 2, must be 1"),
        (b'{"schema": 1, "width": 5, "dtype": "<f4", "ranker": "", "version": 1}', "width == 5, must be 4"),
        (b'{"schema": 1, "width": 4, "dtype": "<f2", "ranker": "", "version": 1}', "dtype == '<f2', must be '<f4'"),
        (b'{"schema": 1, "width": 4, "dtype": "<f4", "ranker": "x", "version": 1}', "ranker == 'x', must be ''"),
        (b'{"schema": true, "width": 4, "dtype": "<f4", "ranker": "", "version": 1}', "schema == True, must be 1"),
        (b'{"schema": 1, "width": 4, "dtype": "<f4", "ranker": ""}', "version == None, must be an integer"),
        (KIND % b'"x"', "version == 'x', must be an integer that fits int64"),
        (KIND % b"Infinity", "version == inf, must be an integer"),
        (KIND % b"1e400", "version == inf, must be an integer"),
        (KIND % b"1.0", r"version == 1\.0, must be an integer"),
        (KIND % b"9223372036854775808", "version == 9223372036854775808, must be an integer that fits int64"),
        (KIND % (b"1" * 4000), "version == 0x"),
        (KIND % (b"1" * 5000), "meta == .* must be a JSON object"),
        (b"[]", r"meta == b'\[\]', must be a JSON object"),
        (b"{", "meta == b'{', must be a JSON object"),
        (b"", "meta == b'', must be a JSON object"),
        (b"\xff\xfe", "meta == .*, must be a JSON object"),
        (b"[" * 100_000, "meta == .*, must be a JSON object"),
    ],
)
def test_a_hash_that_became_another_kind_is_refused_by_readers_and_writers(server_url, meta, says):
    store = opened(server_url)
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    client = store._link.client
    client.execute_command("HSET", store.name, b"meta", meta)
    before = client.execute_command("HGETALL", store.name)
    for use in (
        store.version,
        lambda: store.fetch(keys(1)),
        lambda: store.put(keys(1), torch.zeros(1, WIDTH), 2),
        lambda: store.put(keys(1), torch.zeros(1, WIDTH), 2, replace=True),
    ):
        with pytest.raises(StoreMismatchError, match=says) as caught:
            use()
        assert f"store '{store.name}' of server '{store._link.url}' " in str(caught.value)
        assert "\n" not in str(caught.value)
    assert client.execute_command("HGETALL", store.name) == before
    store.clear()
    store.put(keys(1), torch.ones(1, WIDTH), 1)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({1: b"short"}, "key 1 == 5 bytes, must be 16"),
        ({1: b"", 2: b"x" * 32}, "key 1 == 0 bytes, must be 16"),
        ({1: b"x" * 20, 2: b"x" * 12}, "key 1 == 20 bytes, must be 16"),
        ({2: struct.pack("<4f", 0, float("nan"), 0, float("inf"))}, "key 2 == 2 of 4 not finite, must all be finite"),
    ],
)
def test_a_damaged_vector_is_named_and_never_served(server_url, values, says):
    store = opened(server_url, when_away="cold")
    store.put(keys(1, 2, 3), torch.ones(3, WIDTH), 1)
    for key, value in values.items():
        store._link.client.execute_command("HSET", store.name, key, value)
    with pytest.raises(StoreMismatchError, match=says) as caught:
        store.fetch(keys(3, 1, 2, 0))
    assert store.name in str(caught.value)
    assert store.degraded == 0
    assert store.fetch(keys(3, 0)).sum() == WIDTH


def test_vectors_without_meta_are_not_served_and_not_added_to(server_url):
    store = opened(server_url)
    store.put(keys(1, 2), torch.ones(2, WIDTH), 1)
    store._link.client.execute_command("HDEL", store.name, b"meta")
    again = ServerStore(store._link, store.name, ROWS, WIDTH)
    for one in (store, again):
        with pytest.raises(StoreMismatchError, match="meta == missing, must be there with the vectors"):
            one.fetch(keys(0, 2))
        with pytest.raises(StoreMismatchError, match="meta == missing, must be there with 2 vectors: replace all"):
            one.put(keys(5), torch.ones(1, WIDTH), 2)
    again.put(keys(5), torch.ones(1, WIDTH), 2, replace=True)
    assert store.fetch(keys(1, 2, 5)).sum(1).tolist() == [0, 0, WIDTH]


def test_what_a_read_asks_for_is_one_command_of_packed_floats(server_url):
    store = opened(server_url)
    store.put(keys(3), torch.tensor([[1.0, 2.0, 3.0, 4.0]]), 1)
    raw = store._link.client.execute_command("HGET", store.name, 3)
    assert raw == bytes.fromhex("0000803f 00000040 00004040 00008040")
    assert CHUNK >= 1024


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"timeout": 0}, "timeout == 0, must be above 0"),
        ({"retries": -1}, "retries == -1, must be at least 0"),
        ({"pause": -1}, "pause == -1, must be at least 0"),
        ({"when_away": "panic"}, "when_away == 'panic', must be one of error, cold"),
        ({"arm": ""}, "arm == '', must be a name"),
        ({"arm": None}, "arm == None, must be a name"),
        ({"arm": "\ud800"}, "arm == .* must be text that UTF-8 can write"),
    ],
)
def test_bad_settings_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        ServerStores("redis://127.0.0.1:1", **{"arm": "a", **settings})


def test_a_name_cannot_reach_into_another_arm(server_url):
    assert ServerStores(server_url, "a:b").open("t", rows=1, width=1).name == "cs3:a%3Ab:t"
    assert ServerStores(server_url, "dssm+cs3@dnn").open("t", rows=1, width=1, ranker="v:1").name == (
        "cs3:dssm+cs3@dnn:t@v%3A1"
    )


@pytest.mark.parametrize("name", ["é \U0001f600", "a/b:c@d*[x]", "\n\0", "x" * 500])
def test_any_text_is_a_name(server_url, name):
    stores = ServerStores(server_url, name + uuid.uuid4().hex, timeout=10.0)
    store = stores.open(name, rows=ROWS, width=WIDTH, ranker=name)
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    stores.switch(name)
    again = stores.open(name, rows=ROWS, width=WIDTH, ranker=stores.ranker())
    assert again.fetch(keys(1)).all()
    assert store.name.isascii()
    assert store.name.isprintable()
    store.clear()


def test_the_name_of_the_ranker_that_is_served_is_no_table(server_url):
    with pytest.raises(ValueError, match="table == 'ranker', must be another name"):
        ServerStores(server_url, "a").open("ranker", rows=1, width=1)


def test_stores_are_opened_in_each_process_and_used_again_after_closing(server_url):
    stores = ServerStores(server_url, uuid.uuid4().hex, timeout=10.0)
    store = stores.open("t", rows=ROWS, width=WIDTH)
    for one in (stores, store):
        with pytest.raises(TypeError, match="must be opened in each process: a connection cannot be pickled"):
            pickle.dumps(one)
    store.close()
    stores.close()
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    assert store.fetch(keys(1)).all()


def test_without_the_client_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"pip install 'cs3-bench\[server\]'"):
        ServerStores("redis://127.0.0.1:1", "a")


def test_the_module_imports_without_the_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    spec = importlib.util.spec_from_file_location("a_copy_of_cs3_server", server.__file__)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
