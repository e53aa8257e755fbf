"""The mapped file: several processes at once, and what a killed writer leaves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch

from cs3 import AnotherWriterError, StoreError, files
from cs3.mapped import MappedStore
from cs3.versions import EVER

ROWS, WIDTH = 300, 64


def write_for_ever(path):
    store = MappedStore(path, ROWS, WIDTH)
    for version in range(store.version() + 1, 10**9):
        vectors = torch.full((ROWS, WIDTH), float(version))
        store.put(torch.arange(ROWS), vectors, version, replace=version % 5 == 0)


def processes(count, target, *args):
    """Runs ``target(index, queue, *args)`` in so many processes; gives what they put in the queue, in their order."""
    # Forked, since they only have to be other processes: a new interpreter would spend seconds on imports.
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    all_ = [fork.Process(target=target, args=(index, queue, *args)) for index in range(count)]
    for one in all_:
        one.start()
    found = sorted(queue.get() for _ in all_)
    for one in all_:
        one.join()
    return found


def keys(*values):
    return torch.tensor(values, dtype=torch.int64)


def made(path, **settings):
    return MappedStore(path, 5, 2, **settings)


def test_a_killed_writer_leaves_the_former_publication_whole(tmp_path):
    """Killed at whatever point it happens to be, several times over; a reader beside it never sees a mixture."""
    path = tmp_path / "x.vectors"
    store = MappedStore(path, ROWS, WIDTH)
    store.put(torch.arange(ROWS), torch.zeros(ROWS, WIDTH), 0)
    last = 0
    for kill in range(6):
        # Forked, since it only has to be another process: a new interpreter would spend seconds on imports.
        writer = multiprocessing.get_context("fork").Process(target=write_for_ever, args=(path,))
        writer.start()
        until = time.monotonic() + 0.05 + 0.03 * kill
        while store.version() == last or time.monotonic() < until:
            found = store.fetch(torch.arange(ROWS))
            assert bool((found == found[0, 0]).all())
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        again = MappedStore(path, ROWS, WIDTH)
        found, version = again.fetch(torch.arange(ROWS)), again.version()
        assert version > last
        assert bool((found == float(version)).all())
        last = version
        again.close()


def test_of_ten_that_open_first_at_once_all_open_the_same_file(tmp_path):
    """The first one publishes; whoever came within the same instant sees it, and it is in the file."""

    def opened(index, queue, path, together):
        together.wait()
        store = made(path)
        if index == 0:
            store.put(keys(1), torch.ones(1, 2), 7)
        together.wait()
        queue.put((index, store.version(), os.fstat(store._file).st_ino))

    for round_ in range(2):
        path = tmp_path / f"{round_}"
        together = multiprocessing.get_context("fork").Barrier(10)
        found = processes(10, opened, path, together)
        assert found == [(index, 7, path.stat().st_ino) for index in range(10)]
        assert made(path).fetch(keys(1)).all()
    assert len(list(tmp_path.iterdir())) == 2


def test_who_opens_while_another_one_makes_it_waits_for_that_one(tmp_path, monkeypatch):
    fill, waiting = files._fill, []

    def slowly(*args):
        if not waiting:
            waiting.append(threading.Thread(target=lambda: waiting.append(made(tmp_path / "x"))))
            waiting[0].start()
            time.sleep(0.05)
        fill(*args)

    monkeypatch.setattr(files, "_fill", slowly)
    writer = made(tmp_path / "x")
    writer.put(keys(1), torch.ones(1, 2), 7)
    waiting[0].join()
    assert waiting[1].version() == 7
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_maker_left_is_written_over(tmp_path):
    (tmp_path / ".x.new").write_bytes(b"half" * 5000)
    assert made(tmp_path / "x").version() == EVER
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_a_link_in_the_place_of_the_file_beside_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".x.new").symlink_to("precious")
    with pytest.raises(StoreError, match="not usable: Too many levels"):
        made(tmp_path / "x")
    assert (tmp_path / "precious").read_text() == "mine"


def publish_often(index, queue, path, together):
    told = published = 0
    store = made(path)
    for version in range(300):
        if version % 50 == 0:
            together.wait()
        value = float(2 * version + index)
        try:
            store.put(torch.arange(5), torch.full((5, 2), value), version, replace=version % 2 == 1)
            published += 1
        except AnotherWriterError:
            told += 1
        except ValueError:  # the other one's is newer
            told += 1
        seen = store.fetch(torch.arange(5))
        assert bool((seen == seen[0, 0]).all())
    queue.put((index, published, told, store._slots.sequence()))


def test_of_two_that_publish_at_once_nothing_is_mixed_and_every_publication_counts(tmp_path):
    """Two real processes; the number of steps is the number of those that were told that they published."""
    path = tmp_path / "x"
    together = multiprocessing.get_context("fork").Barrier(2)
    found = processes(2, publish_often, path, together)
    assert [index for index, *_ in found] == [0, 1]
    assert sum(published for _, published, _, _ in found) == made(path)._slots.sequence()
    assert all(published + told == 300 for _, published, told, _ in found)
    assert sum(told for _, _, told, _ in found) > 0


def test_one_that_publishes_while_another_one_does_is_told(tmp_path):
    one, other = made(tmp_path / "x"), made(tmp_path / "x")
    step = one._slots.commit

    def meanwhile(sequence):
        for replace in (False, True):
            with pytest.raises(AnotherWriterError, match="being written by another, must have one writer"):
                other.put(keys(2), torch.ones(1, 2), 9, replace=replace)
        with pytest.raises(AnotherWriterError):
            other.clear()
        step(sequence)

    one._slots.commit = meanwhile
    one.put(keys(1), torch.ones(1, 2), 3)
    assert (other.version(), other.fetch(torch.arange(5)).sum()) == (3, 2)


def test_nothing_is_added_to_what_somebody_else_published(tmp_path):
    one, other = made(tmp_path / "x"), made(tmp_path / "x")
    one.put(keys(1), torch.ones(1, 2), 3)
    with pytest.raises(AnotherWriterError, match="changed meanwhile, must have one writer"):
        other.put(keys(2), torch.ones(1, 2), 3)
    assert one.fetch(torch.arange(5)).sum(1).tolist() == [0, 2, 0, 0, 0]
    other.put(keys(2), torch.ones(1, 2), 3, replace=True)
    with pytest.raises(AnotherWriterError):
        one.put(keys(1), torch.ones(1, 2), 4)
    made(tmp_path / "x").put(keys(3), torch.ones(1, 2), 4)
    assert one.fetch(torch.arange(5)).sum(1).tolist() == [0, 0, 2, 2, 0]


def test_a_store_opened_before_a_fork_is_two_writers(tmp_path):
    store = made(tmp_path / "x")

    def publish(index, queue):
        store.put(keys(index), torch.ones(1, 2), 5)
        queue.put(index)

    assert processes(1, publish) == [0]
    assert store.version() == 5
    with pytest.raises(AnotherWriterError):
        store.put(keys(1), torch.ones(1, 2), 6)
