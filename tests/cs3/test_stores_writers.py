"""Several writers of one hash of a real server: nothing is mixed, each is told the truth, and nothing stays aside."""

from __future__ import annotations

import multiprocessing
import uuid

import pytest
import torch

from cs3 import AnotherWriterError, StoreAwayError, StoreError, VectorTable, server
from cs3.server import ServerStores

ROWS, WIDTH = 40, 2


def keys(*values):
    return torch.tensor(values, dtype=torch.int64)


def opened(url, arm, **settings):
    return ServerStores(url, arm, **{"timeout": 10.0, **settings}).open("t", rows=ROWS, width=WIDTH)


@pytest.fixture
def arm():
    return uuid.uuid4().hex


@pytest.fixture
def two(server_url, arm):
    return opened(server_url, arm), opened(server_url, arm)


def whole(store, value, version, **how):
    store.put(torch.arange(ROWS), torch.full((ROWS, WIDTH), float(value)), version, **how)


def values(store):
    return sorted(set(store.fetch(torch.arange(ROWS)).flatten().tolist()))


def left(store):
    """Keys of the arm."""
    return store._link.client.execute_command("KEYS", store.name.rpartition(":")[0] + ":*")


def publish_often(index, queue, store, together):
    """Publishes now and then all that there is and now and then a half; says what was published."""
    told, published = 0, []
    for version in range(200):
        if version % 40 == 0:
            together.wait()
        value = 2 * version + index
        try:
            whole(store, value, version, replace=version % 2 == 1)
            published.append(value)
        except (AnotherWriterError, ValueError):  # the other one was faster, or its version is newer
            told += 1
        seen = values(store)
        assert len(seen) == 1, seen
    queue.put((index, published, told))


def test_of_two_processes_that_publish_at_once_nothing_is_mixed(server_url, arm, monkeypatch):
    monkeypatch.setattr(server, "CHUNK", 8)  # several commands a publication
    store = opened(server_url, arm)
    fork = multiprocessing.get_context("fork")
    queue, together = fork.SimpleQueue(), fork.Barrier(2)
    # One store, opened before the fork: each process has a connection of its own and is a writer of its own.
    both = [fork.Process(target=publish_often, args=(index, queue, store, together)) for index in range(2)]
    for one in both:
        one.start()
    found = sorted(queue.get() for _ in both)
    for one in both:
        one.join()
    assert [index for index, *_ in found] == [0, 1]
    assert all(len(published) + told == 200 for _, published, told in found)
    assert sum(told for *_, told in found) > 0
    assert all(published for _, published, _ in found)
    assert values(store)[0] in {published[-1] for _, published, _ in found}
    assert [len(values(store)), len(left(store))] == [1, 1]


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize(
    ("mine", "moment"), [(False, "_check_base"), (False, "_execute"), (True, "_write_aside"), (True, "_execute")]
)
def test_one_that_is_overtaken_is_told_and_wrote_nothing(two, monkeypatch, mine, moment, others):
    """At whatever moment between its look and its transaction, and whatever the versions."""
    one, other = two
    step, done = getattr(one, moment), []

    def overtaken(*args):
        if not done:
            done.append(True)
            whole(other, 2, 5, replace=others)
        return step(*args)

    monkeypatch.setattr(one, moment, overtaken)
    with pytest.raises(AnotherWriterError, match=r"of server .* == changed meanwhile, must have one writer"):
        one.put(keys(1, 2), torch.ones(2, WIDTH), 9, replace=mine)
    assert (values(other), other.version()) == ([2.0], 5)
    assert len(left(other)) == 1


def test_nothing_is_added_to_what_somebody_else_published(two):
    one, other = two
    whole(one, 1, 3)
    with pytest.raises(AnotherWriterError):
        other.put(keys(2), torch.ones(1, WIDTH), 3)
    other.fetch(keys(1))
    with pytest.raises(AnotherWriterError):
        other.put(keys(2), torch.ones(1, WIDTH), 4)
    assert (values(one), one.version()) == ([1.0], 3)
    whole(other, 2, 3, replace=True)
    with pytest.raises(AnotherWriterError):
        one.put(keys(2), torch.ones(1, WIDTH), 4)
    other.put(keys(2), torch.full((1, WIDTH), 3.0), 4)
    assert values(one) == [2.0, 3.0]


def test_two_tables_that_publish_in_turn_at_the_same_times_never_mix(two):
    """The same trainer started twice: each finds the other's and puts its own whole."""
    tables = []
    for store in two:
        table = VectorTable(ROWS, WIDTH, decay=0.0)
        table.serve_from(store)
        tables.append(table)
    for now in range(1, 5):
        for value, table in enumerate(tables, start=1):
            table.write(keys(now, 10 * value), torch.full((2, WIDTH), float(value)), now)
            table.publish(now)
            assert torch.equal(table.published(), table.live)


def test_a_publication_whose_answer_was_lost_is_not_made_twice(two, monkeypatch):
    import redis

    one, other = two
    for replace in (True, False):
        whole(one, 1, 3, replace=True)
        execute, tries = one._execute, []

        def answer_lost(pipe, execute=execute, tries=tries):
            tries.append(execute(pipe))
            raise redis.ConnectionError("lost")

        with monkeypatch.context() as patched:
            patched.setattr(one, "_execute", answer_lost)
            whole(one, 2, 4, replace=replace)
        assert len(tries) == 1
        assert (values(other), other.version()) == ([2.0], 4)
        assert len(left(one)) == 1


def test_after_tries_in_vain_the_next_publication_knows_its_own(server_url, arm, monkeypatch):
    import redis

    store = opened(server_url, arm, retries=0)

    def answer_lost(pipe, execute=store._execute):
        execute(pipe)
        raise redis.ConnectionError("lost")

    with monkeypatch.context() as patched:
        patched.setattr(store, "_execute", answer_lost)
        with pytest.raises(StoreAwayError, match=r"failed 1 times .* last: lost"):
            whole(store, 1, 3)
    store.put(keys(2), torch.full((1, WIDTH), 2.0), 4)
    assert values(store) == [1.0, 2.0]


def test_a_try_that_finds_another_ones_publication_is_told(two, monkeypatch):
    import redis

    one, other = two
    execute, done = one._execute, []

    def lost(pipe):
        if done:
            return execute(pipe)
        done.append(True)
        whole(other, 2, 5)
        raise redis.ConnectionError("lost")

    monkeypatch.setattr(one, "_execute", lost)
    with pytest.raises(AnotherWriterError):
        whole(one, 1, 9, replace=True)
    assert (values(other), other.version()) == ([2.0], 5)


def test_what_a_writer_that_died_left_aside_goes_by_itself(two, monkeypatch):
    one, other = two
    one._write_aside(f"{one.name}:aside:x", [1], [bytes(8)], b"{}")
    ask = one._link.client.execute_command
    assert 0 < ask("TTL", f"{one.name}:aside:x") <= server.ASIDE
    whole(other, 1, 3, replace=True)
    assert ask("TTL", one.name) == -1
    assert values(one) == [1.0]
    ask("DEL", f"{one.name}:aside:x")


def test_what_the_server_dropped_aside_is_not_published(two, monkeypatch):
    """Evicted half way: what was written after it is not all."""
    one, _ = two
    whole(one, 1, 3)
    write = one._write_aside

    def evicted(aside, fields, values, meta):
        write(aside, fields, values, meta)
        one._link.client.execute_command("UNLINK", aside)
        one._link.client.execute_command("HSET", aside, 1, bytes(8))
        return True

    monkeypatch.setattr(one, "_write_aside", evicted)
    with pytest.raises(StoreError, match=r"must keep .*:aside:.* until it is published: it was dropped"):
        whole(one, 2, 4, replace=True)
    assert values(one) == [1.0]
    assert len(left(one)) == 1


def test_an_older_version_never_comes_over_a_newer_one(two):
    one, _ = two
    whole(one, 1, 5)
    with pytest.raises(ValueError, match="version == 4, must be at least 5"):
        whole(one, 2, 4)
    assert (values(one), one.version()) == ([1.0], 5)
    whole(one, 2, 4, replace=True)  # as a restored snapshot does
    assert (values(one), one.version()) == ([2.0], 4)
