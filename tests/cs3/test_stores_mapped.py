"""The mapped file: what it holds, what it refuses, and what becomes of it."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cs3 import StoreError, StoreMismatchError, mapped
from cs3.mapped import HEADER, MAGIC, PAGE, STATE, MappedStore, MappedStores
from cs3.versions import EVER


def keys(*values):
    return torch.tensor(values, dtype=torch.int64)


def made(path, **settings):
    return MappedStore(path, 5, 2, **settings)


def test_a_process_continues_where_the_former_was(tmp_path):
    first = made(tmp_path / "x")
    first.put(keys(3), torch.tensor([[1.0, 2.0]]), 7)
    first.close()
    second = made(tmp_path / "x")
    assert second.version() == 7
    second.put(keys(0), torch.tensor([[5.0, 6.0]]), 8)
    assert second.fetch(keys(3, 0, 1)).tolist() == [[1, 2], [5, 6], [0, 0]]


def test_the_room_on_the_disk_is_taken_when_the_file_is_made(tmp_path):
    """A page that found no room later would end the process with a bus error."""
    MappedStore(tmp_path / "x", 10_000, 8).close()
    found = (tmp_path / "x").stat()
    assert found.st_blocks * 512 >= found.st_size > 640_000


def test_a_file_with_holes_gets_its_room_when_it_is_opened(tmp_path):
    MappedStore(tmp_path / "x", 10_000, 8).close()
    empty = (tmp_path / "x").read_bytes()
    with (tmp_path / "x").open("wb") as file:
        file.write(empty[:PAGE])
        file.truncate(len(empty))
    assert (tmp_path / "x").stat().st_blocks * 512 < len(empty)
    store = MappedStore(tmp_path / "x", 10_000, 8)
    assert (tmp_path / "x").stat().st_blocks * 512 >= len(empty)
    store.put(keys(1), torch.ones(1, 8), 3)
    assert store.fetch(keys(0, 1)).sum() == 8


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"x' of 8280 bytes == not usable: No space left on device") as caught:
        made(tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [0, 10, PAGE, 8279])
def test_a_file_that_is_cut_while_it_is_mapped_is_told_and_ends_no_process(tmp_path, length):
    store = made(tmp_path / "x")
    store.put(keys(1), torch.ones(1, 2), 3)
    os.truncate(tmp_path / "x", length)
    for use in (store.version, store.clear, lambda: store.fetch(keys(1)), lambda: store.put(keys(1), NEW, 4)):
        with pytest.raises(StoreMismatchError, match=r"not a vector store|it was cut off"):
            use()
    os.truncate(tmp_path / "x", 8280)
    if length < PAGE:
        with pytest.raises(StoreMismatchError, match=r"not a vector store|rows == 0"):
            store.fetch(keys(1))


NEW = torch.full((1, 2), 4.0)


def test_damage_in_the_file_is_never_served(tmp_path):
    store = made(tmp_path / "x")
    store.put(keys(1), torch.ones(1, 2), 3)
    whole = (tmp_path / "x").read_bytes()
    places = (PAGE + 4 * (5 + 1), mapped._slots_at(5) + 4 * 2 * (1 + 1))
    for at, packed in zip(places * 2, ("<i", "<f", "<i", "<f"), strict=True):
        for bad in (10**9, -5) if packed == "<i" else (float("nan"), float("inf")):
            with (tmp_path / "x").open("r+b") as file:
                file.seek(at)
                file.write(struct.pack(packed, bad))
            with pytest.raises(StoreMismatchError, match="x' == damaged, must hold finite vectors"):
                store.fetch(keys(0, 1))
            assert not store.fetch(keys(0)).any()
            with (tmp_path / "x").open("r+b") as file:
                file.write(whole)
    assert store.fetch(keys(1)).all()


def test_a_file_that_was_removed_or_replaced_takes_no_publication(tmp_path):
    store = made(tmp_path / "x")
    (tmp_path / "x").unlink()
    with pytest.raises(StoreError, match="not usable: No such file"):
        store.put(keys(1), NEW, 4)
    other = made(tmp_path / "x")
    with pytest.raises(StoreMismatchError, match="another file by now, must be opened anew"):
        store.put(keys(1), NEW, 4)
    assert other.version() == EVER


def test_a_link_is_followed_and_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("file")
    made(tmp_path / "link").put(keys(1), NEW, 4)
    assert (tmp_path / "link").is_symlink()
    assert made(tmp_path / "file").version() == 4
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, says in {
        "folder": "Is a directory",
        "loop": "Too many levels",
        "pipe": "not a regular file",
        "nowhere/x": "No such file",
        "file/x": "Not a directory",
        "x" * 300: "File name too long",
    }.items():
        with pytest.raises(StoreError, match=says) as caught:
            made(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "folder", "link", "loop", "pipe"]


@contextmanager
def somebody_else():
    """Runs as a user who owns nothing here, where that can be done."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_who_may_only_read_reads_and_is_told_when_publishing():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "x"
        writer = made(path)
        writer.put(keys(1), NEW, 4)
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        with somebody_else():
            reader = made(path)
            with pytest.raises(StoreError, match=r"x2' of 8280 bytes == not usable: Permission denied"):
                made(path.with_name("x2"))
        assert reader.fetch(keys(1)).tolist() == NEW.tolist()
        for use in (lambda: reader.put(keys(1), NEW, 5), reader.clear):
            with pytest.raises(StoreError, match="== read only, must be writable to publish"):
                use()
        if os.geteuid() == 0:
            writer.put(keys(2), NEW, 5)
            assert (reader.version(), reader.fetch(keys(2)).tolist()) == (5, NEW.tolist())
        Path(folder).chmod(0o755)


def test_a_pickled_store_opens_its_file_again(tmp_path):
    store = made(tmp_path / "x", ranker="v1")
    again = pickle.loads(pickle.dumps(store))
    store.put(keys(1), NEW, 4)
    assert again.fetch(keys(1)).tolist() == NEW.tolist()
    store.close()
    store.close()
    with pytest.raises(StoreMismatchError, match="== closed, must be open"):
        pickle.dumps(store)


@pytest.mark.parametrize(
    ("rows", "width", "says"),
    [
        (2**31, 2, "rows == 2147483648, must be at most 1073741823"),
        (2**30 - 1, 2**40, "must fit a file of less than"),
        (1.5, 2, "rows == 1.5, must be an integer"),
        (5, "2", "width == '2', must be an integer"),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_anything_is_made(tmp_path, rows, width, says):
    with pytest.raises(ValueError, match=says):
        MappedStore(tmp_path / "x", rows, width)
    assert list(tmp_path.iterdir()) == []


def test_names_stay_in_the_folder(tmp_path):
    stores = MappedStores(tmp_path / "arm")
    stores.open("../x/é@", rows=5, width=2, ranker="../r")
    assert [found.name for found in stores.folder.iterdir()] == ["..%2Fx%2F%C3%A9%40@..%2Fr.vectors"]
    assert [found.name for found in tmp_path.iterdir()] == ["arm"]
    for table, ranker, says in (
        ("", "", "table == ''"),
        (3, "", "table == 3"),
        ("t", "\ud800", r"ranker == '\\ud800'"),
    ):
        with pytest.raises(ValueError, match=says):
            stores.open(table, rows=5, width=2, ranker=ranker)
    with pytest.raises(ValueError, match="ranker == "):
        stores.switch("\ud800")
    (stores.folder / "ranker").write_bytes(b"\xff")
    with pytest.raises(StoreMismatchError, match=r"ranker' == b'\\xff', must be UTF-8"):
        stores.ranker()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file' == not usable: File exists"):
        MappedStores(tmp_path / "file")


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
    path.write_bytes(whole + b"x")
    with pytest.raises(ValueError, match=f"bytes == {len(whole) + 1}, must be {len(whole)}: it was written to"):
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
