"""The sink: one transaction a batch, threads and their marks in the same one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from lgx import (
    ANY_KIND,
    Bundle,
    Context,
    Loss,
    Mark,
    Probe,
    RunInfo,
    Sink,
    ThreadError,
    ThreadRef,
    WriteOutcome,
    raw,
)
from lgx_plugins.blocking import run_to_end
from lgx_plugins.postgres.cells import escape_json, escape_text
from lgx_plugins.postgres.columns import check_columns
from lgx_plugins.postgres.config import PostgresSinkConfig, PostgresTargetConfig
from lgx_plugins.postgres.connection import Address, transaction
from lgx_plugins.postgres.counting import none_left
from lgx_plugins.postgres.dedup_schema import choose_layout, saving
from lgx_plugins.postgres.extras import write_extras
from lgx_plugins.postgres.facts import sink_facts
from lgx_plugins.postgres.halving import by_halves, transaction_with
from lgx_plugins.postgres.lock import TargetLease
from lgx_plugins.postgres.marks import Marks
from lgx_plugins.postgres.migrations import found_tables, prepare
from lgx_plugins.postgres.names import Names
from lgx_plugins.postgres.transactions import Transactions
from lgx_plugins.postgres.whereabouts import check_not_itself, check_sources, may_be_tables
from lgx_plugins.postgres.writer import Writer

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["PostgresSink"]

T = TypeVar("T")


class PostgresSink(Sink[PostgresSinkConfig]):
    """Threads as rows. A schema that exists keeps its other tables.

    Threads of several sources stand side by side, told apart by `source_url`; `begin` lets
    a second source in only where the run says `merge`. Every write is a transaction, which
    begins with a look at whose turn it is, and is tried again as a whole where it fails in
    a way that may pass.

    A row whose record came again unchanged stays as it is, with what others edited in it.
    """

    name = "postgres"
    summary = "tables of a PostgreSQL database, to be queried with SQL"
    config_type = PostgresSinkConfig
    read_config_type = PostgresTargetConfig
    accepts = ANY_KIND
    max_writers = 4
    batch_bytes = 8 << 20

    def __init__(self, config: PostgresSinkConfig) -> None:
        super().__init__(config)
        self._names = Names(config.schema, config.table_prefix)
        self._address = Address(config.dsn)
        self._lease = TargetLease(self._address, self._names, config.lock)
        self._transactions = Transactions(self._address, self._lease)
        self._run: RunInfo | None = None
        self._marks = Marks(self._names, "")
        self._dedup = False  # known from `begin` on
        self._export = 0
        self._written = [0, 0]  # threads and checkpoints of this run
        self._notes: tuple[str, ...] = ()

    async def __aenter__(self) -> PostgresSink:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await run_to_end(self._transactions.close())

    async def versions(self, context: Context) -> Mapping[str, str]:
        self._transactions.context = context
        return await self._transactions.versions()

    async def probe(self, context: Context) -> Probe:
        return await sink_facts(self._address, self._names, self.config)

    # -- begin and finish ------------------------------------------------------------

    async def begin(self, run: RunInfo, context: Context) -> None:
        self._run, self._transactions.context = run, context
        self._marks = Marks(self._names, run.source)
        if may_be_tables(run.source):
            async with self._transactions.alone() as connection:
                await check_not_itself(connection, self._address, self._names, run.source)
        if run.dry_run:
            moment = {"readonly": True, "one_moment": True}
            async with self._transactions.alone() as connection, transaction(connection, **moment):
                place, names = self._address.place, self._names
                version, _ = await found_tables(connection, place, names)
                if not version:
                    return
                await self._look(connection, run)
            await self._transactions.open(1)
            return
        # One transaction: tables of an older tool stay as they are where the run is refused.
        self._notes = await prepare(
            self._address,
            self._names,
            self._lease,
            look=lambda held: self._look(held, run),
            then=lambda held: self._enter(held, run),
            context=context,
        )
        await self._transactions.open(self.config.connections)

    async def _look(self, connection: Connection, run: RunInfo) -> None:
        """Whether these tables can take the run; changes nothing."""
        place, names = self._address.place, self._names
        layout = await choose_layout(connection, place, names, self.config.layout, dry_run=True)
        await check_columns(connection, place, names, dedup=layout == "dedup")
        await check_sources(connection, place, names, run)

    async def _enter(self, connection: Connection, run: RunInfo) -> None:
        place, names = self._address.place, self._names
        layout = await choose_layout(connection, place, names, self.config.layout)
        self._dedup = layout == "dedup"
        await check_columns(connection, place, names, dedup=self._dedup)
        await check_sources(connection, place, names, run)
        self._export = await connection.fetchval(
            f"INSERT INTO {self._names('exports')} "
            "(source_url, started_at, fingerprint, versions) "
            "VALUES ($1, $2, $3, $4) RETURNING id",
            escape_text(run.source).decode(),
            datetime.fromisoformat(run.started_at),
            run.fingerprint,
            escape_json(bytes(raw(run.versions))).decode(),  # a server says what it likes
        )

    async def finish(self, context: Context) -> None:
        for note in self._notes:
            context.note(note)

        async def finished() -> str | None:
            async with self._transactions.writing() as connection:
                await connection.execute(
                    f"UPDATE {self._names('exports')} SET finished_at = now(), threads = $1, "
                    "checkpoints = $2 WHERE id = $3",
                    *self._written,
                    self._export,
                )
                return await saving(connection, self._names)

        said = await context.request(finished, what="note that the run is finished")
        if said is not None:
            context.note(said)

    # -- threads ---------------------------------------------------------------------

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        if not self._transactions.opened:  # a dry run into a schema that holds nothing yet
            return {}
        ids = [ref.thread_id for ref in refs]
        found = self._marks.known(ids)
        if found is not None:
            return found
        return await self._transactions.found(
            lambda connection: self._marks.find(connection, ids),
            what=f"marks of {len(ids)} threads",
        )

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return await by_halves(
            bundles,
            lambda some: _request(
                lambda strictly: self._stored(some, strictly=strictly),
                context,
                what=transaction_with(some),
            ),
        )

    async def _stored(self, bundles: Sequence[Bundle], *, strictly: bool) -> Sequence[WriteOutcome]:
        async with self._transactions.writing() as connection:
            outcomes = await Writer(connection, self._names, self._source, dedup=self._dedup).store(
                bundles, strictly=strictly
            )
            written = [
                self._written[0] + len(bundles),
                self._written[1] + sum(bundle.checkpoints for bundle in bundles),
            ]
            # Writers do not wait for each other to count: who finds the row locked leaves
            # that to the next, and to `finish`.
            await connection.execute(
                f"UPDATE {self._names('exports')} SET threads = $1, checkpoints = $2 "
                f"WHERE id = (SELECT id FROM {self._names('exports')} WHERE id = $3 "
                "FOR UPDATE SKIP LOCKED)",
                *written,
                self._export,
            )
        self._marks.change(bundle.thread_id for bundle in bundles)
        self._written[0] += len(bundles)
        self._written[1] += sum(bundle.checkpoints for bundle in bundles)
        return outcomes

    async def forget(self, thread_ids: Sequence[str]) -> None:
        async with self._transactions.writing(again=False) as connection:
            threads = self._names("threads")
            gone = f"FROM {threads} WHERE source_url = $1 AND thread_id = ANY ($2)"
            cells = [escape_text(thread_id).decode() for thread_id in thread_ids]
            source = escape_text(self._source).decode()
            await connection.execute(f"DELETE {gone}", source, cells)  # the parts go by cascade
            none_left(await connection.execute(f"SELECT {gone}", source, cells), threads)
        self._marks.change(thread_ids)

    # -- extras ----------------------------------------------------------------------

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        async def written(strictly: bool) -> tuple[Loss, ...]:
            async with self._transactions.writing() as connection:
                return await write_extras(
                    connection, self._names, self._source, kind, bundle, strictly=strictly
                )

        try:
            losses = await _request(written, context, what=f"transaction with every {kind}")
        except ThreadError as error:
            return WriteOutcome(thread_id=None, error=str(error))
        return WriteOutcome(thread_id=None, losses=losses)

    # -- inside ----------------------------------------------------------------------

    @property
    def _source(self) -> str:
        assert self._run is not None, "used before begin"
        return self._run.source


async def _request(store: Callable[[bool], Awaitable[T]], context: Context, *, what: str) -> T:
    """Stores without a close look, which takes long; where that fails, strictly."""
    try:
        return await context.request(lambda: store(False), what=what)
    except ThreadError:
        return await context.request(lambda: store(True), what=what)
