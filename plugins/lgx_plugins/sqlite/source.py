"""The source: one moment of a database, read through cursors that hold little at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from msgspec import UNSET

from lgx import (
    ANY_KIND,
    Context,
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
    decode_line,
    parse_time,
)
from lgx_plugins.files import check_target
from lgx_plugins.sqlite.config import SqliteSourceConfig, real_path
from lgx_plugins.sqlite.connection import CHUNK_BYTES, open_to_read, state, unguarded
from lgx_plugins.sqlite.facts import database_facts
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.layout import Layout, find_layout
from lgx_plugins.sqlite.migrations import schema_version
from lgx_plugins.sqlite.names import Names
from lgx_plugins.sqlite.versions import content_version, kept_version
from lgx_plugins.tables import (
    CHECKPOINTS,
    EXTRA_TABLES,
    RECORDS,
    RUNS,
    THREADS,
    Table,
    from_cells,
    json_cell,
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

    Everything is read in one transaction: what others write meanwhile is not seen. A
    version covers edits by hand: triggers count them in the sink's tables, and tables without
    those triggers are read and digested when they are listed.
    """

    name = "sqlite"
    summary = "Tables of a SQLite database that the sqlite sink wrote."
    config_type = SqliteSourceConfig
    offers = ANY_KIND
    ordered: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 50

    def __init__(self, config: SqliteSourceConfig) -> None:
        super().__init__(config)
        self._path = real_path(config.path)
        self._names = Names(config.table_prefix)
        self._connection: aiosqlite.Connection | None = None
        self._layout: Layout | None = None
        self._state: object = None

    async def __aenter__(self) -> SqliteSource:
        check_target(self._path)
        if not self._path.exists():
            raise UsageError(f"there is no database {str(self._path)!r}; correct --source-path")
        self._state = state(self._path) if unguarded(self._path) else None
        connection = await open_to_read(self._path, self.config.busy_seconds)
        try:
            with explained(self._path):
                await connection.execute("BEGIN")
                await schema_version(connection, self._path, self._names)
                self._layout = await find_layout(connection, self._path, self._names)
                await self._check_origin(connection, self._layout)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with explained(self._path):
                await connection.close()

    async def _check_origin(self, connection: aiosqlite.Connection, layout: Layout) -> None:
        if not layout.has("threads", "source_url"):
            if self.config.origin is not None:
                raise UsageError(
                    f"the threads in {str(self._path)!r} do not say where they came from; "
                    "leave out --source-origin"
                )
            return
        rows = await connection.execute_fetchall(
            f"SELECT DISTINCT coalesce(source_url, '') FROM {self._names('threads')} ORDER BY 1"  # noqa: S608 -- quoted
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
                ((key,),) = await self._open().execute_fetchall(
                    f"SELECT value FROM {self._names('info')} WHERE key = 'database_id'"  # noqa: S608 -- quoted
                )
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
                f"SELECT count(*) FROM {self._names('threads')} AS t {where}",  # noqa: S608 -- quoted
                values,
            )
        return int(count)

    # -- listing ---------------------------------------------------------------------

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
        if query.as_of is not None:
            raise UsageError("a sqlite source keeps no earlier states; leave out --as-of")
        layout = self._found()
        where, values = self._where(query)
        columns = ("status", "updated_at", *(("metadata",) if query.metadata else ()))
        sql = (
            f"SELECT t.rowid, t.thread_id, {layout.column('size')}, "  # noqa: S608 -- quoted
            f"{kept_version(layout)}, {', '.join(map(layout.column, columns))} "
            f"FROM {self._names('threads')} AS t {where} ORDER BY t.thread_id COLLATE BINARY"
        )
        async with aclosing(self._pages(sql, values, context)) as pages:
            async for rows in pages:
                for row, thread_id, size, kept, *cells in rows:
                    thread = self._listed(row, thread_id, cells, query, context)
                    if thread is None or not query.admits(thread):
                        continue
                    version = kept.decode() if kept is not None else await self._digest(row)
                    yield ThreadRef(thread_id=thread.thread_id, version=version, size_hint=size)

    def _where(self, query: Query) -> tuple[str, Sequence[str]]:
        conditions, values = [], []
        if self.config.origin is not None:
            conditions.append("t.source_url = ?")
            values.append(self.config.origin)
        if query.status and self._found().has("threads", "status"):
            conditions.append("t.status = ?")
            values.append(query.status)
        if 0 < len(query.thread_ids) <= _PARAMETERS:
            conditions.append(f"t.thread_id IN ({', '.join('?' for _ in query.thread_ids)})")
            values += query.thread_ids
        return ("WHERE " + " AND ".join(conditions) if conditions else ""), values

    def _listed(
        self, row: int, thread_id: object, cells: Sequence[object], query: Query, context: Context
    ) -> Thread | None:
        """What the filters look at; None where that cannot be told."""
        if thread_id is None:
            raise FatalError(
                f"row {row} of {self._names.plain('threads')!r} in {str(self._path)!r} has no "
                "thread_id; give it one, or remove it"
            )
        try:
            name = text_cell("thread_id", thread_id)
            status, updated_at = (
                None if cell is None else text_cell("status or updated_at", cell)
                for cell in cells[:2]
            )
        except ThreadError as error:
            raise FatalError(
                f"row {row} of {self._names.plain('threads')!r} in {str(self._path)!r}: {error}; "
                "correct it"
            ) from error
        metadata: Json = UNSET
        try:
            if len(cells) > 2 and cells[2] is not None:
                metadata = json_cell("metadata", cells[2])
            if updated_at is not None and (query.since or query.until):
                parse_time(updated_at)
        except (ThreadError, UsageError) as error:
            context.note(f"left out, since a filter cannot look at it: {error}", thread_id=name)
            return None
        return Thread(thread_id=name, status=status, updated_at=updated_at, metadata=metadata)

    async def _digest(self, row: int) -> str:
        layout = self._found()
        return await content_version(self._open(), self._path, layout, row)

    # -- reading ---------------------------------------------------------------------

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        rows = await self._rows([ref.thread_id for ref in refs])
        parts = await self._parts(sorted(rows.values()))
        for ref in refs:
            row = rows.get(ref.thread_id)
            if row is None:
                yield ThreadEnd(thread_id=ref.thread_id, outcome="deleted")
                continue
            losses: _Losses = []
            async with aclosing(self._records(row, parts, ref.thread_id, losses, context)) as all_:
                async for record in all_:
                    yield record
            if self._state not in (None, state(self._path)):
                raise FatalError(
                    f"{str(self._path)!r} was changed while it was read, and may not be locked by "
                    "this user; run again as its owner, or read a copy"
                )
            yield ThreadEnd(
                thread_id=ref.thread_id,
                outcome="partial" if losses else "complete",
                losses=tuple(losses),
            )

    async def _rows(self, thread_ids: Sequence[str]) -> dict[str, int]:
        where, values = self._where(Query(thread_ids=tuple(thread_ids)))
        with explained(self._path):
            rows = await self._open().execute_fetchall(
                f"SELECT t.thread_id, t.rowid FROM {self._names('threads')} AS t {where}",  # noqa: S608 -- quoted
                values,
            )
        return {thread_id.decode(): row for thread_id, row in rows}

    async def _parts(self, rows: Sequence[int]) -> tuple[Table, ...]:
        """The tables that hold something of these threads."""
        layout = self._found()
        held = []
        with explained(self._path):
            for table in (CHECKPOINTS, RUNS, RECORDS):
                if not rows or not layout.has(table.name):
                    continue
                sql = f"SELECT EXISTS ({layout.parts(table, rows)})"
                ((some,),) = await self._open().execute_fetchall(sql)
                if some:
                    held.append(table)
        return tuple(held)

    async def _records(
        self,
        row: int,
        parts: Sequence[Table],
        thread_id: str,
        losses: _Losses,
        context: Context,
    ) -> AsyncGenerator[Record, None]:
        layout = self._found()
        own = (
            f"SELECT t.rowid, {layout.cells(THREADS, 't')} "  # noqa: S608 -- quoted
            f"FROM {self._names('threads')} AS t WHERE t.rowid = {row}"
        )
        statements = [(THREADS, own), *((part, layout.parts(part, (row,))) for part in parts)]
        for table, sql in statements:
            async with aclosing(self._pages(sql, (), context)) as pages:
                async for page in pages:
                    for _, *cells in page:
                        try:
                            yield _record(table, cells)
                        except ThreadError as error:
                            losses.append(_loss(table, cells, thread_id, error))

    def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        return self._extras(EXTRA_TABLES[kind], context)

    async def _extras(self, table: Table, context: Context) -> AsyncIterator[Record]:
        layout = self._found()
        if not layout.has(table.name):
            return
        origin = self.config.origin
        sql = (
            f"SELECT {layout.cells(table, 'p')} FROM {self._names(table.name)} AS p "  # noqa: S608 -- quoted
            f"{'' if origin is None else 'WHERE p.source_url = ? '}ORDER BY p.rowid"
        )
        async with aclosing(
            self._pages(sql, () if origin is None else (origin,), context)
        ) as pages:
            failed: _Messages = []
            async for page in pages:
                for cells in page:
                    try:
                        record = from_cells(table, cells)
                    except ThreadError as error:
                        failed.append(f"{_loss(table, cells, '', error).what}: {error}")
                        continue
                    yield record
        if failed:  # after the healthy ones, so that they are kept
            raise ThreadError(f"{len(failed)} could not be read; {'; '.join(failed)}")

    async def _pages(
        self, sql: str, values: Sequence[str], context: Context
    ) -> AsyncGenerator[Sequence[Any], None]:
        """Rows, a chunk at a time, each within the budget while it is in use."""
        with explained(self._path):
            cursor = await self._open().execute(sql, values)
        try:
            while True:
                size = CHUNK_BYTES
                await context.budget.take(size)
                try:
                    with explained(self._path):
                        rows = list(await cursor.fetchmany(1000))
                    held = sum(len(c) for row in rows for c in row if isinstance(c, bytes))
                    context.budget.resize(size, held)
                    size = held
                    context.received(held)
                    if not rows:
                        return
                    yield rows
                finally:
                    context.budget.give_page(size)
        finally:
            await cursor.close()

    def _open(self) -> aiosqlite.Connection:
        assert self._connection is not None, "read before it was opened"
        return self._connection

    def _found(self) -> Layout:
        assert self._layout is not None, "read before it was opened"
        return self._layout


def _record(table: Table, cells: Sequence[Any]) -> Record:
    if table is RECORDS:
        return decode_line(json_cell("body", cells[2]))
    return from_cells(table, cells)


def _loss(table: Table, cells: Sequence[Any], thread_id: str, error: ThreadError) -> Loss:
    kind = table.record.kind if table.record else "record"
    keys = [
        repr(cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell)
        for name, cell in zip(table.names, cells, strict=False)
        if name in table.key
    ]
    if table is CHECKPOINTS:
        keys = [keys[1], "of namespace", keys[0]]
    return Loss(
        what=" ".join((kind, *keys)),
        why=str(error),
        thread_id=thread_id,
        checkpoints=int(table is CHECKPOINTS),
    )
