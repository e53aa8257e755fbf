"""Lines in, rows out: nothing is lost on the way, whatever the block size and whatever stands in the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.datasets import delimited
from simulator.datasets.delimited import Chunk, column_blocks, fingerprints, header_of, integers, reals, scan
from simulator.datasets.spill import first_of_each

LINES = st.lists(
    st.one_of(
        st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"").rstrip(b"\r")),
        st.tuples(st.integers(-9, 99), st.integers(0, 9)).map(lambda t: f"{t[0]},x,{t[1]}".encode()),
    ),
    max_size=30,
)


def chunks(path: Path, block: int = delimited.BLOCK) -> list[Chunk]:
    return list(scan([path], ("a", "c"), block=block))


@given(lines=LINES, block=st.integers(1, 40), ends=st.sampled_from([b"\n", b"\r\n"]), closed=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_comes_out_once_in_order(
    tmp_path: Path, lines: list[bytes], block: int, ends: bytes, closed: bool
) -> None:
    path = tmp_path / "log.csv"
    # Without its end an empty last line is none.
    text = ends.join([b"a,b,c", *lines]) + (ends if closed or (lines and not lines[-1]) else b"")
    path.write_bytes(text)
    found = chunks(path, block)
    assert np.concatenate([c.line for c in found]).tolist() == list(range(2, len(lines) + 2))
    plain = [line.isascii() for line in lines]
    whole = [p and line.count(b",") == 2 for p, line in zip(plain, lines, strict=True)]
    assert np.concatenate([c.plain for c in found]).tolist() == plain
    assert np.concatenate([c.whole for c in found]).tolist() == whole
    for at, column in ((0, 0), (1, 2)):
        cells = [cell for c in found for cell in c.cells[at].to_pylist()]
        told = [line.split(b",")[column].decode() for line, w in zip(lines, whole, strict=True) if w]
        assert cells == told
    first = first_of_each(np.concatenate([c.prints for c in found]))
    assert first.tolist() == sorted({line: i for i, line in reversed(list(enumerate(lines)))}.values())


def test_prints_tell_bytes_places_and_lengths_apart() -> None:
    lines = [b"", b"\0", b"\0\0", b"1" * 8, b"1" * 16, b"ab", b"ba", b"ab", b"12345678a", b"a12345678"]
    starts = np.concatenate([[0], np.cumsum([len(line) for line in lines])])
    prints = fingerprints(np.frombuffer(b"".join(lines), dtype=np.uint8), starts)
    assert first_of_each(prints).tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    for column in prints.T:
        assert np.unique(column).size == 9


def test_headers_of_several_files_must_agree(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b,c\n1,2,3\n")
    (tmp_path / "2.csv").write_text("a,c,b\n1,2,3\n")
    with pytest.raises(ValueError, match=r"2\.csv: header differs from that of 1\.csv"):
        list(scan([tmp_path / "1.csv", tmp_path / "2.csv"], ("a",)))


def test_a_header_is_understood_with_its_oddities(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b'\xef\xbb\xbft.a\t"b"\tc \r\n1\t2\t3\r\n')
    (chunk,) = scan([path], ("c", "a", "b"), "\t")
    assert [cell.to_pylist() for cell in chunk.cells] == [["3"], ["1"], ["2"]]
    with pytest.raises(ValueError, match=r"log\.csv: no column 'd' in its header"):
        list(scan([path], ("d",), "\t"))
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"log\.csv: not readable \(empty"):
        header_of(path)


def test_a_line_without_end_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "LONGEST", 100)
    (tmp_path / "log.csv").write_bytes(b"a,b,c\n" + b"1" * 500)
    with pytest.raises(ValueError, match="a line of more than 100 bytes"):
        chunks(tmp_path / "log.csv", block=64)


def test_feature_files_come_in_blocks_with_their_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f'{i},"x,{i}"' if i % 7 else "short" for i in range(500)]
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress("\n".join(["id,text", *rows, ""]).encode()))
    monkeypatch.setattr(delimited, "BLOCK", 512)
    blocks = list(column_blocks(tmp_path / "f.csv.gz", ["text", "id"]))
    assert len(blocks) > 5
    lines = np.concatenate([line for _, line, _ in blocks])
    assert lines.tolist() == [i + 2 for i in range(500) if i % 7]
    assert np.concatenate([wrong for *_, wrong in blocks]).tolist() == [i + 2 for i in range(0, 500, 7)]
    ids = [int(i) for columns, *_ in blocks for i in columns["id"].to_pylist()]
    assert (np.array(ids) + 2 == lines).all()
    assert [t for columns, *_ in blocks for t in columns["text"].to_pylist()] == [f"x,{i}" for i in ids]


def test_numbers_are_what_they_look_like() -> None:
    import pyarrow as pa

    values, good = integers(pa.array(["7", "-3", "", "0x10", "1.0", "9" * 19, "٣"]))
    assert (values.tolist(), good.tolist()) == ([7, -3, 0, 0, 0, 0, 0], [True, True] + [False] * 5)
    numbers, fine = reals(pa.array(["1.5", "-2e3", "", "inf", "nan", "x"]))
    np.testing.assert_array_equal(numbers, [1.5, -2000, np.nan, np.nan, np.nan, np.nan])
    assert fine.tolist() == [True, True, True, False, False, False]
