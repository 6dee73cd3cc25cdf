"""The source: one moment of a database, read through several connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from lgx import (
    ANY_KIND,
    Context,
    Coverage,
    Loss,
    Probe,
    Query,
    Record,
    Source,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    UsageError,
)
from lgx_plugins.postgres.catalog import find_layout, found_tables
from lgx_plugins.postgres.cell_decoding import CellDecoder
from lgx_plugins.postgres.cells import restore_text
from lgx_plugins.postgres.config import PostgresSourceConfig
from lgx_plugins.postgres.connection import Address
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.inspection import reading_facts
from lgx_plugins.postgres.layout import Layout, cell_literal, origin_is
from lgx_plugins.postgres.listing import Listing
from lgx_plugins.postgres.migrations import schema_version
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.paging import Paging
from lgx_plugins.postgres.reaching import Reach
from lgx_plugins.postgres.reader import Reader, groups
from lgx_plugins.postgres.snapshot import Moment
from lgx_plugins.postgres.whereabouts import tables_identity
from lgx_plugins.tables import EXTRA_TABLES, Table, room_of

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["PostgresSource"]

_Losses: TypeAlias = list[Loss]
_Messages: TypeAlias = list[str]


class PostgresSource(Source[PostgresSourceConfig]):
    """Tables that the sink wrote, or those of an older tool, as far as they go.

    A thread that the sink stored without a mark comes as partial, so that no copy of it gets one.

    Everything is read of one moment, that of the first use, through as many connections as are
    allowed: what others write meanwhile is not seen. A version covers edits by hand, of any row.
    """

    name = "postgres"
    summary = "tables of a PostgreSQL database, to be queried with SQL"
    config_type = PostgresSourceConfig
    offers = ANY_KIND
    ordered: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 50

    def __init__(self, config: PostgresSourceConfig) -> None:
        super().__init__(config)
        self._names = Names(config.schema, config.table_prefix)
        self._address = Address(config.dsn)
        self._place = self._address.place
        self._reach = Reach(
            self._address,
            config.connections,
            tables=lambda connection: found_tables(connection, self._place, self._names),
            look=self._look,
        )
        self._layout: Layout | None = None
        self._parts: tuple[Table, ...] = ()

    async def __aenter__(self) -> PostgresSource:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._reach.close()

    async def _look(self, connection: Connection) -> None:
        await schema_version(connection, self._place, self._names)
        layout = await find_layout(connection, self._place, self._names)
        await self._check_origin(connection, layout)
        self._parts = await _filled(connection, layout)
        self._layout = layout

    async def _check_origin(self, connection: Connection, layout: Layout) -> None:
        if not layout.has("threads", "source_url"):
            if self.config.origin is not None:
                raise UsageError(
                    f"the threads in {self._place} do not say where they came from; "
                    "leave out --source-origin"
                )
            return
        rows = await connection.fetch(
            f"SELECT DISTINCT coalesce(source_url, '') FROM {self._names('threads')} ORDER BY 1"
        )
        held = [restore_text(row[0]) if layout.own else row[0] for row in rows]
        listed = ", ".join(map(repr, held)) or "none"
        if self.config.origin is None:
            if len(held) > 1:
                raise UsageError(
                    f"{self._place} holds threads of several sources: {listed}; "
                    "choose one with --source-origin"
                )
        elif self.config.origin not in held:
            raise UsageError(
                f"{self._place} holds no threads of {self.config.origin!r}, only of: {listed}"
            )

    async def versions(self, context: Context) -> Mapping[str, str]:
        return await self._reach.versions(context)

    async def probe(self, context: Context) -> Probe:
        moment = await self._reach.moment(context)
        async with moment.keeper() as keeper:
            with explained(self._place):
                return Probe(facts=await reading_facts(keeper, self._place, self._found()))

    async def identity(self) -> str:
        address, names = self._address, self._names
        moment = await self._reach.moment(None)
        async with moment.keeper() as keeper:
            with explained(self._place):
                key = None
                if self._found().own:
                    key = await keeper.fetchval(
                        f"SELECT value FROM {names('info')} WHERE key = 'database_id'"
                    )
                if key is not None:
                    identity = f"postgres:{key}"
                else:  # made by others, or somebody has emptied that table
                    identity = await tables_identity(keeper, address, names)
        return identity if self.config.origin is None else f"{identity}#{self.config.origin}"

    async def expected(self, query: Query, context: Context) -> int | None:
        if query.filtered:
            return None
        where = self._listing(await self._reach.moment(context)).condition(query)
        threads = f"{self._names('threads')} AS t {f'WHERE {where}' if where else ''}"
        return await self._reach.count(threads, context)

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        listing = self._listing(await self._reach.moment(context))
        async with aclosing(listing.refs(query, context)) as refs:
            async for ref in refs:
                yield ref

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        reader = self._reader(await self._reach.moment(context))
        for group in groups(refs):
            waiting = dict.fromkeys(ref.thread_id for ref in group)
            current: str | None = None
            losses: _Losses = []
            async with aclosing(reader.records(group, context)) as found:
                async for thread_id, items in found:
                    if thread_id != current:
                        if current is not None:
                            yield _end(current, losses)
                            losses = []
                        current = thread_id
                        del waiting[thread_id]
                    for item in items:
                        if isinstance(item, Loss):
                            losses.append(item)
                        elif item is not None:
                            yield item
            if current is not None:
                yield _end(current, losses)
            for thread_id in waiting:
                yield ThreadEnd(thread_id=thread_id, outcome="deleted")

    async def coverage(self) -> Coverage:
        await self._reach.moment(None)
        layout = self._found()
        return Coverage() if layout.own else room_of(layout.has)

    def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        return self._extras(EXTRA_TABLES[kind], context)

    async def _extras(self, table: Table, context: Context) -> AsyncIterator[Record]:
        paging = Paging(await self._reach.moment(context), self._place)
        layout = self._found()
        if not (layout.own and layout.has(table.name)):
            return
        fields = layout.fields(table, "p")
        decoder = CellDecoder(table, fields, restore=True)
        where = ""
        if self.config.origin is not None:
            where = f"WHERE p.source_url = {cell_literal(layout, self.config.origin)} "
        sql = f"SELECT {decoder.columns} FROM {self._names(table.name)} AS p {where}ORDER BY p.id"
        failed: _Messages = []
        pages = paging.pages(sql, decoder.skips, context, what=f"rows of {table.name}")
        async with aclosing(pages):
            async for page in pages:
                for cells in page.rows:
                    try:
                        record = decoder.record(cells, None)
                    except ThreadError as error:
                        failed.append(f"{decoder.loss(cells, None, error).what}: {error}")
                        continue
                    assert record is not None
                    yield record
        if failed:  # after the healthy ones, so that they are kept
            raise ThreadError(f"{len(failed)} could not be read; {'; '.join(failed)}")

    def _found(self) -> Layout:
        assert self._layout is not None, "comes with the moment"
        return self._layout

    def _listing(self, moment: Moment) -> Listing:
        return Listing(moment, self._found(), self._place, self._parts, self.config.origin)

    def _reader(self, moment: Moment) -> Reader:
        condition = " AND ".join(origin_is(self._found(), self.config.origin))
        return Reader(moment, self._found(), self._place, parts=self._parts, condition=condition)


async def _filled(connection: Connection, layout: Layout) -> tuple[Table, ...]:
    """The tables that hold more of any thread than its record."""
    filled = []
    for table in layout.parts:
        some = f"SELECT 1 FROM {layout.names(table.name)} AS p"
        if layout.own:
            some += " WHERE p.thread IS NOT NULL LIMIT 1"
        if await connection.fetchval(f"SELECT EXISTS ({some})"):
            filled.append(table)
    return tuple(filled)


def _end(thread_id: str, losses: _Losses) -> ThreadEnd:
    whole = not any(loss.holdable for loss in losses)
    return ThreadEnd(
        thread_id=thread_id,
        outcome="complete" if whole else "partial",
        losses=tuple(losses),
    )
