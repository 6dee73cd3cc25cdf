"""Reading rows as records: many small threads together, a large one a page at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lgx import Context, Loss, RawCheckpoint, Record, ThreadRef
from lgx_plugins.checkpointers.rows.ordering import Deferred
from lgx_plugins.checkpointers.sqlite.cells import read
from lgx_plugins.checkpointers.sqlite.listing import placeholders
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES, Tables
from lgx_plugins.sqlite.connection import CHUNK_BYTES
from lgx_plugins.sqlite.pages import Cells, Pages, size_of

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["Reader", "groups"]

Item: TypeAlias = tuple[str, Record | Loss]
"""What was found of a thread: its id, and a record or why it cannot be read."""

_ORDERS = {
    CHECKPOINTS: ("checkpoint_ns", "checkpoint_id"),
    WRITES: ("checkpoint_ns", "checkpoint_id", "task_path", "task_id", "idx"),
}


def groups(refs: Sequence[ThreadRef]) -> Iterator[Sequence[ThreadRef]]:
    """Threads to read together: small ones up to a chunk, any other alone."""
    group: list[ThreadRef] = []
    held = 0
    for ref in refs:
        size = CHUNK_BYTES if ref.size_hint is None else ref.size_hint
        if group and held + size > CHUNK_BYTES:
            yield group
            group, held = [], 0
        group.append(ref)
        held += size
    if group:
        yield group


class Reader(Pages):
    """Reads through one connection, in the transaction that its owner has begun."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, tables: Tables) -> None:
        super().__init__(connection, path)
        self._tables = tables
        self._parts = [table for table in (CHECKPOINTS, WRITES) if tables.has(table)]

    async def records(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[Item, None]:
        """Everything of a group of `groups`, thread by thread; nothing of those that are not
        there."""
        if len(refs) == 1:
            thread_id = refs[0].thread_id
            for table in self._parts:
                async with aclosing(self._pages_of(table, thread_id, context)) as items:
                    async for item in items:
                        yield thread_id, item
            return
        await context.budget.take(CHUNK_BYTES)
        try:
            found = await self._together([ref.thread_id for ref in refs], context)
            for ref in refs:
                for table, rows in found.get(ref.thread_id, {}).items():
                    async with aclosing(self._items(table, ref.thread_id, rows)) as items:
                        async for item in items:
                            yield ref.thread_id, item
        finally:
            context.budget.give_page(CHUNK_BYTES)

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

    async def _items(
        self, table: str, thread_id: str, rows: Sequence[Cells]
    ) -> AsyncGenerator[Record | Loss, None]:
        deferred = Deferred()
        try:
            for item in _in_order(table, thread_id, rows, deferred):
                yield item
            async with aclosing(self._late(thread_id, deferred)) as late:
                async for item in late:
                    yield item
        finally:
            deferred.close()

    async def _pages_of(
        self, table: str, thread_id: str, context: Context
    ) -> AsyncGenerator[Record | Loss, None]:
        deferred = Deferred()
        try:
            pages = self.pages(self._sql(table, [thread_id]), [thread_id], context)
            async with aclosing(pages):
                async for page in pages:
                    rows = [cells for _, *cells in page]
                    for item in _in_order(table, thread_id, rows, deferred):
                        yield item
            async with aclosing(self._late(thread_id, deferred)) as late:
                async for item in late:
                    yield item
        finally:
            deferred.close()

    async def _late(
        self, thread_id: str, deferred: Deferred
    ) -> AsyncGenerator[Record | Loss, None]:
        """The checkpoints that had to wait for their parents, one at a time."""
        cells = ", ".join(self._tables.cells(CHECKPOINTS))
        ns = self._tables.cells(CHECKPOINTS)[0]
        sql = (
            f"SELECT {cells} FROM checkpoints "
            f"WHERE thread_id = ? AND {ns} = ? AND checkpoint_id = ?"
        )
        for place in deferred.places():
            for row in await self.fetch(sql, (thread_id, *place)):
                yield read(CHECKPOINTS, thread_id, row)

    def _sql(self, table: str, ids: Sequence[str]) -> str:
        columns = [column for column in _ORDERS[table] if self._tables.has(table, column)]
        return (
            f"SELECT thread_id, {', '.join(self._tables.cells(table))} FROM {table} "
            f"WHERE thread_id IN ({placeholders(ids)}) ORDER BY thread_id, {', '.join(columns)}"
        )


def _in_order(
    table: str, thread_id: str, rows: Sequence[Cells], deferred: Deferred
) -> Iterator[Record | Loss]:
    for cells in rows:
        item = read(table, thread_id, cells)
        if isinstance(item, RawCheckpoint) and deferred.defers(
            item.checkpoint_ns, item.checkpoint_id, item.parent_checkpoint_id
        ):
            continue
        yield item
