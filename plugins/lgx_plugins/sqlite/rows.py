"""Bundles as rows of tables, in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from msgspec import Struct

from lgx import Bundle, Checkpoint, Record, Run, Thread, ThreadError, decode_line
from lgx_plugins.sqlite.connection import CHUNK_BYTES
from lgx_plugins.sqlite.names import Names, quoted
from lgx_plugins.tables import (
    CHECKPOINTS,
    EXTRA_TABLES,
    RECORDS,
    RUNS,
    THREADS,
    Cell,
    Column,
    Table,
    to_bare_cells,
    to_cells,
)

__all__ = ["Row", "chunks", "extra_rows", "insert", "thread_rows"]


class Row(Struct):
    """Cells for a table, and about how much memory they take."""

    table: Table
    cells: tuple[Cell, ...]
    size: int


Chunk: TypeAlias = dict[str, list[tuple[Cell, ...]]]
"""Rows by the name of their table, threads' first."""

_PLACE = (Column("thread", "integer"), Column("position", "integer"))
_SOURCE = (Column("source_url"),)

# What the sink knows about a row besides the record's own fields.
_BESIDE: Mapping[str, tuple[Column, ...]] = {
    "threads": (
        Column("id", "integer"),
        *_SOURCE,
        Column("exported_at", "time"),
        Column("source_version"),
        Column("fingerprint"),
        Column("checkpoints", "integer"),
        Column("size", "integer"),
    ),
    "checkpoints": _PLACE,
    "runs": _PLACE,
    "records": (*_PLACE, *_SOURCE),
}

_CONFLICT = {
    "threads": ("id",),
    "checkpoints": ("thread_id", "checkpoint_ns", "checkpoint_id", "thread"),
    "runs": ("thread_id", "run_id", "thread"),
}


def insert(names: Names, table: Table) -> str:
    """The statement that puts a row in, or in place of the one with its key."""
    columns = (*_BESIDE.get(table.name, _SOURCE), *table.columns, *table.derived)
    # Bytes are bound as a blob and made text by SQLite: JSON stays the bytes it came as.
    values = ", ".join("CAST(? AS TEXT)" if c.type == "json" else "?" for c in columns)
    sql = (
        f"INSERT INTO {names(table.name)} "
        f"({', '.join(quoted(c.name) for c in columns)}) VALUES ({values})"
    )
    key = _CONFLICT.get(table.name, ("source_url", *table.key) if table.key else ())
    if not key:
        return sql
    update = ", ".join(
        f"{quoted(c.name)} = excluded.{quoted(c.name)}" for c in columns if c.name not in key
    )
    return f"{sql} ON CONFLICT ({', '.join(map(quoted, key))}) DO UPDATE SET {update}"


def thread_rows(
    bundles: Sequence[Bundle], ids: Mapping[str, int], source: str, counts: dict[int, list[int]]
) -> Iterator[Row]:
    """The rows of threads; says in `counts` how many checkpoints and runs each id has.

    Raises:
        ThreadError: a record belongs to another thread than its bundle.
    """
    for bundle in bundles:
        thread_id = bundle.thread_id
        row = ids[thread_id]
        count = counts[row] = [0, 0]
        thread: Thread | None = None
        for position, line in enumerate(bundle.lines()):
            record, size = decode_line(line), len(line)
            owner = getattr(record, "thread_id", None)
            if owner is not None and owner != thread_id:
                raise ThreadError(
                    f"a {record.kind or 'record'} of thread {owner!r} came with thread "
                    f"{thread_id!r}; nothing of it was written"
                )
            if isinstance(record, Thread):
                thread = record
                yield _thread_row(bundle, thread, row, source, size)
            elif isinstance(record, Checkpoint):
                count[0] += 1
                yield Row(CHECKPOINTS, (row, position, *to_cells(CHECKPOINTS, record)), size)
            elif isinstance(record, Run):
                count[1] += 1
                yield Row(RUNS, (row, position, *to_cells(RUNS, record)), size)
            else:
                yield _other_row(record, row, position, source, size)
        if thread is None:
            yield _thread_row(bundle, None, row, source, 0)


def _thread_row(bundle: Bundle, thread: Thread | None, row: int, source: str, size: int) -> Row:
    mark = bundle.mark
    beside: tuple[Cell, ...] = (
        row,
        source,
        datetime.now(UTC).isoformat(timespec="microseconds"),
        mark.version if mark else None,
        mark.fingerprint if mark else None,
        mark.checkpoints if mark else None,
        bundle.size,
    )
    cells = to_bare_cells(bundle.thread_id) if thread is None else to_cells(THREADS, thread)
    return Row(THREADS, (*beside, *cells), size)


def _other_row(record: Record, row: int | None, position: int, source: str, size: int) -> Row:
    return Row(RECORDS, (row, position, source, *to_cells(RECORDS, record)), size)


def extra_rows(bundle: Bundle, source: str) -> Iterator[Row]:
    """The rows of records that belong to no thread."""
    for position, line in enumerate(bundle.lines()):
        record, size = decode_line(line), len(line)
        table = EXTRA_TABLES.get(record.kind)
        if table is None:
            yield _other_row(record, None, position, source, size)
        else:
            yield Row(table, (source, *to_cells(table, record)), size)


def chunks(rows: Iterator[Row]) -> Iterator[Chunk]:
    """Rows by table, in chunks of about `CHUNK_BYTES`, or of one row where that is larger."""
    chunk: Chunk = {}
    held = 0
    for row in rows:
        chunk.setdefault(row.table.name, []).append(row.cells)
        held += row.size
        if held >= CHUNK_BYTES:
            yield chunk
            chunk, held = {}, 0
    if chunk:
        yield chunk
