"""The source: one moment of a database, read through cursors that hold little at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from msgspec import UNSET

from lgx import (
    ANY_KIND,
    Context,
    Coverage,
    FatalError,
    Json,
    Loss,
    Probe,
    Query,
    Record,
    Source,
    Thread,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    UsageError,
)
from lgx_plugins.filters import admits
from lgx_plugins.sqlite.config import SqliteSourceConfig, real_path
from lgx_plugins.sqlite.facts import database_facts
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.layout import Layout, find_layout
from lgx_plugins.sqlite.migrations import schema_version
from lgx_plugins.sqlite.moment import Moment
from lgx_plugins.sqlite.names import Names
from lgx_plugins.sqlite.reader import Reader, Stored, groups, loss
from lgx_plugins.sqlite.versions import content_version, kept_version
from lgx_plugins.tables import (
    EXTRA_TABLES,
    Table,
    from_cells,
    json_cell,
    not_whole,
    room_of,
    text_cell,
)

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["SqliteSource"]

_PARAMETERS = 500

_Losses: TypeAlias = list[Loss]
_Messages: TypeAlias = list[str]


class SqliteSource(Source[SqliteSourceConfig]):
    """Tables that the sink wrote, or those of an older tool, as far as they go.

    Everything is read in one transaction: what others write meanwhile is not seen. A thread
    that the sink stored without a mark comes as partial, so that no copy of it gets one. A
    version covers edits by hand: triggers count them in the sink's tables, and tables without
    those triggers are read and digested when they are listed.
    """

    name = "sqlite"
    summary = "tables of a SQLite database, to be queried with sqlite3 or Datasette"
    config_type = SqliteSourceConfig
    offers = ANY_KIND
    ordered: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 50

    def __init__(self, config: SqliteSourceConfig) -> None:
        super().__init__(config)
        self._path = real_path(config.path)
        self._names = Names(config.table_prefix)
        self._moment = Moment(self._path, config.busy_seconds)
        self._layout: Layout | None = None

    async def __aenter__(self) -> SqliteSource:
        connection = await self._moment.take()
        try:
            with explained(self._path):
                await schema_version(connection, self._path, self._names)
                self._layout = await find_layout(connection, self._path, self._names)
                await self._check_origin(connection, self._layout)
        except BaseException:
            await self._moment.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._moment.close()

    async def _check_origin(self, connection: aiosqlite.Connection, layout: Layout) -> None:
        if not layout.has("threads", "source_url"):
            if self.config.origin is not None:
                raise UsageError(
                    f"the threads in {str(self._path)!r} do not say where they came from; "
                    "leave out --source-origin"
                )
            return
        rows = await connection.execute_fetchall(
            f"SELECT DISTINCT coalesce(source_url, '') FROM {self._names('threads')} ORDER BY 1"
        )
        held = [row[0].decode("utf-8", "replace") for row in rows]
        listed = ", ".join(map(repr, held)) or "none"
        if self.config.origin is None:
            if len(held) > 1:
                raise UsageError(
                    f"{str(self._path)!r} holds threads of several sources: {listed}; "
                    "choose one with --source-origin"
                )
        elif self.config.origin not in held:
            raise UsageError(
                f"{str(self._path)!r} holds no threads of {self.config.origin!r}, only of: {listed}"
            )

    async def versions(self, context: Context) -> Mapping[str, str]:
        return {"sqlite": sqlite3.sqlite_version}

    async def probe(self, context: Context) -> Probe:
        facts = await database_facts(self._open(), self._path, self._names)
        return Probe(facts=facts)

    async def identity(self) -> str:
        identity = f"sqlite://{self._path}"
        if self._layout is not None and self._layout.own:
            with explained(self._path):
                rows = await self._open().execute_fetchall(
                    f"SELECT value FROM {self._names('info')} WHERE key = 'database_id'"
                )
            for (key,) in rows:  # none where somebody has emptied that table
                identity = f"sqlite:{key.decode()}"
        if self.config.origin is None:
            return identity
        return f"{identity}#{self.config.origin}"

    async def expected(self, query: Query, context: Context) -> int | None:
        if query.filtered:
            return None
        where, values = self._where(query)
        with explained(self._path):
            ((count,),) = await self._open().execute_fetchall(
                f"SELECT count(*) FROM {self._names('threads')} AS t {where}",
                values,
            )
        return int(count)

    async def coverage(self) -> Coverage:
        layout = self._found()
        return Coverage() if layout.own else room_of(layout.has)

    # -- listing ---------------------------------------------------------------------

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        layout = self._found()
        where, values = self._where(query)
        columns = ("status", "updated_at", *(("metadata",) if query.metadata else ()))
        sql = (
            f"SELECT t.rowid, {layout.thread_id}, {layout.column('size')}, "
            f"{kept_version(layout)}, {', '.join(map(layout.column, columns))} "
            f"FROM {self._names('threads')} AS t {where} "
            f"ORDER BY {layout.thread_id} COLLATE BINARY"
        )
        async with aclosing(self._reader().pages(sql, values, context)) as pages:
            async for rows in pages:
                for row, thread_id, size, kept, *cells in rows:
                    name, status, updated_at = self._listed(row, thread_id, cells)
                    try:
                        metadata = _metadata(cells)
                        thread = Thread(
                            thread_id=name, status=status, updated_at=updated_at, metadata=metadata
                        )
                        if not admits(query, name, thread):
                            continue
                    except ThreadError as error:
                        yield Loss(thread_id=name, what="thread", why=str(error))
                        continue
                    version = kept.decode() if kept is not None else await self._digest(row)
                    yield ThreadRef(thread_id=name, version=version, size_hint=size)

    def _where(self, query: Query) -> tuple[str, Sequence[str]]:
        conditions, values = [], []
        if self.config.origin is not None:
            conditions.append("t.source_url = ?")
            values.append(self.config.origin)
        if query.status and self._found().has("threads", "status"):
            conditions.append("t.status = ?")
            values.append(query.status)
        if 0 < len(query.thread_ids) <= _PARAMETERS:
            conditions.append(
                f"{self._found().thread_id} IN ({', '.join('?' for _ in query.thread_ids)})"
            )
            values += query.thread_ids
        return ("WHERE " + " AND ".join(conditions) if conditions else ""), values

    def _listed(
        self, row: int, thread_id: object, cells: Sequence[object]
    ) -> tuple[str, str | None, str | None]:
        """Id, status and time of the last update."""
        if thread_id is None:
            raise FatalError(
                f"row {row} of {self._names.plain('threads')!r} in {str(self._path)!r} has no "
                "thread_id; give it one, or remove it"
            )
        try:
            status, updated_at = (
                None if cell is None else text_cell("status or updated_at", cell)
                for cell in cells[:2]
            )
            return text_cell("thread_id", thread_id), status, updated_at
        except ThreadError as error:
            raise FatalError(
                f"row {row} of {self._names.plain('threads')!r} in {str(self._path)!r}: {error}; "
                "correct it"
            ) from error

    async def _digest(self, row: int) -> str:
        layout = self._found()
        return await content_version(self._open(), self._path, layout, row)

    # -- reading ---------------------------------------------------------------------

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        stored = await self._stored([ref.thread_id for ref in refs])
        for ref in refs:
            if ref.thread_id not in stored:
                yield ThreadEnd(thread_id=ref.thread_id, outcome="deleted")
        for group in groups([stored[r.thread_id] for r in refs if r.thread_id in stored]):
            waiting = [thread.thread_id for thread in group]
            losses: _Losses = []
            async with aclosing(self._reader().records(group, context)) as items:
                async for thread_id, item in items:
                    while waiting[0] != thread_id:
                        yield self._end(stored[waiting.pop(0)], losses)
                        losses = []
                    if isinstance(item, Loss):
                        losses.append(item)
                    else:
                        yield item
            for thread_id in waiting:
                yield self._end(stored[thread_id], losses)
                losses = []

    def _end(self, thread: Stored, losses: _Losses) -> ThreadEnd:
        self._moment.check_unchanged()
        found = losses if thread.whole else [not_whole(thread.thread_id), *losses]
        return ThreadEnd(
            thread_id=thread.thread_id,
            outcome="partial" if found else "complete",
            losses=tuple(found),
        )

    async def _stored(self, thread_ids: Sequence[str]) -> dict[str, Stored]:
        """Sizes are those of the last export: what was edited since has none."""
        layout = self._found()
        size = "CASE t.revision WHEN 0 THEN t.size END" if layout.own else "NULL"
        whole = "t.source_version IS NOT NULL" if layout.own else "1"
        where, values = self._where(Query(thread_ids=tuple(thread_ids)))
        rows = await self._reader().fetch(
            f"SELECT {layout.thread_id}, t.rowid, {size}, {whole} "
            f"FROM {self._names('threads')} AS t {where}",
            values,
        )
        stored = (Stored(name.decode(), row, size, bool(whole)) for name, row, size, whole in rows)
        return {thread.thread_id: thread for thread in stored}

    def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        return self._extras(EXTRA_TABLES[kind], context)

    async def _extras(self, table: Table, context: Context) -> AsyncIterator[Record]:
        layout = self._found()
        if not layout.has(table.name):
            return
        origin = self.config.origin
        sql = (
            f"SELECT {layout.cells(table, 'p')} FROM {self._names(table.name)} AS p "
            f"{'' if origin is None else 'WHERE p.source_url = ? '}ORDER BY p.rowid"
        )
        async with aclosing(
            self._reader().pages(sql, () if origin is None else (origin,), context)
        ) as pages:
            failed: _Messages = []
            async for page in pages:
                for cells in page:
                    try:
                        record = from_cells(table, cells)
                    except ThreadError as error:
                        failed.append(f"{loss(table, cells, None, error).what}: {error}")
                        continue
                    yield record
        if failed:  # after the healthy ones, so that they are kept
            raise ThreadError(f"{len(failed)} could not be read; {'; '.join(failed)}")

    def _open(self) -> aiosqlite.Connection:
        return self._moment.connection

    def _reader(self) -> Reader:
        return Reader(self._open(), self._path, self._found())

    def _found(self) -> Layout:
        assert self._layout is not None, "read before it was opened"
        return self._layout


def _metadata(cells: Sequence[object]) -> Json:
    """The third of the cells that a filter looks at, where it is there."""
    return json_cell("metadata", cells[2]) if len(cells) > 2 and cells[2] is not None else UNSET
