"""The sink: whole threads and their marks, in transactions on a checkpointer's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from lgx import (
    Bundle,
    Context,
    Fact,
    Mark,
    Probe,
    RunInfo,
    Sink,
    StoreItem,
    ThreadError,
    ThreadRef,
    UsageError,
    WriteOutcome,
)
from lgx_plugins.blocking import run_to_end
from lgx_plugins.checkpointers.postgres.config import PostgresSaverConfig, PostgresSaverSinkConfig
from lgx_plugins.checkpointers.postgres.facts import (
    lock_fact,
    missing_tables,
    server_facts,
    tables_facts,
)
from lgx_plugins.checkpointers.postgres.marks import Marks
from lgx_plugins.checkpointers.postgres.schema import saver_tables
from lgx_plugins.checkpointers.postgres.store_facts import store_facts
from lgx_plugins.checkpointers.postgres.store_writing import StoreWriter
from lgx_plugins.checkpointers.postgres.tables import (
    SAVER_TABLES,
    Tables,
    check_writable,
    find_tables,
    new_tables,
)
from lgx_plugins.checkpointers.postgres.whereabouts import check_not_itself
from lgx_plugins.checkpointers.postgres.writing import Writer
from lgx_plugins.checkpointers.rebuilding import (
    TAKES_WITH,
    Rebuilder,
    held_as_rows,
    previewed_as_rows,
    written_as_rows,
)
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.forms import KINDS
from lgx_plugins.ids import is_text
from lgx_plugins.postgres.connection import Address, transaction
from lgx_plugins.postgres.halving import by_halves, transaction_with
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.migrations import check_server
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.transactions import Transactions

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["PostgresSaverSink"]


class PostgresSaverSink(Sink[PostgresSaverSinkConfig]):
    """PostgresSaver's tables: made as its own `setup()` makes them, or used as they stand.

    `lgx_marks` and `lgx_lease` stand beside them. A thread that is there already is replaced
    only where it is what lgx wrote there from the same source; see `rows.conflicts`.
    """

    name = "postgres-saver"
    summary = "tables in PostgreSQL on which PostgresSaver goes on where the source stopped"
    config_type = PostgresSaverSinkConfig
    read_config_type = PostgresSaverConfig
    accepts = KINDS
    takes_with = TAKES_WITH
    max_writers = 4
    batch_bytes = 8 << 20
    previews: ClassVar[bool] = True

    def __init__(self, config: PostgresSaverSinkConfig) -> None:
        super().__init__(config)
        self.rebuilder = Rebuilder(config.graph, config.verify)
        self.accepts = KINDS | self.rebuilder.kinds | {StoreItem.kind}
        self._names = Names(config.schema, "")
        self._address = Address(config.dsn)
        self._own = Names(config.schema, "lgx_")
        self._lease = TargetLease(self._address, self._own, config.lock)
        self._transactions = Transactions(self._address, self._lease)
        self._marks = Marks(self._names)
        self._cipher = Cipher(config.aes_key)
        self._run: RunInfo | None = None
        self._tables: Tables | None = None
        self._marked = False

    async def __aenter__(self) -> PostgresSaverSink:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await run_to_end(self._transactions.close())
        await self.rebuilder.close()

    async def versions(self, context: Context) -> Mapping[str, str]:
        self._transactions.context = context
        return await self._transactions.versions()

    async def probe(self, context: Context) -> Probe:
        place = self._address.place
        async with (
            self._transactions.alone() as connection,
            transaction(connection, readonly=True, one_moment=True),
        ):
            tables = await find_tables(connection, place, self._names)
            facts = [*await server_facts(connection, place)]
            if tables is None:
                facts.append(missing_tables(self._names.schema))
            else:
                try:
                    check_writable(tables, place)
                except UsageError as error:
                    facts.append(Fact(name="tables", value=str(error), level="error"))
                else:
                    facts += await tables_facts(connection, tables)
            facts += await store_facts(connection, self._names)
            facts.append(await lock_fact(connection, self._own))
            return Probe(facts=tuple(facts))

    # -- begin -----------------------------------------------------------------------

    async def begin(self, run: RunInfo, context: Context) -> None:
        await self.rebuilder.open()
        self._run, self._transactions.context = run, context
        # Before anything is made there, and again under the lock, when it counts.
        async with (
            self._transactions.alone() as connection,
            transaction(connection, readonly=run.dry_run, one_moment=True),
        ):
            if not run.dry_run:
                await check_server(connection, self._address.place)
            await check_not_itself(connection, self._address, self._names.schema, run.source)
            await self._look(connection, run)
        if run.dry_run:
            if self._tables is not None:
                await self._transactions.open(1)
            return
        await self._lease.acquire(context)
        await self._transactions.open(self.config.connections)
        async with self._transactions.writing(again=False) as connection:
            await self._look(connection, run)
            if self._tables is None:
                for statement in saver_tables(self._names):
                    await connection.execute(statement)
                self._tables = await find_tables(connection, self._address.place, self._names)
            if not self._marked:
                await connection.execute(self._marks.table)
                self._marked = True

    async def _look(self, connection: Connection, run: RunInfo) -> None:
        """What of the tables and the marks is there; changes nothing.

        Raises:
            UsageError: they cannot take the run.
        """
        place = self._address.place
        self._tables = await find_tables(connection, place, self._names)
        if self._tables is not None:
            check_writable(self._tables, place)
        elif await self._migrations(connection):
            raise UsageError(
                f"{place} has in schema {self._names.schema!r} the table 'checkpoint_migrations', "
                f"and none of {', '.join(map(repr, SAVER_TABLES))}; remove it, or choose another "
                "--sink-schema"
            )
        self._marked = await self._marks.there(connection)
        if self._marked:
            await self._marks.check_sources(connection, place, run)

    async def _migrations(self, connection: Connection) -> bool:
        """Whether migrations of the tables are said to be done."""
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace "
                "AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 "
                "AND c.relname = 'checkpoint_migrations')",
                self._names.schema,
            )
        )

    # -- threads ---------------------------------------------------------------------

    @held_as_rows
    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        if not (self._transactions.opened and self._marked):  # a dry run, and nothing there yet
            return {}
        ids = [ref.thread_id for ref in refs if _holdable(ref.thread_id)]
        return await self._transactions.found(
            lambda connection: self._marks.of_source(connection, self._known, self._source, ids),
            what=f"marks of {len(ids)} threads",
        )

    @written_as_rows
    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return await by_halves(
            bundles,
            lambda some: context.request(lambda: self._stored(some), what=transaction_with(some)),
        )

    @previewed_as_rows
    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        try:
            return await context.request(
                lambda: self._previewed(bundle), what=f"look at thread {bundle.thread_id!r}"
            )
        except ThreadError as error:
            return WriteOutcome(thread_id=bundle.thread_id, error=str(error))

    async def _previewed(self, bundle: Bundle) -> WriteOutcome:
        async with AsyncExitStack() as stack:
            connection = None
            if self._transactions.opened:
                connection = await stack.enter_async_context(self._transactions.undone(again=True))
            return await self._writer(connection).preview(bundle, marked=self._marked)

    async def _stored(self, bundles: Sequence[Bundle]) -> Sequence[WriteOutcome]:
        async with self._transactions.writing() as connection:
            return await self._writer(connection).store(bundles)

    def _writer(self, connection: Connection | None) -> Writer:
        """`connection`: None in a dry run where there are no tables yet."""
        return Writer(
            connection,
            self._tables or new_tables(self._names),
            self._marks,
            source=self._source,
            policy=self.config.on_conflict,
            cipher=self._cipher,
        )

    async def forget(self, thread_ids: Sequence[str]) -> None:
        ids = [one for one in thread_ids if _holdable(one)]
        async with self._transactions.writing(again=False) as connection:
            ours = await self._marks.ours(connection, self._source, ids)
            for table in SAVER_TABLES:
                await connection.execute(
                    f"DELETE FROM {self._names(table)} WHERE thread_id = ANY ($1)", ours
                )
            await self._marks.remove(connection, ours)

    # -- the store -------------------------------------------------------------------

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        return await self._store().write(bundle, context)

    async def preview_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        return await self._store().preview(bundle, context)

    def _store(self) -> StoreWriter:
        config = self.config
        return StoreWriter(self._transactions, self._names, config.on_conflict, config.vectors)

    # -- inside ----------------------------------------------------------------------

    @property
    def _source(self) -> str:
        assert self._run is not None, "used before begin"
        return self._run.source

    @property
    def _known(self) -> Tables:
        assert self._tables is not None, "come with `begin`"
        return self._tables


def _holdable(thread_id: str) -> bool:
    """Whether there can be a thread of that id at all."""
    return is_text(thread_id) and "\0" not in thread_id
