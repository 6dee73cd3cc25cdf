"""The source: one moment of a checkpointer's tables, read through several connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from lgx import (
    CheckpointWrite,
    Context,
    Coverage,
    Loss,
    Probe,
    Query,
    Record,
    Source,
    StoreItem,
    ThreadEnd,
    ThreadRef,
)
from lgx_plugins.checkpointers.postgres.config import PostgresSaverConfig
from lgx_plugins.checkpointers.postgres.facts import reading_facts
from lgx_plugins.checkpointers.postgres.imports import imports_of
from lgx_plugins.checkpointers.postgres.listing import Listing
from lgx_plugins.checkpointers.postgres.reading import Reader, groups
from lgx_plugins.checkpointers.postgres.store_alone import check_alone, facts_alone
from lgx_plugins.checkpointers.postgres.store_facts import store_facts
from lgx_plugins.checkpointers.postgres.store_reading import store_coverage, store_items
from lgx_plugins.checkpointers.postgres.store_tables import store_relations
from lgx_plugins.checkpointers.postgres.tables import (
    CHECKPOINTS,
    WRITES,
    Tables,
    find_tables,
    readable,
)
from lgx_plugins.checkpointers.postgres.whereabouts import tables_identity
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.checkpointers.rows.forms import KINDS, PATHLESS
from lgx_plugins.checkpointers.state import PATHLESS as STATE_PATHLESS
from lgx_plugins.checkpointers.state import STATE_KINDS, Form
from lgx_plugins.postgres.catalog import Relation
from lgx_plugins.postgres.connection import Address
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.reaching import Reach

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["PostgresSaverSource"]


class PostgresSaverSource(Source[PostgresSaverConfig]):
    """Tables of PostgresSaver, at whatever level of their history, of ShallowPostgresSaver, or of
    JavaScript's PostgresSaver.

    Rows come as the bytes that they are, of one moment, that of the first use: what others
    write meanwhile is not seen. States are made of them where these are to move.
    """

    name = "postgres-saver"
    summary = "LangGraph's own checkpoints in PostgreSQL, as PostgresSaver keeps them"
    config_type = PostgresSaverConfig
    offers = KINDS | STATE_KINDS | {StoreItem.kind}
    ordered: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 100

    def __init__(self, config: PostgresSaverConfig) -> None:
        super().__init__(config)
        self._names = Names(config.schema, "")
        self._address = Address(config.dsn)
        self._place = self._address.place
        self._reach = Reach(
            self._address, config.connections, tables=self._relations, look=self._look
        )
        self._tables: Tables | None = None  # also where there is a store alone
        self._form = Form(config.aes_key)

    async def __aenter__(self) -> PostgresSaverSource:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._reach.close()

    async def _relations(self, connection: Connection) -> Sequence[Relation]:
        return (
            *await readable(connection, self._place, self._names),
            *await store_relations(connection, self._names),
        )

    async def _look(self, connection: Connection) -> None:
        self._tables = await find_tables(connection, self._place, self._names)
        if self._tables is None:
            await check_alone(connection, self._place, self._names)

    async def versions(self, context: Context) -> Mapping[str, str]:
        return await self._reach.versions(context)

    async def probe(self, context: Context) -> Probe:
        moment = await self._reach.moment(context)
        async with moment.keeper() as keeper:
            with explained(self._place):
                if self._tables is None:
                    facts = await facts_alone(keeper, self._place, self._names)
                else:
                    facts = await reading_facts(keeper, self._place, self._tables)
                facts += await store_facts(keeper, self._names)
        if self._tables is None:
            return Probe(facts=facts)
        key = self.config.aes_key
        imports = await imports_of(moment, self._tables, self._place, key, context)
        return Probe(facts=(*facts, *imports.facts()))

    async def identity(self) -> str:
        moment = await self._reach.moment(None)
        async with moment.keeper() as keeper:
            with explained(self._place):
                return await tables_identity(keeper, self._address, self._names.schema)

    async def coverage(self) -> Coverage:
        moment = await self._reach.moment(None)
        async with moment.keeper() as keeper:
            with explained(self._place):
                fields = await store_coverage(keeper, self._names)
        if self._tables is not None and not self._tables.has(WRITES, "task_path"):
            fields |= {CheckpointWrite.kind: PATHLESS, **STATE_PATHLESS}
        return Coverage(fields=fields)

    async def expected(self, query: Query, context: Context) -> int | None:
        check_filters(query)  # a mistake is best told before anything moves
        if query.filtered:
            return None
        await self._reach.moment(context)
        if self._tables is None:
            return 0
        threads = f"(SELECT DISTINCT thread_id FROM {self._names(CHECKPOINTS)}) AS t"
        return await self._reach.count(threads, context)

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        self._form.choose(query, context)
        moment = await self._reach.moment(context)
        tables = self._tables
        if tables is None:
            return
        for column in tables.unknown():
            context.note(f"column {column} is not LangGraph's, and what it holds does not travel")
        async with aclosing(Listing(moment, tables, self._place).refs(query, context)) as refs:
            async for ref in refs:
                yield ref

    def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        return self._form.of(self._rows(refs, context))

    async def _rows(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[Record | ThreadEnd, None]:
        moment = await self._reach.moment(context)
        assert self._tables is not None, "else no thread was listed"
        reader = Reader(moment, self._tables, self._place)
        for group in groups(refs):
            waiting = dict.fromkeys(ref.thread_id for ref in group)
            current: str | None = None
            async with aclosing(reader.records(group, context)) as found:
                async for thread_id, records in found:
                    if thread_id != current:
                        if current is not None:
                            yield ThreadEnd(thread_id=current, outcome="complete")
                        current = thread_id
                        del waiting[thread_id]
                    for record in records:
                        yield record
            if current is not None:
                yield ThreadEnd(thread_id=current, outcome="complete")
            for thread_id in waiting:
                yield ThreadEnd(thread_id=thread_id, outcome="deleted")

    async def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        moment = await self._reach.moment(context)
        items = store_items(moment, self._place, self._names, context)
        async with aclosing(items):
            async for item in items:
                yield item
