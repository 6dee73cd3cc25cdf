"""Reading rows as records: many small threads together, a large one through cursors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from lgx import Checkpoint, Context, Loss, Record, ThreadError, decode_line
from lgx_plugins.grouping import grouped
from lgx_plugins.sqlite.connection import CHUNK_BYTES
from lgx_plugins.sqlite.layout import Layout
from lgx_plugins.sqlite.pages import Cells, Pages, size_of
from lgx_plugins.tables import (
    CHECKPOINTS,
    RECORDS,
    RUNS,
    THREADS,
    Table,
    contradicts,
    from_cells,
    is_bare,
    json_cell,
)

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Reader", "Stored", "groups", "loss"]

_CHANGED = (
    "somebody has changed it: it is not what the other columns of its row say; delete the thread's "
    "row, and copy it again"
)

Item: TypeAlias = tuple[str, Record | Loss]
"""What was found of a thread: its id, and a record or why it cannot be read."""


class Stored(Struct, frozen=True):
    """A thread in the database; its size is None where that is not known for sure."""

    thread_id: str
    row: int
    size: int | None
    whole: bool = True


def groups(threads: Sequence[Stored]) -> Iterator[Sequence[Stored]]:
    """Threads to read together: small ones up to a chunk, any other alone."""
    return grouped(threads, lambda thread: thread.size, CHUNK_BYTES)


class Reader(Pages):
    """Reads through one connection, in the transaction that its owner has begun."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, layout: Layout) -> None:
        super().__init__(connection, path)
        self._layout = layout

    async def records(
        self, threads: Sequence[Stored], context: Context
    ) -> AsyncGenerator[Item, None]:
        """Everything of a group of `groups`, thread by thread."""
        parts = await self._parts([thread.row for thread in threads])
        if len(threads) == 1:
            async for item in self._large(threads[0], parts, context):
                yield item
            return
        await context.budget.take(CHUNK_BYTES)
        try:
            rows = await self._together(threads, parts, context)
            for thread in threads:
                for table, cells in rows[thread.row]:
                    if not (table is THREADS and is_bare(cells)):
                        for found in _read(table, cells, thread.thread_id):
                            yield thread.thread_id, found
        finally:
            context.budget.give_page(CHUNK_BYTES)

    async def _large(
        self, thread: Stored, parts: Sequence[Table], context: Context
    ) -> AsyncGenerator[Item, None]:
        for table in (THREADS, *parts):
            sql = self._layout.rows(table, (thread.row,))
            async with aclosing(self.pages(sql, (), context)) as pages:
                async for page in pages:
                    for _, *cells in page:
                        if table is THREADS and is_bare(cells):
                            continue
                        for found in _read(table, cells, thread.thread_id):
                            yield thread.thread_id, found

    async def _together(
        self, threads: Sequence[Stored], parts: Sequence[Table], context: Context
    ) -> Mapping[int, Sequence[tuple[Table, Cells]]]:
        found: dict[int, list[tuple[Table, Cells]]] = {thread.row: [] for thread in threads}
        for table in (THREADS, *parts):
            rows = await self.fetch(self._layout.rows(table, list(found)))
            context.received(size_of(rows))
            for row, *cells in rows:
                found[row].append((table, cells))
        return found

    async def _parts(self, rows: Sequence[int]) -> tuple[Table, ...]:
        """The tables that hold something of these threads."""
        tables = [t for t in (CHECKPOINTS, RUNS, RECORDS) if self._layout.has(t.name)]
        if not tables:
            return ()
        exists = ", ".join(f"EXISTS ({self._layout.rows(table, rows)})" for table in tables)
        (some,) = await self.fetch(f"SELECT {exists}")
        return tuple(table for table, there in zip(tables, some, strict=True) if there)


def _read(table: Table, cells: Cells, thread_id: str) -> Iterator[Record | Loss]:
    own = cells[: len(table.columns)]
    try:
        if table is RECORDS:
            record = decode_line(json_cell("body", cells[2]))
        else:
            record = from_cells(table, own)
    except ThreadError as error:
        yield loss(table, own, thread_id, error)
        return
    yield record
    for cell in cells[len(own) :]:
        if isinstance(record, Checkpoint) and contradicts(record, cell):
            yield Loss(
                what=f"checkpoint_data of {_name(table, own)}", why=_CHANGED, thread_id=thread_id
            )


def loss(table: Table, cells: Cells, thread_id: str | None, error: ThreadError) -> Loss:
    """Names a row that cannot be read."""
    return Loss(
        what=_name(table, cells),
        why=str(error),
        thread_id=thread_id,
        checkpoints=int(table is CHECKPOINTS),
    )


def _name(table: Table, cells: Cells) -> str:
    kind = table.record.kind if table.record else "record"
    keys = [
        repr(cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell)
        for name, cell in zip(table.names, cells, strict=False)
        if name in table.key
    ]
    if table is CHECKPOINTS:
        keys = [keys[1], "of namespace", keys[0]]
    return " ".join((kind, *keys))
