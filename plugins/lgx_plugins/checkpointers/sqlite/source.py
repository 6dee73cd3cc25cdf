"""The source: one moment of a SqliteSaver's file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, TypeAlias

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
    UsageError,
)
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.checkpointers.rows.forms import KINDS, PATHLESS
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig, identity_of
from lgx_plugins.checkpointers.sqlite.facts import file_facts
from lgx_plugins.checkpointers.sqlite.listing import Listing
from lgx_plugins.checkpointers.sqlite.reading import Reader, groups
from lgx_plugins.checkpointers.sqlite.store_alone import add_missing_tables
from lgx_plugins.checkpointers.sqlite.store_facts import store_facts
from lgx_plugins.checkpointers.sqlite.store_reading import store_coverage, store_items
from lgx_plugins.checkpointers.sqlite.tables import WRITES, Tables, find_tables
from lgx_plugins.checkpointers.state import PATHLESS as STATE_PATHLESS
from lgx_plugins.checkpointers.state import STATE_KINDS, Form
from lgx_plugins.sqlite.config import real_path
from lgx_plugins.sqlite.failures import explained
from lgx_plugins.sqlite.moment import Moment

if TYPE_CHECKING:
    import aiosqlite

__all__ = ["SqliteSaverSource"]

_Losses: TypeAlias = list[Loss]


class SqliteSaverSource(Source[SqliteSaverConfig]):
    """The rows of `checkpoints` and `writes` as records, in the bytes that they have there.

    Files of every age are read, also those of the JavaScript package: which columns there are
    is looked up. Everything is read in one transaction: what others write meanwhile is not
    seen. A version covers every row, keys and bytes: an interrupt that is answered adds writes
    to an old checkpoint. Nothing is decoded, but for the time of a thread's latest checkpoint
    where `--since` or `--until` asks for it, and for states where these are to move.
    """

    name = "sqlite-saver"
    summary = "LangGraph's own checkpoints in a file of SqliteSaver"
    config_type = SqliteSaverConfig
    offers = KINDS | STATE_KINDS | {StoreItem.kind}
    ordered: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 50

    def __init__(self, config: SqliteSaverConfig) -> None:
        super().__init__(config)
        self._path = real_path(config.path)
        self._moment = Moment(self._path, config.busy_seconds)
        self._tables: Tables | None = None
        self._form = Form(config.aes_key)

    async def __aenter__(self) -> SqliteSaverSource:
        connection = await self._moment.take()
        try:
            with explained(self._path):
                await add_missing_tables(connection)
                self._tables = await find_tables(connection, self._path)
                ((encoding,),) = await connection.execute_fetchall("PRAGMA encoding")
                if encoding != b"UTF-8":
                    raise UsageError(
                        f"{str(self._path)!r} keeps its text as {encoding.decode()}, in the order "
                        "of which threads cannot be listed; copy its tables into a file of UTF-8"
                    )
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

    async def versions(self, context: Context) -> Mapping[str, str]:
        return {"sqlite": sqlite3.sqlite_version}

    async def probe(self, context: Context) -> Probe:
        facts = await file_facts(self._open(), self._path, self._found())
        facts += await store_facts(self._open(), self._path)
        imports = await self._reader().imports(self.config.aes_key, context)
        return Probe(facts=(*facts, *imports.facts()))

    async def identity(self) -> str:
        return identity_of(self._path)

    async def coverage(self) -> Coverage:
        fields = await store_coverage(self._open())
        if not self._found().has(WRITES, "task_path"):
            fields |= {CheckpointWrite.kind: PATHLESS, **STATE_PATHLESS}
        return Coverage(fields=fields)

    async def expected(self, query: Query, context: Context) -> int | None:
        check_filters(query)  # a mistake is best told before anything moves
        if query.filtered:
            return None
        return await self._listing().expected()

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        self._form.choose(query, context)
        for table, columns in self._found().others.items():
            context.note(
                f"column {', '.join(map(repr, columns))} of table {table!r} is none of "
                "LangGraph's, and was left out"
            )
        async with aclosing(self._listing().refs(query, context)) as refs:
            async for ref in refs:
                yield ref

    def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        return self._form.of(self._rows(refs, context))

    async def _rows(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[Record | ThreadEnd, None]:
        for group in groups(refs):
            waiting = [ref.thread_id for ref in group]
            losses: _Losses = []
            empty = True
            async with aclosing(self._reader().records(group, context)) as pieces:
                async for thread_id, items in pieces:
                    while waiting[0] != thread_id:
                        yield self._end(waiting.pop(0), losses, empty)
                        losses, empty = [], True
                    for item in items:
                        empty = False
                        if isinstance(item, Loss):
                            losses.append(item)
                        else:
                            yield item
            for thread_id in waiting:
                yield self._end(thread_id, losses, empty)
                losses, empty = [], True

    def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        return store_items(self._open(), self._path, context)

    def _end(self, thread_id: str, losses: Sequence[Loss], empty: bool) -> ThreadEnd:
        self._moment.check_unchanged()
        if empty:
            return ThreadEnd(thread_id=thread_id, outcome="deleted")
        return ThreadEnd(
            thread_id=thread_id,
            outcome="partial" if losses else "complete",
            losses=tuple(losses),
        )

    def _open(self) -> aiosqlite.Connection:
        return self._moment.connection

    def _found(self) -> Tables:
        assert self._tables is not None, "read before it was opened"
        return self._tables

    def _reader(self) -> Reader:
        return Reader(self._open(), self._path, self._found())

    def _listing(self) -> Listing:
        return Listing(self._open(), self._path, self._found())
