"""The mapped file: what it refuses, and what a killed writer leaves."""

from __future__ import annotations

import multiprocessing
import signal
import time

import pytest
import torch

from cs3.mapped import HEADER, MAGIC, STATE, MappedStore, MappedStores
from cs3.versions import EVER

ROWS, WIDTH = 300, 64


def write_for_ever(path):
    store = MappedStore(path, ROWS, WIDTH)
    for version in range(store.version() + 1, 10**9):
        vectors = torch.full((ROWS, WIDTH), float(version))
        store.put(torch.arange(ROWS), vectors, version, replace=version % 5 == 0)


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


def test_a_process_continues_where_the_former_was(tmp_path):
    first = made(tmp_path / "x")
    first.put(keys(3), torch.tensor([[1.0, 2.0]]), 7)
    first.close()
    second = made(tmp_path / "x")
    assert second.version() == 7
    second.put(keys(0), torch.tensor([[5.0, 6.0]]), 8)
    assert second.fetch(keys(3, 0, 1)).tolist() == [[1, 2], [5, 6], [0, 0]]


def test_an_empty_file_takes_no_disk_space(tmp_path):
    MappedStore(tmp_path / "x", 1_000_000, 64).close()
    found = (tmp_path / "x").stat()
    assert found.st_size > 500_000_000
    assert found.st_blocks * 512 < 1_000_000


@pytest.mark.parametrize(
    ("rows", "width", "ranker", "says"),
    [
        (5, 3, "v1", "width == 2, must be 3"),
        (6, 2, "v1", "rows == 5, must be 6"),
        (5, 2, "v2", "ranker == 'v1', must be 'v2'"),
        (5, 2, "v", "ranker == 'v1', must be 'v'"),
        (5, 2, "v11", "ranker == 'v1', must be 'v11'"),
    ],
)
def test_a_store_of_another_kind_is_refused_and_stays(tmp_path, rows, width, ranker, says):
    path = tmp_path / "x"
    made(path, ranker="v1").put(keys(1), torch.ones(1, 2), 3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=says) as caught:
        MappedStore(path, rows, width, ranker=ranker)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_a_store_of_another_schema_or_no_store_at_all_is_refused(tmp_path):
    path = tmp_path / "x"
    made(path).close()
    whole = path.read_bytes()
    path.write_bytes(HEADER.pack(MAGIC, 99, 5, 2, 4, 0) + whole[HEADER.size :])
    with pytest.raises(ValueError, match="schema == 99, must be 1"):
        made(path)
    for junk in (b"", b"short", b"x" * 10_000):
        path.write_bytes(junk)
        with pytest.raises(ValueError, match="not a vector store"):
            made(path)
        assert path.read_bytes() == junk
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=f"bytes == {len(whole) - 1}, must be {len(whole)}: it was cut off"):
        made(path)


def test_a_tag_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"ranker == {STATE} bytes, must be at most"):
        made(tmp_path / "x", ranker="r" * STATE)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_store_says_so(tmp_path):
    store = made(tmp_path / "x")
    store.close()
    for use in (store.version, store.clear, lambda: store.fetch(keys(1))):
        with pytest.raises(ValueError, match="== closed, must be open"):
            use()


def test_a_durable_publication_is_on_the_disk_before_its_step_is(tmp_path):
    store = made(tmp_path / "x", durable=True)
    flushed = []

    class Map:
        def flush(self, *where):
            flushed.append((where, store.version()))

    store._map, memory = Map(), store._map
    store.put(keys(1), torch.ones(1, 2), 3)
    assert flushed == [((), EVER), ((0, 4096), 3)]
    store._map = memory
    store.put(keys(2), torch.ones(1, 2), 4)
    assert store.fetch(keys(1, 2)).all()


def test_a_folder_names_its_files_and_the_ranker_served(tmp_path):
    stores = MappedStores(tmp_path / "arm" / "one")
    assert stores.ranker() == ""
    stores.open("cross-users", rows=5, width=2)
    stores.open("cascade-users", rows=5, width=2, ranker="../dnn v2")
    stores.switch("../dnn v2")
    assert MappedStores(tmp_path / "arm" / "one").ranker() == "../dnn v2"
    names = sorted(found.name for found in stores.folder.iterdir())
    assert names == ["cascade-users@..%2Fdnn%20v2.vectors", "cross-users.vectors", "ranker"]
