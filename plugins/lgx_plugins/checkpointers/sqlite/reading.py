"""Reading rows as records: many small threads together, a large one a page at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lgx import CheckpointWrite, Context, Loss, RawCheckpoint, Secret, ThreadRef
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.rows.imports import Imports
from lgx_plugins.checkpointers.rows.ordering import Deferred, Place
from lgx_plugins.checkpointers.sqlite.cells import read
from lgx_plugins.checkpointers.sqlite.listing import placeholders
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES, Tables
from lgx_plugins.grouping import grouped
from lgx_plugins.sqlite.connection import CHUNK_BYTES
from lgx_plugins.sqlite.pages import Cells, Pages, size_of

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Found", "Item", "Reader", "groups"]

Item: TypeAlias = RawCheckpoint | CheckpointWrite | Loss
"""A record, or why a row cannot be read."""

Found: TypeAlias = tuple[str, Sequence[Item]]
"""What was found of a thread, by its id."""

_ORDERS = {
    CHECKPOINTS: ("checkpoint_ns", "checkpoint_id"),
    WRITES: ("checkpoint_ns", "checkpoint_id", "task_path", "task_id", "idx"),
}


def groups(refs: Sequence[ThreadRef]) -> Iterator[Sequence[ThreadRef]]:
    """Threads to read together: small ones up to a chunk, any other alone."""
    return grouped(refs, lambda ref: ref.size_hint, CHUNK_BYTES)


class Reader(Pages):
    """Reads through one connection, in the transaction that its owner has begun."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, tables: Tables) -> None:
        super().__init__(connection, path)
        self._tables = tables
        self._parts = [table for table in (CHECKPOINTS, WRITES) if tables.has(table)]

    async def records(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[Found, None]:
        """Everything of a group of `groups`, thread by thread, a piece at a time; nothing of
        those that are not there."""
        if len(refs) == 1:
            thread_id = refs[0].thread_id
            for table in self._parts:
                async with aclosing(self._pages_of(table, thread_id, context)) as pieces:
                    async for piece in pieces:
                        yield thread_id, piece
            return
        await context.budget.take(CHUNK_BYTES)
        try:
            found = await self._together([ref.thread_id for ref in refs], context)
            for ref in refs:
                for table, rows in found.get(ref.thread_id, {}).items():
                    deferred = Deferred()
                    try:
                        yield ref.thread_id, _in_order(table, ref.thread_id, rows, deferred)
                        for place in deferred.places():
                            yield ref.thread_id, await self._late(ref.thread_id, place)
                    finally:
                        deferred.close()
        finally:
            context.budget.give_page(CHUNK_BYTES)

    async def imports(self, key: Secret | None, context: Context) -> Imports:
        """What the values of all threads name; every one of them is read. `key`: of encrypted
        ones."""
        found = Imports(key)
        for table in self._parts:
            kind = "type" if self._tables.has(table, "type") else "NULL"
            value = "checkpoint" if table == CHECKPOINTS else "value"
            metadata = "metadata" if self._tables.has(table, "metadata") else "NULL"
            sql = f"SELECT {kind}, {value}, {metadata} FROM {table}"
            async with aclosing(self.pages(sql, (), context)) as pages:
                async for page in pages:
                    await run_blocking(_look_into, page, found)
        return found

    async def _together(
        self, ids: Sequence[str], context: Context
    ) -> dict[str, dict[str, list[Cells]]]:
        """Rows by thread and table."""
        found: dict[str, dict[str, list[Cells]]] = {}
        for table in self._parts:
            rows = await self.fetch(self._sql(table, ids), ids)
            context.received(size_of(rows))
            for thread_id, *cells in rows:
                found.setdefault(thread_id.decode(), {}).setdefault(table, []).append(cells)
        return found

    async def _pages_of(
        self, table: str, thread_id: str, context: Context
    ) -> AsyncGenerator[list[Item], None]:
        deferred = Deferred()
        try:
            pages = self.pages(self._sql(table, [thread_id]), [thread_id], context)
            async with aclosing(pages):
                async for page in pages:
                    yield _in_order(table, thread_id, [cells for _, *cells in page], deferred)
            for place in deferred.places():
                yield await self._late(thread_id, place)
        finally:
            deferred.close()

    async def _late(self, thread_id: str, place: Place) -> list[Item]:
        """A checkpoint that had to wait for its parent."""
        cells = self._tables.cells(CHECKPOINTS)
        sql = (
            f"SELECT {', '.join(cells)} FROM checkpoints "
            f"WHERE thread_id = ? AND {cells[0]} = ? AND checkpoint_id = ?"
        )
        return [
            read(CHECKPOINTS, thread_id, row) for row in await self.fetch(sql, (thread_id, *place))
        ]

    def _sql(self, table: str, ids: Sequence[str]) -> str:
        columns = [column for column in _ORDERS[table] if self._tables.has(table, column)]
        return (
            f"SELECT thread_id, {', '.join(self._tables.cells(table))} FROM {table} "
            f"WHERE thread_id IN ({placeholders(ids)}) ORDER BY thread_id, {', '.join(columns)}"
        )


def _in_order(table: str, thread_id: str, rows: Sequence[Cells], deferred: Deferred) -> list[Item]:
    """The rows' records, without those that have to wait."""
    items = [read(table, thread_id, cells) for cells in rows]
    if table == WRITES:
        return items
    return [
        item
        for item in items
        if not isinstance(item, RawCheckpoint)
        or not deferred.defers(item.checkpoint_ns, item.checkpoint_id, item.parent_checkpoint_id)
    ]


def _look_into(rows: Sequence[Cells], found: Imports) -> None:
    for kind, value, metadata in rows:
        type_ = kind.decode("utf-8", "replace") if isinstance(kind, bytes) else None
        found.add(type_, value if isinstance(value, bytes) else None)
        if isinstance(metadata, bytes):
            found.add_metadata(metadata)
