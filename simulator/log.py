"""Outcomes -> Impressions; the queue in which rows wait for their labels; Parquet in and out."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.files import DamagedError
from simulator.records import PAD, Candidates, Impressions, Ranked, Requests, Slates, concatenate


def impressions_of(
    requests: Requests,
    candidates: Candidates,
    ranked: Ranked,
    slates: Slates,
    paid: np.ndarray[Any, np.dtype[np.float64]],
    click: np.ndarray[Any, np.dtype[np.bool_]],
    click_at: np.ndarray[Any, np.dtype[np.int64]],
    label_wait: int,
) -> Impressions:
    """The rows of the placed ads [n <= R x S], in event order (request order is time order).

    Args:
        requests: R requests.
        candidates: [R, K], as retrieved and explored.
        ranked: [R, K], pctr and hidden vectors of the candidates.
        slates: [R, S], what was placed.
        paid: float64 [R, S], money charged.
        click: bool [R, S], what was clicked.
        click_at: int64 [R, S], when that was known; -1 without click.
        label_wait: W in seconds; a click known later than W is a lost label.
    """
    placed = np.flatnonzero(slates.ad != PAD)
    r, s = np.divmod(placed, slates.ad.shape[1])
    place = slates.place.take(placed)
    cell = r * candidates.ad.shape[1] + place
    time = requests.time[r]
    ready_at = time + label_wait
    return Impressions(
        request=requests.id[r],
        user=requests.user[r],
        ad=slates.ad.take(placed),
        slot=s.astype(np.int8),
        time=time,
        context=requests.context[r],
        explored=candidates.explored.take(cell),
        bid=slates.bid.take(placed),
        price=slates.price.take(placed),
        paid=paid.take(placed),
        pctr=ranked.pctr.take(cell),
        logit=candidates.logit.take(cell),
        hidden=ranked.hidden[r, place].astype(np.float16),
        ready_at=ready_at,
        label=click.take(placed) & (click_at.take(placed) <= ready_at),
    )


class LabelQueue:
    """Rows that wait for their labels, first in, first out. Nothing leaves before its time."""

    def __init__(self) -> None:
        self._waiting: list[Impressions] = []

    def put(self, rows: Impressions) -> None:
        """Enqueue rows in event order; their ``ready_at`` must not go back."""
        if len(rows):
            self._waiting.append(rows)

    def matured(self, now: int) -> Impressions | None:
        """Take out the rows whose labels are ready at ``now``, in event order; None if there are none."""
        ready: list[Impressions] = []
        while self._waiting and self._waiting[0].ready_at[0] <= now:
            head = self._waiting[0]
            n = int(np.searchsorted(head.ready_at, now, side="right"))
            ready.append(head[:n])
            if n < len(head):
                self._waiting[0] = head[n:]
                break
            self._waiting.pop(0)
        return concatenate(ready) if len(ready) > 1 else ready[0] if ready else None


def write_parquet(record: Any, path: Path) -> None:
    """Write a flat record (Impressions, Ledger) as Parquet, aside and then renamed; 2-d columns as fixed-size lists."""
    columns: dict[str, pa.Array] = {}
    for field in fields(record):
        values = np.ascontiguousarray(getattr(record, field.name))
        if values.ndim == 2 and values.dtype == np.float16:
            # Parquet encodes half floats poorly; fixed-size bytes compress as they are.
            raw = pa.py_buffer(values.tobytes())
            kind = pa.binary(values.shape[1] * 2) if values.shape[1] else None
            if kind is None:
                continue
            columns[field.name] = pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, raw])
        elif values.ndim == 2:
            columns[field.name] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        else:
            columns[field.name] = pa.array(values)
    aside = path.with_name(path.name + ".aside")
    try:
        pq.write_table(pa.table(columns), aside, compression="zstd", write_page_checksum=True)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OSError(error.errno, os.strerror(error.errno) if error.errno else str(error), str(path)) from error


def read_parquet(kind: type[Any], path: Path) -> Any:
    """Read back what :func:`write_parquet` wrote.

    Raises:
        DamagedError: one line naming the file, if it is missing, damaged or of another record.
    """
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in table.column_names:
            values[field.name] = np.zeros((table.num_rows, 0), dtype=np.float16)
            continue
        column = table.column(field.name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], type=column.type)
        if pa.types.is_fixed_size_binary(column.type):
            flat = np.frombuffer(column.buffers()[1], dtype=np.float16)
            values[field.name] = flat.reshape(-1, column.type.byte_width // 2)[column.offset :][: len(column)]
        elif pa.types.is_fixed_size_list(column.type):
            values[field.name] = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
        else:
            values[field.name] = column.to_numpy(zero_copy_only=False)
    return kind(**values)
